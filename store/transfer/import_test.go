package transfer_test

import (
	"bytes"
	"context"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/adapter"
	"github.com/sallyport-go/sallyport/store/memory"
	"github.com/sallyport-go/sallyport/store/storetest/faulty"
	"github.com/sallyport-go/sallyport/store/transfer"
)

// What is there and the same is passed over, and what is lacking is written, revisions
// apart.
func TestImportAgain(t *testing.T) {
	s := rich(t)
	file := export(t, s)
	to := memory.New()
	// Another program's, which is none of the import's business.
	_, err := to.PutOrganization(t.Context(), policy.Organization{ID: "a program's own"})
	require.NoError(t, err)
	_, err = importInto(to, file)
	require.NoError(t, err)
	revision := must(to.Position(t.Context())).Revision
	result, err := importInto(to, file)
	require.NoError(t, err)
	require.Equal(t, transfer.Result{File: transfer.Counts{Organizations: 8, Keys: 7, Usage: 2}}, result)
	require.Equal(t, revision, must(to.Position(t.Context())).Revision, "nothing was written")

	require.NoError(t, to.DeleteKey(t.Context(), "b", 0))
	require.NoError(t, to.DeleteKey(t.Context(), "0", 0))
	require.NoError(t, to.DeleteOrganization(t.Context(), "日本", 0))
	result, err = importInto(to, file)
	require.NoError(t, err)
	require.Equal(t, transfer.Counts{Organizations: 1, Keys: 2, Usage: 1}, result.Written)
	require.NoError(t, to.DeleteOrganization(t.Context(), "a program's own", 0))
	require.Equal(t, withoutRevisions(file), withoutRevisions(export(t, to)))
}

// A record that is another is told before anything is written, and the first of them by
// name.
func TestImportOverOtherRecords(t *testing.T) {
	s := rich(t)
	file := export(t, s)
	entry := func(address string) accesslist.List { return must(accesslist.Parse(address)) }
	for want, change := range map[string]func(*apikey.Key){
		"another description":                 func(k *apikey.Key) { k.Description += " " },
		"disabled true instead of false":      func(k *apikey.Key) { k.Disabled = true },
		"another time from which it is valid": func(k *apikey.Key) { k.NotBefore = moment },
		"another expiry":                      func(k *apikey.Key) { k.Expires = moment },
		"another time of creation":            func(k *apikey.Key) { k.Created = moment },
		"other grants":                        func(k *apikey.Key) { k.Grants = []apikey.Grant{{Role: "admin"}} },
		"other secrets":                       func(k *apikey.Key) { k.Secrets[0].Sum[31]++ },
		"another access list":                 func(k *apikey.Key) { k.AccessList = entry("192.0.2.1") },
		`the organization "é"`:                func(k *apikey.Key) { k.Organization = "é" },
		"another access list, by a comment": func(k *apikey.Key) {
			k.AccessList = changedEntry(k.AccessList, func(e *accesslist.Entry) { e.Comment = "x" })
		},
		"another access list, by an expiry": func(k *apikey.Key) {
			k.AccessList = changedEntry(k.AccessList, func(e *accesslist.Entry) { e.Expires = moment })
		},
		"another access list, by a time of adding": func(k *apikey.Key) {
			k.AccessList = changedEntry(k.AccessList, func(e *accesslist.Entry) { e.Added = moment })
		},
		"other secrets, by a server key":       func(k *apikey.Key) { k.Secrets[0].ServerKey = "x" },
		"other secrets, by an expiry":          func(k *apikey.Key) { k.Secrets[0].Expires = moment },
		"other secrets, by a time of creation": func(k *apikey.Key) { k.Secrets[0].Created = moment },
	} {
		t.Run(want, func(t *testing.T) {
			to := memory.New()
			for _, id := range []string{"Acme", "é"} {
				organization := must(s.Organization(t.Context(), id))
				organization.Revision = 0
				_, err := to.PutOrganization(t.Context(), organization)
				require.NoError(t, err)
			}
			key := must(s.Key(t.Context(), "a"))
			key.Revision = 0
			change(&key)
			_, err := to.PutKey(t.Context(), key, store.AllowOpen)
			require.NoError(t, err)
			for _, to := range []store.Store{to, &loading{Store: to}} {
				result, err := importInto(to, file)
				require.ErrorIs(t, err, transfer.ErrDiffers)
				told, _, _ := strings.Cut(want, ", by ")
				require.EqualError(t, err, `store/transfer: import: the store differs from the file: key "a" of organization "Acme" has `+told)
				require.Zero(t, result.Written)
			}
			require.EqualValues(t, 3, must(to.Position(t.Context())).Revision, "nothing was written")
		})
	}
	t.Run("many", func(t *testing.T) {
		to := memory.New()
		for organization := range store.AllOrganizations(t.Context(), s) {
			organization.Revision, organization.Requirement = 0, (organization.Requirement+1)%3
			_, err := to.PutOrganization(t.Context(), organization)
			require.NoError(t, err)
		}
		_, err := importInto(to, file)
		require.ErrorIs(t, err, transfer.ErrDiffers)
		require.ErrorContains(t, err, `organization "Acme" has the requirement required instead of report_only; organization "acme" has `)
		require.ErrorContains(t, err, "; and 3 more")
	})
	t.Run("usage", func(t *testing.T) {
		for name, more := range map[string]store.UsageRecord{
			"a count":    {Entry: netip.MustParsePrefix("198.51.100.0/24"), Usage: accesslist.Usage{Count: 1}},
			"a time":     {Entry: netip.MustParsePrefix("198.51.100.0/24"), Usage: accesslist.Usage{Last: moment.Add(time.Microsecond), LastAddress: netip.MustParseAddr("198.51.100.1")}},
			"an entry":   {Entry: netip.MustParsePrefix("192.0.2.1/32"), Usage: accesslist.Usage{Count: 1}},
			"a secret":   {Secret: must(s.Key(t.Context(), "a")).Secrets[0].ID(), Usage: accesslist.Usage{Count: 1}},
			"an address": {Entry: netip.MustParsePrefix("198.51.100.0/24"), Usage: accesslist.Usage{Last: moment.Add(time.Nanosecond), LastAddress: netip.MustParseAddr("198.51.100.2")}},
		} {
			to := memory.New()
			_, err := importInto(to, file)
			require.NoError(t, err)
			more.Key = "a"
			require.NoError(t, to.RecordUsage(t.Context(), adapter.UsageBatch(more)))
			_, err = importInto(to, file)
			require.ErrorIs(t, err, transfer.ErrDiffers, name)
			require.ErrorContains(t, err, `key "a" of organization "Acme" has other usage`, name)
		}
	})
}

