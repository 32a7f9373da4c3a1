package admin_test

import (
	"context"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/adapter"
	"github.com/sallyport-go/sallyport/store/admin"
	"github.com/sallyport-go/sallyport/store/memory"
)

var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// A world is a store with the organization acme, and an Admin of it. Its clock stands still.
type world struct {
	t       testing.TB
	ctx     context.Context
	now     time.Time
	store   store.Store // what the Admin uses
	memory  *memory.Store
	admin   *admin.Admin
	issuer  *apikey.Issuer
	secrets map[apikey.ID]apikey.Secret
	notices []admin.Notice
}

func newWorld(t testing.TB, options ...admin.Option) *world {
	w := unobserved(t, options...)
	w.observed(365 * day)
	return w
}

// unobserved is a world in which usage is not observed.
func unobserved(t testing.TB, options ...admin.Option) *world {
	m := memory.New()
	return worldOf(t, m, m, options...)
}

// observed reports that one recorder has observed usage for some time, without a gap.
func (w *world) observed(length time.Duration) {
	w.t.Helper()
	w.report(store.Report{Since: w.now.Add(-length), Until: w.now, At: w.now})
}

// report reports the first time, or what it says.
func (w *world) report(r store.Report) {
	w.t.Helper()
	if r.Recorder == "" {
		r.Recorder = "recorder"
	}
	if r.From.IsZero() {
		r.From = r.Since
	}
	require.NoError(w.t, w.memory.RecordObservation(w.ctx, r))
}

// worldOf has an Admin of a store around a store in memory.
func worldOf(t testing.TB, s store.Store, m *memory.Store, options ...admin.Option) *world {
	t.Helper()
	w := &world{t: t, ctx: t.Context(), now: start, store: s, memory: m, secrets: map[apikey.ID]apikey.Secret{}}
	clock := func() time.Time { return w.now }
	var err error
	w.issuer, err = apikey.NewIssuer(apikey.IssuerConfig{Clock: clock})
	require.NoError(t, err)
	options = append([]admin.Option{
		admin.WithClock(clock), admin.WithIssuer(w.issuer), admin.WithManagers("owner"),
		admin.WithObserver(func(_ context.Context, n admin.Notice) { w.notices = append(w.notices, n) }),
	}, options...)
	w.admin, err = admin.New(s, options...)
	require.NoError(t, err)
	w.organization("acme", policy.NotRequired)
	return w
}

func (w *world) organization(id string, requirement policy.Requirement) {
	w.t.Helper()
	_, err := w.memory.PutOrganization(w.ctx, policy.Organization{ID: id, Requirement: requirement})
	require.NoError(w.t, err)
}

// key stores a key of acme with these roles at the organization, and an access list in
// words: "" is open.
func (w *world) key(id, list string, roles ...string) apikey.Key {
	w.t.Helper()
	return w.keyOf("acme", id, list, roles...)
}

func (w *world) keyOf(organization, id, list string, roles ...string) apikey.Key {
	w.t.Helper()
	var grants []apikey.Grant
	for _, role := range roles {
		grants = append(grants, apikey.Grant{Role: role})
	}
	key, secret, err := w.issuer.Issue(apikey.Key{
		ID: apikey.ID(id), Organization: organization, Grants: grants, AccessList: w.list(list), Created: w.now.AddDate(0, -6, 0),
	})
	require.NoError(w.t, err)
	key, err = w.memory.PutKey(w.ctx, key, store.AllowOpen, store.AllowManyEntries)
	require.NoError(w.t, err)
	w.secrets[key.ID] = secret
	return key
}

// edit changes a stored key behind the Admin's back.
func (w *world) edit(id string, edit func(*apikey.Key)) apikey.Key {
	w.t.Helper()
	key := w.stored(id)
	edit(&key)
	key, err := w.memory.PutKey(w.ctx, key, store.AllowOpen)
	require.NoError(w.t, err)
	return key
}

func (w *world) stored(id string) apikey.Key {
	w.t.Helper()
	key, err := w.memory.Key(w.ctx, apikey.ID(id))
	require.NoError(w.t, err)
	return key
}

func (w *world) list(words string) accesslist.List {
	w.t.Helper()
	list, err := accesslist.List{}.With(w.entries(words)...)
	require.NoError(w.t, err)
	return list
}

// entries reads words such as "203.0.113.7 198.51.100.0/24+30m": the entry expires in 30
// minutes, and with -30m it has expired.
func (w *world) entries(words string) []accesslist.Entry {
	w.t.Helper()
	var entries []accesslist.Entry
	for _, word := range strings.Fields(words) {
		text, after := word, ""
		if i := strings.IndexAny(word, "+-"); i >= 0 {
			text, after = word[:i], word[i:]
		}
		entry, err := accesslist.Parser{AllowIPv6: true}.ParseEntry(text)
		require.NoError(w.t, err)
		if after != "" {
			d, err := time.ParseDuration(after)
			require.NoError(w.t, err)
			entry.Expires = w.now.Add(d)
		}
		entries = append(entries, entry)
	}
	return entries
}

