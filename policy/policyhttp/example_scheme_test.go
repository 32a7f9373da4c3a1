package policyhttp_test

import (
	"context"
	"crypto/sha512"
	"crypto/subtle"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/policy/policyhttp"
	"github.com/sallyport-go/sallyport/store/memory"
)

// A service moves in with keys that it has issued for years: a text like
// acme-live-<id>-<random>, sent in X-Acme-Key. Its own table keeps their SHA-512. A Scheme
// reads that text and a Verifier checks it. Access lists, grants and expiry are those of
// the key's record in the store, so no caller has to change anything. Beside it, Bearer
// accepts new secrets (acme2_...) and those of an earlier trial (acme_...).
func ExampleScheme() {
	ctx, keys := context.Background(), memory.New()
	_, err := keys.PutOrganization(ctx, policy.Organization{ID: "acme"})
	must(err)
	list, err := accesslist.Parse("203.0.113.0/24")
	must(err)
	issue := func(issuer *apikey.Issuer, id apikey.ID) apikey.Secret {
		key, secret, err := issuer.Issue(apikey.Key{ID: id, Organization: "acme", AccessList: list})
		must(err)
		_, err = keys.PutKey(ctx, key)
		must(err)
		return secret
	}
	trial, err := apikey.NewIssuer(apikey.IssuerConfig{Prefix: "acme"})
	must(err)
	issuer, err := apikey.NewIssuer(apikey.IssuerConfig{Prefix: "acme2", AcceptPrefixes: []string{"acme"}})
	must(err)

	// An old key is moved under its ID. Its record gets a new secret, too: its owner can
	// change over to that at any time, and the row of the table is deleted afterwards.
	const old = "acme-live-k17-2GvwMzbY8kq0TnXJ5cHs"
	table := legacyTable{"k17": sha512.Sum512([]byte(old))}
	renewed := issue(issuer, "k17")
	trialSecret := issue(trial, "t4")

	guard, err := policyhttp.New(policyhttp.Config{
		Engine: policy.New(keys), Issuer: issuer,
		Schemes: []policyhttp.Scheme{policyhttp.Bearer(), legacyScheme{table}},
	})
	must(err)
	handler := guard.Protect(policy.Endpoint{Name: "things.list"}, acme,
		http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = fmt.Fprint(w, "the things") }))
	call := func(name, header, value string) {
		r := request()
		r.Header.Set(header, value)
		w := recorded(handler, r)
		var code string
		if _, after, denied := strings.Cut(w.Body.String(), `"code":"`); denied {
			code, _, _ = strings.Cut(after, `"`)
		}
		fmt.Println(strings.TrimSpace(fmt.Sprintf("%s: %d %s", name, w.Code, code)))
	}
	call("moved key", "X-Acme-Key", old)
	call("wrong random part", "X-Acme-Key", "acme-live-k17-AAAAAAAAAAAAAAAAAAAA")
	call("unknown key", "X-Acme-Key", "acme-live-k18-2GvwMzbY8kq0TnXJ5cHs")
	call("cut off", "X-Acme-Key", "acme-live-k17-2Gv")
	call("another text", "X-Acme-Key", "Bearer x")
	call("moved key, new secret", "Authorization", "Bearer "+renewed.Reveal())
	call("key of the trial", "Authorization", "Bearer "+trialSecret.Reveal())
	// Output:
	// moved key: 200
	// wrong random part: 401 INVALID_API_KEY
	// unknown key: 401 INVALID_API_KEY
	// cut off: 401 INVALID_API_KEY
	// another text: 400 INVALID_REQUEST
	// moved key, new secret: 200
	// key of the trial: 200
}

// legacyTable has the hashes of the old keys: SHA-512 is right for long random texts, and
// for nothing that people choose.
type legacyTable map[apikey.ID][sha512.Size]byte

// legacyScheme reads the old keys in the header X-Acme-Key.
type legacyScheme struct{ table legacyTable }

func (legacyScheme) Header() string { return "X-Acme-Key" }

func (legacyScheme) Form() string { return "X-Acme-Key: acme-live-ID-RANDOM" }

func (legacyScheme) Name() string { return "" } // the whole value of the header

// Read takes the text apart. Its errors contain nothing of it (rule K2).
func (s legacyScheme) Read(_ context.Context, presented policyhttp.Presented) (policyhttp.Credentials, error) {
	rest, isOurs := strings.CutPrefix(presented.Text, "acme-live-")
	end := strings.LastIndexByte(rest, '-') // an ID may have a "-" itself, as a UUID does
	if !isOurs || end < 0 {
		return policyhttp.Credentials{}, fmt.Errorf("acme: %w: want acme-live-<id>-<random>", policy.ErrMalformedCredentials)
	}
	id, random := rest[:end], rest[end+1:]
	if len(random) != 20 {
		return policyhttp.Credentials{Key: apikey.ID(id)}, fmt.Errorf("acme: %w: the random part is cut off", policy.ErrInvalidCredentials)
	}
	return policyhttp.Credentials{Key: apikey.ID(id), Verifier: legacyProof{s.table, apikey.ID(id), sha512.Sum512([]byte(presented.Text))}}, nil
}

func (legacyScheme) Challenges(realm string, _ error) []string {
	return []string{`AcmeKey realm="` + realm + `"`}
}

// legacyProof is the hash of one presented text.
type legacyProof struct {
	table legacyTable
	id    apikey.ID
	sum   [sha512.Size]byte
}

var errLegacySecret = errors.New("acme: the text is not that of the key")

// Verify compares the hashes in constant time. For an unknown key (the zero Key) it does
// the same: look a hash up, compare with that or with one of zeros (rule K3).
func (p legacyProof) Verify(_ apikey.Key, _ time.Time) (secret int, err error) {
	stored, found := p.table[p.id]
	if subtle.ConstantTimeCompare(p.sum[:], stored[:]) != 1 || !found {
		return -1, errLegacySecret
	}
	return -1, nil // none of the key's secrets
}

// Format shows nothing of the hash, whatever prints the request.
func (p legacyProof) Format(f fmt.State, _ rune) {
	_, _ = f.Write([]byte("legacyProof of " + p.id.String()))
}