func changedEntry(list accesslist.List, change func(*accesslist.Entry)) accesslist.List {
	for entry := range list.All() {
		change(&entry)
		return must(list.Replace(entry))
	}
	panic("an empty list")
}

// A store that keeps times to the microsecond, rounded either way, keeps what was
// imported. One that makes a time zero does not: an expiry would be none.
func TestTimesAreComparedToTheMicrosecond(t *testing.T) {
	key := plainKey("a", "acme", "192.0.2.1")
	key.Expires = moment.Add(999)
	key.Created = moment.Add(500)
	key.Secrets[0].Created = moment.Add(1)
	key.AccessList = changedEntry(key.AccessList, func(e *accesslist.Entry) { e.Expires = moment.Add(501) })
	store1 := func(key apikey.Key) *memory.Store {
		s := memory.New()
		_, err := s.PutOrganization(t.Context(), policy.Organization{ID: "acme"})
		require.NoError(t, err)
		_, err = s.PutKey(t.Context(), key, store.AllowOpen)
		require.NoError(t, err)
		return s
	}
	rounded := func(key apikey.Key, round func(time.Time) time.Time) apikey.Key {
		key = key.Clone()
		key.Expires, key.Created, key.Secrets[0].Created = round(key.Expires), round(key.Created), round(key.Secrets[0].Created)
		key.AccessList = changedEntry(key.AccessList, func(e *accesslist.Entry) { e.Expires = round(e.Expires) })
		return key
	}
	file := export(t, store1(key))
	for name, round := range map[string]func(time.Time) time.Time{
		"cut":     func(t time.Time) time.Time { return t.Truncate(time.Microsecond) },
		"rounded": func(t time.Time) time.Time { return t.Round(time.Microsecond) },
		"a zone":  func(t time.Time) time.Time { return t.UTC() },
	} {
		_, err := transfer.Verify(t.Context(), store1(rounded(key, round)), strings.NewReader(file))
		require.NoError(t, err, name)
	}
	_, err := transfer.Verify(t.Context(), store1(rounded(key, func(t time.Time) time.Time { return t.Add(time.Microsecond) })), strings.NewReader(file))
	require.ErrorIs(t, err, transfer.ErrDiffers)

	key.Expires = time.Time{}.Add(1)
	file = export(t, store1(key))
	key.Expires = time.Time{}
	_, err = transfer.Verify(t.Context(), store1(key), strings.NewReader(file))
	require.ErrorContains(t, err, "another expiry")
}

