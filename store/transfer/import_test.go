package transfer_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
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

// A lossy store returns no error and does not keep what it was given.
type lossy struct {
	*memory.Store
	organization func(*policy.Organization) bool
	key          func(*apikey.Key) bool
	usage        func(id apikey.ID, usage *store.KeyUsage) bool
}

func (s lossy) PutOrganization(ctx context.Context, o policy.Organization) (policy.Organization, error) {
	if s.organization != nil && !s.organization(&o) {
		return o, nil
	}
	return s.Store.PutOrganization(ctx, o)
}

func (s lossy) PutKey(ctx context.Context, key apikey.Key, options ...store.PutOption) (apikey.Key, error) {
	if s.key != nil && !s.key(&key) {
		return key, nil
	}
	return s.Store.PutKey(ctx, key, options...)
}

func (s lossy) RecordUsage(ctx context.Context, batch map[apikey.ID]store.KeyUsage) error {
	kept := map[apikey.ID]store.KeyUsage{}
	for id, usage := range batch {
		if s.usage == nil || s.usage(id, &usage) {
			kept[id] = usage
		}
	}
	return s.Store.RecordUsage(ctx, kept)
}

// What a store lost or altered is found when it is read back.
func TestReadBack(t *testing.T) {
	file := export(t, rich(t))
	for name, test := range map[string]struct {
		lossy
		want string
	}{
		"an organization": {lossy{organization: func(o *policy.Organization) bool { return o.ID != "日本" }}, `organization "日本" is only in the file`},
		"a requirement":   {lossy{organization: func(o *policy.Organization) bool { o.Requirement = policy.NotRequired; return true }}, `organization "\"<&>\"\\" has the requirement not_required instead of required`},
		"a switch":        {lossy{organization: func(o *policy.Organization) bool { o.Disabled = false; return true }}, `organization "acme ltd" has disabled false instead of true`},
		"a suspension":    {lossy{organization: func(o *policy.Organization) bool { o.SuspendedUntil = time.Time{}; return true }}, `organization "acme ltd" has another end of its suspension`},
		"a key":           {lossy{key: func(k *apikey.Key) bool { return k.ID != "B" }}, `key "B" of organization "acme" is only in the file`},
		"a list":          {lossy{key: func(k *apikey.Key) bool { k.AccessList = accesslist.List{}; return true }}, `key "a" of organization "Acme" has another access list`},
		"a name":          {lossy{organization: func(o *policy.Organization) bool { o.Name = ""; return true }}, `organization "Acme" has another name`},
		"a label": {lossy{key: func(k *apikey.Key) bool {
			*k = k.Clone()
			if k.Metadata != nil {
				delete(k.Metadata.Labels, "archived")
			}
			return true
		}}, `key "-" of organization "acme" has other labels`},
		"an external ID": {lossy{key: func(k *apikey.Key) bool {
			*k = k.Clone()
			if k.Metadata != nil {
				k.Metadata.ExternalID = ""
			}
			return true
		}}, `key "-" of organization "acme" has another external ID`},
		"a trial": {lossy{key: func(k *apikey.Key) bool { k.TrialList = accesslist.List{}; return true }}, `key "-" of organization "acme" has another list on trial`},
		"an entry": {lossy{key: func(k *apikey.Key) bool {
			if k.ID == "a" {
				k.AccessList = must(k.AccessList.Without([]netip.Prefix{netip.MustParsePrefix("192.0.2.1/32")}))
			}
			return true
		}}, `key "a" of organization "Acme" has another access list`},
		"grants":            {lossy{key: func(k *apikey.Key) bool { slices.Reverse(k.Grants); return true }}, `key "-" of organization "acme" has other grants`},
		"usage":             {lossy{usage: func(id apikey.ID, _ *store.KeyUsage) bool { return id != "a" }}, `key "a" of organization "Acme" has no usage`},
		"usage of a secret": {lossy{usage: func(_ apikey.ID, u *store.KeyUsage) bool { u.Secrets = nil; return true }}, `key "b" of organization "acme" has other usage`},
		"an address":        {lossy{usage: func(_ apikey.ID, u *store.KeyUsage) bool { u.Addresses = nil; return true }}, `has other usage`},
		"dropped addresses": {lossy{usage: func(_ apikey.ID, u *store.KeyUsage) bool { u.Dropped.Last = moment.Add(time.Hour); return true }}, `has other usage`},
		"denials":           {lossy{usage: func(_ apikey.ID, u *store.KeyUsage) bool { u.Denials = u.WouldDeny; return true }}, `has other usage`},
	} {
		t.Run(name, func(t *testing.T) {
			test.Store = memory.New()
			result, err := importInto(test.lossy, file)
			require.ErrorIs(t, err, transfer.ErrDiffers)
			require.ErrorContains(t, err, "store/transfer: import: reading back what was written: the store differs from the file: ")
			require.ErrorContains(t, err, test.want)
			require.NotZero(t, result.Written)
			_, err = transfer.Verify(t.Context(), test.lossy, strings.NewReader(file))
			require.ErrorIs(t, err, transfer.ErrDiffers)
			require.ErrorContains(t, err, test.want)
		})
	}
}

