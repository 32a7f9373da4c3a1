package admin_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/netip"
	"slices"
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
)

// TestOracle compares the guard with the oracle on random worlds.
func TestOracle(t *testing.T) {
	worlds := oracleWorlds
	if testing.Short() {
		worlds = 600
	}
	tally := map[string]int{}
	for seed := range worlds {
		compareWorld(t, randomChoices(uint64(seed)), tally, fmt.Sprintf("world %d", seed))
	}
	t.Logf("%d worlds: %v", worlds, tally)
	for _, happens := range []string{
		"judged", "several steps", "by a key",
		"self_lockout refuses", "self_lockout forbids", "self_lockout_at reports", "breaks_key refuses", "breaks_key reports", "last_manager refuses", "last_manager reports",
		"organization_lockout refuses", "organization_lockout reports", "opens refuses", "over_broad refuses",
		"breaks", "may_break", "unused", "unknown", "opens", "widens",
	} {
		require.GreaterOrEqual(t, tally[happens], worlds/400, happens)
	}
}

// FuzzOracle compares them on worlds that a fuzzer makes.
func FuzzOracle(f *testing.F) {
	for seed := range uint64(20) {
		f.Add(randomChoices(seed).bytes)
	}
	f.Fuzz(func(t *testing.T, choices []byte) {
		compareWorld(t, &chooser{choices}, map[string]int{}, "world")
	})
}

func randomChoices(seed uint64) *chooser {
	random := rand.New(rand.NewPCG(seed, 27))
	bytes := make([]byte, 0, 600)
	for len(bytes) < 600 {
		bytes = binary.LittleEndian.AppendUint64(bytes, random.Uint64())
	}
	return &chooser{bytes}
}

// A chooser makes a world from bytes: 0 once they are used up.
type chooser struct{ bytes []byte }

// n chooses a number below a bound.
func (c *chooser) n(below int) int {
	if len(c.bytes) == 0 {
		return 0
	}
	b := c.bytes[0]
	c.bytes = c.bytes[1:]
	return int(b) % below
}

// once is true in one of some cases.
func (c *chooser) once(in int) bool { return c.n(in) == in-1 }

func pick[T any](c *chooser, from ...T) T { return from[c.n(len(from))] }

// The small world: its addresses, its entries and its times. An entry of another world would
// show nothing else.
var (
	smallAddresses = func() (all []netip.Addr) {
		for word := range strings.FieldsSeq("203.0.112.255 203.0.113.0 203.0.113.1 203.0.113.2 203.0.113.3 203.0.113.4 203.0.113.5 203.0.113.6 203.0.113.7 203.0.113.8 192.0.2.1 10.0.0.1 11.0.0.1 12.0.0.1 2001:d00::1 2001:db8::1 2001:db8::2") {
			all = append(all, netip.MustParseAddr(word))
		}
		return all
	}()
	smallEntries = strings.Fields("203.0.113.0/29 203.0.113.0/30 203.0.113.4/30 203.0.113.6/31 203.0.113.7 203.0.113.6 203.0.113.0 203.0.113.2 0.0.0.0/0 10.0.0.0/7 10.0.0.0/8 2001:db8::1 2001:d00::/31")
	smallTimes   = []time.Duration{10 * time.Minute, 20 * time.Minute, 30 * time.Minute, time.Hour, 70 * time.Minute, 2 * time.Hour, 25 * time.Hour}
	smallKeys    = []apikey.ID{"a", "b", "c"}
)

// later is a time to come, or, one time in some, none at all.
func (c *chooser) later(never int) time.Time {
	if !c.once(never) {
		return time.Time{}
	}
	return start.Add(pick(c, smallTimes...))
}

func (c *chooser) entries(w *world, most int) (entries []accesslist.Entry) {
	for range c.n(most + 1) {
		entry := w.entries(pick(c, smallEntries...))[0]
		if slices.ContainsFunc(entries, func(e accesslist.Entry) bool { return e.Prefix() == entry.Prefix() }) {
			continue
		}
		entry.Expires = c.later(3)
		if c.once(12) {
			entry.Expires = start.Add(-time.Minute)
		}
		entries = append(entries, entry)
	}
	return entries
}

