package apikey

import (
	"crypto/sha256"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Rule K3 during the rotation of a server key: whatever is stored, under the new server key,
// the old one, one that was dropped, or nothing at all, as many hashes are computed.
func TestK3EveryServerKeyIsTried(t *testing.T) {
	sums := 0
	under := func(id string) hashUnder {
		return hashUnder{serverKey: id, sum: func(text []byte) [sha256.Size]byte {
			sums++
			return sha256.Sum256(append([]byte(id), text...))
		}}
	}
	issuer := &Issuer{prefixes: []string{"sp_"}, hashes: []hashUnder{under("new"), under("old"), under("")}, clock: time.Now}
	key, secret, err := issuer.New("acme")
	require.NoError(t, err)
	_, wrong, err := issuer.New("acme")
	require.NoError(t, err)
	stored := func(id string) StoredSecret {
		return StoredSecret{ServerKey: id, Sum: under(id).sum(secret.view())}
	}
	require.Equal(t, stored("new").Sum, key.Secrets[0].Sum)

	for name, secrets := range map[string][]StoredSecret{
		"unknown key": nil, "new": {stored("new")}, "old": {stored("old")}, "none": {stored("")}, "dropped": {stored("dropped")},
		"old and new": {stored("old"), stored("new")}, "dropped and new": {stored("dropped"), stored("new")},
		"expired": {{ServerKey: "old", Sum: stored("old").Sum, Expires: time.Unix(1, 0)}},
	} {
		for which, shown := range map[string]Secret{"right": secret, "wrong": wrong} {
			sums = 0
			index, err := shown.Verify(secrets, time.Now())
			require.Equal(t, 3, sums, "%s, %s secret", name, which)
			right := which == "right" && name != "unknown key" && name != "dropped" && name != "expired"
			require.Equal(t, right, index >= 0, "%s, %s secret: %v", name, which, err)
			require.Equal(t, right, err == nil)
		}
	}
}