// Keys are told by another name, a list is one that was returned beside an error, an
// organization is the one next to it.
func TestVerifyOfAStoreThatReturnsOthers(t *testing.T) {
	s := rich(t)
	file := export(t, s)
	for name, test := range map[string]struct {
		other
		want string
	}{
		"another key": {other{key: func(k *apikey.Key) { k.ID = "B" }}, `has the ID "B"`},
		"an invalid list": {other{key: func(k *apikey.Key) {
			if k.ID == "B" { // whose list is empty
				k.AccessList, _ = accesslist.Parse("no address")
			}
		}}, `key "B" of organization "acme" has another access list`},
		"another organization":    {other{organization: func(o *policy.Organization) { o.ID = "other" }}, `has the ID "other"`},
		"a zero key and no error": {other{key: func(k *apikey.Key) { *k = apikey.Key{} }}, `has the ID ""`},
	} {
		test.Store = s
		_, err := transfer.Verify(t.Context(), test.other, strings.NewReader(file))
		require.ErrorIs(t, err, transfer.ErrDiffers, name)
		require.ErrorContains(t, err, test.want, name)
	}
}

// What only the store has is a difference, too: a copy without it is no copy.
func TestVerifyFindsWhatTheFileHasNot(t *testing.T) {
	s := rich(t)
	file := export(t, s)
	key := plainKey("more", "acme")
	_, err := s.PutKey(t.Context(), key, store.AllowOpen)
	require.NoError(t, err)
	verify := func(s store.Store, file string) error {
		counts, err := transfer.Verify(t.Context(), s, strings.NewReader(file))
		require.ErrorIs(t, err, transfer.ErrDiffers)
		require.Zero(t, counts)
		return err
	}
	require.EqualError(t, verify(s, file), `store/transfer: verify: the store differs from the file: key "more" of organization "acme" is only in the store`)

	require.NoError(t, s.DeleteKey(t.Context(), "B", 0))
	require.EqualError(t, verify(s, file), `store/transfer: verify: the store differs from the file: key "B" of organization "acme" is only in the file`+"\n"+
		`the store differs from the file: key "more" of organization "acme" is only in the store`)

	err = verify(s, sealed(`{"sallyport":{"format":1}}`))
	require.ErrorContains(t, err, `organization "Acme" is only in the store; key "a" of organization "Acme" is only in the store; `)
	require.ErrorContains(t, err, "; and 10 more")

	_, err = importInto(s, file)
	require.NoError(t, err, "an import adds what is missing, and minds nothing else")

	for method, want := range map[faulty.Method]string{
		faulty.Organizations: "store/transfer: verify: listing the organizations: broken on demand",
		faulty.Keys:          `store/transfer: verify: listing the keys of organization "\"<&>\"\\": broken on demand`,
	} {
		f := faulty.New(s)
		f.Break(faulty.Fail(errBroken), method)
		_, err := transfer.Verify(t.Context(), f, strings.NewReader(export(t, s)))
		require.EqualError(t, err, want)
	}
}

// An other store returns something else.
type other struct {
	*memory.Store
	organization func(*policy.Organization)
	key          func(*apikey.Key)
}

func (s other) Organization(ctx context.Context, id string) (policy.Organization, error) {
	o, err := s.Store.Organization(ctx, id)
	if s.organization != nil {
		s.organization(&o)
	}
	return o, err
}

func (s other) Key(ctx context.Context, id apikey.ID) (apikey.Key, error) {
	key, err := s.Store.Key(ctx, id)
	if s.key != nil {
		s.key(&key)
	}
	return key, err
}

