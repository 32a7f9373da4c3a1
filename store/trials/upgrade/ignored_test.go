package upgrade_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/store/trials/upgrade/orders"
)

// TestLaterMetadata has a later release put metadata into records. No decision depends on
// it, so both versions go on with the record. They keep the metadata whatever they write.
func TestLaterMetadata(t *testing.T) {
	eachSystem(t, func(t *testing.T, s system) {
		b := both(t, s)
		l := newLater(t, s, b)
		added := object{orders.Future + "Owner": object{"team": "billing", "pages": []any{json.Number("1"), "<two>", nil}}, "zone": "eu"}
		for _, key := range []bool{true, false} {
			l.add(rule{"metadata", key, func(d object) {
				metadata, _ := d["metadata"].(object)
				if metadata == nil {
					metadata = object{}
				}
				for name, value := range added {
					metadata[name] = value
				}
				d["metadata"] = metadata
			}, nil})
			l.decideAll()
			for i, p := range b.each() {
				for _, write := range l.writesOver(l.changed, i) {
					write(p)
					kept := parse[object](t, l.get(t, l.changed))["metadata"]
					require.Subset(t, kept, added, "a write of %v by the %s one", l.changed, p.name)
					l.decideAll()
				}
			}
		}
		l.checkMove(t, added)
		l.check(t)
	})
}

// writesOver are all kinds of writes of a record, the i-th time.
func (l *later) writesOver(n name, i int) (all []func(p *process)) {
	write := func(o orders.Order, change func(r *orders.Record)) func(p *process) {
		return func(p *process) {
			stored := p.do(l.t, orders.Order{Do: "read", Organization: n.organization, Key: n.key}).Records[0]
			w := write{Record: stored, before: stored.Revision, event: o.Change != ""}
			change(&w.Record)
			o.Organization, o.Key, o.Revision = n.organization, n.key, stored.Revision
			if o.Description = w.Description; o.Description == "" {
				o.Description = "trial"
			}
			if w.Requirement != "" && o.Change == "" {
				o.Requirement, o.Entries, o.Disabled = w.Requirement, w.Entries, w.Disabled
			} else if o.Change == "" {
				o.Entries, o.Disabled = w.Entries, w.Disabled
			}
			a := p.do(l.t, o)
			w.Revision = a.Revision
			if a.Secret != "" {
				l.secrets[n] = a.Secret
			}
			l.wrote(w)
		}
	}
	put := write(orders.Order{Do: "put"}, func(r *orders.Record) { r.Description = l.token() })
	if n.key == "" {
		return append(all, put,
			write(orders.Order{Do: "apply", Change: "disable_organization"}, func(r *orders.Record) { r.Disabled = true }),
			write(orders.Order{Do: "apply", Change: "enable_organization"}, func(r *orders.Record) { r.Disabled = false }))
	}
	labels, entries := map[string]string{"team": fmt.Sprint("team ", i)}, pool[i:i+2]
	return append(all, put,
		write(orders.Order{Do: "apply", Change: "set_labels", Labels: labels}, func(r *orders.Record) { r.Labels = labels }),
		write(orders.Order{Do: "apply", Change: "replace_entries", Entries: entries}, func(r *orders.Record) { r.Entries = entries }),
		write(orders.Order{Do: "apply", Change: "disable_key"}, func(r *orders.Record) { r.Disabled = true }),
		write(orders.Order{Do: "apply", Change: "enable_key"}, func(r *orders.Record) { r.Disabled = false }),
		write(orders.Order{Do: "apply", Change: "set_labels"}, func(r *orders.Record) { r.Labels = nil }))
}

// checkMove exports by the older version and imports into another store: the metadata moves.
func (l *later) checkMove(t *testing.T, added object) {
	path := filepath.Join(t.TempDir(), "export")
	l.older.do(t, orders.Order{Do: "export", Path: path})
	file, err := os.ReadFile(path)
	require.NoError(t, err)
	for name := range added {
		require.Contains(t, string(file), `"`+name+`"`)
	}
	to := newSQLite(t)
	other := startOlder(t, "other")
	other.do(t, orders.Order{Do: "open", Address: to.address})
	other.do(t, orders.Order{Do: "import", Path: path})
	other.do(t, orders.Order{Do: "verify", Path: path})
	for _, n := range []name{l.stable[0], {organization: l.stable[0].organization}} {
		require.Subset(t, parse[object](t, to.raw(t).get(t, n))["metadata"], added, n)
	}
}

