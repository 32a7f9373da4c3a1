package transfer_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"iter"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
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

var errBroken = errors.New("broken on demand")

var update = flag.Bool("update", false, "write testdata/format1.jsonl, which is a change of the format")

// The format is a contract: what is written today is, to the byte, what was written when
// the file in testdata was made, and that can be read.
func TestFormat(t *testing.T) {
	s := rich(t)
	got := export(t, s)
	path := filepath.Join("testdata", "format1.jsonl")
	if *update {
		require.NoError(t, os.WriteFile(path, []byte(got), 0o644))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, strings.Split(string(want), "\n"), strings.Split(got, "\n"))

	to := memory.New()
	result, err := importInto(to, string(want))
	require.NoError(t, err)
	require.Equal(t, transfer.Counts{Organizations: 8, Keys: 7, Usage: 2}, result.File)
	requireSameContent(t, s, to)
}

// Whatever interfaces the stores have, a file from one is the same when it went through
// the other.
func TestRoundTrip(t *testing.T) {
	s := rich(t)
	file := export(t, s)
	require.Equal(t, file, export(t, feedless{s, s}), "the listings and the feed give the same")
	for name, to := range map[string]store.Store{
		"memory":       memory.New(),
		"with Load":    &loading{Store: memory.New()},
		"without feed": func() store.Store { m := memory.New(); return feedless{m, m} }(),
		"wrapped":      faulty.New(memory.New()),
	} {
		t.Run(name, func(t *testing.T) {
			result, err := importInto(to, file)
			require.NoError(t, err)
			require.Equal(t, transfer.Counts{Organizations: 8, Keys: 7, Usage: 2}, result.File)
			require.Equal(t, result.File, result.Written)
			requireSameContent(t, s, to)
			again := export(t, to)
			require.Equal(t, withoutRevisions(file), withoutRevisions(again))
			counts, err := transfer.Verify(t.Context(), to, strings.NewReader(file))
			require.NoError(t, err)
			require.Equal(t, result.File, counts)
			_, err = transfer.Verify(t.Context(), s, strings.NewReader(again))
			require.NoError(t, err)
		})
	}
	t.Run("neither feed nor usage", func(t *testing.T) {
		to := bare{memory.New()}
		result, err := importInto(to, file)
		require.NoError(t, err)
		require.Equal(t, transfer.Counts{Organizations: 8, Keys: 7, Usage: 2}, result.File)
		require.Equal(t, transfer.Counts{Organizations: 8, Keys: 7}, result.Written)
		requireSameContent(t, s, to)
		back := memory.New()
		_, err = importInto(back, export(t, to))
		require.NoError(t, err)
		requireSameContent(t, s, back)
	})
	t.Run("an empty store", func(t *testing.T) {
		file := export(t, memory.New())
		require.Equal(t, sealed(`{"sallyport":{"format":1}}`), file)
		result, err := importInto(bare{memory.New()}, file)
		require.NoError(t, err)
		require.Equal(t, transfer.Result{}, result)
	})
}

// More than fits into one page, one Load, one batch of usage and one chunk.
func TestManyRecords(t *testing.T) {
	ctx, s := t.Context(), memory.New()
	var batch []store.UsageRecord
	for o := range 3 {
		organization := fmt.Sprintf("organization %d", o)
		_, err := s.PutOrganization(ctx, policy.Organization{ID: organization})
		require.NoError(t, err)
		for n := range []int{0, 150, 1050}[o] {
			id := apikey.ID(fmt.Sprintf("%d-%d", o, n*7919%1050))
			_, err := s.PutKey(ctx, plainKey(id, organization, "10.0.0.0/8"), store.AllowOpen)
			require.NoError(t, err)
			batch = append(batch, store.UsageRecord{Key: id, Entry: netip.MustParsePrefix("10.0.0.0/8"), Usage: accesslist.Usage{Count: uint64(n) + 1}})
		}
	}
	for some := range slices.Chunk(batch, store.MaxUsageKeys) {
		require.NoError(t, s.RecordUsage(ctx, adapter.UsageBatch(some...)))
	}
	want := transfer.Counts{Organizations: 3, Keys: 1200, Usage: 1200}
	var file bytes.Buffer
	counts, err := transfer.Export(ctx, s, &file)
	require.NoError(t, err)
	require.Equal(t, want, counts)
	require.Equal(t, file.String(), export(t, feedless{s, s}))
	loader := &loading{Store: memory.New()}
	for _, to := range []store.Store{loader, memory.New()} {
		result, err := importInto(to, file.String())
		require.NoError(t, err)
		require.Equal(t, transfer.Result{File: want, Written: want}, result)
		requireSameContent(t, s, to)
		require.Equal(t, withoutRevisions(file.String()), withoutRevisions(export(t, to)))
	}
	require.Equal(t, 2, loader.loads)

	// What is lacking in the middle of the file.
	require.NoError(t, loader.DeleteKey(ctx, "2-100", 0))
	result, err := importInto(loader, file.String())
	require.NoError(t, err)
	require.Equal(t, transfer.Counts{Keys: 1, Usage: 1}, result.Written)
	requireSameContent(t, s, loader)
}

