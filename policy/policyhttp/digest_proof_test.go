package policyhttp

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/apikey"
)

// The examples of RFC 7616 section 3.9.1 and RFC 2617 section 3.5: both sides of the
// arithmetic, from the password to the response.
func TestDigestExamplesOfTheRFCs(t *testing.T) {
	for _, example := range []struct {
		name                     string
		algorithm                DigestAlgorithm
		user, password, realm    string
		nonce, cnonce, uri, want string
	}{
		{
			"RFC 7616, MD5", DigestMD5, "Mufasa", "Circle of Life", "http-auth@example.org",
			"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ", "/dir/index.html",
			"8ca523f5e9506fed4657c9700eebdbec",
		},
		{
			"RFC 7616, SHA-256", DigestSHA256, "Mufasa", "Circle of Life", "http-auth@example.org",
			"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ", "/dir/index.html",
			"753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1",
		},
		{
			"RFC 2617, MD5", DigestMD5, "Mufasa", "Circle Of Life", "testrealm@host.com",
			"dcd98b7102dd2f0e8b11d0f600bfb0c093", "0a4f113b", "/dir/index.html",
			"6629fae49393a05397450978507c4ef1",
		},
	} {
		t.Run(example.name, func(t *testing.T) {
			header := `username="` + example.user + `", realm="` + example.realm + `", uri="` + example.uri +
				`", algorithm=` + string(example.algorithm) + `, nonce="` + example.nonce + `", nc=00000001, cnonce="` + example.cnonce +
				`", qop=auth, response="` + example.want + `", opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"`
			h, err := parseDigestHeader(header)
			require.NoError(t, err)
			key := apikey.Key{ID: apikey.ID(example.user), Secrets: []apikey.StoredSecret{{Sum: [32]byte{1}}}}
			p := digestProof{
				nonces: testNonces(), header: h, method: "GET", algorithm: example.algorithm,
				stored: []DigestCredential{{key.Secrets[0].ID(), example.algorithm.hashOf(example.user, example.realm, example.password)}},
			}
			assert.ErrorIs(t, p.Prove(key, time.Now()), errStale, "the response is right, and the nonce is not ours")

			for name, change := range map[string]func(*digestProof){
				"method":   func(p *digestProof) { p.method = "POST" },
				"uri":      func(p *digestProof) { p.header.uri += "?" },
				"nonce":    func(p *digestProof) { p.header.nonce += "0" },
				"nc":       func(p *digestProof) { p.header.nc = "00000002" },
				"cnonce":   func(p *digestProof) { p.header.cnonce += "0" },
				"response": func(p *digestProof) { p.header.response = "0" + p.header.response[1:] },
				"password": func(p *digestProof) {
					p.stored = []DigestCredential{{key.Secrets[0].ID(), example.algorithm.hashOf(example.user, example.realm, "circle of life")}}
				},
			} {
				other := p
				change(&other)
				assert.Equal(t, errWrongResponse, other.Prove(key, time.Now()), name)
			}

			// What the operator is told, where the caller is told the same.
			other := key
			other.ID = "mufasa"
			assert.Equal(t, errWrongResponse, p.Prove(other, time.Now()), "another key, which somehow has the credential")
			assert.Equal(t, errNoDigest, p.Prove(apikey.Key{}, time.Now()))
			p.stored[0].SecretID = apikey.StoredSecret{}.ID()
			assert.Equal(t, errNoDigest, p.Prove(key, time.Now()), "what stands in for a secret is none")
			p.stored = nil
			assert.Equal(t, errNoDigest, p.Prove(key, time.Now()))
		})
	}
}

// See TestDigestInFIPSMode, which runs a program in that mode.
func TestDigestAlgorithmInFIPSMode(t *testing.T) {
	assert.NoError(t, DigestMD5.checkIn(false))
	assert.NoError(t, DigestSHA256.checkIn(true))
	assert.ErrorContains(t, DigestMD5.checkIn(true), "FIPS")
}

// From the header to whether the response is right: what hand-written checks do that
// have no nonces of their own.
func BenchmarkDigestResponse(b *testing.B) {
	for _, algorithm := range []DigestAlgorithm{DigestMD5, DigestSHA256} {
		b.Run(string(algorithm), func(b *testing.B) {
			key := apikey.Key{ID: "k3vq7zt2mwc5x4hjp6na", Secrets: []apikey.StoredSecret{{Sum: [32]byte{1}}}}
			stored := []DigestCredential{{key.Secrets[0].ID(), noHash[:algorithm.digits()]}}
			now := time.Now()
			b.ReportAllocs()
			for b.Loop() {
				h, err := parseDigestHeader(wellFormed)
				if err != nil {
					b.Fatal(err)
				}
				p := digestProof{header: h, method: "GET", algorithm: algorithm, stored: stored}
				if p.Prove(key, now) != errWrongResponse {
					b.Fatal("the response is right")
				}
			}
		})
	}
}