func TestImportIntoAFailingStore(t *testing.T) {
	file := export(t, rich(t))
	for _, test := range []struct {
		method faulty.Method
		loads  bool
		want   string
	}{
		{faulty.Organization, false, `store/transfer: import: reading organization "\"<&>\"\\": broken on demand`},
		{faulty.Key, false, `store/transfer: import: reading key "a" of organization "Acme": broken on demand`},
		{faulty.PutOrganization, false, `store/transfer: import: writing organization "\"<&>\"\\": broken on demand`},
		{faulty.PutKey, false, `store/transfer: import: writing key "a" of organization "Acme": broken on demand`},
		{faulty.RecordUsage, false, `store/transfer: import: writing the usage of 2 keys: broken on demand`},
		{faulty.Usage, false, `store/transfer: import: reading key "a" of organization "Acme": broken on demand`},
		{faulty.Load, true, `store/transfer: import: loading 8 organizations and 7 keys: broken on demand`},
	} {
		var to store.Store = memory.New()
		if test.loads {
			to = &loading{Store: memory.New()}
		}
		f := faulty.New(to)
		f.Break(faulty.Fail(errBroken), test.method)
		_, err := importInto(f, file)
		require.ErrorIs(t, err, errBroken)
		require.EqualError(t, err, test.want)
		_, err = transfer.Verify(t.Context(), f, strings.NewReader(file))
		require.Error(t, err)

		f.Break(faulty.Panic("out of order"), test.method)
		_, err = importInto(f, file)
		require.ErrorContains(t, err, "panic: out of order")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := transfer.Import(ctx, memory.New(), strings.NewReader(file))
	require.ErrorIs(t, err, context.Canceled)
	_, err = transfer.Verify(ctx, memory.New(), strings.NewReader(file))
	require.ErrorIs(t, err, context.Canceled)
}

// A call that never returns to Import was not a success.
func TestAStoreThatEndsTheGoroutine(t *testing.T) {
	s := rich(t)
	file := export(t, s)
	_, err := transfer.Verify(t.Context(), other{Store: s, key: func(*apikey.Key) { runtime.Goexit() }}, strings.NewReader(file))
	require.ErrorContains(t, err, "the store ended the goroutine that called it")
}

// A seeker is a file that is another each time it is read.
type seeker struct {
	io.Reader
	readers []io.Reader
	err     error
}

func (s *seeker) Seek(offset int64, whence int) (int64, error) {
	if offset != 0 || whence != io.SeekStart {
		return 0, errors.New("not to the beginning")
	}
	if len(s.readers) == 0 {
		return 0, s.err
	}
	s.Reader, s.readers = s.readers[0], s.readers[1:]
	return 0, nil
}

// failing is a reader that fails when it has been read.
func failing(text string) io.Reader {
	return io.MultiReader(strings.NewReader(text), iotestErr{errBroken})
}

type iotestErr struct{ err error }

func (r iotestErr) Read([]byte) (int, error) { return 0, r.err }

// A file that cannot be read is not a damaged one. One that changes under the import's
// hands is.
func TestFilesThatFail(t *testing.T) {
	one, two := memory.New(), memory.New()
	for n, s := range []*memory.Store{one, two} {
		_, err := s.PutOrganization(t.Context(), policy.Organization{ID: fmt.Sprint("organization ", n)})
		require.NoError(t, err)
	}
	more := memory.New()
	for n := range 2 {
		_, err := more.PutOrganization(t.Context(), policy.Organization{ID: fmt.Sprint("organization ", n)})
		require.NoError(t, err)
	}
	good, another, longer, shorter := export(t, one), export(t, two), export(t, more), export(t, memory.New())
	text := func(text string) io.Reader { return strings.NewReader(text) }
	for name, test := range map[string]struct {
		readers []io.Reader
		want    string
		is      error
	}{
		"seek":                     {nil, "store/transfer: import: broken on demand", errBroken},
		"the second seek":          {[]io.Reader{text(good)}, "store/transfer: import: broken on demand", errBroken},
		"the third seek":           {[]io.Reader{text(good), text(good)}, "store/transfer: import: broken on demand", errBroken},
		"read":                     {[]io.Reader{failing("")}, "store/transfer: import: broken on demand", errBroken},
		"read in a line":           {[]io.Reader{failing(good[:40])}, "store/transfer: import: broken on demand", errBroken},
		"read at the end":          {[]io.Reader{failing(good)}, "store/transfer: import: broken on demand", errBroken},
		"the second read":          {[]io.Reader{text(good), failing("")}, "store/transfer: import: broken on demand", errBroken},
		"the third read":           {[]io.Reader{text(good), text(good), failing("")}, "store/transfer: import: broken on demand", errBroken},
		"another before writing":   {[]io.Reader{text(good), text(another)}, "it changed during the import: want a file that nobody writes", transfer.ErrDamaged},
		"longer before writing":    {[]io.Reader{text(good), text(longer)}, "it changed during the import: want a file that nobody writes", transfer.ErrDamaged},
		"shorter before writing":   {[]io.Reader{text(good), text(shorter)}, "it changed during the import: want a file that nobody writes", transfer.ErrDamaged},
		"another to read back":     {[]io.Reader{text(good), text(good), text(another)}, "it changed during the import: want a file that nobody writes", transfer.ErrDamaged},
		"shorter to read back":     {[]io.Reader{text(good), text(good), text(shorter)}, "it changed during the import: want a file that nobody writes", transfer.ErrDamaged},
		"cut short before writing": {[]io.Reader{text(good), text(good[:len(good)-1])}, "the file was cut short", transfer.ErrDamaged},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := transfer.Import(t.Context(), memory.New(), &seeker{readers: test.readers, err: errBroken})
			require.ErrorIs(t, err, test.is)
			require.ErrorContains(t, err, test.want)
			assert.Equal(t, test.is == transfer.ErrDamaged, errors.Is(err, transfer.ErrDamaged))
		})
	}
	_, err := transfer.Import(t.Context(), memory.New(), &seeker{readers: []io.Reader{text(good), text(good), text(good)}})
	require.NoError(t, err)
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
