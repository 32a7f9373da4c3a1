package upgrade_test

import (
	"crypto/md5"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/store/trials/upgrade/orders"
)

// TestDigest: credentials made by one version are verified by the other, after a rotation
// too, and a nonce of one is accepted by the other.
func TestDigest(t *testing.T) {
	eachSystem(t, func(t *testing.T, s system) {
		b := both(t, s)
		b.older.do(t, orders.Order{Do: "put", Organization: "acme", Requirement: "required"})
		for _, pair := range [][2]*process{{b.older, b.newer}, {b.newer, b.older}} {
			maker, verifier := pair[0], pair[1]
			c := caller{key: "made-by-" + maker.name}
			first := maker.do(t, orders.Order{Do: "create", Organization: "acme", Key: c.key, Description: "trial", Entries: []string{"192.0.2.1"}}).Secret
			signsIn := func(secret string, want int) {
				t.Helper()
				for _, p := range b.each() {
					for _, algorithm := range []string{"MD5", "SHA-256"} {
						c.secret, c.algorithm = secret, algorithm
						require.Equal(t, want, c.signIn(t, p, p), "%s with %s at the %s one", c.key, algorithm, p.name)
					}
				}
			}
			apply := func(p *process, change string, o orders.Order) string {
				o.Do, o.Change, o.Organization, o.Key, o.Description = "apply", change, "acme", c.key, "trial"
				return p.do(t, o).Secret
			}
			signsIn(first, 200)
			signsIn(first+"x", 401)
			require.Equal(t, 200, caller{c.key, first, "MD5"}.signIn(t, maker, verifier), "with the nonce of the other")
			require.Equal(t, 200, caller{c.key, first, "SHA-256"}.signIn(t, verifier, maker), "with the nonce of the other")

			second := apply(verifier, "rotate", orders.Order{Overlap: time.Hour})
			signsIn(first, 200)
			signsIn(second, 200)
			apply(maker, "end_secret", orders.Order{Secret: verifier.do(t, orders.Order{Do: "read", Key: c.key}).Records[0].Secrets[0]})
			signsIn(first, 401)
			signsIn(second, 200)
			third := apply(maker, "rotate", orders.Order{})
			signsIn(second, 401)
			signsIn(third, 200)
		}
	})
}

// A caller signs in with a key by Digest.
type caller struct{ key, secret, algorithm string }

// signIn answers a challenge of one process with a request to another, which may be the
// same. It returns the status.
func (c caller) signIn(t *testing.T, challenges, verifies *process) int {
	t.Helper()
	request := orders.Order{Do: "http", Organization: "acme", Client: "192.0.2.1"}
	a := challenges.do(t, request)
	require.Equal(t, 401, a.Status)
	for _, challenge := range a.Challenges {
		if !strings.Contains(challenge, "algorithm="+c.algorithm) {
			continue
		}
		_, rest, found := strings.Cut(challenge, `nonce="`)
		require.True(t, found, challenge)
		nonce, _, _ := strings.Cut(rest, `"`)
		request.Authorization = c.response(nonce)
		return verifies.do(t, request).Status
	}
	t.Fatalf("no challenge for %s: %v", c.algorithm, a.Challenges)
	return 0
}

// response returns the header of a request, by RFC 7616 section 3.4.
func (c caller) response(nonce string) string {
	hash := func(text string) string {
		if c.algorithm == "MD5" {
			sum := md5.Sum([]byte(text))
			return hex.EncodeToString(sum[:])
		}
		sum := sha256.Sum256([]byte(text))
		return hex.EncodeToString(sum[:])
	}
	const realm, uri = "upgrade", "/organizations/acme/things"
	response := hash(hash(c.key+":"+realm+":"+c.secret) + ":" + nonce + ":00000001:0a4f113b:auth:" + hash("GET:"+uri))
	return fmt.Sprintf(`Digest username="%s", realm="%s", nonce="%s", uri="%s", response="%s", algorithm=%s, qop=auth, nc=00000001, cnonce="0a4f113b"`,
		c.key, realm, nonce, uri, response, c.algorithm)
}
