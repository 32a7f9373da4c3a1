package browser_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/store/admin"
)

// Events are found by their key, their kind and their day.
func TestEventsAreFiltered(t *testing.T) {
	t.Parallel()
	s := newService(t)
	b := newTab(t, s)
	entry, err := accesslist.ParseEntry("192.0.2.200")
	require.NoError(t, err)
	s.apply("acme", admin.AddEntries("deploy", entry))
	s.apply("acme", admin.Describe("intern", "Script of the winter"))

	b.enter("Acme Rockets")
	b.follow("Events")
	require.Contains(t, b.row("Entry added · deploy", "192.0.2.200"), "by system seed, via cli")
	require.Contains(t, b.row("Key described · intern"), "“to begin with”")

	b.fill("Key ID", "intern")
	b.press("Show")
	b.row("Key described · intern")
	b.row("Key created · intern")
	b.unwanted("· deploy")

	b.choose("Change", "Key described")
	b.press("Show")
	b.row("Key described · intern")
	b.unwanted("Key created · intern")
	b.click(b.find("Changed fields", "DisclosureTriangle"))
	b.wants("Events", "before: Script of the summer", "after: Script of the winter")

	// A day is typed as the browser wants it: month, day, year.
	b.date("From (UTC)", time.Now().UTC().AddDate(0, 0, 2))
	b.press("Show")
	b.wants("Events", "No events", "Nothing matches. Widen the dates, or clear the filters.")
	b.inspect("events-none")
	b.follow("Clear")
	b.row("Entry added · deploy", "192.0.2.200")

	b.date("Until (UTC)", time.Now().UTC().AddDate(0, 0, 2))
	b.press("Show")
	b.row("Entry added · deploy", "192.0.2.200")
}
