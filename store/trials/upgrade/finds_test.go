package upgrade_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/store/trials/upgrade/orders"
)

// findings are the failures of checks. FailNow ends them by a panic.
type findings []string

func (f *findings) Errorf(format string, args ...any) { *f = append(*f, fmt.Sprintf(format, args...)) }
func (f *findings) FailNow()                          { panic(f) }

// found returns what a check says.
func found(check func(t require.TestingT)) string {
	var f findings
	func() {
		defer func() {
			if value := recover(); value != nil && value != any(&f) {
				panic(value)
			}
		}()
		check(&f)
	}()
	return strings.Join(f, "\n")
}

// TestModelFinds: whatever the trials check is found if it happens.
func TestModelFinds(t *testing.T) {
	key, owner := name{"acme", "k"}, name{organization: "acme"}
	began := time.Now()
	for want, spoil := range map[string]func(m *model, listing *[]orders.Record, events *[]orders.Event){
		"": func(*model, *[]orders.Record, *[]orders.Event) {},
		"that of 6 replaced another": func(m *model, _ *[]orders.Record, _ *[]orders.Event) {
			m.writes[key][2].before = 2 // it did not see the write before
		},
		"is not as the last write made it": func(_ *model, listing *[]orders.Record, _ *[]orders.Event) { (*listing)[1].Description = "older" },
		"elements differ":                  func(_ *model, listing *[]orders.Record, _ *[]orders.Event) { *listing = (*listing)[:1] },
		"expected: \"address_not_listed\"": func(m *model, _ *[]orders.Record, _ *[]orders.Event) {
			m.decisions[0].decided.KeyRevision = 4 // the list was another one
		},
		"of no write": func(m *model, _ *[]orders.Record, _ *[]orders.Event) { m.decisions[0].decided.KeyRevision = 99 },
		"was written before": func(m *model, _ *[]orders.Record, _ *[]orders.Event) {
			m.decisions[0].since = m.writes[key][2].acknowledged.Add(time.Nanosecond)
			m.decisions[0].decided.KeyRevision = 2
		},
		"was there since revision 6": func(m *model, _ *[]orders.Record, _ *[]orders.Event) {
			m.decisions = append(m.decisions, decision{of: key, since: time.Now(), decided: orders.Answer{Reason: "unknown_key"}})
		},
		"expected: true": func(m *model, _ *[]orders.Record, _ *[]orders.Event) { // a denial that let pass
			m.decisions[0].decided.Allowed = false
		},
		"expected: \"address_listed\"": func(m *model, _ *[]orders.Record, _ *[]orders.Event) {
			m.decisions[0].decided = orders.Answer{Reason: "unavailable", KeyRevision: 2, OrganizationRevision: 1}
		},
		"writes without their events": func(_ *model, _ *[]orders.Record, events *[]orders.Event) { *events = (*events)[1:] },
		"is there twice":              func(_ *model, _ *[]orders.Record, events *[]orders.Event) { *events = append(*events, (*events)[2]) },
		"is out of order":             func(_ *model, _ *[]orders.Record, events *[]orders.Event) { slices.Reverse(*events) },
		"is of no acknowledged write": func(_ *model, _ *[]orders.Record, events *[]orders.Event) { (*events)[2].Revision = 99 },
		"other events":                func(_ *model, _ *[]orders.Record, events *[]orders.Event) { (*events)[0].Document = "{}" },
	} {
		m := model{writes: map[name][]write{}}
		organization := orders.Record{Organization: "acme", Revision: 1}
		m.wrote(write{Record: organization, event: true})
		record := orders.Record{Organization: "acme", Key: "k", Revision: 2, Description: "first", Entries: []string{"192.0.2.1"}}
		m.wrote(write{Record: record, event: true})
		second := record
		second.Revision, second.Entries = 4, []string{"192.0.2.9"}
		m.wrote(write{Record: second, before: 2})
		third := record
		third.Revision, third.Description = 6, "last"
		m.wrote(write{Record: third, before: 4, event: true})
		m.decided(decision{of: key, by: "older", client: "192.0.2.1", since: began, decided: orders.Answer{
			Allowed: true, Reason: "address_listed", KeyRevision: 2, OrganizationRevision: 1}})
		listing := []orders.Record{organization, third}
		events := []orders.Event{
			{ID: "1-0", Revision: 1, Organization: "acme"}, {ID: "2-0", Revision: 2, Organization: "acme", Key: "k"},
			{ID: "6-0", Revision: 6, Organization: "acme", Key: "k"},
		}
		sound := slices.Clone(events)
		require.Len(t, m.writes[owner], 1)
		spoil(&m, &listing, &events)
		said := found(func(t require.TestingT) { m.checkWrites(t, listing) }) +
			found(func(t require.TestingT) { m.checkDecisions(t) }) +
			found(func(t require.TestingT) { m.checkEvents(t, sound, events) })
		if want == "" {
			require.Empty(t, said)
		} else {
			require.Contains(t, said, want)
		}
	}
}

// TestCarelessVersionIsFound: a version that ignores what it does not know opens keys, and the
// trial of later records finds it.
func TestCarelessVersionIsFound(t *testing.T) {
	s := newSQLite(t)
	b := both(t, s)
	l := newLater(t, s, b)
	b.older.do(t, orders.Order{Do: "break"})
	for _, rule := range rules {
		l.add(rule)
		require.Contains(t, found(l.unavailable), "a rule in "+rule.place+" that is not known opens", rule.place)
		l.take()
	}
}
