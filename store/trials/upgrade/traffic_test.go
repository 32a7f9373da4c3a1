package upgrade_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/store/trials/upgrade/orders"
)

// TestTraffic has both versions write, decide and count in one store at once.
func TestTraffic(t *testing.T) {
	eachSystem(t, func(t *testing.T, s system) {
		b := both(t, s)
		for _, p := range b.each() {
			p.do(t, orders.Order{Do: "follow"})
		}
		tr := newTraffic(t, b)
		for _, p := range b.each() {
			p.do(t, orders.Order{Do: "replicate"})
		}
		tr.run(20)
		tr.check(t)
		require.Positive(t, tr.conflicts.Load(), "the two sides never met")
	})
}

// TestCopies has one version write, in one process after the other, and the other decide by
// a copy that follows.
func TestCopies(t *testing.T) {
	eachSystem(t, func(t *testing.T, s system) {
		b := both(t, s)
		tr := newTraffic(t, b)
		for _, p := range b.each() {
			p.do(t, orders.Order{Do: "replicate"})
			p.do(t, orders.Order{Do: "follow"})
		}
		for i, start := range []func(*testing.T, string) *process{startOlder, startNewer} {
			follower := b.each()[1-i]
			for run := range 3 {
				writer := start(t, fmt.Sprintf("%s-%d", b.each()[i].name, run))
				writer.do(t, orders.Order{Do: "open", Address: s.address})
				for range 8 {
					tr.write(writer)
					for _, n := range tr.stable {
						tr.decide(follower, n, true)
					}
				}
				tr.comeAndGo(writer, follower, writer.name)
			}
		}
		tr.check(t)
	})
}

// Traffic is random calls of both sides.
type traffic struct {
	model
	sides
	t       *testing.T
	others  []*process // that have decided, too
	secrets map[name]string
	stable  []name // keys that stay
	tokens  atomic.Int64

	conflicts atomic.Int64
	problems  problems

	// The function then is called after a number of tries to write. From then on writes may be refused, as
	// those of a program that is too old.
	tries, when atomic.Int64
	then        func()
	mayRefuse   atomic.Bool
	refused     atomic.Int64
}

// problems are unexpected answers; a goroutine cannot end the test.
type problems struct {
	mu    sync.Mutex
	first []string
}

func (p *problems) add(format string, arguments ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.first) < 10 {
		p.first = append(p.first, fmt.Sprintf(format, arguments...))
	}
}

var organizations = []string{"acme", "globex"}

// pool has the entries of lists, and clients the addresses of callers.
var (
	pool    = []string{"192.0.2.1", "192.0.2.2", "198.51.100.0/24", "203.0.113.0/25", "203.0.113.200"}
	clients = []string{"192.0.2.1", "192.0.2.2", "198.51.100.7", "203.0.113.7", "203.0.113.200", "192.0.2.3"}
)

// newTraffic makes the organizations and their keys, some by each side.
func newTraffic(t *testing.T, b sides) *traffic {
	tr := &traffic{model: model{writes: map[name][]write{}}, sides: b, t: t, secrets: map[name]string{}}
	for i, organization := range organizations {
		p := b.each()[i%2]
		a := p.do(t, orders.Order{Do: "apply", Change: "create_organization", Organization: organization, Description: "trial", Requirement: "required"})
		tr.wrote(write{Record: orders.Record{Organization: organization, Revision: a.Revision}, event: true})
		for k := range 4 {
			n := name{organization, fmt.Sprintf("%s-%d", organization, k)}
			tr.secrets[n] = tr.create(b.each()[k%2], n)
			tr.stable = append(tr.stable, n)
		}
	}
	require.Empty(t, tr.problems.first)
	return tr
}

func (tr *traffic) token() string { return fmt.Sprint("token ", tr.tokens.Add(1)) }

// isRefused reports whether a write was refused because the process is too old, and may be.
func (tr *traffic) isRefused(a orders.Answer) bool {
	if a.Kind != orders.Newer || !tr.mayRefuse.Load() {
		return false
	}
	tr.refused.Add(1)
	return true
}

