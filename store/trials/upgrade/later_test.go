package upgrade_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/store/trials/upgrade/orders"
)

// first returns the first element of an array in a document.
func first(document object, name string) object { return document[name].([]any)[0].(object) }

// A rule is something that a later release may put into a record, and what takes it out.
type rule struct {
	place     string
	key       bool // of a key, otherwise of an organization
	add, take func(document object)
}

// rules are in every place on which decisions depend.
var rules = []rule{
	{"a key", true,
		func(d object) { d[orders.Future+"Hours"] = "9-17" }, func(d object) { delete(d, orders.Future+"Hours") }},
	{"an entry", true,
		func(d object) { first(d, "accessList")[orders.Future+"Days"] = []any{1, 2} },
		func(d object) { delete(first(d, "accessList"), orders.Future+"Days") }},
	{"a grant", true,
		func(d object) { first(d, "grants")[orders.Future+"Until"] = "2031-01-01T00:00:00Z" },
		func(d object) { delete(first(d, "grants"), orders.Future+"Until") }},
	{"a secret", true,
		func(d object) { first(d, "secrets")[orders.Future+"Binding"] = object{"certificate": "ab"} },
		func(d object) { delete(first(d, "secrets"), orders.Future+"Binding") }},
	{"Digest credentials", true,
		func(d object) { first(d, "secrets")["digest"].(object)[orders.Future+"SHA512"] = "00" },
		func(d object) { delete(first(d, "secrets")["digest"].(object), orders.Future+"SHA512") }},
	{"an organization", false,
		func(d object) { d[orders.Future+"Frozen"] = true }, func(d object) { delete(d, orders.Future+"Frozen") }},
}

// TestLaterRecords has a later release write records that neither version knows. Both refuse
// them as unavailable, go on with all others, and never write over them.
func TestLaterRecords(t *testing.T) {
	eachSystem(t, func(t *testing.T, s system) {
		l := newLater(t, s, both(t, s))
		for _, rule := range rules {
			l.add(rule)
			require.Empty(t, found(l.unavailable), rule.place)
			l.refusesToWrite(t)
			l.take()
			l.decideAll() // all keys again
		}
		l.check(t)
	})
}

// A later trial has a release later than both versions write past them.
type later struct {
	*traffic
	raw
	rule    rule
	changed name   // the record with the rule
	was     write  // as it was
	stored  string // its document
}

func newLater(t *testing.T, s system, b sides) *later {
	l := &later{traffic: newTraffic(t, b), raw: s.raw(t)}
	for _, p := range b.each() {
		p.do(t, orders.Order{Do: "replicate"})
		p.do(t, orders.Order{Do: "follow"})
	}
	l.decideAll()
	return l
}

// add has the later release put a rule into a record.
func (l *later) add(r rule) {
	l.rule, l.changed = r, l.stable[0]
	if !r.key {
		l.changed.key = ""
	}
	for _, p := range l.each() { // which remember the record, and will try to put it
		p.do(l.t, orders.Order{Do: "read", Organization: l.changed.organization, Key: l.changed.key})
	}
	writes := l.writes[l.changed]
	l.was = writes[len(writes)-1]
	l.written(l.edit(l.t, l.changed, r.add))
	l.stored = l.get(l.t, l.changed)
}

// take has the later release take the rule out again, as before a rollback.
func (l *later) take() { l.written(l.edit(l.t, l.changed, l.rule.take)) }

// written notes a write past the library. It changes nothing that the older version knows.
func (l *later) written(revision uint64) {
	writes := l.writes[l.changed]
	w := writes[len(writes)-1]
	w.before, w.Revision, w.event = w.Revision, revision, false
	l.wrote(w)
}

// decideAll has both sides decide about all keys, by the store and by their copies.
func (l *later) decideAll() {
	for _, n := range l.stable {
		for _, p := range l.each() {
			l.decide(p, n, false)
			require.Empty(l.t, p.ask(orders.Order{Do: "sync"}).Error)
			l.decide(p, n, true)
		}
	}
}

// unavailable checks that no decision is made by an unreadable record, and every one by the
// others.
func (l *later) unavailable(t require.TestingT) {
	for _, n := range l.stable {
		for _, p := range l.each() {
			for _, replica := range []bool{false, true} {
				if replica {
					p.do(t, orders.Order{Do: "sync"})
				}
				if n == l.changed || (name{organization: n.organization}) == l.changed {
					l.unavailableTo(t, p, n, replica)
				} else {
					l.decide(p, n, replica)
				}
			}
		}
	}
}

func (l *later) unavailableTo(t require.TestingT, p *process, n name, replica bool) {
	var all []orders.Answer
	for _, client := range clients {
		d := p.do(t, orders.Order{Do: "decide", Organization: n.organization, Key: n.key, Secret: l.secrets[n], Client: client, Replica: replica})
		require.False(t, d.Allowed, "a rule in %s that is not known opens %v to %s", l.rule.place, n, client)
		all = append(all, d)
	}
	for _, d := range all {
		require.Equal(t, "unavailable", d.Reason, "%v", n)
		require.Contains(t, d.Cause, orders.Future)
	}
}

// refusesToWrite has both versions try everything that would write over the record, and read
// it in every other way.
func (l *later) refusesToWrite(t *testing.T) {
	n := l.changed
	put := orders.Order{Do: "put", Organization: n.organization, Key: n.key, Description: "over it", Entries: pool[:1], Requirement: "required", Remembered: true}
	tries := []orders.Order{
		{Do: "read", Organization: n.organization, Key: n.key},
		{Do: "list"},
		{Do: "export", Path: t.TempDir() + "/export"},
		{Do: "apply", Change: "disable_organization", Organization: n.organization, Description: "trial"},
	}
	for _, revision := range []uint64{0, l.was.Revision} { // S6
		put.Revision = revision
		tries = append(tries, put)
	}
	if n.key != "" {
		tries[3] = orders.Order{Do: "create", Organization: n.organization, Key: n.key, Description: "trial", Entries: pool[:1]}
		for _, change := range []orders.Order{
			{Change: "disable_key"}, {Change: "rotate"}, {Change: "replace_entries", Entries: pool[:1]}, {Change: "describe"},
			{Change: "set_labels", Labels: map[string]string{"a": "b"}},
		} {
			change.Do, change.Organization, change.Key, change.Description = "apply", n.organization, n.key, "trial"
			tries = append(tries, change)
		}
	}
	for _, p := range l.each() {
		for _, try := range tries {
			a := p.ask(try)
			require.NotEmpty(t, a.Error, "%s: %s: %+v", p.name, l.rule.place, try)
			require.Equal(t, l.stored, l.get(t, n), "%s was written over by %+v of the %s one: %s", l.rule.place, try, p.name, a.Error)
		}
	}
}
