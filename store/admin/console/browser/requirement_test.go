package browser_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/policy"
)

// The switch is thrown for an organization: first report only, then required. A suspension
// ends it for an hour, and is itself ended.
func TestRequirementIsSwitchedSafely(t *testing.T) {
	t.Parallel()
	s := newService(t)
	b := newTab(t, s)
	report := s.secrets["nightly-report"]
	b.enter("Acme Rockets")
	b.follow("Settings")
	b.wants("Settings", "Keys do not need an access list.", "5 keys: 3 with a list, 2 without. Of those 2, 1 had calls in the last 30 days.")

	// Report only refuses nobody.
	b.check("Report only…")
	b.press("See what this would do")
	b.wants("Report only?", "No call is answered differently.", "Nothing is changed yet.")
	b.because("a trial before the switch")
	b.press("Report only")
	b.wants("Settings", "Saved.", "None in the last 30 days")
	s.decides(policy.OpenList, "nightly-report", report, "203.0.113.80", "acme-data")

	// Calls that would be refused are shown.
	d := s.call("nightly-report", "203.0.113.80", "acme-data")
	require.True(t, d.Allowed())
	require.Equal(t, policy.OrganizationRequiresAccessList, d.WouldDeny)
	b.visit(prefix + "o/acme/settings")
	require.Contains(t, b.row("nightly-report", "203.0.113.80"), "Nightly report")
	b.inspect("settings-report-only")

	// From there the address gets onto a list of the key.
	b.follow("What would let it pass…")
	b.wants("Why was this call refused?", "Allowed.", "Would be refused: The organization requires an access list, and the key has none.")

	// Required is previewed: who breaks, and from when that is known.
	b.follow("Settings")
	b.check("Required…")
	b.press("See what this would do")
	b.wants("Require an access list?", "The answer changes for 2 keys: 1 breaks, 1 was not used.", "The observation is complete")
	require.Contains(t, b.row("Nightly report", "203.0.113.80"), "Breaks")
	require.Contains(t, b.row("Script of the summer"), "Unused")
	b.inspect("change-preview")

	// It is refused until the effect is accepted by name.
	before := s.position()
	b.because("the customer's audit wants it")
	b.pressFor(409, "Require an access list")
	b.wants("Require an access list?", "Nothing was changed. Something is in the way.")
	require.Equal(t, before, s.position())
	b.inspect("change-refused")
	b.check("Go ahead: calls of 1 key will be refused")
	b.press("Require an access list")
	b.wants("Settings", "Saved.", "Every key needs an access list.")
	s.decides(policy.OrganizationRequiresAccessList, "nightly-report", report, "203.0.113.80", "acme-data")
	s.decides(policy.AddressListed, "deploy", s.secrets["deploy"], "203.0.113.7", "")
	s.decides(policy.AddressNotListed, "deploy", s.secrets["deploy"], "203.0.113.8", "")

	// The overview names the keys refused since.
	s.call("nightly-report", "203.0.113.80", "acme-data")
	b.follow("Overview")
	b.wants("Acme Rockets", "Calls of 1 key were refused for want of an access list since the change")
	b.inspect("overview-refused")

	// A suspension lets it pass, until its end.
	b.follow("Settings")
	b.inspect("settings-required")
	b.choose("For", "1 hour")
	b.press("See what a suspension would do")
	b.wants("Suspend the requirement until…")
	b.because("the nightly report is needed now")
	b.check("Go ahead: 2 keys will be open to every address")
	b.press("Suspend the requirement until…")
	b.wants("Settings", "Saved.", "The requirement is suspended.", "It applies again at")
	s.decides(policy.OpenList, "nightly-report", report, "203.0.113.80", "acme-data")
	b.inspect("settings-suspended")
	b.press("Resume now")
	b.wants("Resume the requirement now?")
	b.because("the list is there")
	b.check("Go ahead: calls of 1 key will be refused")
	b.press("Resume the requirement now")
	b.wants("Settings", "Saved.")
	b.unwanted("The requirement is suspended.")
	s.decides(policy.OrganizationRequiresAccessList, "nightly-report", report, "203.0.113.80", "acme-data")

	b.follow("Events")
	for _, event := range []string{"Requirement resumed", "Requirement suspended"} {
		require.Contains(t, b.row("Ann Archer from 127.0.0.1, via console", event), "“")
	}
	require.Contains(t, b.row("Requirement changed", "the customer's audit wants it"), "Accepted: breaks key")
}

// What was previewed and has changed since is shown again, and not applied.
func TestChangeSincePreviewIsShownAgain(t *testing.T) {
	t.Parallel()
	s := newService(t)
	b := newTab(t, s)
	b.enter("Acme Rockets")
	b.follow("Settings")
	b.check("Required…")
	b.press("See what this would do")
	b.because("the audit")
	b.check("Go ahead: calls of 1 key will be refused")
	s.call("intern", "203.0.113.99", "acme-web")
	before := s.position()
	b.pressFor(409, "Require an access list")
	b.wants("Require an access list?", "Since the preview something behind it has changed", "2 break")
	require.Equal(t, before, s.position())
	s.decides(policy.OpenList, "intern", s.secrets["intern"], "203.0.113.99", "acme-web")
}
