package storetest

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"sync"
	"testing"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/storetest/internal/fixture"
)

// A kit is the equipment of a case: a fresh store, a context, and a testing.TB whose
// failures cite the sentence. The context ends when the watchdog gives the case up.
type kit struct {
	testing.TB
	runner   *runner
	watchdog watchdog
	limits   limits
	ctx      context.Context
	cancel   context.CancelCauseFunc
	store    store.Store // the adapter, seen by the watchdog
	adapter  store.Store // from newStore or Reopen
	sentence string
	citing   sync.Mutex
	cited    bool // the sentence, by a failure
	closed   bool // by the case
	cleanups []func()
}

// use makes the adapter's store the one of the case.
func (k *kit) use(adapter store.Store) {
	k.adapter, k.store = adapter, guard(adapter, &k.watchdog)
}

// atEnd registers a function to call at the end of the case, before the store is closed.
func (k *kit) atEnd(f func()) { k.cleanups = append(k.cleanups, f) }

func (k *kit) finish() {
	for _, f := range slices.Backward(k.cleanups) {
		f()
	}
	if err := k.store.Close(); err != nil && !k.closed {
		k.Errorf("Close at the end of the case: %v", err)
	}
}

func (k *kit) recoverPanic() {
	if p := recover(); p != nil {
		k.Errorf("panic: %v\n%s", p, debug.Stack())
	}
}

// option calls a function of the test's own. It may take as long as the case.
func (k *kit) option(name string, f func()) {
	s := k.watchdog.begin(pending{method: "the function given to " + name, ctx: context.Background(), waits: true})
	defer k.watchdog.end(s)
	f()
}

// Errorf adds the sentence to the first failure of a case, and its name to later ones.
func (k *kit) Errorf(format string, args ...any) {
	k.Helper()
	text := fmt.Sprintf(format, args...)
	k.citing.Lock() // until the failure is reported, so that it is the first of several at once
	defer k.citing.Unlock()
	if k.cited {
		k.TB.Errorf("%s (%s)", text, k.sentence)
		return
	}
	k.cited = true
	k.TB.Errorf("%s\n    %s: %s", text, k.sentence, fixture.Sentences[k.sentence])
}

// Fatalf is Errorf and FailNow.
func (k *kit) Fatalf(format string, args ...any) {
	k.Helper()
	k.Errorf(format, args...)
	k.FailNow()
}

// rounds returns the number of repetitions.
func (k *kit) rounds(n int) int {
	if testing.Short() {
		return max(n/10, 2)
	}
	return n
}

// putOrganization stores an organization; it must succeed.
func (k *kit) putOrganization(organization policy.Organization) policy.Organization {
	k.Helper()
	stored, err := k.store.PutOrganization(k.ctx, organization)
	if err != nil {
		k.Fatalf("PutOrganization(%+v): %v", organization, err)
	}
	return stored
}

// organization stores a new organization that requires nothing.
func (k *kit) organization(id string) policy.Organization {
	k.Helper()
	return k.putOrganization(policy.Organization{ID: id})
}

// put stores a key; it must succeed.
func (k *kit) put(key apikey.Key) apikey.Key {
	k.Helper()
	stored, err := k.store.PutKey(k.ctx, key, store.AllowOpen)
	if err != nil {
		k.Fatalf("PutKey of key %q with revision %d: %v", key.ID, key.Revision, err)
	}
	return stored
}

// delete deletes a key of any revision; it must succeed.
func (k *kit) delete(id apikey.ID) {
	k.Helper()
	if err := k.store.DeleteKey(k.ctx, id, 0); err != nil {
		k.Fatalf("DeleteKey(%q, 0): %v", id, err)
	}
}

// readKey reads an existing key.
func (k *kit) readKey(id apikey.ID) apikey.Key {
	k.Helper()
	key, err := k.store.Key(k.ctx, id)
	if err != nil {
		k.Fatalf("Key(%q): %v; want the key", id, err)
	}
	return key
}

// lookup looks up an existing key.
func (k *kit) lookup(id apikey.ID) policy.Subject {
	k.Helper()
	subject, found, err := k.store.Lookup(k.ctx, id)
	if !found || err != nil {
		k.Fatalf("Lookup(%q): found %v, error %v; want the key", id, found, err)
	}
	return subject
}

// readOrganization reads an existing organization.
func (k *kit) readOrganization(id string) policy.Organization {
	k.Helper()
	organization, err := k.store.Organization(k.ctx, id)
	if err != nil {
		k.Fatalf("Organization(%q): %v; want the organization", id, err)
	}
	return organization
}

// keys lists an organization's keys, in pages of a size.
func (k *kit) keys(organization string, limit int) []apikey.Key {
	k.Helper()
	return pages(k, limit, func(request store.PageRequest) (store.Page[apikey.Key], error) {
		return k.store.Keys(k.ctx, organization, request)
	})
}

