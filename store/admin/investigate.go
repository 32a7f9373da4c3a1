package admin

import (
	"cmp"
	"context"
	"errors"
	"net/netip"
	"slices"
	"time"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
)

// A Call is a call to investigate, as the guard saw it.
type Call struct {
	Key      apikey.ID
	Client   netip.Addr // as the guard resolved it; the caller was told this address
	Endpoint policy.Endpoint

	// Resource was called. Take both names from the resource's own record: a grant in its
	// project may be proposed (rules K5, K7). Its Value is not used.
	Resource policy.Resource

	Time time.Time // of the call; zero: now

	// Secret is the ID of the proven secret, as the decision's log line has it. Empty: one of
	// the key's live secrets was proven.
	Secret string

	// Unproven means that the caller's secret did not match: line 5 answers, until the caller
	// has a new one.
	Unproven bool

	// WithoutPreviews leaves Remedy.Preview empty: that of a change of the organization judges
	// every key of it.
	WithoutPreviews bool

	// PossibleProxy means that the decision has this kind: Client may be a proxy, whose entry
	// would admit all of its callers. No entry is proposed then.
	PossibleProxy bool
}

// MaxChanged is the largest number of events in an [Investigation].
const MaxChanged = 100

// maxEventPages bounds the events read of an organization.
const maxEventPages = 10

// An Investigation says what answered a call, and what would let it pass. It is for operators:
// it says of lines 4 and 5 what no caller may learn (rule D2). The names in its JSON do not
// change.
type Investigation struct {
	Organization string     `json:"organization"`
	Key          apikey.ID  `json:"key"` // empty if the text given could be no ID
	Address      netip.Addr `json:"address,omitzero"`
	Endpoint     string     `json:"endpoint"` // its name
	Time         time.Time  `json:"time"`     // of the call

	// Reason is the answer at Time, and Lines are those of the order up to it, with the compared
	// values. Explanation is both for a terminal: see policy.Decision.Explain. The records are
	// those of now: KeyRevision is zero for an unknown key.
	Reason               policy.Reason `json:"reason"`
	WouldDeny            policy.Reason `json:"wouldDeny,omitzero"`
	Lines                []policy.Line `json:"lines"`
	Explanation          string        `json:"explanation"`
	KeyRevision          uint64        `json:"keyRevision,omitempty"`
	OrganizationRevision uint64        `json:"organizationRevision"`

	// Changed are the events of the key and of the organization since Time, the newest first,
	// if Time is past: the call met other records then. MoreChanged is true if there may be
	// others, as where the journal forgot events. For an unknown key they are all events kept of
	// it, such as its deletion. Journaled is true if the store is a store.Journal; otherwise
	// nothing is known of changes. Writes past this package have no events.
	Changed     []store.Event `json:"changed"`
	MoreChanged bool          `json:"moreChanged,omitempty"`
	Journaled   bool          `json:"journaled"`

	// Behind is the latest event from which a denial with Reason may come: the requirement was
	// switched on, the key disabled, the entry removed. It is nil if the call is allowed, if it
	// has no such event, as where an entry or a suspension ended by the clock, or for an unknown
	// key, whose events are Changed.
	Behind *store.Event `json:"behind,omitempty"`

	// Again is the answer to the same call made again: at the time of judging, or at Time if
	// that is later. Obstacles are the lines in its way: the answering one, then the next ones,
	// each with those before it mended, up to the first without a remedy.
	Again     policy.Reason   `json:"again"`
	Obstacles []policy.Reason `json:"obstacles"`

	// Remedies are the single changes after which Again is allowed. Where no single change
	// suffices, the shortest combination is the only one. Empty: the call is allowed, or none
	// is proposed.
	Remedies []Remedy `json:"remedies"`

	// Denials are calls with the key denied in the window, those for Reason first. They and
	// the Evidence are empty for an unknown key.
	Denials  []DenialUse `json:"denials"`
	Evidence Evidence    `json:"evidence,omitzero"`
}

