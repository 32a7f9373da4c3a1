package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/policy/policyhttp"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/memory"
)

// A service has the guarded endpoints and their handlers. It knows no router: it reads the
// project from Request.PathValue, and the adapters set that.
type service struct {
	read, restore, watch, talk *policyhttp.Route

	// proceed lets the streaming handler continue.
	proceed chan struct{}
}

func newService(ctx context.Context) (*service, map[apikey.ID]apikey.Secret, error) {
	keys := memory.New()
	secrets, err := addKeys(ctx, keys)
	if err != nil {
		return nil, nil, err
	}
	guard, err := policyhttp.New(policyhttp.Config{Engine: policy.New(keys)})
	if err != nil {
		return nil, nil, err
	}
	readers := []string{"reader", "admin"}
	return &service{
		read:    guard.Route(policy.Endpoint{Name: "projects.read", Roles: readers}, project),
		restore: guard.Route(policy.Endpoint{Name: "projects.restore", Roles: []string{"admin"}, RequiresAccessList: true}, project),
		watch:   guard.Route(policy.Endpoint{Name: "projects.watch", Roles: readers}, project),
		talk:    guard.Route(policy.Endpoint{Name: "projects.talk", Roles: readers}, project),
		proceed: make(chan struct{}),
	}, secrets, nil
}

// project takes the organization from the project's own record, never from the caller
// (rule K7). An unknown project is refused like another organization's.
func project(r *http.Request) (policy.Resource, error) {
	switch id := r.PathValue("project"); id {
	case "":
		return policy.Resource{}, nil // the guard is in front of the router: a mistake, and a 400
	case "atlas", "a/b":
		return policy.Resource{Organization: "acme", Project: id}, nil
	case "gamma":
		return policy.Resource{Organization: "globex", Project: id}, nil
	case "broken":
		return policy.Resource{}, errors.New("the project's record cannot be read")
	default:
		return policy.Resource{Organization: policy.NoOrganization}, nil
	}
}

// decoded returns the value of a path parameter as http.ServeMux would give it. If Go would
// have encoded the path differently, URL.RawPath is set, and chi and echo return undecoded
// values. Otherwise they return decoded ones, and decoding again would be wrong.
func decoded(r *http.Request, value string) string {
	if r.URL.RawPath == "" {
		return value
	}
	text, err := url.PathUnescape(value)
	if err != nil {
		return "" // names no project
	}
	return text
}

// describe is the answer under each of the four routers. The project comes from the
// decision, not from the router: it is the judged one.
func describe(r *http.Request) string {
	decision, _ := policyhttp.DecisionOf(r.Context())
	return fmt.Sprintf("%s, for key %s\n", decision.Resource().Project, decision.KeyID())
}

func showProject(w http.ResponseWriter, r *http.Request) { _, _ = fmt.Fprint(w, describe(r)) }

// stream sends one line, waits to be told to go on, and sends another.
func (s *service) stream(w http.ResponseWriter, r *http.Request) {
	controller := http.NewResponseController(w)
	if err := controller.SetWriteDeadline(time.Now().Add(time.Minute)); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	_, _ = fmt.Fprintln(w, "first")
	if r.URL.Query().Get("by") == "interface" {
		w.(http.Flusher).Flush()
	} else if err := controller.Flush(); err != nil {
		_, _ = fmt.Fprintln(w, err)
		return
	}
	select {
	case <-s.proceed:
		_, _ = fmt.Fprintln(w, "second")
	case <-r.Context().Done():
	}
}

// repeat takes the connection over and repeats one line.
func repeat(w http.ResponseWriter, r *http.Request) {
	conn, buffered, err := hijack(w, r.URL.Query().Get("by") == "interface")
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	defer func() { _ = conn.Close() }()
	_, _ = fmt.Fprint(buffered, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: repeat\r\n\r\n")
	_ = buffered.Flush()
	if line, err := buffered.ReadString('\n'); err == nil {
		_, _ = fmt.Fprint(buffered, line)
		_ = buffered.Flush()
	}
}

func hijack(w http.ResponseWriter, byInterface bool) (net.Conn, *bufio.ReadWriter, error) {
	if byInterface {
		return w.(http.Hijacker).Hijack()
	}
	return http.NewResponseController(w).Hijack()
}

// addKeys puts keys into the store, and returns their secrets.
func addKeys(ctx context.Context, keys *memory.Store) (map[apikey.ID]apikey.Secret, error) {
	for _, id := range []string{"acme", "globex"} {
		if _, err := keys.PutOrganization(ctx, policy.Organization{ID: id}); err != nil {
			return nil, err
		}
	}
	here, err := accesslist.Parse("127.0.0.1")
	if err != nil {
		return nil, err
	}
	elsewhere, err := accesslist.Parse("203.0.113.7")
	if err != nil {
		return nil, err
	}
	grant := func(role string) []apikey.Grant { return []apikey.Grant{{Role: role, AllProjects: true}} }
	secrets := map[apikey.ID]apikey.Secret{}
	for _, key := range []apikey.Key{
		{ID: "admin", Organization: "acme", Grants: grant("admin"), AccessList: here},
		{ID: "reader", Organization: "acme", Grants: grant("reader"), AccessList: here},
		{ID: "elsewhere", Organization: "acme", Grants: grant("reader"), AccessList: elsewhere},
		{ID: "open", Organization: "acme", Grants: grant("admin")},
		{ID: "disabled", Organization: "acme", Grants: grant("admin"), Disabled: true},
		{ID: "stranger", Organization: "globex", Grants: grant("admin")},
	} {
		key, secret, err := apikey.Issue(key)
		if err != nil {
			return nil, err
		}
		var options []store.PutOption
		if key.AccessList.IsEmpty() {
			options = append(options, store.AllowOpen) // the keys without a list above
		}
		if _, err := keys.PutKey(ctx, key, options...); err != nil {
			return nil, err
		}
		secrets[key.ID] = secret
	}
	return secrets, nil
}
