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

// A service whose clients were written for Digest. A key is opted in when its secret is
// at hand, which is once.
func Example() {
	key, secret, err := apikey.New("acme")
	if err != nil {
		panic(err)
	}
	var table digest.MemoryCredentials // or a table of the service's database
	algorithms := []digest.Algorithm{digest.MD5, digest.SHA256}
	for _, algorithm := range algorithms {
		credential, err := digest.NewCredential(key, secret, "things", algorithm)
		if err != nil {
			panic(err)
		}
		if err := table.Add(key.ID, algorithm, credential); err != nil {
			panic(err)
		}
	}

	scheme, err := digest.New(digest.Config{Credentials: &table, Algorithms: algorithms})
	if err != nil {
		panic(err)
	}
	organization := policy.Organization{ID: "acme"}
	keys := policy.SourceFunc(func(_ context.Context, id apikey.ID) (policy.Subject, bool, error) {
		return policy.NewSubject(&key, &organization), id == key.ID, nil
	})
	guard, err := policyhttp.New(policyhttp.Config{
		Engine:  policy.New(keys),
		Realm:   "things",
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
