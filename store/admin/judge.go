package admin

import (
	"fmt"
	"hash"
	"slices"
	"strings"
	"time"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
)

// MaxListed is the largest number of keys listed in a [Preview] and in a [Finding]. Further
// ones are counted.
const MaxListed = 10_000

// The defaults of the rules.
const (
	defaultWindow = 30 * 24 * time.Hour
	defaultNotice = time.Hour
)

// rules are the settings for judging.
type rules struct {
	window   time.Duration
	notice   time.Duration
	managing []string // roles of managers
	people   bool     // people manage the organizations as well
}

// A judge derives findings from records, usage and the time: it reads nothing, and decides by
// policy.Evaluate alone (rule M1). Call [judge.key] for every key the change may affect,
// [judge.see] for others in search of a manager or a usable key, and then [judge.findings].
type judge struct {
	rules    rules
	evidence Evidence
	before   *policy.Organization
	after    *policy.Organization
	narrows  bool // every change only narrows in an emergency (rule M23)
	self     *selfRequest

	effects []KeyEffect
	listed  hash.Hash // of the IDs and revisions of all keys whose answer changes
	totals  Totals
	breaks  keyGroup
	opens   keyGroup
	opened  bool // one of them at once
	manages witnesses
	usable  witnesses
	broad   []broadEntries
}

// broadEntries are over-broad entries added to a list of a key.
type broadEntries struct {
	key     apikey.ID
	trial   bool // to the list on trial
	entries []string
}

// keyGroup are the keys of a finding.
type keyGroup struct {
	keys  []apikey.ID
	count int
}

func (g *keyGroup) add(id apikey.ID) {
	g.count++
	if len(g.keys) < MaxListed {
		g.keys = append(g.keys, id)
	}
}

// compare compares one key before and after the change. Where the organization is switched
// off, its keys count as usable all the same: it may be switched on again.
func (j *judge) compare(before, after *apikey.Key) *comparison {
	was, is, now := side{before, j.before}, side{after, j.after}, j.evidence.Time
	c := compare(was, is, now, j.handover(before))
	if j.before != nil && j.before.Disabled {
		was, is = was.enabled(), is.enabled()
	}
	c.was, c.left = was.usable(now), is.usable(now)
	return c
}

// handover returns from when on a new secret stands in for an earlier one of a key (rule M11).
// The actor has its own at once (rule M4). To others somebody has to bring it: that takes the
// notice.
func (j *judge) handover(key *apikey.Key) time.Time {
	if key != nil && j.self != nil && j.self.request.key == key.ID {
		return j.evidence.Time
	}
	return j.evidence.Time.Add(j.rules.notice)
}

// see notes the key's usable time, and its time as a manager: no end by the clock must lock
// anybody out either.
func (j *judge) see(c *comparison) {
	manager := func(s side) bool { // of a usable key
		return slices.ContainsFunc(s.key.Grants, func(g apikey.Grant) bool {
			return g.Project == "" && !g.AllProjects && slices.Contains(j.rules.managing, g.Role)
		})
	}
	before, after := c.was != nil, c.left != nil
	j.usable.see(before, after, c)
	j.manages.see(before && manager(c.before), after && manager(c.after), c)
}

// witnesses returns the managers and the usable keys left, if their loss can refuse the
// change: others must not get in its way (rule M23).
func (j *judge) witnesses() []witness {
	var all []witness
	if !j.rules.people || !j.narrows {
		all = append(all, j.manages.needed()...)
	}
	if !j.narrows {
		all = append(all, j.usable.needed()...)
	}
	return all
}

// near reports whether what comes at a time is judged as if it came at once (rule M7): within
// the notice, or at the end of a suspension.
func (j *judge) near(at time.Time) bool {
	ends := func(o *policy.Organization) bool {
		return o != nil && o.Requirement == policy.Required && o.SuspendedUntil.Equal(at)
	}
	return !at.After(j.evidence.Time.Add(j.rules.notice)) || ends(j.before) || ends(j.after)
}

// key judges one key by its comparison and its usage.
func (j *judge) key(c *comparison, usage store.KeyUsage) {
	j.see(c)
	seen := observedOf(usage, j.evidence)
	class, shown := c.class(seen)
	j.totals.add(class)
	if class != "" && len(j.effects) < MaxListed {
		j.effects = append(j.effects, effectOf(c, class, shown, seen))
	}
	if class != "" && c.before.key != nil {
		hashAll(j.listed, string(c.before.key.ID))
		hashRevision(j.listed, c.before.key.Revision)
	}
	if opened, opens := c.opens(); opens || c.empties() {
		j.opens.add(c.name())
		j.opened = j.opened || !opened.at.After(j.evidence.Time)
	}
	if class == KeyBreaks && j.near(shown.at) {
		j.breaks.add(c.name())
	}
	j.findOverBroad(c)
}

// subject is the key after the change, or before a deletion.
func (c *comparison) subject() *apikey.Key {
	if c.after.key != nil {
		return c.after.key
	}
	return c.before.key
}

// name is the ID of the key, empty for a created one with a random ID.
func (c *comparison) name() apikey.ID {
	if c.unnamed {
		return ""
	}
	return c.subject().ID
}

