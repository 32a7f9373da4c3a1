package main

import (
	"context"
	"encoding/base64"
	"net/http"
	"strings"

	"github.com/sallyport-go/sallyport/apikey"
)

// A request goes to all routers, and each must answer with the same status.
type request struct {
	what, method, path string
	status             int
	sign               func(http.Header)
}

// send sends the request to the server at url.
func (q request) send(ctx context.Context, client *http.Client, url string) (*http.Response, error) {
	r, err := http.NewRequestWithContext(ctx, q.method, url+q.path, nil)
	if err != nil {
		return nil, err
	}
	q.sign(r.Header)
	return client.Do(r)
}

func requests(secrets map[apikey.ID]apikey.Secret) ([]request, error) {
	unknown, err := unstored("nobody")
	if err != nil {
		return nil, err
	}
	wrong, err := unstored("reader")
	if err != nil {
		return nil, err
	}
	none := func(http.Header) {}
	header := func(values ...string) func(http.Header) {
		return func(h http.Header) { h["Authorization"] = values }
	}
	bearer := func(secret apikey.Secret) func(http.Header) { return header("Bearer " + secret.Reveal()) }
	key := func(id apikey.ID) func(http.Header) { return bearer(secrets[id]) }
	basic := func(text string) func(http.Header) {
		return header("Basic " + base64.StdEncoding.EncodeToString([]byte(text)))
	}
	const get, head, post = http.MethodGet, http.MethodHead, http.MethodPost
	return []request{
		{"a key, as a Bearer token", get, "/projects/atlas", 200, key("reader")},
		{"a key, as user and password", get, "/projects/atlas", 200, basic("reader:" + secrets["reader"].Reveal())},
		{"the headers only", head, "/projects/atlas", 200, key("reader")},
		{"a query beside it", get, "/projects/atlas?project=gamma", 200, key("reader")},
		{"a key with a list, where one is required", post, "/projects/atlas/restore", 200, key("admin")},
		{"an encoded letter", get, "/projects/%61tlas", 200, key("reader")},
		{"an encoded slash", get, "/projects/a%2Fb", 200, key("reader")},

		{"no key", get, "/projects/atlas", 401, none},
		{"no key, the headers only", head, "/projects/atlas", 401, none},
		{"no key, to change something", post, "/projects/atlas/restore", 401, none},
		{"a key in the query", get, "/projects/atlas?access_token=" + secrets["reader"].Reveal(), 401, none},
		{"an unknown key", get, "/projects/atlas", 401, bearer(unknown)},
		{"a wrong secret", get, "/projects/atlas", 401, bearer(wrong)},
		{"a mistyped secret", get, "/projects/atlas", 401, header("Bearer " + strings.ToUpper(wrong.Reveal()))},
		{"another user than the key's", get, "/projects/atlas", 401, basic("admin:" + secrets["reader"].Reveal())},
		{"a disabled key", get, "/projects/atlas", 401, key("disabled")},
		{"another scheme", get, "/projects/atlas", 401, header("Negotiate YII=")},
		{"two headers", get, "/projects/atlas", 400, header("Bearer "+secrets["reader"].Reveal(), "Bearer x")},
		{"bad base64", get, "/projects/atlas", 400, header("Basic %%%%")},
		{"no colon", get, "/projects/atlas", 400, basic("reader")},
		{"a long header", get, "/projects/atlas", 400, header("Bearer " + strings.Repeat("x", 10_000))},

		{"an address off the list", get, "/projects/atlas", 403, key("elsewhere")},
		{"an address off the list, forged", get, "/projects/atlas", 403, func(h http.Header) {
			key("elsewhere")(h)
			for _, name := range []string{"X-Forwarded-For", "X-Real-IP", "True-Client-IP", "CF-Connecting-IP"} {
				h.Set(name, "203.0.113.7")
			}
			h.Set("Forwarded", "for=203.0.113.7")
		}},
		{"a key without a list, where one is required", post, "/projects/atlas/restore", 403, key("open")},
		{"a missing role", post, "/projects/atlas/restore", 403, key("reader")},
		{"another organization's project", get, "/projects/atlas", 403, key("stranger")},
		{"and the caller claims it", get, "/projects/atlas?organization=globex&project=gamma", 403, key("stranger")},
		{"an unknown project", get, "/projects/nonesuch", 403, key("reader")},
		{"a name encoded twice", get, "/projects/%2561tlas", 403, key("reader")},
		{"an unreadable record", get, "/projects/broken", 503, key("reader")},
	}, nil
}

// unstored returns a well-formed secret of the key. No store has it.
func unstored(id apikey.ID) (apikey.Secret, error) {
	_, secret, err := apikey.Issue(apikey.Key{ID: id, Organization: "acme"})
	return secret, err
}