// With a feed, what is exported is as of one moment, though it is written to all the
// time. A writer goes round the keys, so at any moment they have all the same version, or
// some have the next one and those after them do not.
func TestOneMoment(t *testing.T) {
	const keys = 200
	ctx, s := t.Context(), memory.New()
	_, err := s.PutOrganization(ctx, policy.Organization{ID: "acme"})
	require.NoError(t, err)
	var stored []apikey.Key
	for n := range keys {
		key, err := s.PutKey(ctx, plainKey(apikey.ID(fmt.Sprintf("%03d", n)), "acme"), store.AllowOpen)
		require.NoError(t, err)
		stored = append(stored, key)
	}
	stop, stopped, started := make(chan struct{}), make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for version := 1; ; version++ {
			for n := range stored {
				stored[n].Description = strconv.Itoa(version)
				var err error
				if stored[n], err = s.PutKey(ctx, stored[n], store.AllowOpen); err != nil {
					t.Error(err)
				}
			}
			if version == 1 {
				close(started)
			}
			select {
			case <-stop:
				return
			default:
			}
		}
	}()
	<-started
	moved := 0
	for range 10 {
		to := memory.New()
		_, err := importInto(to, export(t, s))
		require.NoError(t, err)
		exported := contentOf(t, to).Keys
		require.Len(t, exported, keys)
		version := func(n int) int { return must(strconv.Atoi(exported[n].Description)) }
		for n := range keys - 1 {
			if version(n) != version(n+1) {
				moved++
			}
			require.LessOrEqual(t, version(n+1), version(n))
			require.GreaterOrEqual(t, version(n+1), version(0)-1)
		}
	}
	close(stop)
	<-stopped
	require.NotZero(t, moved, "an export that never met the writer proves nothing")
}

// A feed tells what it is told to, instead of the store's own.
type feed struct {
	store.Store
	changes func(yield func(store.Change, error) bool)
}

func (f feed) Position(context.Context) (store.Position, error) { return store.Position{}, nil }

func (f feed) Watch(context.Context, store.Position) iter.Seq2[store.Change, error] { return f.changes }

