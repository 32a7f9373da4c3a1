package staletest

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store/storetest/internal/fixture"
)

// A truth is the history of a store as far as it is visible from outside: a write took
// effect at some moment between its call and its return.
type truth struct {
	bound time.Duration
	start time.Time

	mu       sync.Mutex
	tracks   map[fixture.RecordName]*track
	keys     []apikey.ID // of the tracks
	result   Result
	problems []string
}

// A track is the history of one record.
type track struct {
	current   *phase
	pending   []*phase          // called, outcome unknown
	versions  map[int]*phase    // of a key, by its version
	revisions map[uint64]*phase // of an organization
	absences  []*phase          // of a key, pending ones included
}

// A phase is a record as one write left it, or its absence. It began between called and
// known, and ended before superseded.
type phase struct {
	absent   bool
	version  int                 // of a key
	settings policy.Organization // of an organization, but for its revision
	revision uint64              // zero if unknown

	called, known, superseded time.Duration
	base                      *phase // the phase it replaces
	answered                  bool   // by a source, while pending
	dead                      bool   // did not happen
}

// is reports whether an organization is as the write left it.
func (p *phase) is(o policy.Organization) bool {
	return !p.absent && fixture.SameSettings(p.settings, o)
}

const (
	always = time.Duration(math.MinInt64 / 2)
	never  = time.Duration(math.MaxInt64 / 2)
)

func newTruth(bound time.Duration) *truth {
	return &truth{bound: bound, start: time.Now(), tracks: map[fixture.RecordName]*track{}}
}

func (t *truth) now() time.Duration { return time.Since(t.start) }

// add begins the track of an absent record.
func (t *truth) add(name fixture.RecordName) {
	t.mu.Lock()
	defer t.mu.Unlock()
	absent := &phase{absent: true, called: always, known: always, superseded: never}
	t.tracks[name] = &track{current: absent, versions: map[int]*phase{}, revisions: map[uint64]*phase{}, absences: []*phase{absent}}
	if name.Key != "" {
		t.keys = append(t.keys, name.Key)
	}
}

func (t *truth) anyKey(random *rand.Rand) apikey.ID {
	t.mu.Lock()
	defer t.mu.Unlock()
	// Later keys more often, because earlier ones may be abandoned.
	if n := len(t.keys); random.IntN(4) > 0 {
		return t.keys[n-1-random.IntN(min(n, 20))]
	}
	return t.keys[random.IntN(len(t.keys))]
}

func (t *truth) currentOf(name fixture.RecordName) *phase {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.tracks[name].current
}

// call notes a write before its call.
func (t *truth) call(name fixture.RecordName, p *phase) {
	t.mu.Lock()
	defer t.mu.Unlock()
	tr := t.tracks[name]
	p.called, p.known, p.superseded = t.now(), never, never
	tr.pending = append(tr.pending, p)
	switch {
	case p.absent:
		tr.absences = append(tr.absences, p)
	case name.Key != "":
		tr.versions[p.version] = p
	}
}

// returned notes the outcome of a write.
func (t *truth) returned(name fixture.RecordName, p *phase, o fixture.Outcome, revision uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch o {
	case fixture.Acknowledged:
		t.result.Writes++
		t.happened(name, p, revision)
	case fixture.Refused:
		if p.known == never { // nobody has read it
			t.never(name, p)
		} else {
			t.problem("a write to %v was refused, and it happened", name)
		}
	default:
		t.result.Doubts++
	}
}

// happened notes that a write took effect. Other writes to the same base are void.
func (t *truth) happened(name fixture.RecordName, p *phase, revision uint64) {
	tr := t.tracks[name]
	if p.known != never {
		return // it was read before it returned
	}
	p.known, p.revision = t.now(), revision
	if name.Key == "" && !p.absent {
		tr.revisions[revision] = p
	}
	tr.current.superseded = p.known
	tr.current = p
	tr.pending = slices.DeleteFunc(tr.pending, func(other *phase) bool { return other == p })
	for _, other := range slices.Clone(tr.pending) {
		if other.base == p.base {
			t.never(name, other)
		}
	}
}

// never notes that a write did not happen and can no longer happen.
func (t *truth) never(name fixture.RecordName, p *phase) {
	tr := t.tracks[name]
	p.dead = true
	tr.pending = slices.DeleteFunc(tr.pending, func(other *phase) bool { return other == p })
	tr.absences = slices.DeleteFunc(tr.absences, func(other *phase) bool { return other == p })
	if p.answered {
		t.problem("a source answered of %v with a write that did not happen", name)
	}
}

// readKey returns the phase of a key as read from the store. A pending write that is
// read took effect.
func (t *truth) readKey(key apikey.Key, there bool, id apikey.ID) *phase {
	t.mu.Lock()
	defer t.mu.Unlock()
	name := fixture.KeyName(id)
	tr := t.tracks[name]
	if !there {
		return t.read(name, 0, func(p *phase) bool { return p.absent })
	}
	version, problem := fixture.VersionOf(key)
	if problem != "" {
		t.problem("the store has a key %q that %s", id, problem)
	}
	if p := tr.versions[version]; p != nil && p.known != never {
		return p // another write may have replaced it since
	}
	return t.read(name, key.Revision, func(p *phase) bool { return !p.absent && p.version == version })
}

