package digest_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/policy/policyhttp"
	"github.com/sallyport-go/sallyport/policy/policyhttp/digest"
)

// A service whose clients were written for Digest. Its issuer makes the credentials with
// each secret, and the guard finds them in the key's record.
func Example() {
	const realm = "things"
	algorithms := []apikey.DigestAlgorithm{apikey.DigestMD5, apikey.DigestSHA256}
	issuer, err := apikey.NewIssuer(apikey.IssuerConfig{DigestAlgorithms: algorithms, DigestRealm: realm})
	if err != nil {
		panic(err)
	}
	key, _, err := issuer.New("acme") // the secret is shown to its owner now
	if err != nil {
		panic(err)
	}

	scheme, err := digest.New(digest.Config{Algorithms: algorithms})
	if err != nil {
		panic(err)
	}
	organization := policy.Organization{ID: "acme"}
	keys := policy.SourceFunc(func(_ context.Context, id apikey.ID) (policy.Subject, bool, error) {
		return policy.NewSubject(&key, &organization), id == key.ID, nil
	})
	guard, err := policyhttp.New(policyhttp.Config{
		Engine:  policy.New(keys),
		Realm:   realm,
		Schemes: []policyhttp.Scheme{scheme, policyhttp.Bearer()},
	})
	if err != nil {
		panic(err)
	}
	handler := guard.Protect(policy.Endpoint{Name: "things.list"}, policyhttp.PathOrganization("org"), http.NotFoundHandler())
	mux := http.NewServeMux()
	mux.Handle("GET /organizations/{org}/things", handler)

	w := httptest.NewRecorder()
	mux.ServeHTTP(w, httptest.NewRequest("GET", "/organizations/acme/things", nil))
	fmt.Println(w.Code)
	for _, challenge := range w.Header().Values("WWW-Authenticate") {
		beforeNonce, _, _ := strings.Cut(challenge, ", nonce=")
		fmt.Println(beforeNonce)
	}
	// Output:
	// 401
	// Digest realm="things", qop="auth", algorithm=MD5
	// Digest realm="things", qop="auth", algorithm=SHA-256
	// Bearer realm="things"
}
