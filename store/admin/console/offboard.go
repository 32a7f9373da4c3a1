package console

import (
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/admin"
)

// quiet is how long nobody may have tried a key before its deletion is suggested.
const quiet = 7 * 24 * time.Hour

type offboardBody struct {
	Key        apikey.Key
	Title      string // of the key
	Leaked     field
	UsageKnown bool
	Open       bool // the key has no list
	Addresses  []leakRow
	Strange    int               // addresses off the list, or first seen after the leak
	Dropped    uint64            // calls from addresses no longer kept
	Tries      []denialRow       // refused calls with the right secret
	Last       *accesslist.Usage // of any of its calls; nil: none is known
	Unquiet    string            // why it is too early to delete the key; empty: it is not
	May        admin.Permissions // as if the key were switched on
	Journal    bool
	Events     []eventRow
}

// A leakRow is an address of served calls.
type leakRow struct {
	addressRow
	New bool // first seen after the leak
}

// showOffboard shows what to look at and what to do after a key leaked.
func showOffboard(v *visit) (answer, error) {
	key, err := v.keyOf()
	if err != nil {
		return answer{}, err
	}
	usages, known, err := v.usageOf(v.r.Context(), []apikey.ID{key.ID})
	if err != nil {
		return answer{}, err
	}
	coverage, _, err := v.coverage(quiet)
	if err != nil {
		return answer{}, err
	}
	events, err := v.events(store.EventRequest{Organization: v.organization.ID, Key: key.ID, Newest: true, Limit: maxKeyEvents})
	if err != nil {
		return answer{}, err
	}
	usage := usages[key.ID]
	a := answer{Page: "offboard", Title: "After a leak", Tab: "keys"}
	b := offboardBody{Key: key, Title: keyTitle(key), UsageKnown: known, Open: key.AccessList.IsEmpty(), Dropped: usage.Dropped.Count, Tries: denialRows(usage.Denials), Journal: events.Journal, Events: events.Rows}
	b.Leaked = field{Name: "leaked", Label: "Time of the leak (UTC)", Kind: "datetime-local", Value: strings.TrimSpace(v.r.URL.Query().Get("leaked")), Hint: "Addresses first seen after it are marked."}
	var leaked time.Time
	if b.Leaked.Value != "" {
		if leaked, err = readTime(b.Leaked.Value); err != nil {
			a.Status, b.Leaked.Error = http.StatusUnprocessableEntity, "Enter a date and a time."
		} else {
			b.Leaked.Value = leaked.Format(inputTime)
		}
	}
	for _, row := range addressRows(usage, key.AccessList, v.now) {
		seen := leakRow{row, !leaked.IsZero() && row.First.After(leaked)}
		if seen.New || !seen.Listed && !b.Open {
			b.Strange++
		}
		b.Addresses = append(b.Addresses, seen)
	}
	b.Last = lastTry(usage)
	b.Unquiet = unquiet(known, coverage, b.Last, v.now)
	on := key
	on.Disabled = false
	b.May = admin.May(policy.NewSubject(&on, v.organization), v.Endpoints, netip.Addr{}, v.now)
	a.Body = b
	return a, nil
}

// lastTry returns the last call with a key, served or refused after the proof; nil: none is known.
func lastTry(usage store.KeyUsage) *accesslist.Usage {
	var last accesslist.Usage
	last.Last, last.LastAddress = lastUse(usage)
	for _, denial := range usage.Denials {
		if denial.Last.After(last.Last) {
			last = denial
		}
	}
	if last.Last.IsZero() {
		return nil
	}
	return &last
}

// unquiet returns why it is not known that nobody tried a key for some days; empty: it is known.
// Absence of evidence is not called that (rule M16).
func unquiet(known bool, c store.Coverage, last *accesslist.Usage, now time.Time) string {
	switch {
	case !known:
		return "This service does not record how keys are used, so nobody can tell whether it is still tried."
	case c.Missing > admin.MaxMissing || c.Lost > 0 || now.Sub(c.Until) > admin.MaxLate:
		return "The calls of the last " + span(quiet) + " are not all known, so nobody can tell whether it is still tried."
	case last != nil && now.Sub(last.Last) < quiet:
		return "It was tried in the last " + span(quiet) + ". Find out who does, and give them the replacement. Without another call it is quiet from " + last.Last.Add(quiet).UTC().Format(minute) + " on."
	}
	return ""
}