// insist has an order done that others may get in the way of.
func insist(p *process, order orders.Order) (a orders.Answer) {
	for range 100 {
		if a = p.ask(order); a.Kind != orders.Conflict {
			break
		}
	}
	return a
}

// create creates a key, and returns its secret.
func (tr *traffic) create(p *process, n name) (secret string) {
	record := orders.Record{Organization: n.organization, Key: n.key, Description: tr.token(), Entries: someEntries()}
	a := insist(p, orders.Order{Do: "create", Organization: n.organization, Key: n.key, Description: record.Description, Entries: record.Entries})
	if a.Error != "" {
		if !tr.isRefused(a) {
			tr.problems.add("%s: creating %v: %s", p.name, n, a.Error)
		}
		return ""
	}
	record.Revision = a.Revision
	tr.wrote(write{Record: record, event: true})
	return a.Secret
}

// someEntries returns some of the pool, in its order.
func someEntries() (entries []string) {
	for len(entries) == 0 {
		for _, entry := range pool {
			if rand.IntN(2) == 0 {
				entries = append(entries, entry)
			}
		}
	}
	return entries
}

// run writes in each process by two goroutines and decides by two, and has keys come and go.
func (tr *traffic) run(rounds int) {
	var writers, deciders sync.WaitGroup
	var done atomic.Bool
	for i, p := range tr.each() {
		for range 2 {
			writers.Go(func() {
				for range rounds {
					tr.write(p)
				}
			})
			deciders.Go(func() {
				for !done.Load() {
					tr.decide(p, tr.stable[rand.IntN(len(tr.stable))], rand.IntN(2) == 0)
				}
			})
		}
		writers.Go(func() {
			for range rounds / 3 {
				tr.comeAndGo(p, tr.each()[1-i], fmt.Sprint("guest-", tr.tokens.Add(1)))
			}
		})
	}
	writers.Wait()
	done.Store(true)
	deciders.Wait()
}

// write reads a record by a process, and changes it on the condition that nobody else did.
func (tr *traffic) write(p *process) {
	if tr.tries.Add(1) == tr.when.Load() {
		tr.then()
	}
	n := tr.stable[rand.IntN(len(tr.stable))]
	if rand.IntN(6) == 0 {
		n.key = ""
	}
	a := p.ask(orders.Order{Do: "read", Organization: n.organization, Key: n.key})
	if a.Error != "" {
		tr.problems.add("%s: reading %v: %s", p.name, n, a.Error)
		return
	}
	w := write{Record: a.Records[0], before: a.Records[0].Revision, event: rand.IntN(2) == 0}
	order := orders.Order{Do: "put", Organization: n.organization, Key: n.key, Revision: w.before, Requirement: w.Requirement}
	if w.event {
		order.Do, order.Change = "apply", tr.randomChange(&w.Record)
		order.Labels = w.Labels
	} else {
		w.Description, w.Disabled = tr.token(), rand.IntN(3) == 0
		if n.key != "" {
			w.Entries = someEntries()
		}
	}
	order.Description, order.Disabled, order.Entries = w.Description, w.Disabled, w.Entries
	if order.Change == "disable_key" || order.Change == "enable_key" || order.Change == "set_labels" {
		order.Entries = nil
	}
	if order.Do == "apply" && order.Description == "" {
		order.Description = "trial"
	}
	switch a := p.ask(order); {
	case a.Error == "":
		w.Revision = a.Revision
		tr.wrote(w)
	case a.Kind == orders.Conflict:
		tr.conflicts.Add(1)
	case tr.isRefused(a):
	default:
		tr.problems.add("%s: %+v: %s", p.name, order, a.Error)
	}
}

// randomChange changes a record as the change of package admin that it returns.
func (tr *traffic) randomChange(r *orders.Record) string {
	switch {
	case r.Key == "" && r.Disabled:
		r.Disabled = false
		return "enable_organization"
	case r.Key == "":
		r.Disabled = true
		return "disable_organization"
	}
	switch rand.IntN(4) {
	case 0:
		r.Labels = map[string]string{"team": fmt.Sprint("t", tr.tokens.Add(1))}
		return "set_labels"
	case 1:
		before := r.Entries
		for slices.Equal(before, r.Entries) {
			r.Entries = someEntries()
		}
		return "replace_entries"
	case 2:
		r.Description = tr.token()
		return "describe"
	}
	if r.Disabled {
		r.Disabled = false
		return "enable_key"
	}
	r.Disabled = true
	return "disable_key"
}