// Investigate says what answered a call, on what line and why, and which changes would let it
// pass, each with its preview for the actor unless the call is WithoutPreviews. To go ahead with
// one, Apply its Changes with the token. The answers are those of policy.Evaluate, and nothing
// is written or counted (rule M1).
//
// A remedy is proposed only if Evaluate allows the same call on the records that it leaves.
// With a Rotate, proposed if no secret of the key is live at that time, the call is made again
// with the new one (rule M4). A secret that is live now keeps its end; two of them end at once,
// as the text says. Not proposed are
//   - what would open the key to every address: removing entries, or NotRequired;
//   - an entry for a possible proxy;
//   - grants for all projects, and a role where neither the endpoint nor the key has one;
//   - a suspension to a key, which may not ask for it.
//
// A key of another organization is unknown here: Reason is unknown_key, whatever a call with
// it is answered. Errors are those of [Admin.Preview]: NotFound for the organization, Invalid
// for a Secret that can be no ID or a year outside 1 to 9999, and Unavailable if the key, the
// events or a preview cannot be read. Without usage the Evidence says so.
func (a *Admin) Investigate(ctx context.Context, actor Actor, organization string, call Call) (Investigation, error) {
	if err := actor.may(organization, nil); err != nil {
		return Investigation{}, err
	}
	if call.Secret != "" && !isHex(call.Secret, 8) {
		return Investigation{}, invalid("A secret is named by its ID: 8 hexadecimal digits, as the log line of the call shows them.")
	}
	if year := call.Time.UTC().Year(); year < 1 || year > 9999 {
		return Investigation{}, invalid("The call is in the year %d: 1 to 9999 are possible.", year)
	}
	q := &inquiry{admin: a, actor: actor, now: moment(a.clock()), call: call}
	if err := q.checkActor(ctx, organization); err != nil {
		return Investigation{}, err
	}
	if call.Time.IsZero() {
		q.call.Time = q.now
	}
	q.retry = q.now
	if q.call.Time.After(q.now) {
		q.retry = q.call.Time
	}
	if err := q.read(ctx, organization); err != nil {
		return Investigation{}, err
	}
	found := q.answer()
	var err error
	if found.Remedies, err = q.remedies(ctx, &found); err != nil {
		return Investigation{}, err
	}
	if err := q.changes(ctx, &found); err != nil {
		return Investigation{}, err
	}
	if err := q.behind(ctx, &found); err != nil {
		return Investigation{}, err
	}
	q.evidence(ctx, &found)
	return found, nil
}

// An inquiry is an investigation under way.
type inquiry struct {
	admin *Admin
	actor Actor
	call  Call
	now   time.Time
	retry time.Time // when the call is made again
	found records
}

// records are what a call is judged by.
type records struct {
	side               // the key is nil for an unknown one
	handedOut []string // IDs of the key's new secrets
	assumed   bool     // the proof is taken for granted
}

// checkActor judges a key that asks by the present records, as a preview does.
func (q *inquiry) checkActor(ctx context.Context, organization string) error {
	if q.actor.request == nil {
		return nil
	}
	p := &plan{admin: q.admin, actor: q.actor, call: q.actor.request, organization: organization, now: q.now}
	if err := p.read(ctx); err != nil {
		return err
	}
	return p.checkActor(ctx)
}

// read reads the key and its organization.
func (q *inquiry) read(ctx context.Context, organization string) error {
	subject, err := q.admin.subject(ctx, organization, q.call.Key)
	if err != nil {
		return err
	}
	if subject != (policy.Subject{}) {
		key, owner := subject.Key(), subject.Organization()
		q.found.side = side{&key, &owner}
		return nil
	}
	owner, err := q.admin.organization(ctx, organization)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return noOrganization(organization)
	case err != nil:
		return unread(err)
	}
	q.found.organization = &owner
	return nil
}

// decide judges the call by some records at a time.
func (q *inquiry) decide(r records, at time.Time) policy.Decision {
	return r.decide(policy.Request{
		Key: q.call.Key, Client: q.call.Client, ClientDoubter: doubt(q.call.PossibleProxy), Endpoint: &q.call.Endpoint,
		Organization: q.call.Resource.Organization, Project: q.call.Resource.Project,
		Verifier: verifier(claim{q.call.Secret, q.call.Unproven && !r.assumed, r.assumed, r.handedOut}.check),
	}, at)
}

// doubt says that a client may be a proxy, for the explanation.
type doubt bool

// DoubtClient implements [policy.ClientDoubter].
func (d doubt) DoubtClient() error {
	if d {
		return policy.ErrPossibleProxy
	}
	return nil
}

