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

	effects   []KeyEffect
	listed    hash.Hash // of the IDs and revisions of all keys whose answer changes
	totals    Totals
	breaks    keyGroup
	opens     keyGroup
	manages   witness
	usable    witness
	overBroad map[apikey.ID][]string
	broad     []apikey.ID
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

// A witness shows that managers, or usable keys, are left.
type witness struct {
	was      bool      // there was one before
	left     apikey.ID // one left afterwards; empty: none
	revision uint64    // of its record, for the conditions of the write (rule M19)
}

func (w *witness) see(before, after bool, c *comparison) {
	w.was = w.was || before
	if after && w.left == "" {
		w.left, w.revision = c.after.key.ID, c.after.key.Revision
	}
}

// lost reports whether there was one and none is left.
func (w *witness) lost() bool { return w.was && w.left == "" }

// compare compares one key before and after the change.
func (j *judge) compare(before, after *apikey.Key) *comparison {
	return compare(side{before, j.before}, side{after, j.after}, j.evidence.Time)
}

// see notes whether the key is left as a manager and as usable.
func (j *judge) see(c *comparison) {
	manager := func(s side) bool { // of a usable key
		return slices.ContainsFunc(s.key.Grants, func(g apikey.Grant) bool {
			return g.Project == "" && !g.AllProjects && slices.Contains(j.rules.managing, g.Role)
		})
	}
	j.usable.see(c.usable[0], c.usable[1], c)
	j.manages.see(c.usable[0] && manager(c.before), c.usable[1] && manager(c.after), c)
}

// key judges one key by its comparison and its usage.
func (j *judge) key(c *comparison, usage store.KeyUsage) {
	j.see(c)
	uses := usesOf(usage, j.evidence.Begin)
	class, shown := c.class(uses, j.evidence.complete())
	j.totals.add(class)
	if class != "" && len(j.effects) < MaxListed {
		j.effects = append(j.effects, effectOf(c, class, shown, uses))
	}
	if class != "" && c.before.key != nil {
		hashAll(j.listed, string(c.before.key.ID))
		hashRevision(j.listed, c.before.key.Revision)
	}
	if _, opens := c.opens(); opens || c.empties() {
		j.opens.add(c.name())
	}
	if class == KeyBreaks {
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

func effectOf(c *comparison, class KeyClass, shown call, uses []Use) KeyEffect {
	subject := c.subject()
	effect := KeyEffect{
		Key: c.name(), Description: subject.Description, Class: class,
		Before: shown.before, After: shown.after, Address: shown.address, Secret: shown.secret,
		Uses: latest(uses), UseCount: len(uses),
	}
	if c.before.key != nil {
		effect.Revision = c.before.key.Revision
	}
	if shown.grant != nil {
		effect.Role, effect.Project, effect.AllProjects = shown.grant.Role, shown.grant.Project, shown.grant.AllProjects
	}
	return effect
}

// findOverBroad notes over-broad entries (rule A8) that were not in force before.
func (j *judge) findOverBroad(c *comparison) {
	was, _ := c.before.list()
	is, _ := c.after.list()
	if was.Equal(is) {
		return
	}
	now := j.evidence.Time
	for _, finding := range is.Findings(now, accesslist.Evidence{}) {
		before, listed := was.Find(finding.Entry.Prefix())
		if finding.Kind == accesslist.OverBroad && !(listed && !before.ExpiredAt(now)) {
			if j.overBroad == nil {
				j.overBroad = map[apikey.ID][]string{}
			}
			id := c.name()
			if j.overBroad[id] == nil {
				j.broad = append(j.broad, id)
			}
			j.overBroad[id] = append(j.overBroad[id], finding.Entry.String())
		}
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
	if j.manages.lost() {
		found = append(found, Finding{Kind: LastManager, Refuses: !j.rules.people, Acceptable: true,
			Text: "No key could manage the organization any more."})
	}
	if j.usable.lost() {
		found = append(found, Finding{Kind: OrganizationLockout, Refuses: !j.narrows, Acceptable: true,
			Text: "The organization would have no usable key any more."})
	}
	if j.breaks.count > 0 {
		found = append(found, Finding{Kind: BreaksKey, Refuses: !j.narrows, Acceptable: true, Keys: j.breaks.keys, Count: j.breaks.count,
			Text: fmt.Sprintf("%s in the last %s and would be denied: %s.", counted(j.breaks.count, "key was used", "keys were used"), spoken(j.rules.window), listing(j.breaks.keys, j.breaks.count))})
	}
	if j.opens.count > 0 {
		found = append(found, Finding{Kind: Opens, Refuses: true, Acceptable: true, Keys: j.opens.keys, Count: j.opens.count,
			Text: fmt.Sprintf("%s without entries would be open to every address while nothing requires a list: %s.", counted(j.opens.count, "key", "keys"), listing(j.opens.keys, j.opens.count))})
	}
	for _, id := range j.broad {
		entries := j.overBroad[id]
		found = append(found, Finding{Kind: OverBroad, Refuses: true, Acceptable: true, Keys: []apikey.ID{id}, Count: 1, Entries: entries,
			Text: fmt.Sprintf("Over-broad entries are added to the list of %s: %s.", listing([]apikey.ID{id}, 1), strings.Join(entries, ", "))})
	}
	return found
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
