package console

import (
	"net/netip"
	"strings"
	"time"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/store"
)

type keysBody struct {
	Search, Status, List string // the filters
	Filtered             bool
	Statuses             []choice
	Lists                []choice
	Keys                 []keyRow
	UsageKnown           bool
	Turn                 turn
}

// A choice is an option of a select element.
type choice struct {
	Value, Title string
	Selected     bool
}

// choices returns options with one selected.
func choices(selected string, pairs ...string) (all []choice) {
	for i := 0; i < len(pairs); i += 2 {
		all = append(all, choice{pairs[i], pairs[i+1], pairs[i] == selected})
	}
	return all
}

type keyRow struct {
	ID, Description string
	Status          apikey.Status
	Entries         int
	OnTrial         bool
	Last            time.Time
	LastAddress     netip.Addr
}

// showKeys shows the keys of an organization, all or those that a search finds.
func showKeys(v *visit) (answer, error) {
	query := v.r.URL.Query()
	cursor := query.Get("cursor")
	body := keysBody{Search: strings.TrimSpace(query.Get("q")), Status: query.Get("status"), List: query.Get("list")}
	body.Filtered = body.Search != "" || body.Status != "" || body.List != ""
	body.Statuses = choices(body.Status, "", "Any status", "active", "Active", "disabled", "Switched off", "not_yet_valid", "Not yet valid", "expired", "Expired")
	body.Lists = choices(body.List, "", "Any access list", "with", "With a list", "without", "Without a list")
	found, next, searched, err := scan(cursor, func(request store.PageRequest) (store.Page[apikey.Key], error) {
		return v.Store.Keys(v.r.Context(), v.organization.ID, request)
	}, func(key apikey.Key) bool { return body.selects(key, v.now) })
	if err != nil {
		return answer{}, err
	}
	usage, known, err := v.usageOf(v.r.Context(), found)
	if err != nil {
		return answer{}, err
	}
	body.UsageKnown = known
	for _, key := range found {
		row := keyRow{ID: string(key.ID), Description: key.Description, Status: key.Status(v.now), Entries: key.AccessList.Len(), OnTrial: key.TrialList.Len() > 0}
		row.Last, row.LastAddress = lastUse(usage[key.ID])
		body.Keys = append(body.Keys, row)
	}
	body.Turn = v.turnOf(cursorOf(next), cursor == "", len(found), searched)
	return answer{Page: "keys", Title: "Keys", Tab: "keys", Body: body}, nil
}

// selects reports whether a key is one of those searched for.
func (b *keysBody) selects(key apikey.Key, now time.Time) bool {
	switch {
	case b.Status != "" && key.Status(now).String() != b.Status:
		return false
	case b.List == "with" && key.AccessList.Len() == 0, b.List == "without" && key.AccessList.Len() > 0:
		return false
	case b.Search == "":
		return true
	}
	search := strings.ToLower(b.Search)
	has := func(text string) bool { return strings.Contains(strings.ToLower(text), search) }
	for name, value := range key.Labels() {
		if has(name + "=" + value) {
			return true
		}
	}
	return has(key.Description) || has(string(key.ID)) || has(key.ExternalID())
}

// lastUse returns the time of the latest served call, and where it came from if that is known.
func lastUse(usage store.KeyUsage) (last time.Time, address netip.Addr) {
	last = usage.Last()
	for a, u := range usage.Addresses {
		if u.Last.Equal(last) && !last.IsZero() {
			address = a
		}
	}
	return last, address
}
