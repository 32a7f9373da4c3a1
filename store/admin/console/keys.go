package console

import (
	"net/netip"
	"strings"
	"time"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/admin"
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
	Status          string
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
	found, next, searched, err := scan(cursor, func(request store.PageRequest) (store.Page[admin.KeyView], error) {
		return v.Admin.Keys(v.r.Context(), v.organization.ID, request)
	}, body.selects)
	if err != nil {
		return answer{}, err
	}
	var ids []apikey.ID
	for _, key := range found {
		ids = append(ids, key.ID)
	}
	usage, known, err := v.usageOf(v.r.Context(), ids)
	if err != nil {
		return answer{}, err
	}
	body.UsageKnown = known
	for _, key := range found {
		row := keyRow{ID: string(key.ID), Description: key.Description, Status: key.Status, Entries: len(key.Entries), OnTrial: len(key.TrialEntries) > 0}
		row.Last, row.LastAddress = lastUse(usage[key.ID])
		body.Keys = append(body.Keys, row)
	}
	body.Turn = v.turnOf(cursorOf(next), cursor == "", len(found), searched)
	return answer{Page: "keys", Title: "Keys", Tab: "keys", Body: body}, nil
}

// selects reports whether a key is one of those searched for.
func (b *keysBody) selects(key admin.KeyView) bool {
	switch {
	case b.Status != "" && key.Status != b.Status:
		return false
	case b.List == "with" && len(key.Entries) == 0, b.List == "without" && len(key.Entries) > 0:
		return false
	}
	return key.Has(b.Search)
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