// A tripped store fails at one call, before it is made or after, counted over all methods
// that Import calls.
type tripped struct {
	*faulty.Store
	mu    sync.Mutex
	calls int
	at    int
	fault faulty.Fault
}

func (s *tripped) call(method faulty.Method) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.calls++; s.calls == s.at {
		s.BreakNext(1, s.fault, method)
	}
}

func (s *tripped) Organization(ctx context.Context, id string) (policy.Organization, error) {
	s.call(faulty.Organization)
	return s.Store.Organization(ctx, id)
}

func (s *tripped) Key(ctx context.Context, id apikey.ID) (apikey.Key, error) {
	s.call(faulty.Key)
	return s.Store.Key(ctx, id)
}

func (s *tripped) PutOrganization(ctx context.Context, o policy.Organization) (policy.Organization, error) {
	s.call(faulty.PutOrganization)
	return s.Store.PutOrganization(ctx, o)
}

func (s *tripped) PutKey(ctx context.Context, key apikey.Key, options ...store.PutOption) (apikey.Key, error) {
	s.call(faulty.PutKey)
	return s.Store.PutKey(ctx, key, options...)
}

// trippedRecorder and trippedLoader are the tripped store with what store.As finds.
type trippedRecorder struct{ *tripped }

func (s trippedRecorder) RecordUsage(ctx context.Context, batch map[apikey.ID]store.KeyUsage) error {
	s.call(faulty.RecordUsage)
	recorder, _ := store.As[store.UsageRecorder](s.Store)
	return recorder.RecordUsage(ctx, batch)
}

func (s trippedRecorder) Usage(ctx context.Context, ids ...apikey.ID) (map[apikey.ID]store.KeyUsage, error) {
	s.call(faulty.Usage)
	recorder, _ := store.As[store.UsageRecorder](s.Store)
	return recorder.Usage(ctx, ids...)
}

func (s trippedRecorder) RecordObservation(context.Context, store.Report) error {
	panic("an import observes nothing")
}

func (s trippedRecorder) Observation(context.Context) (store.Observation, error) {
	panic("an import observes nothing")
}

type trippedLoader struct{ trippedRecorder }

func (s trippedLoader) Load(ctx context.Context, organizations []policy.Organization, keys []apikey.Key, options ...store.PutOption) error {
	s.call(faulty.Load)
	loader, _ := store.As[store.Loader](s.Store)
	return loader.Load(ctx, organizations, keys, options...)
}

// An import that was interrupted, at whatever call and whether or not that call was made,
// is done by running it again.
func TestInterruptedImport(t *testing.T) {
	from := rich(t)
	file := export(t, from)
	for name, open := range map[string]func(*tripped) store.Store{
		"one by one": func(s *tripped) store.Store { return trippedRecorder{s} },
		"loaded":     func(s *tripped) store.Store { return trippedLoader{trippedRecorder{s}} },
	} {
		for fault, f := range map[string]faulty.Fault{
			"failed": faulty.Fail(errBroken), "lost reply": faulty.LoseReply(errBroken), "panic": faulty.Panic(errBroken.Error()),
		} {
			t.Run(name+", "+fault, func(t *testing.T) {
				interrupted := 0
				for at := 1; ; at++ {
					to := memory.New()
					s := &tripped{Store: faulty.New(&loading{Store: to}), at: at, fault: f}
					written, err := importInto(open(s), file)
					if fault != "lost reply" { // of which nobody knows what was written
						have := contentOf(t, to)
						require.Equal(t, len(have.Organizations), written.Written.Organizations, "at call %d", at)
						require.Equal(t, len(have.Keys), written.Written.Keys, "at call %d", at)
					}
					if s.calls < at {
						require.NoError(t, err)
						break
					}
					if err != nil { // a reply that something is not there cannot be lost
						require.ErrorContains(t, err, "broken on demand")
						interrupted++
					}
					result, err := importInto(open(s), file)
					require.NoError(t, err, "at call %d", at)
					require.Equal(t, transfer.Counts{Organizations: 8, Keys: 7, Usage: 2}, result.File)
					requireSameContent(t, from, to)
					require.Equal(t, withoutRevisions(file), withoutRevisions(export(t, to)))
				}
				require.Greater(t, interrupted, 15)
			})
		}
	}
}

// Wherever the file was read up to, it is read from its beginning.
func TestImportBeginsAtTheBeginning(t *testing.T) {
	file := bytes.NewReader([]byte(export(t, rich(t))))
	_, err := transfer.Verify(t.Context(), memory.New(), file)
	require.ErrorIs(t, err, transfer.ErrDiffers)
	require.Zero(t, file.Len())
	_, err = transfer.Import(t.Context(), memory.New(), file)
	require.NoError(t, err)
}
