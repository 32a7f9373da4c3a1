package admin_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/store/adapter"
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

// A write of which the store says that it was not made is told so, and not looked for.
func TestKnownNotToBeWritten(t *testing.T) {
	f := newFaulty()
	w := worldOf(t, f, f.Store)
	w.key("boss", "198.51.100.1", "owner")
	w.key("k", "203.0.113.7", "reader")
	f.before = func(call string) error {
		if call == "Write" {
			f.before = func(call string) error {
				require.NotEqual(t, "Key", call, "the record is looked for")
				return nil
			}
			return adapter.NotWritten(errFault)
		}
		return nil
	}
	result, err := w.admin.Apply(w.ctx, ann, "acme", plain, admin.Rotate("k", time.Hour))
	requireClass(t, admin.Unavailable, err)
	require.ErrorIs(t, err, errFault)
	require.ErrorContains(t, err, "The store could not write. Nothing was changed. Try again.")
	require.Zero(t, result.Made)
	require.Empty(t, result.Secrets)

	f.before = func(call string) error {
		if call == "Write" {
			return adapter.NotWritten(errFault)
		}
		return nil
	}
	_, err = w.admin.Apply(w.ctx, ann, "acme", plain, admin.Describe("k", "x"))
	require.ErrorContains(t, err, "Nothing was changed.")
}

// A secret that a later step ended is not handed out: it is of no use to anybody.
func TestSecretEndedByALaterStep(t *testing.T) {
	for name, test := range map[string]struct {
		later   admin.Change
		secrets int
	}{
		"deleted":         {admin.DeleteKey("k"), 0},
		"rotated at once": {admin.Rotate("k", 0), 1},
		"described":       {admin.Describe("k", "x"), 1},
		"another key's":   {admin.Rotate("boss", 0), 2},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.key("boss", "198.51.100.1", "owner")
			w.key("k", "203.0.113.7", "reader")
			result := w.apply(ann, plain, admin.Rotate("k", 0), admin.SetName("Acme"), test.later)
			require.Len(t, result.Secrets, test.secrets)
			for _, secret := range result.Secrets {
				_, err := secret.Secret.Verify(w.stored(string(secret.Key)).Secrets, w.now)
				require.NoError(t, err)
			}
		})
	}
}