// readOrganization returns the phase of an organization as read from the store.
func (t *truth) readOrganization(o policy.Organization) *phase {
	t.mu.Lock()
	defer t.mu.Unlock()
	name := fixture.OrganizationName(o.ID)
	tr := t.tracks[name]
	if p := tr.revisions[o.Revision]; p != nil {
		return p
	}
	return t.read(name, o.Revision, func(p *phase) bool { return p != tr.current && p.is(o) })
}

func (t *truth) read(name fixture.RecordName, revision uint64, is func(*phase) bool) *phase {
	tr := t.tracks[name]
	if is(tr.current) {
		return tr.current
	}
	for _, p := range tr.pending {
		if is(p) {
			t.happened(name, p, revision)
			return p
		}
	}
	t.problem("the store has of %v what was never written, or no longer, revision %d (zero: nothing)", name, revision)
	return tr.current
}

func (t *truth) problem(format string, args ...any) {
	t.problems = append(t.problems, fmt.Sprintf(format, args...))
}

func (t *truth) failed() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.problems) > 0
}

// judge checks that an answer can have been true within the bound.
func (t *truth) judge(a answer) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if a.err != nil {
		t.result.Errors++
		return
	}
	t.result.Answers++
	what := fmt.Sprintf("source %d, asked for key %q,", a.source, a.id)
	if !a.found {
		t.judgeAbsence(what, a)
		return
	}
	key, organization := a.subject.Key(), a.subject.Organization()
	version, problem := fixture.VersionOf(key)
	if key.ID != a.id {
		problem = "is another"
	}
	if problem != "" {
		t.problem("%s answered with key %q, which %s", what, key.ID, problem)
		return
	}
	k := t.tracks[fixture.KeyName(a.id)].versions[version]
	if k == nil || k.revision > 0 && k.revision != key.Revision {
		t.problem("%s answered with version %d, revision %d, which was never written", what, version, key.Revision)
		return
	}
	if k.dead {
		t.problem("%s answered with version %d, which was never in force", what, version)
		return
	}
	k.answered = k.answered || k.known == never
	o := t.organizationOf(organization)
	if organization.ID != key.Organization || o == nil {
		t.problem("%s answered with the organization %+v, which was never written", what, organization)
		return
	}
	t.judgeAge(what+fmt.Sprintf(" answered with revision %d and the organization's %d", key.Revision, organization.Revision), a, k, o)
}

// organizationOf returns the phase of an organization, or of a pending one like it.
func (t *truth) organizationOf(o policy.Organization) *phase {
	tr := t.tracks[fixture.OrganizationName(o.ID)]
	if tr == nil {
		return nil
	}
	if p := tr.revisions[o.Revision]; p != nil {
		if !p.is(o) {
			return nil
		}
		return p
	}
	for _, p := range tr.pending {
		if p.is(o) {
			return p
		}
	}
	return nil
}

// judgeAbsence judges by the youngest possible absence. A pending absence counts only if
// no other one explains the answer; of several pending ones none is certain.
func (t *truth) judgeAbsence(what string, a answer) {
	var youngest *phase
	var pending []*phase
	for _, p := range slices.Backward(t.tracks[fixture.KeyName(a.id)].absences) {
		if p.called > a.after {
			continue
		}
		if p.known != never { // always true of the first
			youngest = p
			break
		}
		pending = append(pending, p)
	}
	if len(pending) > 0 && youngest.superseded < a.before-t.bound {
		pending[0].answered = pending[0].answered || len(pending) == 1
		return
	}
	t.judgeAge(what+" did not find it", a, youngest)
}

// judgeAge checks that all phases can have been in force at one moment within the bound.
func (t *truth) judgeAge(what string, a answer, phases ...*phase) {
	first, last := always, a.after
	for _, p := range phases {
		first, last = max(first, p.called), min(last, p.superseded)
	}
	age := max(a.before-last, 0)
	switch {
	case first > last:
		t.problem("%s, which never were there at one moment", what)
	case age > t.bound:
		t.problem("%s, which another write that had returned replaced at least %v before the call; want no answer older than %v", what, age, t.bound)
	default:
		t.result.Oldest = max(t.result.Oldest, age)
	}
}

// settled returns the keys without pending writes.
func (t *truth) settled() map[apikey.ID]bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	all := map[apikey.ID]bool{}
	for _, id := range t.keys {
		if len(t.tracks[fixture.KeyName(id)].pending) == 0 {
			all[id] = true
		}
	}
	return all
}

// differs returns how an answer differs from the current phase, or "".
func (t *truth) differs(id apikey.ID, subject policy.Subject, found bool, err error) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	want := t.tracks[fixture.KeyName(id)].current
	if err != nil {
		return err.Error()
	}
	if found == want.absent {
		return fmt.Sprintf("found %v; want %v", found, !want.absent)
	}
	if !found {
		return ""
	}
	key, organization := subject.Key(), subject.Organization()
	if key.Revision != want.revision {
		return fmt.Sprintf("revision %d; want %d", key.Revision, want.revision)
	}
	if tr := t.tracks[fixture.OrganizationName(organization.ID)]; tr == nil || len(tr.pending) == 0 && tr.current.revision != organization.Revision {
		return fmt.Sprintf("the organization %+v; want the latest", organization)
	}
	return ""
}

// report fails the test for each problem.
func (t *truth) report(tb testing.TB) Result {
	tb.Helper()
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.result.Answers == 0 {
		t.problem("no source answered: there were %d errors", t.result.Errors)
	}
	for i, p := range t.problems {
		if i == 10 {
			tb.Errorf("and %d more", len(t.problems)-i)
			break
		}
		tb.Errorf("%s", p)
	}
	return t.result
}