func TestExportOfABrokenFeed(t *testing.T) {
	acme := store.Change{Revision: 1, Organization: "acme", OrganizationRecord: &policy.Organization{ID: "acme", Revision: 1}}
	key := plainKey("key", "acme")
	put := store.Change{Revision: 2, Organization: "acme", Key: "key", KeyRecord: &key}
	mark := store.Change{Revision: 2}
	with := func(c store.Change, change func(*store.Change)) store.Change { change(&c); return c }
	other, elsewhere, invalid, notUTF8 := plainKey("other", "acme"), plainKey("key", "other"), plainKey("key", "acme"), plainKey("key", "acme")
	invalid.Secrets = nil
	notUTF8.Description = "\xff"
	for name, test := range map[string]struct {
		changes []store.Change
		end     error
		want    string
	}{
		"a key that cannot be read": {
			[]store.Change{acme, with(put, func(c *store.Change) { c.KeyRecord, c.Err = nil, errBroken }), mark}, nil,
			`store/transfer: export: key "key" of organization "acme" cannot be read: broken on demand`},
		"an organization that cannot be read": {
			[]store.Change{with(acme, func(c *store.Change) { c.Err = errBroken }), mark}, nil,
			`organization "acme" cannot be read: broken on demand`},
		"a key without its record":           {[]store.Change{acme, with(put, func(c *store.Change) { c.KeyRecord = nil }), mark}, nil, `the feed has key "key" of organization "acme" without its record`},
		"an organization without its record": {[]store.Change{with(acme, func(c *store.Change) { c.OrganizationRecord = nil }), mark}, nil, `the feed has organization "acme" without its record`},
		"the record of another key":          {[]store.Change{acme, with(put, func(c *store.Change) { c.KeyRecord = &other }), mark}, nil, `the feed has key "key" of organization "acme" without its record`},
		"a key of another organization":      {[]store.Change{acme, with(put, func(c *store.Change) { c.KeyRecord = &elsewhere }), mark}, nil, `the feed has key "key" of organization "acme" without its record`},
		"the record of another organization": {[]store.Change{with(acme, func(c *store.Change) { c.Organization = "other" }), mark}, nil, `the feed has organization "other" without its record`},
		"a key without its organization":     {[]store.Change{put, mark}, nil, `the store returned key "key" of organization "acme" after another organization`},
		"a key twice":                        {[]store.Change{acme, put, put, mark}, nil, `the store returned key "key" after key "key" of organization "acme"`},
		"an organization twice":              {[]store.Change{acme, acme, mark}, nil, `the store returned organization "acme" after organization "acme"`},
		"an invalid key":                     {[]store.Change{acme, with(put, func(c *store.Change) { c.KeyRecord = &invalid }), mark}, nil, `key "key" of organization "acme" cannot be written: apikey: the key has 0 secrets`},
		"an invalid organization":            {[]store.Change{with(acme, func(c *store.Change) { c.OrganizationRecord = &policy.Organization{ID: "acme", Requirement: 9} }), mark}, nil, `organization "acme" cannot be written: policy: organization "acme" has the requirement 9`},
		"a key that is not UTF-8":            {[]store.Change{acme, with(put, func(c *store.Change) { c.KeyRecord = &notUTF8 }), mark}, nil, `key "key" of organization "acme" cannot be written: `},
		"no mark":                            {[]store.Change{acme, put}, nil, "the feed ended without a mark"},
		"nothing":                            {nil, nil, "the feed ended without a mark"},
		"a failure":                          {[]store.Change{acme, put}, errBroken, "store/transfer: export: broken on demand"},
		"a failure at once":                  {nil, store.ErrCompacted, "store/transfer: export: the history does not reach back so far"},
	} {
		t.Run(name, func(t *testing.T) {
			var file bytes.Buffer
			counts, err := transfer.Export(t.Context(), feed{memory.New(), func(yield func(store.Change, error) bool) {
				for _, change := range test.changes {
					if !yield(change, nil) {
						return
					}
				}
				if test.end != nil {
					yield(store.Change{}, test.end)
				}
			}}, &file)
			require.ErrorContains(t, err, test.want)
			require.Zero(t, counts)
			if test.end != nil {
				require.ErrorIs(t, err, test.end)
			}
			_, err = importInto(memory.New(), file.String())
			require.ErrorIs(t, err, transfer.ErrDamaged, "nothing partial passes for whole")
		})
	}
	t.Run("a deletion is no record", func(t *testing.T) {
		file := export(t, feed{memory.New(), func(yield func(store.Change, error) bool) {
			if yield(put, nil) && yield(store.Change{Revision: 3, Organization: "gone", Deleted: true}, nil) && yield(acme, nil) && yield(mark, nil) {
				t.Error("Export goes on after the first mark")
			}
		}})
		result, err := importInto(memory.New(), file)
		require.NoError(t, err)
		require.Equal(t, transfer.Counts{Organizations: 1, Keys: 1}, result.File)
	})
}

// pages are listings that are what they are told to be.
type pages struct {
	store.Store
	organizations []policy.Organization
	keys          map[string][]apikey.Key
}

func (p pages) Organizations(context.Context, store.PageRequest) (store.Page[policy.Organization], error) {
	return store.Page[policy.Organization]{Items: p.organizations}, nil
}

func (p pages) Keys(_ context.Context, organization string, _ store.PageRequest) (store.Page[apikey.Key], error) {
	return store.Page[apikey.Key]{Items: p.keys[organization]}, nil
}