func effectOf(c *comparison, class KeyClass, shown call, seen observed) KeyEffect {
	subject := c.subject()
	effect := KeyEffect{
		Key: c.name(), Description: subject.Description, Class: class,
		Before: shown.before, After: shown.after, Address: shown.address, Secret: shown.secret,
		Uses: latest(seen.uses, func(u Use) time.Time { return u.Last }), UseCount: len(seen.uses),
		Addresses:    latest(seen.addresses, func(u AddressUse) time.Time { return u.Last }),
		AddressCount: len(seen.addresses), MoreAddresses: !seen.all, Denials: seen.denials, WouldDeny: seen.wouldDeny,
	}
	if shown.at.After(c.now) {
		effect.At = shown.at
	}
	if c.before.key != nil {
		effect.Revision = c.before.key.Revision
	}
	if shown.grant != nil {
		effect.Role, effect.Project, effect.AllProjects = shown.grant.Role, shown.grant.Project, shown.grant.AllProjects
	}
	return effect
}

// findOverBroad notes over-broad entries (rule A8) that were not on the same list before, or
// not for as long.
func (j *judge) findOverBroad(c *comparison) {
	was, _ := c.before.list()
	is, _ := c.after.list()
	j.addBroad(broadEntries{key: c.name()}, was, is)
	j.addBroad(broadEntries{key: c.name(), trial: true}, c.before.trialList(), c.after.trialList())
}

func (j *judge) addBroad(found broadEntries, was, is accesslist.List) {
	if was.Equal(is) {
		return
	}
	now := j.evidence.Time
	for _, finding := range is.Findings(now, accesslist.Evidence{}) {
		before, listed := was.Find(finding.Entry.Prefix())
		stood := listed && !before.ExpiredAt(now) && !sooner(before.Expires, finding.Entry.Expires)
		if finding.Kind == accesslist.OverBroad && !stood {
			found.entries = append(found.entries, finding.Entry.String())
		}
	}
	i := slices.IndexFunc(j.broad, func(b broadEntries) bool { return b.key == found.key && b.trial == found.trial })
	switch { // several new keys have the same name
	case len(found.entries) == 0:
	case i < 0:
		j.broad = append(j.broad, found)
	default:
		j.broad[i].entries = append(j.broad[i].entries, found.entries...)
	}
}

// findings returns what was found, the actor's own first.
func (j *judge) findings() []Finding {
	var found []Finding
	if self, ok := j.findSelf(); ok {
		found = append(found, self)
		if self.Kind == SelfLockout {
			j.breaks = j.breaks.without(j.self.request.key) // told already
		}
	}
	if at, lost := j.manages.loss(); lost {
		found = append(found, j.loss(LastManager, "No key could manage the organization any more", at, !j.rules.people))
	}
	if at, lost := j.usable.loss(); lost {
		found = append(found, j.loss(OrganizationLockout, "The organization would have no usable key any more", at, !j.narrows))
	}
	if j.breaks.count > 0 {
		found = append(found, Finding{Kind: BreaksKey, Refuses: !j.narrows, Acceptable: true, Keys: j.breaks.keys, Count: j.breaks.count,
			Text: fmt.Sprintf("%s in the last %s and would be denied: %s.", counted(j.breaks.count, "key was used", "keys were used"), spoken(j.rules.window), listing(j.breaks.keys, j.breaks.count))})
	}
	if j.opens.count > 0 {
		found = append(found, Finding{Kind: Opens, Refuses: !j.narrows || j.opened, Acceptable: true, Keys: j.opens.keys, Count: j.opens.count,
			Text: fmt.Sprintf("%s without entries would be open to every address while nothing requires a list: %s.", counted(j.opens.count, "key", "keys"), listing(j.opens.keys, j.opens.count))})
	}
	for _, broad := range j.broad {
		keys, list := []apikey.ID{broad.key}, "list"
		if broad.trial {
			list = "list on trial"
		}
		found = append(found, Finding{Kind: OverBroad, Refuses: true, Acceptable: true, Keys: keys, Count: 1, Entries: broad.entries,
			Text: fmt.Sprintf("Over-broad entries are added to the %s of %s: %s.", list, listing(keys, 1), strings.Join(broad.entries, ", "))})
	}
	return found
}

// loss is a finding about the last one of its kind. After the notice it is reported only.
func (j *judge) loss(kind Kind, text string, at time.Time, refuses bool) Finding {
	finding := Finding{Kind: kind, Refuses: refuses && j.near(at), Acceptable: true, Text: text + "."}
	if at.After(j.evidence.Time) {
		finding.At, finding.Text = at, text+" from "+at.UTC().Format(time.RFC3339)+" on."
	}
	return finding
}

func (g keyGroup) without(id apikey.ID) keyGroup {
	if i := slices.Index(g.keys, id); i >= 0 {
		return keyGroup{slices.Delete(slices.Clone(g.keys), i, i+1), g.count - 1}
	}
	return g
}

func counted(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// spoken returns a duration in days where it is one.
func spoken(d time.Duration) string {
	const day = 24 * time.Hour
	if d%day == 0 {
		return counted(int(d/day), "day", "days")
	}
	return d.String()
}
