package upgrade_test

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/store/trials/upgrade/orders"
)

// Tables are the version of a store's tables, or of its layout, and the oldest versions of
// programs that may read and write them.
type tables struct{ version, readableFrom, writableFrom int }

// stages returns the tables of three later releases. The first only adds to them. Earlier
// programs may not write those of the second, and not even read those of the third.
func (t tables) stages() (expanded, notWritable, notReadable tables) {
	v := t.version
	return tables{v + 1, t.readableFrom, t.writableFrom}, tables{v + 2, t.readableFrom, v + 2}, tables{v + 3, v + 3, v + 3}
}

// TestLaterTables has later releases migrate a store in use, stage by stage, and go back.
func TestLaterTables(t *testing.T) {
	eachSystem(t, func(t *testing.T, s system) {
		l := newLater(t, s, both(t, s))
		known := l.tables(t)
		expanded, notWritable, notReadable := known.stages()

		l.migrate(t, expanded)
		l.goesOn(t)
		l.reopened(s, func() { l.goesOn(t) })

		l.migrate(t, notWritable)
		l.decideAll()
		l.refusesWrites(t)
		l.reopened(s, func() { l.decideAll(); l.refusesWrites(t) })
		l.decideAll()

		l.migrate(t, notReadable)
		l.refusesAll(t)
		for _, p := range []*process{startOlder(t, "late"), startNewer(t, "late")} {
			for _, do := range []string{"open", "migrate"} {
				a := p.ask(orders.Order{Do: do, Address: s.address})
				require.Equal(t, orders.Newer, a.Kind, "%s: %s", do, a.Error)
			}
		}

		l.goBack(t, known)
		l.recovers(t)
		l.goesOn(t)
		l.check(t)
	})
}

// TestMigrationUnderTraffic has a later release migrate while both versions write and decide:
// no call fails. Then comes one for which they may not write: no decision fails.
func TestMigrationUnderTraffic(t *testing.T) {
	eachSystem(t, func(t *testing.T, s system) {
		l := newLater(t, s, both(t, s))
		known := l.tables(t)
		expanded, notWritable, _ := known.stages()
		l.then = func() { l.migrate(t, expanded) }
		l.when.Store(30)
		l.run(20)
		require.Empty(t, l.problems.first)

		l.then = func() { l.mayRefuse.Store(true); l.migrate(t, notWritable) }
		l.when.Store(l.tries.Load() + 30)
		l.run(20)
		require.Positive(t, l.refused.Load(), "no write was refused")
		l.goBack(t, known) // to write the usage
		l.check(t)
	})
}

// TestLyingTablesAreFound: tables that forbid less than they should are found.
func TestLyingTablesAreFound(t *testing.T) {
	t.Run("without a column that older versions need", func(t *testing.T) {
		s := newSQLite(t)
		l := newLater(t, s, both(t, s))
		expanded, _, _ := l.tables(t).stages()
		l.migrate(t, expanded)
		_, err := l.raw.(rawSQLite).ExecContext(t.Context(), `ALTER TABLE keys RENAME COLUMN record TO document`)
		require.NoError(t, err)
		l.decide(l.older, l.stable[0], false)
		require.Contains(t, found(func(t require.TestingT) { l.checkDecisions(t) }), "of no write")
		for range 10 {
			l.write(l.older)
		}
		require.NotEmpty(t, l.problems.first)
	})
	t.Run("with a list that is kept elsewhere", func(t *testing.T) {
		s := newSQLite(t)
		l := newLater(t, s, both(t, s))
		l.add(rule{"a list elsewhere", true, func(d object) { d["accessList"] = []any{} }, nil})
		l.decide(l.older, l.stable[0], false)
		require.Contains(t, found(func(t require.TestingT) { l.checkDecisions(t) }), "open_list")
	})
}

// goesOn has both sides write, and decide about everything.
func (l *later) goesOn(t require.TestingT) {
	for i, p := range l.each() {
		for range 10 {
			l.write(p)
		}
		l.comeAndGo(p, l.each()[1-i], fmt.Sprint("guest-", l.tokens.Add(1)))
	}
	l.decideAll()
	require.Empty(t, l.problems.first)
}

