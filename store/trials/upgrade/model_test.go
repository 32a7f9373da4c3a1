package upgrade_test

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/store/trials/upgrade/orders"
)

// A model knows what was written and what was decided, and finds what cannot be right. Its
// checks come when all is over: only then every answer is known.
type model struct {
	mu        sync.Mutex
	writes    map[name][]write
	decisions []decision
}

// A name is that of a key, or of an organization if key is empty.
type name struct{ organization, key string }

// A write was acknowledged.
type write struct {
	orders.Record           // as written, at its revision
	before        uint64    // revision of the record that it replaced, zero for a new one
	acknowledged  time.Time // or later
	event         bool      // it has events
	deletes       bool
}

// A decision by a worker.
type decision struct {
	of      name // a key
	by      string
	client  string
	since   time.Time // it sees what was acknowledged then
	decided orders.Answer
}

func (m *model) wrote(w write) {
	w.acknowledged = time.Now()
	m.mu.Lock()
	defer m.mu.Unlock()
	n := name{w.Organization, w.Key}
	m.writes[n] = append(m.writes[n], w)
}

func (m *model) decided(d decision) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.decisions = append(m.decisions, d)
}

// checkWrites finds lost writes: each record is what the last write made it, in the
// listings of every side, and each write replaced the one before.
func (m *model) checkWrites(t require.TestingT, listings ...[]orders.Record) {
	want := map[name]orders.Record{}
	for n, writes := range m.writes {
		slices.SortFunc(writes, func(a, b write) int { return compare(a.Revision, b.Revision) })
		var last uint64
		for _, w := range writes {
			require.Equal(t, last, w.before, "%v: the write of revision %d was lost: that of %d replaced another", n, last, w.Revision)
			last = w.Revision
		}
		if final := writes[len(writes)-1]; !final.deletes {
			want[n] = final.Record
		}
	}
	for _, listing := range listings {
		found := map[name]orders.Record{}
		for _, record := range listing {
			found[name{record.Organization, record.Key}] = record
		}
		require.ElementsMatch(t, slices.Collect(maps.Keys(want)), slices.Collect(maps.Keys(found)))
		for n, record := range want {
			record.Secrets, record.Requirement = found[n].Secrets, found[n].Requirement
			require.Equal(t, record, found[n], "%v is not as the last write made it", n)
		}
	}
}

func compare(a, b uint64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// at returns the write that made a revision of a record.
func (m *model) at(n name, revision uint64) (write, bool) {
	for _, w := range m.writes[n] {
		if w.Revision == revision {
			return w, true
		}
	}
	return write{}, false
}

// checkDecisions finds decisions that the stored records do not explain. It also finds
// decisions by records replaced earlier. It returns the number of allowed ones.
func (m *model) checkDecisions(t require.TestingT) (allowed map[name]uint64) {
	allowed = map[name]uint64{}
	for _, d := range m.decisions {
		about := fmt.Sprintf("%s decided about %v from %s: %+v", d.by, d.of, d.client, d.decided)
		require.Empty(t, d.decided.Error, about)
		owner := name{organization: d.of.organization}
		want := "unknown_key"
		if d.decided.Reason != want {
			key, ok := m.at(d.of, d.decided.KeyRevision)
			require.True(t, ok && !key.deletes, "of no write: %s", about)
			organization, ok := m.at(owner, d.decided.OrganizationRevision)
			require.True(t, ok, "of no write: %s", about)
			want = reason(key.Record, organization.Record, d.client)
		}
		require.Equal(t, want, d.decided.Reason, about)
		require.Equal(t, want == "address_listed", d.decided.Allowed, about)
		m.checkFresh(t, d.of, d.decided.KeyRevision, d.since, about)
		if d.decided.KeyRevision != 0 {
			m.checkFresh(t, owner, d.decided.OrganizationRevision, d.since, about)
		}
		if d.decided.Allowed {
			allowed[d.of]++
		}
	}
	return allowed
}

// reason is what the rules say about a key with entries.
func reason(key, organization orders.Record, client string) string {
	if key.Disabled || organization.Disabled {
		return "key_disabled"
	}
	for _, entry := range key.Entries {
		prefix, err := netip.ParsePrefix(entry)
		if !strings.Contains(entry, "/") {
			address := netip.MustParseAddr(entry)
			prefix, err = address.Prefix(address.BitLen())
		}
		if err == nil && prefix.Contains(netip.MustParseAddr(client)) {
			return "address_listed"
		}
	}
	return "address_not_listed"
}

// checkFresh: by a time every acknowledged write of a record is in force. Revision zero is
// that of an absent record.
func (m *model) checkFresh(t require.TestingT, n name, revision uint64, since time.Time, about string) {
	var last write
	for _, w := range m.writes[n] {
		if w.acknowledged.Before(since) && w.Revision > last.Revision {
			last = w
		}
	}
	if revision == 0 {
		gone := last.Revision == 0 || last.deletes || slices.ContainsFunc(m.writes[n], func(w write) bool { return w.deletes })
		require.True(t, gone, "%v was there since revision %d: %s", n, last.Revision, about)
		return
	}
	require.GreaterOrEqual(t, revision, last.Revision, "%v was written before: %s", n, about)
}

// checkEvents finds events that are missing, twice, or out of order, for each reader. Every
// write by package admin has its events, and no other.
func (m *model) checkEvents(t require.TestingT, readers ...[]orders.Event) {
	want := map[uint64]name{}
	for n, writes := range m.writes {
		for _, w := range writes {
			if w.event {
				want[w.Revision] = n
			}
		}
	}
	for _, events := range readers {
		seen := map[uint64]bool{}
		var last uint64
		ids := map[string]bool{}
		for _, event := range events {
			require.GreaterOrEqual(t, event.Revision, last, "event %s is out of order", event.ID)
			require.False(t, ids[event.ID], "event %s is there twice", event.ID)
			n, ok := want[event.Revision]
			require.True(t, ok, "event %s is of no acknowledged write", event.ID)
			require.Equal(t, n, name{event.Organization, event.Key}, "event %s", event.ID)
			last, ids[event.ID], seen[event.Revision] = event.Revision, true, true
		}
		require.Len(t, seen, len(want), "writes without their events")
		require.Equal(t, readers[0], events, "two readers read other events")
	}
}
