package admin

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/internal/plain"
)

// A Preview is what changes would do.
type Preview struct {
	// Token stands for the changes, the actor, the revisions behind the preview, and the keys
	// in each finding in the way. Apply refuses it if they differ by then.
	Token string `json:"token"`

	Findings []Finding `json:"findings"`

	// Keys are those whose answer changes, at most MaxListed. Others are only counted.
	Keys     []KeyEffect `json:"keys"`
	Totals   Totals      `json:"totals"`
	Evidence Evidence    `json:"evidence"`

	// Suspension is the running suspension that the changes end, shorten or prolong. It is nil
	// if they do not, or if none is running.
	Suspension *MovedSuspension `json:"suspension,omitempty"`
}

// A MovedSuspension is a running suspension of the requirement with another end.
type MovedSuspension struct {
	Was  time.Time `json:"was"`           // its end before the changes
	Will time.Time `json:"will,omitzero"` // its end after them; zero: it ends now
}

// String returns a sentence with both ends.
func (m MovedSuspension) String() string {
	switch {
	case m.Will.IsZero():
		return fmt.Sprintf("The suspension until %s ends now.", shown(m.Was))
	case m.Will.Before(m.Was):
		return fmt.Sprintf("The suspension until %s ends earlier, at %s.", shown(m.Was), shown(m.Will))
	}
	return fmt.Sprintf("The suspension until %s is prolonged until %s.", shown(m.Was), shown(m.Will))
}

// Needs returns the kinds of findings in the way, each once. To go ahead, accept each of them
// by name. Some cannot be accepted: see [Finding.Acceptable].
func (p Preview) Needs() []Kind {
	var kinds []Kind
	for _, finding := range p.Findings {
		if finding.Refuses && !slices.Contains(kinds, finding.Kind) {
			kinds = append(kinds, finding.Kind)
		}
	}
	return kinds
}

// Preview judges changes as a whole, and each step that Apply makes of them. It writes
// nothing (rules M1, M15, M26). The keys and totals are those of the whole; a finding of a
// step alone begins with "After 1 of 2 changes". Findings in the
// way are no error here: errors are those of [Admin.Apply] without Changed and Refused.
func (a *Admin) Preview(ctx context.Context, actor Actor, organization string, changes ...Change) (Preview, error) {
	p, err := a.plan(ctx, actor, actor.request, organization, changes)
	if err != nil {
		a.notMade(ctx, actor, organization, changes, err)
		return Preview{}, err
	}
	preview := p.preview()
	a.observe(ctx, Notice{Kind: Previewed, Actor: actor, Organization: organization, Changes: changes, Findings: preview.Findings})
	return preview, nil
}

// preview returns the result of the plan. Lists are never nil: in JSON an empty one is [].
func (p *plan) preview() Preview {
	return Preview{
		Token:    p.token(),
		Findings: listed(slices.Clone(p.findings)),
		Keys:     listed(slices.Clone(p.judge.effects)),
		Totals:   p.judge.totals,
		Evidence: p.judge.evidence,

		Suspension: p.movedSuspension(),
	}
}

// movedSuspension returns the running suspension with its new end, nil if it keeps its end.
func (p *plan) movedSuspension() *MovedSuspension {
	if p.before == nil || p.after == nil || !isSuspended(p.before, p.now) || p.before.SuspendedUntil.Equal(p.after.SuspendedUntil) {
		return nil
	}
	return &MovedSuspension{Was: p.before.SuspendedUntil.UTC(), Will: p.after.SuspendedUntil.UTC()}
}

const tokenLength = 32 // hexadecimal digits

// token is a hash of everything behind the preview (rule M17), and of the keys in each finding
// in the way: acceptance holds for no other key. The store's revision is not in it, nor is
// usage: unrelated writes, and usage without a new finding, do not make it stale.
func (p *plan) token() string {
	h := sha256.New()
	for _, change := range p.changes {
		hashAll(h, change.identity()...)
	}
	hashAll(h, p.actor.identity()...)
	hashAll(h, p.organization)
	if p.before != nil {
		hashRevision(h, p.before.Revision)
	}
	for _, k := range p.keys {
		if k.before != nil {
			hashAll(h, string(k.id))
			hashRevision(h, k.before.Revision)
		}
	}
	h.Write(p.judge.listed.Sum(nil))
	for _, step := range p.between {
		for _, id := range slices.Sorted(maps.Keys(step.listed)) {
			hashAll(h, string(id))
			hashRevision(h, step.listed[id])
		}
	}
	for _, f := range p.findings { // what is accepted (rule M22)
		if f.Refuses {
			hashAll(h, string(f.Kind))
			hashAll(h, names(f.Keys)...)
			hashRevision(h, uint64(f.Count))
		}
	}
	return hex.EncodeToString(h.Sum(nil)[:tokenLength/2])
}

func names(ids []apikey.ID) (all []string) {
	for _, id := range ids {
		all = append(all, string(id))
	}
	return all
}

// hashAll hashes texts with their lengths.
func hashAll(h hash.Hash, texts ...string) {
	hashRevision(h, uint64(len(texts)))
	for _, text := range texts {
		hashRevision(h, uint64(len(text)))
		h.Write([]byte(text))
	}
}

func hashRevision(h hash.Hash, revision uint64) {
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], revision)
	h.Write(b[:])
}

// A NoticeKind is the kind of a [Notice].
type NoticeKind string

// The kinds.
const (
	Previewed   NoticeKind = "previewed"    // a preview
	NotMade     NoticeKind = "not_made"     // a change that was refused or failed
	UsageUnread NoticeKind = "usage_unread" // usage that could not be read: classes are unknown
	EventsLost  NoticeKind = "events_lost"  // events that the function of WithEvents did not take
)

// A Notice is for an observer. It is not stored.
type Notice struct {
	Kind         NoticeKind
	Actor        Actor
	Organization string
	Changes      []Change
	Findings     []Finding
	Err          error // nil for a preview
}

// LogValue implements [slog.LogValuer].
func (n Notice) LogValue() slog.Value {
	attrs := []slog.Attr{slog.String("kind", string(n.Kind)), slog.String("actor", n.Actor.String())}
	if n.Actor.address.IsValid() {
		attrs = append(attrs, slog.String("address", n.Actor.address.String()))
	}
	attrs = append(attrs, slog.String("organization", plain.Cut(n.Organization, plain.MaxQuoted)))
	var changes, findings []string
	for _, change := range n.Changes[:min(len(n.Changes), MaxChanges)] {
		changes = append(changes, change.String())
	}
	for _, finding := range n.Findings {
		findings = append(findings, string(finding.Kind))
	}
	attrs = append(attrs, slog.String("changes", strings.Join(changes, ", ")))
	if findings != nil {
		attrs = append(attrs, slog.String("findings", strings.Join(findings, ", ")))
	}
	if n.Err != nil {
		attrs = append(attrs, slog.String("error", n.Err.Error()))
	}
	return slog.GroupValue(attrs...)
}

// notMade reports a failed change to the observer.
func (a *Admin) notMade(ctx context.Context, actor Actor, organization string, changes []Change, err error) {
	notice := Notice{Kind: NotMade, Actor: actor, Organization: organization, Changes: changes, Err: err}
	if e, ok := asError(err); ok {
		notice.Findings = e.Findings
	}
	a.observe(ctx, notice)
}