func (c *chooser) grants() (grants []apikey.Grant) {
	for _, grant := range grantsOf(strings.Fields("owner reader writer owner@* reader@p writer@q reader@*")) {
		if c.once(3) {
			grants = append(grants, grant)
		}
	}
	return grants
}

// A smallWorld is a world with the calls of its keys.
type smallWorld struct {
	*world
	calls    map[apikey.ID][]pastCall
	observed bool
	notice   time.Duration
	people   bool
}

// world makes a world.
func (c *chooser) world(t *testing.T) *smallWorld {
	s := &smallWorld{calls: map[apikey.ID][]pastCall{}, notice: pick(c, time.Hour, time.Hour, 30*time.Minute), people: c.once(4), observed: !c.once(4)}
	options := []admin.Option{admin.WithNotice(s.notice)}
	if s.people {
		options = append(options, admin.WithPeopleManaging())
	}
	s.world = unobserved(t, options...)
	if s.observed {
		s.world.observed(31 * day)
	} else if c.once(2) {
		s.world.observed(20 * day)
	}
	acme, err := s.memory.Organization(s.ctx, "acme")
	require.NoError(t, err)
	acme.Requirement = pick(c, policy.NotRequired, policy.Required, policy.Required, policy.ReportOnly)
	if acme.Requirement == policy.Required && c.once(2) {
		acme.SuspendedUntil = start.Add(pick(c, smallTimes[:6]...))
	}
	acme.Disabled = c.once(12)
	_, err = s.memory.PutOrganization(s.ctx, acme)
	require.NoError(t, err)
	for _, id := range smallKeys {
		c.key(s, id)
	}
	return s
}

// key stores a key, and how it was used.
func (c *chooser) key(s *smallWorld, id apikey.ID) {
	list, err := accesslist.List{}.With(c.entries(s.world, 3)...)
	require.NoError(s.t, err)
	key := apikey.Key{ID: id, Organization: "acme", AccessList: list, Grants: c.grants(), Disabled: c.once(8), Expires: c.later(5), Created: start.AddDate(-1, 0, 0)}
	if !key.Disabled && c.once(3) {
		key.Grants = append(slices.DeleteFunc(key.Grants, func(g apikey.Grant) bool { return g == apikey.Grant{Role: "owner"} }), apikey.Grant{Role: "owner"})
	}
	if begin := c.later(10); begin.Before(key.Expires) || key.Expires.IsZero() {
		key.NotBefore = begin
	}
	secrets := 1 + c.n(2)
	for range secrets {
		var secret apikey.Secret
		key, secret, err = s.issuer.Issue(key)
		require.NoError(s.t, err)
		s.secrets[named(string(id), len(key.Secrets)-1)] = secret
	}
	for i := range key.Secrets {
		key.Secrets[i].Expires = c.later(3)
		if c.once(12) {
			key.Secrets[i].Expires = start.Add(-time.Minute)
		}
	}
	key, err = s.memory.PutKey(s.ctx, key, store.AllowOpen)
	require.NoError(s.t, err)
	nowhere := c.once(12)
	for i := range c.n(4) {
		call := pastCall{at: start.Add(-pick(c, time.Minute, day, 29*day, 31*day) - time.Duration(i)*time.Second), address: pick(c, smallAddresses...), secret: pick(c, key.Secrets...).ID()}
		if !nowhere && c.once(6) {
			call.secret = "" // other proof
		}
		record := store.UsageRecord{Key: id, Secret: call.secret, Usage: accesslist.Usage{Count: 1, Last: call.at, LastAddress: call.address}}
		if nowhere {
			call.address, record.Usage.LastAddress = netip.Addr{}, netip.Addr{}
		} else if entry, ok := list.Match(call.address, call.at); ok {
			record.Entry = entry.Prefix()
		}
		require.NoError(s.t, s.memory.RecordUsage(s.ctx, adapter.UsageBatch(record)))
		if !call.at.Before(start.Add(-30 * day)) {
			s.calls[id] = append(s.calls[id], call)
		}
	}
}