// decide has a process decide about a key: by its store, or by its copy, which is brought up
// to date before now and then.
func (tr *traffic) decide(p *process, n name, replica bool) decision {
	d := decision{of: n, by: p.name, client: clients[rand.IntN(len(clients))], since: time.Now()}
	if replica {
		d.by += "'s copy"
		if rand.IntN(2) == 0 {
			if a := p.ask(orders.Order{Do: "sync"}); a.Error != "" {
				tr.problems.add("%s: sync: %s", p.name, a.Error)
			}
		} else {
			d.since = d.since.Add(-5 * time.Second) // replica.DefaultMaxStaleness
		}
	}
	d.decided = p.ask(orders.Order{Do: "decide", Organization: n.organization, Key: n.key, Secret: tr.secrets[n], Client: d.client, Replica: replica})
	tr.decided(d)
	return d
}

// comeAndGo has one process create a key and delete it again, while the other decides.
func (tr *traffic) comeAndGo(p, other *process, key string) {
	n := name{organizations[rand.IntN(len(organizations))], key}
	secret := tr.create(p, n)
	if secret == "" {
		return
	}
	decide := func(replica bool) {
		d := decision{of: n, by: other.name, client: clients[rand.IntN(len(clients))], since: time.Now()}
		if replica {
			if a := other.ask(orders.Order{Do: "sync"}); a.Error != "" {
				tr.problems.add("%s: sync: %s", other.name, a.Error)
			}
		}
		d.decided = other.ask(orders.Order{Do: "decide", Organization: n.organization, Secret: secret, Key: n.key, Client: d.client, Replica: replica})
		tr.decided(d)
	}
	decide(false)
	decide(true)
	tr.mu.Lock()
	created := tr.writes[n][0].Record
	tr.mu.Unlock()
	w := write{Record: created, before: created.Revision, event: true, deletes: true}
	a := insist(p, orders.Order{Do: "apply", Change: "delete_key", Organization: n.organization, Key: n.key, Revision: created.Revision, Description: "trial"})
	if tr.isRefused(a) {
		return
	}
	if a.Error != "" {
		tr.problems.add("%s: deleting %v: %s", p.name, n, a.Error)
		return
	}
	w.Revision = a.Events[0].Revision
	tr.wrote(w)
	decide(false)
	decide(true)
}

// check finds everything that was lost or opened.
func (tr *traffic) check(t *testing.T) {
	require.Empty(t, tr.problems.first)
	allowed := tr.checkDecisions(t)
	var listings [][]orders.Record
	var events [][]orders.Event
	for _, p := range tr.each() {
		listings = append(listings, p.do(t, orders.Order{Do: "list"}).Records)
		all := p.do(t, orders.Order{Do: "events"}).Events
		events = append(events, all, p.do(t, orders.Order{Do: "followed", Count: len(all)}).Events)
	}
	for _, p := range slices.Concat(tr.each(), tr.others) {
		p.do(t, orders.Order{Do: "flush"})
	}
	tr.checkWrites(t, listings...)
	tr.checkEvents(t, events...)
	for _, n := range tr.stable {
		for _, p := range tr.each() {
			require.Equal(t, allowed[n], p.do(t, orders.Order{Do: "usage", Key: n.key}).Count, "%s: the calls served with %v", p.name, n)
		}
	}
	writes, total := 0, uint64(0)
	for _, all := range tr.writes {
		writes += len(all)
	}
	for _, n := range allowed {
		total += n
	}
	require.Positive(t, total)
	t.Logf("%d writes, %d conflicts, %d events, %d decisions of which %d allowed", writes, tr.conflicts.Load(), len(events[0]), len(tr.decisions), total)
}
