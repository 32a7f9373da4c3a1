package console

import (
	"errors"
	"net/http"
	"strconv"
	"strings"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/store/admin"
)

type tightenBody struct {
	Key        apikey.Key
	Open       bool // the key has no list
	Budget     field
	None       string // why there is no suggestion; empty: there is one
	Suggestion admin.Tightening
	Lines      []line
	Kept       int    // entries that stay
	Covered    int    // observed addresses on the suggested list
	Entries    string // of the form
	Action     string // link
	Back       string // link
}

// showTighten suggests a narrower list from the addresses observed, as a difference.
func showTighten(v *visit) (answer, error) {
	key, err := v.keyOf()
	if err != nil {
		return answer{}, err
	}
	text := strings.TrimSpace(v.r.URL.Query().Get("budget"))
	if text == "" {
		text = strconv.Itoa(admin.DefaultBudget)
	}
	b := tightenBody{Key: key, Open: key.AccessList.IsEmpty(), Action: v.to("keys", string(key.ID), "preview"), Back: v.to("keys", string(key.ID)),
		Budget: field{Name: "budget", Label: "At most this many entries", Kind: "number", Value: text, Required: true, Hint: "Fewer entries are easier to read, and cover more addresses that never called."}}
	a := answer{Page: "tighten", Title: "Tighten the access list", Tab: "keys"}
	if b.Open {
		a.Title = "Suggest an access list"
	}
	budget, err := strconv.Atoi(text)
	if err != nil || budget < 1 {
		a.Status, b.Budget.Error = http.StatusUnprocessableEntity, "Want a number of at least 1."
		a.Body = b
		return a, nil
	}
	var failed *admin.Error
	b.Suggestion, err = v.Admin.Tighten(v.r.Context(), v.actor(), v.organization.ID, key.ID, admin.TightenOptions{Budget: budget})
	switch {
	case errors.As(err, &failed) && failed.Class == admin.Invalid:
		a.Status, b.Budget.Error = http.StatusUnprocessableEntity, failed.Message
	case errors.As(err, &failed) && failed.Class == admin.Conflict:
		b.None = failed.Message
	case err != nil:
		return answer{}, err
	}
	for _, text := range viewLines(b.Suggestion.Removed) {
		b.Lines = append(b.Lines, line{Text: text})
	}
	for _, text := range viewLines(b.Suggestion.Added) {
		b.Lines = append(b.Lines, line{Added: true, Text: text})
	}
	b.Kept = len(b.Suggestion.Entries) - len(b.Suggestion.Added)
	b.Covered = len(b.Suggestion.Observed) - len(b.Suggestion.LeftOut)
	b.Entries = strings.Join(viewLines(b.Suggestion.Entries), "\n")
	a.Body = b
	return a, nil
}

// viewLines is entryLines for entries as shown.
func viewLines(views []admin.EntryView) []string {
	var entries []accesslist.Entry
	for _, view := range views {
		entry, _ := (accesslist.Parser{AllowIPv6: true}).ParseEntry(view.Address) // of a list
		entry.Comment, entry.Expires = view.Comment, view.Expires
		entries = append(entries, entry)
	}
	return entryLines(entries...)
}