// answer returns the answers to the call, then and again.
func (q *inquiry) answer() Investigation {
	d := q.decide(q.found, q.call.Time)
	found := Investigation{
		Organization: q.found.organization.ID, Key: d.KeyID(), Address: d.Client(), Endpoint: q.call.Endpoint.Name, Time: q.call.Time.UTC(),
		Reason: d.Reason, WouldDeny: d.WouldDeny, Lines: d.Lines(), Explanation: d.Explain(), OrganizationRevision: q.found.organization.Revision,
		Again: q.decide(q.found, q.retry).Reason, Obstacles: []policy.Reason{}, Changed: []store.Event{}, Denials: []DenialUse{},
		Journaled: q.admin.journal != nil,
	}
	if q.found.key != nil {
		found.KeyRevision = q.found.key.Revision
	}
	return found
}

// changes notes the events since the call.
func (q *inquiry) changes(ctx context.Context, found *Investigation) error {
	known := q.found.key != nil
	if q.admin.journal == nil || found.Key == "" || known && !q.call.Time.Before(q.now) {
		return nil
	}
	since, ofKey := time.Time{}, store.EventRequest{Organization: found.Organization, Key: found.Key}
	if known {
		since = q.call.Time
	}
	events, more, err := q.since(ctx, ofKey, since, func(store.Event) bool { return true })
	if err == nil && known {
		var others []store.Event
		var moreOthers bool
		others, moreOthers, err = q.since(ctx, store.EventRequest{Organization: found.Organization}, since, func(e store.Event) bool { return e.Key == "" })
		events, more = append(events, others...), more || moreOthers
	}
	if err == nil && known && !more {
		more, err = q.forgotten(ctx, since)
	}
	if err != nil {
		return unread(err)
	}
	slices.SortFunc(events, func(a, b store.Event) int {
		return cmp.Or(cmp.Compare(b.Revision, a.Revision), cmp.Compare(b.Index, a.Index))
	})
	listed := min(len(events), MaxChanged)
	found.Changed, found.MoreChanged = append(found.Changed, events[:listed]...), more || listed < len(events)
	return nil
}

// since returns the events of a request since a time, the newest first. The clocks of writers
// differ, so the search ends at a page without an event since, and not at the first earlier
// event.
func (q *inquiry) since(ctx context.Context, request store.EventRequest, since time.Time, keep func(store.Event) bool) (events []store.Event, more bool, err error) {
	request.Newest, request.Limit = true, store.MaxPageSize
	for range maxEventPages {
		page, err := q.admin.journal.Events(ctx, request)
		if err != nil {
			return nil, false, err
		}
		recent := false
		for _, event := range page.Events {
			if event.Time.Before(since) {
				continue
			}
			if recent = true; keep(event) {
				events = append(events, event)
			}
		}
		if !page.More || !recent {
			return events, false, nil
		}
		request.After = page.Next
	}
	return events, true, nil
}

// forgotten reports whether the journal may have forgotten events since a time: some are gone,
// and none before it is kept.
func (q *inquiry) forgotten(ctx context.Context, since time.Time) (bool, error) {
	oldest, err := q.admin.journal.Events(ctx, store.EventRequest{Limit: 1})
	if err != nil || len(oldest.Events) > 0 && oldest.Events[0].Time.Before(since) {
		return false, err
	}
	first := store.Position{History: oldest.Next.History, Revision: 1}
	_, err = q.admin.journal.Events(ctx, store.EventRequest{After: first, Limit: 1})
	if errors.Is(err, store.ErrCompacted) {
		return true, nil
	}
	return false, err
}

// evidence notes the denials of the key.
func (q *inquiry) evidence(ctx context.Context, found *Investigation) {
	if q.found.key == nil {
		return
	}
	p := &plan{admin: q.admin, actor: q.actor, organization: found.Organization, now: q.now}
	p.observation(ctx)
	p.judge = &judge{evidence: p.evidence}
	usage := p.usage(ctx, []apikey.ID{found.Key})
	found.Evidence = p.judge.evidence
	found.Evidence.Revision = max(found.KeyRevision, found.OrganizationRevision)
	seen := observedOf(usage[found.Key], found.Evidence)
	found.Denials = append(found.Denials, seen.denials...)
	slices.SortStableFunc(found.Denials, func(a, b DenialUse) int {
		first := func(d DenialUse) int {
			if d.Reason == found.Reason {
				return 0
			}
			return 1
		}
		return first(a) - first(b)
	})
}
