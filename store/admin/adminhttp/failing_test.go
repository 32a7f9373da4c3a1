package adminhttp

import (
	"context"
	"errors"
	"iter"
	"log/slog"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/admin"
	"github.com/sallyport-go/sallyport/store/memory"
)

var errBroken = errors.New("no connection to 10.0.0.9")

// A brokenStore fails from the n-th call on, and makes a change by another before the n-th
// write.
type brokenStore struct {
	*memory.Store
	left   atomic.Int64 // calls that succeed; less than 0: all
	before func()       // a write
}

func (s *brokenStore) fails() error {
	if n := s.left.Load(); n >= 0 && s.left.Add(-1) < 0 {
		s.left.Store(0)
		return errBroken
	}
	return nil
}

func (s *brokenStore) Organization(ctx context.Context, id string) (policy.Organization, error) {
	if err := s.fails(); err != nil {
		return policy.Organization{}, err
	}
	return s.Store.Organization(ctx, id)
}

func (s *brokenStore) Key(ctx context.Context, id apikey.ID) (apikey.Key, error) {
	if err := s.fails(); err != nil {
		return apikey.Key{}, err
	}
	return s.Store.Key(ctx, id)
}

func (s *brokenStore) Keys(ctx context.Context, o string, page store.PageRequest) (store.Page[apikey.Key], error) {
	if err := s.fails(); err != nil {
		return store.Page[apikey.Key]{}, err
	}
	return s.Store.Keys(ctx, o, page)
}

func (s *brokenStore) Usage(ctx context.Context, ids ...apikey.ID) (map[apikey.ID]store.KeyUsage, error) {
	if err := s.fails(); err != nil {
		return nil, err
	}
	return s.Store.Usage(ctx, ids...)
}

func (s *brokenStore) Events(ctx context.Context, request store.EventRequest) (store.EventPage, error) {
	if err := s.fails(); err != nil {
		return store.EventPage{}, err
	}
	return s.Store.Events(ctx, request)
}

func (s *brokenStore) Write(ctx context.Context, write store.Write) (uint64, error) {
	if err := s.fails(); err != nil {
		return 0, err
	}
	if s.before != nil {
		s.before()
	}
	return s.Store.Write(ctx, write)
}

func broken(s **brokenStore) func(*world) {
	return func(w *world) {
		*s = &brokenStore{Store: w.memory}
		(*s).left.Store(-1)
		w.store = *s
	}
}

type brokenProjects struct{}

func (brokenProjects) Of(context.Context, string) iter.Seq2[admin.Project, error] {
	return func(yield func(admin.Project, error) bool) { yield(admin.Project{}, errBroken) }
}

func (brokenProjects) Project(context.Context, string) (admin.Project, bool, error) {
	return admin.Project{}, false, errBroken
}

// Wherever the store fails, the answer is a whole 503, tells nothing of the failure, and
// nothing is changed.
func TestStoreFails(t *testing.T) {
	for _, route := range documentedOf(newWorld(t).handler) {
		if route.access == anyKey && strings.HasSuffix(route.pattern, "/groups") || route.pattern == ipinfo || route.prefix != v2 {
			continue
		}
		for left := int64(0); ; left++ {
			var s *brokenStore
			w := newWorld(t, broken(&s))
			w.put(absent, acme, []string{client}, apikey.Grant{Role: manages}, apikey.Grant{Role: leads, AllProjects: true})
			values := ours()
			values["group"], values["event"] = second, "000000000000000100000000"
			if strings.HasSuffix(route.pattern, "/groups") || strings.HasSuffix(route.pattern, "/groups/{group}") {
				break // of the program
			}
			before := w.records()
			s.left.Store(left)
			answer := w.call(absent, route.method, fill(route.pattern, values), bodyOf(route))
			if answer.Code != 503 {
				require.Less(t, answer.Code, 500)
				require.Positive(t, left, "%s %s: %s", route.method, route.pattern, answer.Body)
				break
			}
			require.Equal(t, "SERVICE_UNAVAILABLE", answer.Header().Get("X-Error-Code"))
			require.Equal(t, "5", answer.Header().Get("Retry-After"))
			require.NotContains(t, answer.Body.String(), "10.0.0.9")
			require.Contains(t, w.logged.String(), "10.0.0.9")
			require.Equal(t, before, w.records())
		}
	}
}

func TestProjectsFail(t *testing.T) {
	w := newWorld(t, func(w *world) { w.config.Projects = brokenProjects{} })
	for _, path := range []string{"/api/atlas/v1.0/groups", org + "/groups", group} {
		answer := w.call(viewer, "GET", path, "")
		require.Equal(t, 503, answer.Code)
		require.NotContains(t, answer.Body.String(), "10.0.0.9")
	}
}