// asker makes the request of a key, if one is found that may ask.
func (c *chooser) asker(s *smallWorld) (*asker, admin.Actor) {
	for range 12 * c.n(2) {
		id := pick(c, smallKeys...)
		key := s.stored(string(id))
		i := c.n(len(key.Secrets))
		request := policy.Request{
			Key: id, Secret: s.secrets[named(string(id), i)], Client: pick(c, smallAddresses...), Organization: "acme",
			Endpoint: &policy.Endpoint{Name: "manage", RequiresAccessList: c.once(6), Roles: pick(c, nil, []string{"owner"}, []string{"owner"}, []string{"reader"})},
			Project:  pick(c, "", "", "p"),
		}
		a := &asker{key: id, secret: key.Secrets[i].ID(), address: request.Client, endpoint: *request.Endpoint, project: request.Project}
		if c.once(6) {
			a.secret, request.Secret, request.Verifier = "", apikey.Secret{}, policy.AlreadyVerified{}
		}
		subject, _, err := s.memory.Lookup(s.ctx, id)
		require.NoError(s.t, err)
		if actor, err := admin.ByKey(policy.Evaluate(subject, request, start)); err == nil {
			return a, actor
		}
	}
	return nil, ann
}

// A smallChange is a change, and whether it is one of rule M23, or only of words.
type smallChange struct {
	admin.Change
	narrows bool
}

// change makes a change.
func (c *chooser) change(s *smallWorld, a *asker) smallChange {
	overlap := pick(c, 0, 30*time.Minute, 2*time.Hour)
	change := c.changeOf(s, a, overlap)
	narrows := slices.Contains([]string{"disable_key", "end_secret", "describe"}, change.Kind()) || change.Kind() == "rotate" && overlap == 0
	return smallChange{change, narrows}
}

func (c *chooser) changeOf(s *smallWorld, a *asker, overlap time.Duration) admin.Change {
	id := pick(c, smallKeys...)
	if a != nil && c.once(2) {
		id = a.key // which is of most interest
	}
	key := s.stored(string(id))
	entry := func() (accesslist.Entry, bool) {
		entries := slices.Collect(key.AccessList.All())
		if len(entries) == 0 {
			return accesslist.Entry{}, false
		}
		return pick(c, entries...), true
	}
	switch c.n(21) {
	case 0:
		return admin.AddEntries(id, c.entries(s.world, 2)...)
	case 1, 2:
		if e, ok := entry(); ok {
			return admin.RemoveEntries(id, e.Prefix())
		}
	case 3, 4:
		return admin.ReplaceEntries(id, c.entries(s.world, 3)...)
	case 5, 18:
		if e, ok := entry(); ok {
			return admin.EditEntries(id, until(e, c.later(2)))
		}
	case 6:
		return admin.CreateKey(admin.NewKey{ID: "d", Entries: c.entries(s.world, 2), Grants: c.grants(), Expires: c.later(2), Disabled: c.once(6)})
	case 7, 19:
		return admin.SetValidity(id, time.Time{}, c.later(2))
	case 8:
		return admin.SetValidity(id, c.later(2), time.Time{})
	case 9:
		return admin.DisableKey(id)
	case 10:
		return admin.EnableKey(id)
	case 11:
		return admin.DeleteKey(id)
	case 12:
		return admin.SetGrants(id, c.grants()...)
	case 13:
		return admin.Rotate(id, overlap)
	case 14, 20:
		return admin.EndSecret(id, pick(c, key.Secrets...).ID(), c.later(2))
	case 15:
		return admin.SetRequirement(pick(c, policy.NotRequired, policy.Required, policy.Required, policy.ReportOnly))
	case 16:
		if a == nil && c.once(2) {
			return admin.ResumeRequirement()
		}
		if a == nil {
			return admin.SuspendRequirement(start.Add(pick(c, smallTimes[:6]...)))
		}
	case 17:
		if c.once(2) {
			return admin.DisableOrganization()
		}
		return admin.EnableOrganization()
	}
	return admin.Describe(id, "x")
}

