package digest

import (
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
		algorithm                Algorithm
		user, password, realm    string
		nonce, cnonce, uri, want string
	}{
		{
			"RFC 7616, MD5", MD5, "Mufasa", "Circle of Life", "http-auth@example.org",
			"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ", "/dir/index.html",
			"8ca523f5e9506fed4657c9700eebdbec",
		},
		{
			"RFC 7616, SHA-256", SHA256, "Mufasa", "Circle of Life", "http-auth@example.org",
			"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ", "/dir/index.html",
			"753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1",
		},
		{
			"RFC 2617, MD5", MD5, "Mufasa", "Circle Of Life", "testrealm@host.com",
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
			key := apikey.Key{ID: apikey.ID(example.user), Secrets: []apikey.StoredSecret{{Sum: [32]byte{1}}}}
			p := response{
				nonces: testNonces(), header: h, method: "GET", algorithm: example.algorithm,
				stored: []Credential{{key.Secrets[0].ID(), example.algorithm.hashOf(example.user, example.realm, example.password)}},
			}
			assert.ErrorIs(t, p.Verify(key, time.Now()), policy.ErrStaleNonce, "the response is right, and the nonce is not ours")

			for name, change := range map[string]func(*response){
				"method":   func(p *response) { p.method = "POST" },
				"uri":      func(p *response) { p.header.uri += "?" },
				"nonce":    func(p *response) { p.header.nonce += "0" },
				"nc":       func(p *response) { p.header.nc = "00000002" },
				"cnonce":   func(p *response) { p.header.cnonce += "0" },
				"response": func(p *response) { p.header.response = "0" + p.header.response[1:] },
				"password": func(p *response) {
					p.stored = []Credential{{key.Secrets[0].ID(), example.algorithm.hashOf(example.user, example.realm, "circle of life")}}
				},
			} {
				other := p
				change(&other)
				assert.Equal(t, errWrongResponse, other.Verify(key, time.Now()), name)
			}

			// The operator's errors for the same answer to the caller.
			other := key
			other.ID = "mufasa"
			assert.Equal(t, errWrongResponse, p.Verify(other, time.Now()), "another key, which somehow has the credential")
			assert.Equal(t, errNoDigest, p.Verify(apikey.Key{}, time.Now()))
			p.stored[0].SecretID = apikey.StoredSecret{}.ID()
			assert.Equal(t, errNoDigest, p.Verify(key, time.Now()), "what stands in for a secret is none")
			p.stored = nil
			assert.Equal(t, errNoDigest, p.Verify(key, time.Now()))
		})
	}
}

// See TestDigestInFIPSMode, which runs a program in that mode.
func TestDigestAlgorithmInFIPSMode(t *testing.T) {
	assert.NoError(t, MD5.checkIn(false))
	assert.NoError(t, SHA256.checkIn(true))
	assert.ErrorContains(t, MD5.checkIn(true), "FIPS")
}

// From the header to whether the response is right: what hand-written checks do that
// have no nonces of their own.
func BenchmarkDigestResponse(b *testing.B) {
	for _, algorithm := range []Algorithm{MD5, SHA256} {
		b.Run(string(algorithm), func(b *testing.B) {
			key := apikey.Key{ID: "k3vq7zt2mwc5x4hjp6na", Secrets: []apikey.StoredSecret{{Sum: [32]byte{1}}}}
			stored := []Credential{{key.Secrets[0].ID(), noHash[:algorithm.digits()]}}
			now := time.Now()
			b.ReportAllocs()
			for b.Loop() {
				h, err := parseHeader(wellFormed)
				if err != nil {
					b.Fatal(err)
				}
				p := response{header: h, method: "GET", algorithm: algorithm, stored: stored}
				if p.Verify(key, now) != errWrongResponse {
					b.Fatal("the response is right")
				}
			}
		})
	}
}
