package digest

import (
	"crypto/md5"
	"crypto/sha256"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
)

// The examples of RFC 7616 section 3.9.1 and RFC 2617 section 3.5: both sides of the
// arithmetic, from the password to the response.
func TestDigestExamplesOfTheRFCs(t *testing.T) {
	for _, example := range []struct {
		name                     string
		algorithm                apikey.DigestAlgorithm
		user, password, realm    string
		nonce, cnonce, uri, want string
	}{
		{
			"RFC 7616, MD5", apikey.DigestMD5, "Mufasa", "Circle of Life", "http-auth@example.org",
			"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ", "/dir/index.html",
			"8ca523f5e9506fed4657c9700eebdbec",
		},
		{
			"RFC 7616, SHA-256", apikey.DigestSHA256, "Mufasa", "Circle of Life", "http-auth@example.org",
			"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ", "/dir/index.html",
			"753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1",
		},
		{
			"RFC 2617, MD5", apikey.DigestMD5, "Mufasa", "Circle Of Life", "testrealm@host.com",
			"dcd98b7102dd2f0e8b11d0f600bfb0c093", "0a4f113b", "/dir/index.html",
			"6629fae49393a05397450978507c4ef1",
		},
	} {
		t.Run(example.name, func(t *testing.T) {
			header := `username="` + example.user + `", realm="` + example.realm + `", uri="` + example.uri +
				`", algorithm=` + string(example.algorithm) + `, nonce="` + example.nonce + `", nc=00000001, cnonce="` + example.cnonce +
				`", qop=auth, response="` + example.want + `", opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"`
			h, err := parseHeader(header)
			require.NoError(t, err)
			key := apikey.Key{ID: apikey.ID(example.user), Secrets: []apikey.StoredSecret{{Digest: credentials(example.user, example.realm, example.password)}}}
			p := response{nonces: testNonces(), header: h, method: "GET", algorithm: example.algorithm}
			verify := func(p *response, key apikey.Key) error {
				secret, err := p.Verify(key, time.Now())
				assert.Equal(t, -1, secret)
				return err
			}
			assert.ErrorIs(t, verify(&p, key), policy.ErrStaleNonce, "the response is right, and the nonce is not ours")

			for name, change := range map[string]func(*response){
				"method":   func(p *response) { p.method = "POST" },
				"uri":      func(p *response) { p.header.uri += "?" },
				"nonce":    func(p *response) { p.header.nonce += "0" },
				"nc":       func(p *response) { p.header.nc = "00000002" },
				"cnonce":   func(p *response) { p.header.cnonce += "0" },
				"response": func(p *response) { p.header.response = "0" + p.header.response[1:] },
			} {
				other := p
				change(&other)
				assert.Equal(t, errWrongResponse, verify(&other, key), name)
			}

			// The operator's errors for the same answer to the caller.
			other := key.Clone()
			other.ID = "mufasa"
			assert.Equal(t, errWrongResponse, verify(&p, other), "another key, which somehow has the credentials")
			assert.Equal(t, errNoDigest, verify(&p, apikey.Key{}))
			for name, digest := range map[string]apikey.DigestCredentials{
				"opted out": {}, "of another realm": credentials(example.user, "another", example.password),
			} {
				other = key.Clone()
				other.Secrets[0].Digest = digest
				assert.Equal(t, errNoDigest, verify(&p, other), name)
			}
			other.Secrets[0].Digest = credentials(example.user, example.realm, "circle of life")
			assert.Equal(t, errWrongResponse, verify(&p, other), "another secret")
		})
	}
}

// credentials are those of any password, not just of a secret's text.
func credentials(user, realm, password string) apikey.DigestCredentials {
	text := []byte(user + ":" + realm + ":" + password)
	made, err := apikey.NewDigestCredentials(realm, fmt.Sprintf("%x", md5.Sum(text)), fmt.Sprintf("%x", sha256.Sum256(text)))
	if err != nil {
		panic(err)
	}
	return made
}

// From the header to whether the response is right: what hand-written checks do that
// have no nonces of their own.
func BenchmarkDigestResponse(b *testing.B) {
	for _, algorithm := range []apikey.DigestAlgorithm{apikey.DigestMD5, apikey.DigestSHA256} {
		b.Run(string(algorithm), func(b *testing.B) {
			key := apikey.Key{ID: "k3vq7zt2mwc5x4hjp6na", Secrets: []apikey.StoredSecret{{Digest: credentials("k3vq7zt2mwc5x4hjp6na", "api", "password")}}}
			now := time.Now()
			b.ReportAllocs()
			for b.Loop() {
				h, err := parseHeader(wellFormed)
				if err != nil {
					b.Fatal(err)
				}
				p := response{header: h, method: "GET", algorithm: algorithm}
				if _, err := p.Verify(key, now); err != errWrongResponse {
					b.Fatal("the response is right")
				}
			}
		})
	}
}
