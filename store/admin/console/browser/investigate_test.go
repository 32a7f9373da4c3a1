package browser_test

import (
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/policy/policyhttp"
)

// A refusal that a caller got is pasted, and explained. One of the changes proposed is made
// for a day.
func TestRefusalIsInvestigated(t *testing.T) {
	t.Parallel()
	s := newService(t)
	b := newTab(t, s)
	refused := s.call("deploy", "192.0.2.44", "")
	answer := httptest.NewRecorder()
	policyhttp.WriteProblem(answer, httptest.NewRequest("GET", "/", nil), refused)
	require.Contains(t, answer.Body.String(), "IP_ADDRESS_NOT_ON_ACCESS_LIST")

	b.enter("Acme Rockets")
	b.follow("Investigate")
	b.fill("Key ID", "deploy")
	b.fill("The refusal as JSON…", strings.TrimSpace(answer.Body.String()))
	b.choose("Endpoint…", "create cluster")
	b.press("Find out")
	b.wants("Why was this call refused?", "Refused. The address is not on the access list.", "What would let it pass")
	require.Contains(t, b.row("address not listed", "192.0.2.44"), "Answered")
	require.Contains(t, b.row("The address is not on the access list", "192.0.2.44"), "15")
	b.inspect("investigation")

	b.press("See what this would do : Add 192.0.2.44 to the access list until…")
	b.wants("Add 192.0.2.44…", "Nothing is changed yet.")
	b.because("the new build machine")
	b.press("Add 192.0.2.44…")
	b.wants("Why was this call refused?", "Saved.", "Allowed. The address is on the access list.")
	s.decides(policy.AddressListed, "deploy", s.secrets["deploy"], "192.0.2.44", "")
	entry, found := s.key("deploy").AccessList.Find(netip.MustParsePrefix("192.0.2.44/32"))
	require.True(t, found)
	require.True(t, entry.Expires.After(time.Now()) && entry.Expires.Before(time.Now().Add(25*time.Hour)), "%v", entry.Expires)
}

// What cannot be read is refused beside its field.
func TestInvestigationOfWhatCannotBeRead(t *testing.T) {
	t.Parallel()
	s := newService(t)
	b := newTab(t, s)
	b.enter("Acme Rockets")
	b.follow("Investigate")
	b.fill("The refusal as JSON…", "403 Forbidden")
	b.fill("Key ID", "deploy")
	b.fill("Address of the caller", "somewhere")
	b.press("Find out")
	b.wants("Why was this call refused?", "This is not a JSON object.", "Enter one address, such as 203.0.113.7.")
	b.inspect("investigation-unreadable")
}
