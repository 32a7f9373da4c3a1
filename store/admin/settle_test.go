package admin_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/store/admin"
)

// A write whose reply was lost, and whose record was changed since by somebody else, is not
// known to have been made as asked: the revision and the record would be those of the other.
func TestUnknownOutcomeOvertaken(t *testing.T) {
	f := newFaulty()
	w := worldOf(t, f, f.Store)
	w.key("boss", "198.51.100.1", "owner")
	w.key("k", "203.0.113.7", "reader")
	f.after = func(call string) error {
		if call != "Write" {
			return nil
		}
		f.after = func(string) error { return nil }
		w.edit("k", func(k *apikey.Key) { k.Disabled = true })
		return errFault
	}
	result, err := w.admin.Apply(w.ctx, ann, "acme", plain, admin.Rotate("k", time.Hour))
	requireClass(t, admin.Unavailable, err)
	require.ErrorContains(t, err, "It is not known whether the change was made.")
	require.Zero(t, result.Made)
	require.Empty(t, result.Secrets)
}
