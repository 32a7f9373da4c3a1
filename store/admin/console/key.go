package console

import (
	"cmp"
	"net/netip"
	"net/url"
	"slices"
	"time"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/admin"
)

// maxEntryRows is the number of entries shown of a list, maxKeyEvents that of a key's events.
const (
	maxEntryRows = 1000
	maxKeyEvents = 10
)

type keyBody struct {
	Key        apikey.Key
	Status     apikey.Status
	Labels     []labelRow
	May        admin.Permissions
	Entries    []entryRow
	Trial      []entryRow
	TrialMore  int // entries not shown
	Hidden     int
	Rotation   admin.Rotation
	UsageKnown bool
	Usage      store.KeyUsage
	Addresses  []addressRow
	Denials    []denialRow
	WouldDeny  []denialRow
	Timeline   timeline
	Events     []eventRow
	Journal    bool
	Mine       string // the person's address, if it could be added
	Preview    string // link for forms
}

// Edit returns the query of a form: what to do, and a value of the form.
func (b keyBody) Edit(do string, pairs ...string) string {
	query := url.Values{"do": {do}}
	for i := 0; i+1 < len(pairs); i += 2 {
		query.Set(pairs[i], pairs[i+1])
	}
	return "?" + query.Encode()
}

type labelRow struct{ Name, Value string }

type entryRow struct {
	Address, Comment string
	Added, Expires   time.Time
	Expired          bool
	Count            uint64
	Last             time.Time
	LastAddress      netip.Addr
	Findings         []string
}

type addressRow struct {
	Address     netip.Addr
	Count       uint64
	First, Last time.Time
	Listed      bool // by a live entry now
}

type denialRow struct {
	Reason  policy.Reason
	Count   uint64
	Last    time.Time
	Address netip.Addr
}

// keyOf reads the key of the path. A key of another organization does not exist.
func (v *visit) keyOf() (apikey.Key, error) {
	return v.keyNamed(apikey.ID(unsegment(v.r.PathValue("key"))))
}

// keyNamed reads a key of the organization.
func (v *visit) keyNamed(id apikey.ID) (apikey.Key, error) {
	if id.Validate() != nil {
		return apikey.Key{}, notFound
	}
	key, err := v.Store.Key(v.r.Context(), id)
	if err == nil && key.Organization != v.organization.ID {
		err = notFound
	}
	return key, err
}

// showKey shows everything known of a key.
func showKey(v *visit) (answer, error) {
	ctx := v.r.Context()
	key, err := v.keyOf()
	if err != nil {
		return answer{}, err
	}
	usage, known, err := v.usageOf(ctx, []apikey.ID{key.ID})
	if err != nil {
		return answer{}, err
	}
	coverage, _, err := v.coverage(v.Admin.Window())
	if err != nil {
		return answer{}, err
	}
	body := keyBody{Key: key, Status: key.Status(v.now), UsageKnown: known, Usage: usage[key.ID]}
	if body.Rotation, err = v.Admin.Rotation(ctx, v.organization.ID, key.ID, 0); err != nil {
		return answer{}, err
	}
	body.May = admin.May(policy.NewSubject(&key, v.organization), v.Endpoints, netip.Addr{}, v.now)
	for name, value := range key.Labels() {
		body.Labels = append(body.Labels, labelRow{name, value})
	}
	slices.SortFunc(body.Labels, func(a, b labelRow) int { return cmp.Compare(a.Name, b.Name) })
	evidence := accesslist.Evidence{Usage: body.Usage.Entries, Since: countedSince(coverage, v.now), Window: v.Admin.Window()}
	body.Entries, body.Hidden = entryRows(key.AccessList, evidence, v.now)
	body.Trial, body.TrialMore = entryRows(key.TrialList, accesslist.Evidence{}, v.now)
	body.Addresses = addressRows(body.Usage, key.AccessList, v.now)
	body.Denials, body.WouldDeny = denialRows(body.Usage.Denials), denialRows(body.Usage.WouldDeny)
	body.Timeline = newTimeline(body.Addresses, body.Denials, v.now, v.Admin.Window())
	events, err := v.events(store.EventRequest{Organization: v.organization.ID, Key: key.ID, Newest: true, Limit: maxKeyEvents})
	if err != nil {
		return answer{}, err
	}
	body.Events, body.Journal = events.Rows, events.Journal
	body.Preview = v.to("keys", string(key.ID), "preview")
	body.Mine = v.mine(key)
	return answer{Page: "key", Title: keyTitle(key), Tab: "keys", Body: body}, nil
}

// keyTitle returns the description of a key, or its ID.
func keyTitle(key apikey.Key) string { return cmp.Or(key.Description, string(key.ID)) }

// countedSince returns since when usage is counted without a gap; zero if it is not now.
func countedSince(c store.Coverage, now time.Time) time.Time {
	if now.Sub(c.Until) > admin.MaxLate {
		return time.Time{}
	}
	return c.Since
}

// entryRows returns the first entries of a list with their use and findings, and how many more
// there are.
func entryRows(list accesslist.List, evidence accesslist.Evidence, now time.Time) (rows []entryRow, more int) {
	findings := map[netip.Prefix][]string{}
	for _, f := range list.Findings(now, evidence) {
		findings[f.Entry.Prefix()] = append(findings[f.Entry.Prefix()], f.String())
	}
	for e := range list.All() {
		if len(rows) == maxEntryRows {
			break
		}
		used := evidence.Usage[e.Prefix()]
		rows = append(rows, entryRow{
			Address: e.String(), Comment: e.Comment, Added: e.Added, Expires: e.Expires, Expired: e.ExpiredAt(now),
			Count: used.Count, Last: used.Last, LastAddress: used.LastAddress, Findings: findings[e.Prefix()],
		})
	}
	return rows, list.Len() - len(rows)
}

// addressRows returns the addresses seen, the latest first.
func addressRows(usage store.KeyUsage, list accesslist.List, now time.Time) (rows []addressRow) {
	for address, u := range usage.Addresses {
		row := addressRow{Address: address, Count: u.Count, First: u.First, Last: u.Last}
		for e := range list.All() {
			row.Listed = row.Listed || e.Covers(address, now)
		}
		rows = append(rows, row)
	}
	slices.SortFunc(rows, func(a, b addressRow) int { return cmp.Or(b.Last.Compare(a.Last), a.Address.Compare(b.Address)) })
	return rows
}

// denialRows returns the refusals by reason, the latest first.
func denialRows(denials map[policy.Reason]accesslist.Usage) (rows []denialRow) {
	for reason, u := range denials {
		rows = append(rows, denialRow{Reason: reason, Count: u.Count, Last: u.Last, Address: u.LastAddress})
	}
	slices.SortFunc(rows, func(a, b denialRow) int { return cmp.Or(b.Last.Compare(a.Last), cmp.Compare(a.Reason, b.Reason)) })
	return rows
}
