package admin

import (
	"fmt"
	"strings"

	"github.com/sallyport-go/sallyport/internal/plain"
	"github.com/sallyport-go/sallyport/store"
)

// String returns the investigation for a terminal.
func (i Investigation) String() string {
	var b strings.Builder
	if len(i.Changed) > 0 && i.KeyRevision > 0 {
		fmt.Fprintf(&b, "The call of %s met other records, which were changed since. By those of now:\n", shown(i.Time))
	}
	b.WriteString(i.Explanation)
	if i.KeyRevision == 0 {
		b.WriteString("The organization has no such key.\n")
	} else {
		fmt.Fprintf(&b, "The call was at %s. The records are those of now: the key at revision %d, the organization at %d.\n", shown(i.Time), i.KeyRevision, i.OrganizationRevision)
	}
	if i.Behind != nil {
		fmt.Fprintf(&b, "The change behind it: %s.\n", shownEvent(*i.Behind))
	}
	switch {
	case i.Again.Allows():
		fmt.Fprintf(&b, "Made again, it is allowed: %s.\n", i.Again)
	case len(i.Remedies) == 0:
		fmt.Fprintf(&b, "Made again, it is denied, and no change is proposed: %s.\n", i.obstacles())
	default:
		fmt.Fprintf(&b, "Made again, it is denied: %s. It passes after\n", i.obstacles())
		for _, remedy := range i.Remedies {
			fmt.Fprintf(&b, "- %s\n", remedy)
		}
	}
	for _, denial := range i.Denials {
		fmt.Fprintf(&b, "Denied before: %s %s", denial.Reason, counted(int(denial.Count), "time", "times"))
		if !denial.Last.IsZero() {
			fmt.Fprintf(&b, ", the last %s from %s", shown(denial.Last), denial.Address)
		}
		b.WriteString(".\n")
	}
	for _, event := range i.Changed {
		fmt.Fprintf(&b, "Changed since: %s.\n", shownEvent(event))
	}
	switch {
	case !i.Journaled:
		b.WriteString("Changed since: unknown, because the store keeps no events.\n")
	case i.MoreChanged:
		b.WriteString("Changed since: maybe more than is listed.\n")
	}
	return b.String()
}

// shownEvent returns an event for a line of a terminal.
func shownEvent(event store.Event) string {
	text := fmt.Sprintf("%s %s by %s %s", shown(event.Time), event.Type, event.Actor.Kind, plain.Quote(event.Actor.ID))
	if event.Entry.IsValid() {
		text += ": " + entryText(event.Entry)
	}
	if event.Reason != "" {
		text += ", " + plain.Quote(event.Reason)
	}
	return text
}

func (i Investigation) obstacles() string {
	var texts []string
	for _, reason := range i.Obstacles {
		texts = append(texts, reason.String())
	}
	return strings.Join(texts, ", then ")
}