// TestLaterEvents has a later release write events with more in them. They change no
// decision: the older version reads them, with everything in them, and writes its own.
func TestLaterEvents(t *testing.T) {
	eachSystem(t, func(t *testing.T, s system) {
		b := both(t, s)
		l := newLater(t, s, b)
		n := l.stable[0]
		describe := func(p *process) {
			r := p.do(t, orders.Order{Do: "read", Key: n.key}).Records[0]
			w := write{Record: r, before: r.Revision, event: true}
			w.Description = l.token()
			w.Revision = p.do(t, orders.Order{Do: "apply", Change: "describe", Organization: n.organization, Key: n.key, Description: w.Description}).Revision
			l.wrote(w)
		}
		describe(b.newer)
		events := l.events(t)
		for _, event := range events {
			event[orders.Future+"Ticket"] = object{"id": 7}
			event["type"], event["via"] = "key.teleported", "teleporter"
		}
		l.changed = n
		l.written(l.edit(t, n, func(d object) {}, events...))
		last := l.writes[n]
		last[len(last)-1].event = true
		describe(b.older)
		all := b.older.do(t, orders.Order{Do: "events"}).Events
		event := all[len(all)-2]
		require.Equal(t, "key.teleported", event.Type)
		require.JSONEq(t, `{"id":7}`, printed(t, parse[object](t, event.Document)[orders.Future+"Ticket"]))
		require.Equal(t, "teleporter", parse[object](t, event.Document)["via"])
		// A reader that begins now reads the same.
		reader := startOlder(t, "reader")
		reader.do(t, orders.Order{Do: "open", Address: s.address})
		reader.do(t, orders.Order{Do: "follow"})
		l.checkEvents(t, all, b.older.do(t, orders.Order{Do: "followed", Count: len(all)}).Events, reader.do(t, orders.Order{Do: "followed", Count: len(all)}).Events, b.newer.do(t, orders.Order{Do: "events"}).Events)
	})
}

// TestLaterUsage has a later release count something else. The older version does not write
// over it and goes on deciding; what it counts meanwhile it writes when it can.
func TestLaterUsage(t *testing.T) {
	eachSystem(t, func(t *testing.T, s system) {
		b := both(t, s)
		l := newLater(t, s, b)
		for _, p := range b.each() {
			for _, n := range l.stable { // each key has usage
				record := p.do(t, orders.Order{Do: "read", Key: n.key}).Records[0]
				d := decision{of: n, by: p.name, client: clients[0]}
				for _, client := range clients {
					if reason(record, orders.Record{}, client) == "address_listed" {
						d.client = client
					}
				}
				d.decided = p.do(t, orders.Order{Do: "decide", Organization: n.organization, Key: n.key, Secret: l.secrets[n], Client: d.client})
				require.True(t, d.decided.Allowed)
				l.decided(d)
			}
			p.do(t, orders.Order{Do: "flush"})
		}
		n, other := l.stable[0], l.stable[1]
		l.editUsage(t, n.key, func(d object) { d[orders.Future+"Bytes"] = 12345 })
		stored := l.usage(t, n.key)
		l.decideAll()
		require.Contains(t, b.older.ask(orders.Order{Do: "usage", Key: n.key}).Error, orders.Future)
		// Batches get smaller, until the key is alone in its own and holds up no other.
		want := l.checkDecisions(t)[other]
		l.eventually(t, "the calls of another key are not counted", func() bool {
			for _, p := range b.each() {
				require.Contains(t, p.ask(orders.Order{Do: "flush"}).Error, orders.Future)
			}
			return b.older.do(t, orders.Order{Do: "usage", Key: other.key}).Count == want
		})
		require.Equal(t, stored, l.usage(t, n.key))
		l.editUsage(t, n.key, func(d object) { delete(d, orders.Future+"Bytes") })
		l.check(t)
	})
}