// reopened goes on with processes that have opened the store just now.
func (l *later) reopened(s system, do func()) {
	before := l.sides
	defer func() { l.sides = before }()
	l.sides = sides{startOlder(l.t, "older-again"), startNewer(l.t, "newer-again")}
	for _, p := range l.each() {
		p.do(l.t, orders.Order{Do: "migrate", Address: s.address}) // finds nothing to do
		p.do(l.t, orders.Order{Do: "open", Address: s.address})
		p.do(l.t, orders.Order{Do: "replicate"})
	}
	l.others = append(l.others, l.each()...)
	do()
}

// refusesWrites: nothing is written, and everything is read as before.
func (l *later) refusesWrites(t *testing.T) {
	n := l.stable[0]
	for _, p := range l.each() {
		before := p.do(t, orders.Order{Do: "list"}).Records
		events := len(p.do(t, orders.Order{Do: "events"}).Events)
		stored := p.do(t, orders.Order{Do: "read", Key: n.key}).Records[0]
		p.do(t, orders.Order{Do: "export", Path: filepath.Join(t.TempDir(), "export")})
		for _, order := range []orders.Order{
			{Do: "put", Key: n.key, Revision: stored.Revision, Entries: pool},
			{Do: "put", Organization: "new", Requirement: "required"},
			{Do: "apply", Change: "rotate", Organization: n.organization, Key: n.key, Description: "trial"},
			{Do: "create", Organization: n.organization, Key: "new", Description: "trial", Entries: pool},
			{Do: "load", Organization: n.organization, Key: "new", Count: 3, Entries: pool},
			{Do: "delete", Key: n.key},
			{Do: "flush"},
			{Do: "forget"},
		} {
			a := p.ask(order)
			require.Equal(t, orders.Newer, a.Kind, "%s: %+v: %s", p.name, order, a.Error)
		}
		require.Equal(t, before, p.do(t, orders.Order{Do: "list"}).Records)
		require.Len(t, p.do(t, orders.Order{Do: "events"}).Events, events)
	}
}

// refusesAll: nothing is decided and nothing is read, by a copy from its bound on.
func (l *later) refusesAll(t *testing.T) {
	for _, p := range l.each() {
		for _, n := range l.stable {
			d := p.do(t, orders.Order{Do: "decide", Organization: n.organization, Key: n.key, Secret: l.secrets[n], Client: clients[0]})
			require.Equal(t, "unavailable", d.Reason)
			require.False(t, d.Allowed)
		}
		for _, order := range []orders.Order{
			{Do: "read", Key: l.stable[0].key}, {Do: "list"}, {Do: "events"}, {Do: "usage", Key: l.stable[0].key},
			{Do: "export", Path: filepath.Join(t.TempDir(), "export")},
		} {
			a := p.ask(order)
			require.Equal(t, orders.Newer, a.Kind, "%s: %+v: %s", p.name, order, a.Error)
		}
		l.eventually(t, "the copy of the "+p.name+" one decides", func() bool {
			d := decision{of: l.stable[0], by: p.name, client: clients[0], since: time.Now().Add(-5 * time.Second)}
			d.decided = p.do(t, orders.Order{Do: "decide", Organization: d.of.organization, Key: d.of.key, Secret: l.secrets[d.of], Client: d.client, Replica: true})
			if d.decided.Reason == "unavailable" {
				return true
			}
			l.decided(d)
			return false
		})
	}
}

// recovers waits until the copies follow again, and begins to follow the events.
func (l *later) recovers(t *testing.T) {
	for _, p := range l.each() {
		l.eventually(t, "the copy of the "+p.name+" one is away", func() bool { return p.ask(orders.Order{Do: "sync"}).Error == "" })
		p.do(t, orders.Order{Do: "follow"})
	}
}

// eventually waits for something that takes some seconds.
func (l *later) eventually(t *testing.T, otherwise string, happens func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !happens(); time.Sleep(10 * time.Millisecond) {
		require.True(t, time.Now().Before(deadline), otherwise)
	}
}