func TestExportOfBrokenListings(t *testing.T) {
	invalid := plainKey("a", "acme")
	invalid.Secrets = nil
	two := []policy.Organization{{ID: "acme"}, {ID: "other"}}
	for name, test := range map[string]struct {
		pages
		want string
	}{
		"organizations in disorder":     {pages{organizations: []policy.Organization{{ID: "b"}, {ID: "a"}}}, `the store returned organization "a" after organization "b": want them in order, each once`},
		"an invalid organization":       {pages{organizations: []policy.Organization{{ID: ""}}}, `organization "" cannot be written`},
		"keys in disorder":              {pages{organizations: two, keys: map[string][]apikey.Key{"acme": {plainKey("b", "acme"), plainKey("a", "acme")}}}, `the store returned key "a" after key "b" of organization "acme"`},
		"a key of another organization": {pages{organizations: two, keys: map[string][]apikey.Key{"acme": {plainKey("a", "other")}}}, `the store returned key "a" of organization "other" after another organization`},
		"a key of two organizations":    {pages{organizations: two, keys: map[string][]apikey.Key{"acme": {plainKey("a", "acme")}, "other": {plainKey("a", "other")}}}, `the store returned key "a" of organization "other" is of another organization as well`},
		"an invalid key":                {pages{organizations: two, keys: map[string][]apikey.Key{"acme": {invalid}}}, `key "a" of organization "acme" cannot be written`},
	} {
		t.Run(name, func(t *testing.T) {
			test.Store = memory.New()
			_, err := transfer.Export(t.Context(), test.pages, &bytes.Buffer{})
			require.ErrorContains(t, err, test.want)
		})
	}
}

// An error of the store is Export's, and names what was asked for.
func TestExportFromAFailingStore(t *testing.T) {
	for _, test := range []struct {
		method faulty.Method
		feed   bool
		want   string
	}{
		{faulty.Watch, true, "store/transfer: export: broken on demand"},
		{faulty.Organizations, false, "store/transfer: export: listing the organizations: broken on demand"},
		{faulty.Keys, false, `store/transfer: export: listing the keys of organization "\"<&>\"\\": broken on demand`},
		{faulty.Usage, true, `store/transfer: export: the usage of 7 keys from key "a" of organization "Acme" on: broken on demand`},
		{faulty.Usage, false, `store/transfer: export: the usage of 7 keys from key "a" of organization "Acme" on: broken on demand`},
	} {
		f := faulty.New(rich(t))
		f.Break(faulty.Fail(errBroken), test.method)
		var from store.Store = f
		if !test.feed {
			recorder, _ := store.As[store.UsageRecorder](f)
			from = feedless{f, recorder}
		}
		_, err := transfer.Export(t.Context(), from, &bytes.Buffer{})
		require.ErrorIs(t, err, errBroken)
		require.EqualError(t, err, test.want)

		f.Break(faulty.Panic("out of order"), test.method)
		_, err = transfer.Export(t.Context(), from, &bytes.Buffer{})
		require.ErrorContains(t, err, "panic: out of order")
	}
}

// A key that is deleted while its export is under way has no usage left to ask for.
func TestUsageOfADeletedKey(t *testing.T) {
	s := rich(t)
	var file bytes.Buffer
	counts, err := transfer.Export(t.Context(), counting{Store: s}, &file)
	require.NoError(t, err)
	require.Equal(t, transfer.Counts{Organizations: 8, Keys: 7}, counts)
	require.Equal(t, export(t, bare{s}), file.String())
}

// An entry of which the store says that it was not used is as one of which it says
// nothing.
func TestUsageThatIsNone(t *testing.T) {
	s := rich(t)
	nothing := accesslist.Usage{Last: time.Time{}.In(time.FixedZone("", 3600))}
	from := counting{s, &store.KeyUsage{Entries: map[netip.Prefix]accesslist.Usage{netip.MustParsePrefix("192.0.2.1/32"): nothing}}}
	require.Equal(t, export(t, bare{s}), export(t, from))
}

// A counting store tells the same usage of every key, or with nil that there is none.
type counting struct {
	store.Store
	usage *store.KeyUsage
}

var _ store.UsageRecorder = counting{}

func (c counting) RecordUsage(context.Context, map[apikey.ID]store.KeyUsage) error { return nil }

func (c counting) RecordObservation(context.Context, store.Report) error { return nil }

func (c counting) Observation(context.Context) (store.Observation, error) {
	return store.Observation{}, nil
}

func (c counting) Usage(_ context.Context, ids ...apikey.ID) (map[apikey.ID]store.KeyUsage, error) {
	all := map[apikey.ID]store.KeyUsage{}
	for _, id := range ids {
		if c.usage != nil {
			all[id] = *c.usage
		}
	}
	return all, nil
}