func changesOf(small []smallChange) (changes []admin.Change) {
	for _, change := range small {
		changes = append(changes, change.Change)
	}
	return changes
}

// oneWrite groups changes that are made in one write (rule M26).
func oneWrite(changes []smallChange) (steps [][]smallChange) {
	for _, change := range changes {
		n := len(steps) - 1
		if n < 0 || steps[n][0].Key() != change.Key() || change.Kind() == "create_key" ||
			steps[n][len(steps[n])-1].Kind() == "delete_key" || change.Kind() == "delete_key" && steps[n][0].Kind() == "create_key" {
			steps = append(steps, nil)
			n++
		}
		steps[n] = append(steps[n], change)
	}
	return steps
}

func (s *smallWorld) records() records {
	acme, err := s.memory.Organization(s.ctx, "acme")
	require.NoError(s.t, err)
	r := records{&acme, map[apikey.ID]*apikey.Key{}}
	for _, id := range append(slices.Clone(smallKeys), "d") {
		if key, err := s.memory.Key(s.ctx, id); err == nil {
			r.keys[id] = &key
		} else {
			require.ErrorIs(s.t, err, store.ErrNotFound)
		}
	}
	return r
}

// oracle judges from some records to others.
func (s *smallWorld) oracle(a *asker, before, after records, changes []smallChange) *oracle {
	o := &oracle{now: start, notice: s.notice, people: s.people, observed: s.observed, before: before, after: after,
		calls: s.calls, asker: a, addresses: smallAddresses, instants: []time.Time{start}}
	for _, d := range smallTimes {
		o.instants = append(o.instants, start.Add(d))
	}
	o.narrows = !slices.ContainsFunc(changes, func(change smallChange) bool { return !change.narrows })
	return o
}

// compareWorld makes a world and a change, and judges it both ways. Whatever the change was
// judged to be, a person then makes it, so that the oracle sees the records after it.
func compareWorld(t *testing.T, c *chooser, tally map[string]int, name string) {
	s := c.world(t)
	a, actor := c.asker(s)
	var changes []smallChange
	for range pick(c, 1, 1, 1, 2, 2, 3) {
		changes = append(changes, c.change(s, a))
	}
	preview, failure := s.admin.Preview(s.ctx, actor, "acme", changesOf(changes)...)
	all := []records{s.records()}
	var steps []*oracle
	by, terms := a, accept(admin.BreaksKey, admin.LastManager, admin.OrganizationLockout, admin.Opens, admin.OverBroad)
	var err error
	for _, step := range oneWrite(changes) {
		before := all[len(all)-1]
		if _, err = s.admin.Apply(s.ctx, ann, "acme", terms, changesOf(step)...); err != nil {
			break
		}
		after := s.records()
		all, steps = append(all, after), append(steps, s.oracle(by, before, after, changes)) // rule M23 is of the call
		if by != nil && by.secret != "" && len(steps[len(steps)-1].handedOut(by.key)) > 0 {
			next := *by // it goes on with its new secret
			next.secret, by = steps[len(steps)-1].handedOut(by.key)[0], &next
		}
	}
	require.Equal(t, failure == nil, err == nil, "%s: %v: %v; %v", name, changes, failure, err)
	if err != nil {
		tally["error "+admin.ClassOf(err).String()]++
		return
	}
	whole := s.oracle(a, all[0], all[len(all)-1], changes)
	if len(steps) == 1 {
		steps = nil
	}
	found, effects := judgeSteps(whole, steps)
	var want, got []string
	for _, f := range found {
		want = append(want, whole.text(f))
		tally[string(f.kind)+" "+f.verb]++
	}
	for _, finding := range preview.Findings {
		slices.Sort(finding.Keys)
		got = append(got, s.findingText(finding))
	}
	describe := func() string { return describeWorld(s, whole, a, changes, preview) }
	if !slices.Equal(slices.Sorted(slices.Values(want)), slices.Sorted(slices.Values(got))) {
		t.Errorf("%s: the oracle finds\n\t%s\nand the guard\n\t%s\n%s", name, strings.Join(want, "\n\t"), strings.Join(got, "\n\t"), describe())
	}
	shown := map[apikey.ID]string{}
	for _, e := range preview.Keys {
		shown[e.Key] = string(e.Class) + whole.when(e.At)
		tally[string(e.Class)]++
		if err := whole.checkShown(e); err != nil {
			t.Errorf("%s: %v\n%s", name, err, describe())
		}
	}
	if !maps.Equal(effects, shown) {
		t.Errorf("%s: the oracle has the keys\n\t%v\nand the guard\n\t%v\n%s", name, effects, shown, describe())
	}
	tally["judged"]++
	if steps != nil {
		tally["several steps"]++
	}
	if a != nil {
		tally["by a key"]++
	}
}