func prefixes(words string) []netip.Prefix {
	var all []netip.Prefix
	for word := range strings.FieldsSeq(words) {
		if !strings.Contains(word, "/") {
			word += "/32"
		}
		all = append(all, netip.MustParsePrefix(word))
	}
	return all
}

// manage is the endpoint of the calls that carry changes.
var manage = policy.Endpoint{Name: "manage", Roles: []string{"owner"}}

// request is that of a key that makes a change.
func (w *world) request(id, address string) policy.Request {
	return policy.Request{
		Key: apikey.ID(id), Secret: w.secrets[apikey.ID(id)], Client: netip.MustParseAddr(address),
		Organization: "acme", Endpoint: new(manage), ClientFrom: policy.OriginPeer,
	}
}

// by returns the key as the actor of a call that the guard allowed.
func (w *world) by(id, address string) admin.Actor {
	w.t.Helper()
	return w.byRequest(w.request(id, address))
}

func (w *world) byRequest(request policy.Request) admin.Actor {
	w.t.Helper()
	subject, _, err := w.memory.Lookup(w.ctx, request.Key)
	require.NoError(w.t, err)
	actor, err := admin.ByKey(policy.Evaluate(subject, request, w.now))
	require.NoError(w.t, err)
	return actor
}

var ann = admin.ByPerson("ann@example.com", "Ann", netip.MustParseAddr("198.51.100.77")).Via(store.ViaConsole, "r-1")

// used records a call with a key, some time ago, from an address: by the entry that covers
// it, if any, and by the secret.
func (w *world) used(id, address string, ago time.Duration, times uint64) {
	w.t.Helper()
	key, client := w.stored(id), netip.MustParseAddr(address)
	record := store.UsageRecord{Key: key.ID, Secret: key.Secrets[0].ID(),
		Usage: accesslist.Usage{Count: times, Last: w.now.Add(-ago), LastAddress: client}}
	if entry, ok := key.AccessList.Match(client, w.now); ok {
		record.Entry = entry.Prefix()
	}
	require.NoError(w.t, w.memory.RecordUsage(w.ctx, adapter.UsageBatch(record)))
}

func (w *world) preview(actor admin.Actor, changes ...admin.Change) admin.Preview {
	w.t.Helper()
	preview, err := w.admin.Preview(w.ctx, actor, "acme", changes...)
	require.NoError(w.t, err)
	return preview
}

// apply makes changes that must succeed.
func (w *world) apply(actor admin.Actor, options admin.ApplyOptions, changes ...admin.Change) admin.Result {
	w.t.Helper()
	result, err := w.admin.Apply(w.ctx, actor, "acme", options, changes...)
	require.NoError(w.t, err)
	require.Equal(w.t, len(changes), result.Made)
	return result
}

// refuse applies changes that must fail with a class, and checks that nothing was written.
func (w *world) refuse(class admin.Class, actor admin.Actor, options admin.ApplyOptions, changes ...admin.Change) *admin.Error {
	w.t.Helper()
	before := w.position()
	result, err := w.admin.Apply(w.ctx, actor, "acme", options, changes...)
	var refusal *admin.Error
	require.ErrorAs(w.t, err, &refusal)
	require.Equal(w.t, class.String(), refusal.Class.String(), refusal)
	require.Zero(w.t, result.Made)
	require.Empty(w.t, result.Secrets)
	require.Equal(w.t, before, w.position(), "something was written")
	return refusal
}

func (w *world) position() store.Position {
	w.t.Helper()
	position, err := w.memory.Position(w.ctx)
	require.NoError(w.t, err)
	return position
}

// events are all that the store kept.
func (w *world) events() []store.Event {
	w.t.Helper()
	var all []store.Event
	for event, err := range store.AllEvents(w.ctx, w.memory, store.EventRequest{}) {
		require.NoError(w.t, err)
		all = append(all, event)
	}
	return all
}

func types(events []store.Event) []string {
	var all []string
	for _, event := range events {
		all = append(all, string(event.Type))
	}
	return all
}

func kinds(findings []admin.Finding) []admin.Kind {
	all := []admin.Kind{}
	for _, finding := range findings {
		all = append(all, finding.Kind)
	}
	return all
}

// classes are the keys of a preview with their classes.
func classes(preview admin.Preview) map[apikey.ID]admin.KeyClass {
	all := map[apikey.ID]admin.KeyClass{}
	for _, effect := range preview.Keys {
		all[effect.Key] = effect.Class
	}
	return all
}

// accept accepts kinds with a reason.
func accept(kinds ...admin.Kind) admin.ApplyOptions {
	return admin.ApplyOptions{Accept: kinds, Reason: "it was agreed"}
}

var plain admin.ApplyOptions

// requireClass checks the class of an error, which must be one.
func requireClass(t *testing.T, class admin.Class, err error) {
	t.Helper()
	var failure *admin.Error
	require.ErrorAs(t, err, &failure)
	require.Equal(t, class.String(), failure.Class.String(), err)
	require.Equal(t, class, admin.ClassOf(err))
}