func TestUsageThatCannotBeWritten(t *testing.T) {
	s := rich(t)
	require.NoError(t, s.RecordUsage(t.Context(), adapter.UsageBatch(store.UsageRecord{
		Key: "a", Entry: netip.MustParsePrefix("192.0.2.1/32"), Usage: accesslist.Usage{Count: 1, Last: moment.AddDate(10000, 0, 0)},
	})))
	_, err := transfer.Export(t.Context(), s, &bytes.Buffer{})
	require.ErrorContains(t, err, `key "a" of organization "Acme" cannot be written: `)
}

// A limitedWriter takes so many bytes and no more.
type limitedWriter struct {
	bytes.Buffer
	left int
}

func (w *limitedWriter) Write(text []byte) (int, error) {
	n := min(len(text), w.left)
	w.left -= n
	w.Buffer.Write(text[:n])
	if n < len(text) {
		return n, errBroken
	}
	return n, nil
}

// A disk that is full is an error, whenever it is.
func TestExportToAFailingWriter(t *testing.T) {
	s := memory.New()
	_, err := s.PutOrganization(t.Context(), policy.Organization{ID: "acme"})
	require.NoError(t, err)
	for n := range 300 { // more than any buffer holds
		key := plainKey(apikey.ID(fmt.Sprint(n)), "acme")
		key.Description = strings.Repeat("x", 1000)
		_, err := s.PutKey(t.Context(), key, store.AllowOpen)
		require.NoError(t, err)
	}
	whole := export(t, s)
	for _, left := range []int{0, 1, 50, 1 << 16, len(whole) / 2, len(whole) - 100, len(whole) - 1} {
		w := &limitedWriter{left: left}
		counts, err := transfer.Export(t.Context(), s, w)
		require.ErrorIs(t, err, errBroken)
		require.Zero(t, counts)
		_, err = transfer.Verify(t.Context(), s, &w.Buffer)
		require.ErrorIs(t, err, transfer.ErrDamaged)
	}
	w := &limitedWriter{left: len(whole)}
	_, err = transfer.Export(t.Context(), s, w)
	require.NoError(t, err)
}

func TestExportWithAContextThatIsDone(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, s := range []store.Store{rich(t), bare{rich(t)}} {
		_, err := transfer.Export(ctx, s, &bytes.Buffer{})
		require.ErrorIs(t, err, context.Canceled)
	}
}

// Nobody else sees the temporary file: if it can be found at all while there is one, it is
// this user's alone. None is left behind, whatever happens.
func TestTheTemporaryFile(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	files := func() []fs.DirEntry { return must(os.ReadDir(dir)) }
	s := rich(t)
	export(t, feed{s, func(yield func(store.Change, error) bool) {
		for change, err := range s.Watch(t.Context(), store.Position{}) {
			for _, file := range files() {
				assert.Equal(t, fs.FileMode(0o600), must(file.Info()).Mode())
			}
			if !yield(change, err) {
				return
			}
		}
	}})
	require.Empty(t, files())

	_, err := transfer.Export(t.Context(), s, &limitedWriter{})
	require.Error(t, err)
	require.Empty(t, files())
	_, err = transfer.Export(t.Context(), feed{s, func(func(store.Change, error) bool) { panic("out of order") }}, &bytes.Buffer{})
	require.ErrorContains(t, err, "out of order")
	require.Empty(t, files())

	t.Setenv("TMPDIR", filepath.Join(dir, "none"))
	_, err = transfer.Export(t.Context(), s, &bytes.Buffer{})
	require.ErrorIs(t, err, fs.ErrNotExist)
	export(t, bare{s}) // which needs none
}

// No secret, and no hash of one, is in an error.
func TestErrorsTellNoHashes(t *testing.T) {
	sum := sha256.Sum256([]byte("a"))
	hash := fmt.Sprintf("%x", sum)
	file := export(t, rich(t))
	require.Contains(t, file, hash)
	for at := strings.Index(file, hash) - 200; at < strings.Index(file, hash)+100; at++ {
		for _, with := range []string{"", `"`, "\\", "{", "x", "\xff"} {
			if with == file[at:at+1] {
				continue
			}
			_, err := importInto(memory.New(), file[:at]+with+file[at+1:])
			require.Error(t, err)
			require.NotContains(t, err.Error(), hash[4:20])
		}
	}
}