// checkShown checks the call that is shown of a key: it has these answers.
func (o *oracle) checkShown(e admin.KeyEffect) error {
	at, proof, endpoint, project := o.now, policy.Verifier(anyLive), policy.Endpoint{}, e.Project
	if !e.At.IsZero() {
		at = e.At
	}
	if e.Secret != "" {
		proof = byOnly(e.Secret)
	}
	if e.Role != "" {
		endpoint = policy.Endpoint{Name: "x", Roles: []string{e.Role}}
	}
	if e.AllProjects {
		project = "another"
	}
	before, after := o.before.answer(e.Key, e.Address, proof, endpoint, project, at), o.after.answer(e.Key, e.Address, proof, endpoint, project, at)
	lost := slices.Contains([]admin.KeyClass{admin.KeyBreaks, admin.KeyMayBreak, admin.KeyUnused, admin.KeyUnknown}, e.Class)
	switch {
	case before != e.Before || after != e.After:
		return fmt.Errorf("the call shown of %s is answered %s before and %s after", e.Key, before, after)
	case before.Allows() != lost, after.Allows() == lost:
		return errors.New("the call shown of " + string(e.Key) + " does not show the class " + string(e.Class))
	}
	return nil
}

func describeWorld(s *smallWorld, o *oracle, a *asker, changes []smallChange, preview admin.Preview) string {
	var b strings.Builder
	fmt.Fprintf(&b, "changes %v by %+v; notice %v, people %t, observed %t\n", changes, a, s.notice, s.people, s.observed)
	for _, side := range []records{o.before, o.after} {
		fmt.Fprintf(&b, "acme %s suspended %s disabled %t\n", side.organization.Requirement, o.when(side.organization.SuspendedUntil), side.organization.Disabled)
		for _, id := range slices.Sorted(maps.Keys(side.keys)) {
			k := side.keys[id]
			fmt.Fprintf(&b, "  %s disabled %t from%s until%s grants %v entries", id, k.Disabled, o.when(k.NotBefore), o.when(k.Expires), k.Grants)
			for e := range k.AccessList.All() {
				fmt.Fprintf(&b, " %s%s", e, o.when(e.Expires))
			}
			for _, secret := range k.Secrets {
				fmt.Fprintf(&b, " secret %s%s %t", secret.ID(), o.when(secret.Expires), secret.Expires.Before(o.now))
			}
			b.WriteByte('\n')
		}
	}
	for _, id := range smallKeys {
		for _, call := range s.calls[id] {
			fmt.Fprintf(&b, "  call of %s: %v ago from %s by %s\n", id, start.Sub(call.at), call.address, call.secret)
		}
	}
	for _, e := range preview.Keys {
		fmt.Fprintf(&b, "  guard: %s %s %s>%s from %s secret %q role %q %q %t\n", e.Key, e.Class, e.Before, e.After, e.Address, e.Secret, e.Role, e.Project, e.AllProjects)
	}
	return b.String()
}
