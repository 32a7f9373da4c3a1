package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/sallyport-go/sallyport/apikey"
)

// A line is one request of the tour and its answer.
type line struct {
	what, request string
	status        int
	code          string // from the problem+json body; "" if the call was allowed
}

// tour sends the requests to the service at url, in order, with a real client.
func tour(ctx context.Context, s *service, url string) (lines []line, err error) {
	client := &http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	send := func(what, method, path, body string, sign func(*http.Request)) {
		if err != nil {
			return
		}
		l := line{what: what, request: method + " " + path}
		if l.status, l.code, err = call(ctx, client, method, url+path, body, sign); err == nil {
			lines = append(lines, l)
		}
	}
	const (
		atlas       = "/projects/atlas"
		list        = atlas + "/backups"
		restore     = list + "/b1/restore"
		requirement = "/admin/organizations/acme/requirement"
	)
	var (
		nightly, admin, office = s.credential("nightly"), s.credential("admin"), s.credential("office")
		ci, stranger           = s.credential("ci"), s.credential("stranger")
		operator               = func(r *http.Request) { r.Header.Set(operatorHeader, s.token) }
	)

	// The caller. An unknown key and a wrong secret get the same answer.
	send("no key", "GET", list, "", unsigned)
	send("a key, as a Bearer token", "GET", list, "", bearer(nightly.secret))
	send("a key, as user and password", "POST", list, "", basic(nightly))
	unknown, err := wrongSecret("nobody")
	if err != nil {
		return nil, err
	}
	send("an unknown key", "GET", list, "", bearer(unknown))
	wrong, err := wrongSecret(nightly.key.ID)
	if err != nil {
		return nil, err
	}
	send("a wrong secret", "GET", list, "", bearer(wrong))

	// The address.
	send("an address off the key's list", "GET", list, "", bearer(office.secret))
	send("  whatever a header says", "GET", list, "", func(r *http.Request) {
		bearer(office.secret)(r)
		r.Header.Set("X-Forwarded-For", "203.0.113.7") // an address on the list
	})
	send("a key without a list", "GET", list, "", bearer(ci.secret))
	send("  where the endpoint requires one", "POST", restore, "", bearer(ci.secret))
	send("a key with a list there", "POST", restore, "", bearer(admin.secret))

	// The grants of the key.
	send("a missing role", "DELETE", list+"/b1", "", bearer(nightly.secret))
	send("a project without a grant", "GET", "/projects/borealis", "", bearer(nightly.secret))
	send("the key's organization", "GET", "/organizations/acme/projects", "", bearer(admin.secret))
	send("another organization", "GET", "/organizations/globex/projects", "", bearer(admin.secret))
	send("another organization's project", "GET", atlas, "", bearer(stranger.secret))
	send("  with a claim to own it", "GET", atlas+"?organization=globex", "", func(r *http.Request) {
		bearer(stranger.secret)(r)
		r.Header.Set("X-Organization", globex)
	})
	send("an unknown project", "GET", "/projects/nonesuch", "", bearer(stranger.secret))

	// The organization's requirement, switched by an operator.
	send("the switch, not by an operator", "PUT", requirement, `{"requirement": "not_required"}`, bearer(admin.secret))
	send("the operator: report only", "PUT", requirement, `{"requirement": "report_only"}`, operator)
	send("  a key without a list", "GET", list, "", bearer(ci.secret))
	send("the operator: required", "PUT", requirement, `{"requirement": "required"}`, operator)
	send("  a key without a list", "GET", list, "", bearer(ci.secret))
	send("  a key with a list", "GET", list, "", bearer(admin.secret))
	send("  a key of another organization", "GET", "/projects/gamma", "", bearer(stranger.secret))
	send("the operator, not locked out", "PUT", requirement, `{"requirement": "not_required"}`, operator)
	send("  a key without a list", "GET", list, "", bearer(ci.secret))
	return lines, err
}

// call sends one request. A refusal without a code comes from the operators' handlers.
func call(ctx context.Context, client *http.Client, method, url, body string, sign func(*http.Request)) (status int, code string, err error) {
	request, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		return 0, "", err
	}
	sign(request)
	response, err := client.Do(request)
	if err != nil {
		return 0, "", err
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return 0, "", err
	}
	if response.Header.Get("Content-Type") == "application/problem+json" {
		var problem struct{ Code string }
		if err := json.Unmarshal(text, &problem); err != nil {
			return 0, "", fmt.Errorf("%s %s: %w", method, url, err)
		}
		code = problem.Code
	}
	return response.StatusCode, code, nil
}

func unsigned(*http.Request) {}

func bearer(secret apikey.Secret) func(*http.Request) {
	return func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+secret.Reveal()) }
}

func basic(c credential) func(*http.Request) {
	return func(r *http.Request) { r.SetBasicAuth(c.key.ID.String(), c.secret.Reveal()) }
}

// wrongSecret returns a well-formed secret of the key. It is stored nowhere.
func wrongSecret(id apikey.ID) (apikey.Secret, error) {
	_, secret, err := apikey.Issue(apikey.Key{ID: id, Organization: acme})
	return secret, err
}

// credential returns the key with this ID. For an unknown ID it is zero and proves nothing.
func (s *service) credential(id apikey.ID) credential {
	for _, c := range s.credentials {
		if c.key.ID == id {
			return c
		}
	}
	return credential{}
}

func printTour(w io.Writer, lines []line) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(table, "WHAT\tREQUEST\tSTATUS\tCODE")
	for _, l := range lines {
		_, _ = fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", l.what, l.request, strconv.Itoa(l.status), cmp.Or(l.code, "-"))
	}
	return table.Flush()
}
