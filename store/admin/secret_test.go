package admin_test

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/store/admin"
)

// A secret given where its ID belongs gets into no text (rule K2).
func TestK2SecretInPlaceOfItsID(t *testing.T) {
	w := newWorld(t)
	w.key("a", "203.0.113.7", "owner")
	text := w.secrets["a"].Reveal()
	for _, given := range []string{text, text[:20], "69oR69oR", "69aF69aF", "", "123456789"} {
		change := admin.EndSecret("a", given, time.Time{})
		w.notices = nil
		refusal := w.refuse(admin.Invalid, ann, plain, change)
		require.Equal(t, "A secret is named by its ID: 8 hexadecimal digits, as a look at the key shows them.", refusal.Message)
		data, err := json.Marshal(refusal)
		require.NoError(t, err)
		for _, printed := range []string{string(data), refusal.Error(), fmt.Sprintf("%v %+v %#v", change, change, change), fmt.Sprintf("%+v %#v", w.notices, w.notices), w.notices[0].LogValue().String()} {
			require.NotContains(t, printed, text[:20])
			if given != "" {
				require.NotContains(t, printed, given)
			}
		}
	}
	require.Equal(t, `The key has no secret "00000000".`, w.refuse(admin.NotFound, ann, plain, admin.EndSecret("a", "00000000", time.Time{})).Message)
}