// organizations lists the organizations, in pages of a size.
func (k *kit) organizations(limit int) []policy.Organization {
	k.Helper()
	return pages(k, limit, func(request store.PageRequest) (store.Page[policy.Organization], error) {
		return k.store.Organizations(k.ctx, request)
	})
}

func pages[T any](k *kit, limit int, list func(store.PageRequest) (store.Page[T], error)) (all []T) {
	k.Helper()
	request := store.PageRequest{Limit: limit}
	for {
		page, err := list(request)
		if err != nil {
			k.Fatalf("page %+v of a listing: %v", request, err)
		}
		if all = append(all, page.Items...); page.Next == "" {
			return all
		}
		if k.ctx.Err() != nil || page.Next == request.Cursor {
			k.Fatalf("page %+v of a listing: Next is %.100q after %d records: the listing does not end", request, page.Next, len(all))
		}
		request.Cursor = page.Next
	}
}

// ids returns the identifiers of keys.
func ids(keys []apikey.Key) []string {
	all := make([]string, 0, len(keys))
	for _, key := range keys {
		all = append(all, string(key.ID))
	}
	return all
}

// wantAbsent checks that no method returns the key.
func (k *kit) wantAbsent(organization string, id apikey.ID) {
	k.Helper()
	if _, found, err := k.store.Lookup(k.ctx, id); found || err != nil {
		k.Errorf("Lookup(%.100q): found %v, error %v; want not found and no error", id, found, err)
	}
	_, err := k.store.Key(k.ctx, id)
	k.wantError(err, store.ErrNotFound, "Key(%.100q)", id)
	if slices.Contains(ids(k.keys(organization, 0)), string(id)) {
		k.Errorf("Keys(%q) has key %.100q, which is not there", organization, id)
	}
}

// wantEverywhere checks that every method returns the key unchanged.
func (k *kit) wantEverywhere(want apikey.Key) {
	k.Helper()
	k.wantKey("Key", k.readKey(want.ID), want)
	k.wantKey("Lookup", k.lookup(want.ID).Key(), want)
	listed := k.keys(want.Organization, 0)
	i := slices.IndexFunc(listed, func(key apikey.Key) bool { return key.ID == want.ID })
	if i < 0 {
		k.Errorf("Keys(%q) does not have key %q", want.Organization, want.ID)
		return
	}
	k.wantKey("Keys", listed[i], want)
}

// wantKey checks every field of a key.
func (k *kit) wantKey(what string, got, want apikey.Key) {
	k.Helper()
	if d := fixture.Difference(got, want); d != "" {
		k.Errorf("%s: key %q: %s", what, want.ID, d)
	}
}

// wantError checks that an error matches want, or that it is nil.
func (k *kit) wantError(err, want error, format string, args ...any) {
	k.Helper()
	if !errors.Is(err, want) {
		k.Errorf("%s: error is %s; want %s", fmt.Sprintf(format, args...), quoted(err), quoted(want))
	}
}

func quoted(err error) string {
	if err == nil {
		return "none"
	}
	return fmt.Sprintf("%.300q", err.Error())
}

// together calls f from n goroutines at the same time, with their numbers, and waits for
// them. f must not call Fatalf.
func together(n int, f func(i int)) {
	var begin, done sync.WaitGroup
	begin.Add(1)
	for i := range n {
		done.Go(func() {
			begin.Wait()
			f(i)
		})
	}
	begin.Done()
	done.Wait()
}

// close closes the store; it must succeed.
func (k *kit) close() {
	k.Helper()
	k.closed = true
	if err := k.store.Close(); err != nil {
		k.Fatalf("Close: %v", err)
	}
}

// reopen closes the store and opens it again.
func (k *kit) reopen() {
	k.Helper()
	k.option("Reopen", func() { k.use(k.runner.reopen(k.TB, k.adapter)) })
}

func (k *kit) snapshot() fixture.Snapshot {
	k.Helper()
	s := fixture.Snapshot{Organizations: k.organizations(0)}
	for _, organization := range s.Organizations {
		s.Keys = append(s.Keys, k.keys(organization.ID, 0)...)
	}
	return s
}

// wantUnchanged checks that the store is unchanged.
func (k *kit) wantUnchanged(before fixture.Snapshot, after string) {
	k.Helper()
	now := k.snapshot()
	if !slices.EqualFunc(now.Organizations, before.Organizations, policy.Organization.Equal) {
		k.Errorf("after %s the organizations are %+v; want %+v as before", after, now.Organizations, before.Organizations)
	}
	if got, want := ids(now.Keys), ids(before.Keys); !slices.Equal(got, want) {
		k.Errorf("after %s the keys are %q; want %q as before", after, got, want)
		return
	}
	for _, key := range before.Keys {
		k.wantKey("after "+after+", Key", k.readKey(key.ID), key)
		k.wantKey("after "+after+", Lookup", k.lookup(key.ID).Key(), key)
	}
}
