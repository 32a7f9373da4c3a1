package digest

import (
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy/policyhttp"
)

// writeDigestHeader is the way back: all in quotes but for what RFC 7616 has without.
func writeDigestHeader(h header) string {
	text := `username="` + h.username + `", realm="` + h.realm + `", nonce="` + h.nonce + `", uri="` + h.uri + `", response="` +
		h.response + `", qop=` + h.qop + `, nc=` + h.nc + `, cnonce="` + h.cnonce + `"`
	if h.algorithm != "" {
		text += `, algorithm="` + h.algorithm + `"`
	}
	return text
}

func addDigestHeaders(f *testing.F) {
	f.Add(wellFormed)
	f.Add(`username="Mufasa", realm="http-auth@example.org", uri="/dir/index.html", algorithm=SHA-256, ` +
		`nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", nc=00000001, cnonce="f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ", ` +
		`qop=auth, response="753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1", opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"`)
	for _, text := range []string{"", ",", "=", `a="`, `a="\`, `a="\"", b=c`, "a =\tb ,, ", `username*=UTF-8''x`, `nc="00000001"`, "username=a\xff"} {
		f.Add(text)
	}
}

// What was read is what was sent: written and read again it is the same. Nothing that
// was read needs an escape, nor says more than it was sent with.
func FuzzParseDigestHeader(f *testing.F) {
	addDigestHeaders(f)
	f.Fuzz(func(t *testing.T, text string) {
		h, err := parseHeader(text)
		if err != nil {
			if h != (header{}) {
				t.Fatalf("%q: %+v beside an error", text, h)
			}
			return
		}
		for i := range parameters {
			value := *parameters[i].text(&h)
			if !strings.Contains(text, value) || strings.ContainsAny(value, `"\`) {
				t.Fatalf("%q: %s is %q", text, parameters[i].name, value)
			}
			if parameters[i].required && value == "" {
				t.Fatalf("%q: %s is empty", text, parameters[i].name)
			}
		}
		if len(h.nc) != 8 || h.count == 0 {
			t.Fatalf("%q: nc is %q, which is %d", text, h.nc, h.count)
		}
		h.userhash = "" // is false, and is not written
		if again, err := parseHeader(writeDigestHeader(h)); err != nil || again != h {
			t.Fatalf("%q was read as %+v, and that as %+v, %v", text, h, again, err)
		}
	})
}

// A caller without the hash of the secret is never let in, does not stop the program, and
// never gets stale=true.
func FuzzDigestProof(f *testing.F) {
	addDigestHeaders(f)
	key := apikey.Key{ID: "k3vq7zt2mwc5x4hjp6na", Secrets: []apikey.StoredSecret{{Digest: credentials("k3vq7zt2mwc5x4hjp6na", "api", "not to be guessed")}}}
	scheme, err := New(Config{Algorithms: []apikey.DigestAlgorithm{apikey.DigestMD5, apikey.DigestSHA256}})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, rest string) {
		r := httptest.NewRequest("GET", "/v1/groups?pretty=true", nil)
		shown, err := scheme.Read(r.Context(), policyhttp.Presented{Text: rest, Realm: "api", Request: r})
		if err != nil {
			if shown.Verifier != nil {
				t.Fatalf("%q: a verifier beside an error", rest)
			}
			return
		}
		for _, who := range []apikey.Key{key, {}} {
			if secret, err := shown.Verifier.Verify(who, time.Now()); secret != -1 || err != errWrongResponse && err != errNoDigest {
				t.Fatalf("%q: secret %d, %v", rest, secret, err)
			}
		}
	})
}

// See checkNonces.
func FuzzNonces(f *testing.F) {
	f.Add(byte(1), []byte("\xc8\x00\x3c\x00\xc8\x00\x0a\xff\xc8\x00"))
	f.Add(byte(2), []byte("\x46\x00\x46\x01\x46\x02\xff\x02\x80\x02\xc0\x03\xff\x02"))
	f.Fuzz(func(t *testing.T, most byte, steps []byte) {
		checkNonces(t, 1+int(most%16), steps[:min(len(steps), 1000)])
	})
}