// A change of the same record meanwhile is not lost, and the call is made again.
func TestConflicts(t *testing.T) {
	var s *brokenStore
	w := newWorld(t, broken(&s))
	times := 0
	meanwhile := func(change func()) {
		times = 0
		s.before = func() {
			if times++; times < 3 {
				change()
			}
		}
	}
	meanwhile(func() {
		w.edit(worker, func(k *apikey.Key) {
			k.Grants = append(k.Grants, apikey.Grant{Role: "R", Project: "p" + string(rune('0'+times))})
		})
	})
	require.Equal(t, 200, w.call(owner, "PATCH", workerPath, `{"roles":["ORG_READ_ONLY"]}`).Code)
	require.Subset(t, w.stored(worker).Grants, []apikey.Grant{{Role: "R", Project: "p1"}, {Role: "R", Project: "p2"}, {Role: "ORG_READ_ONLY"}})

	meanwhile(func() {
		found, err := w.memory.Organization(t.Context(), acme)
		require.NoError(t, err)
		found.Name = strings.Repeat("x", times)
		_, err = w.memory.PutOrganization(t.Context(), found)
		require.NoError(t, err)
	})
	require.Equal(t, 200, w.call(owner, "PATCH", org+"/settings", `{"apiAccessListRequired":true}`).Code)

	// Without an end to them the answer is a conflict.
	always := func(change func()) { s.before = change }
	always(func() { w.edit(worker, func(k *apikey.Key) { k.Description += "x" }) })
	w.refuses(owner, "PATCH", workerPath, `{"roles":["ORG_MEMBER"]}`, 409, "RESOURCE_CHANGED")
	always(func() {
		found, err := w.memory.Organization(context.Background(), acme)
		require.NoError(t, err)
		found.Name += "x"
		_, err = w.memory.PutOrganization(context.Background(), found)
		require.NoError(t, err)
	})
	w.refuses(owner, "PATCH", org+"/settings", `{"apiAccessListRequired":false}`, 409, "RESOURCE_CHANGED")

	// An entry that is added or removed meanwhile.
	entry, err := accesslist.ParseEntry("203.0.113.7")
	require.NoError(t, err)
	meanwhile(func() {
		if times == 1 {
			w.edit(worker, func(k *apikey.Key) { k.AccessList, _ = k.AccessList.With(entry) })
		}
	})
	w.refuses(owner, "POST", list, `[{"ipAddress":"203.0.113.7"}]`, 409, "ADDRESS_ALREADY_IN_ACCESS_LIST", "203.0.113.7")
	meanwhile(func() {
		if times == 1 {
			w.edit(worker, func(k *apikey.Key) { k.AccessList, _ = k.AccessList.Without([]netip.Prefix{entry.Prefix()}) })
		}
	})
	w.refuses(owner, "DELETE", list+"/203.0.113.7", "", 404, "API_KEY_ACCESS_LIST_NOT_FOUND", "203.0.113.7", worker)
}

// The organization, or the right of the key, is gone between the guard and the change.
func TestGoneMeanwhile(t *testing.T) {
	w := newWorld(t)
	known := w.config.Projects.(projects)
	late := func(change func()) Projects { return lateProjects{known, change} }
	w.config.Projects = late(func() { w.edit(lead, func(k *apikey.Key) { k.Disabled = true }) })
	w.handler = newHandler(w.config)
	w.refuses(lead, "PATCH", group+"/apiKeys/"+worker, `{"roles":["GROUP_READ_ONLY"]}`, 403, "USER_UNAUTHORIZED")

	for id := range w.secrets {
		if id != owner {
			require.NoError(t, w.memory.DeleteKey(t.Context(), id, 0))
		}
	}
	w.edit(owner, func(k *apikey.Key) { k.Grants = append(k.Grants, apikey.Grant{Role: leads, Project: alpha}) })
	w.config.Projects = late(func() {
		_ = w.memory.DeleteKey(context.Background(), owner, 0)
		_ = w.memory.DeleteOrganization(context.Background(), acme, 0)
	})
	w.handler = newHandler(w.config)
	w.refuses(owner, "GET", group+"/apiKeys", "", 404, "RESOURCE_NOT_FOUND")
}

// lateProjects makes a change while the guard asks for the project.
type lateProjects struct {
	projects
	change func()
}

func (p lateProjects) Project(ctx context.Context, id string) (admin.Project, bool, error) {
	p.change()
	return p.projects.Project(ctx, id)
}

// A change is answered as made, also where the replicas or the sink of events fail.
func TestAfterTheChange(t *testing.T) {
	w := newWorld(t, func(w *world) { w.store = onlyStore{w.memory} }, func(w *world) { w.config.Replicas = []admin.Replica{syncs{}} })
	require.Equal(t, 200, w.call(owner, "PATCH", workerPath, `{"desc":"x"}`).Code)
	require.NotContains(t, w.logged.String(), "WARN")
	w.config.Replicas = []admin.Replica{nil}
	w.handler = newHandler(w.config)
	require.Equal(t, 200, w.call(owner, "PATCH", workerPath, `{"desc":"y"}`).Code)
	require.Contains(t, w.logged.String(), "not known to be in force")
	require.Contains(t, w.logged.String(), "the events of a change may be lost")
	require.Equal(t, "y", w.stored(worker).Description)
}

type syncs struct{}

func (syncs) Sync(context.Context) error { return nil }

// A caller hanging up stops no change half-way.
func TestHangingUp(t *testing.T) {
	var s *brokenStore
	w := newWorld(t, broken(&s))
	ctx, hangUp := context.WithCancel(t.Context())
	s.before = hangUp
	require.Equal(t, 200, w.serve(w.request(owner, "PATCH", workerPath, `{"desc":"x"}`).WithContext(ctx)).Code)
	require.Equal(t, "x", w.stored(worker).Description)
}

func TestDefaultLogger(t *testing.T) {
	w := newWorld(t, func(w *world) { w.config.Logger = nil })
	require.Same(t, slog.Default(), w.handler.logger())
	require.ErrorIs(t, w.handler.failed(w.request(owner, "GET", "/", ""), errBroken), errBroken)
	require.EqualError(t, noKey("x"), "adminhttp: API_KEY_NOT_FOUND: No API Key with ID x exists.")
}
