package browser_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
)

// shown returns the secret on the page, shown once.
func (b *tab) shown() (apikey.ID, apikey.Secret) {
	b.t.Helper()
	_, rest, found := strings.Cut(b.read().text, "Bearer ")
	require.True(b.t, found)
	word, _, _ := strings.Cut(rest, "'")
	id, secret, err := apikey.Parse(word)
	require.NoError(b.t, err)
	return id, secret
}

// A key is made. Its secret is shown once, and the form sent again makes no second key.
func TestKeyIsCreated(t *testing.T) {
	t.Parallel()
	s := newService(t)
	b := newTab(t, s)
	b.enter("Acme Rockets")
	b.follow("Keys")
	b.follow("Create a key")

	// A wrong address is refused beside its field.
	b.fill("Description", "Backup of the web shop")
	b.fill("Addresses its calls come from…", "203.0.113.0/33")
	b.pressFor(422, "See what this would do")
	b.wants("Create a key", "203.0.113.0/33")
	b.inspect("create-refused")

	b.fill("Addresses its calls come from…", "203.0.113.16/28 # the data centre\n198.51.100.7")
	b.check("reader in project Web shop")
	b.press("See what this would do")
	b.wants("Create a key?", "added: Backup of the web shop", "added: role reader in project acme-web", "added: 198.51.100.7", "added: 203.0.113.16/28 # the data centre")
	b.because("backups begin on Monday")
	b.press("Create the key")
	b.wants("The key is created", "Copy the secret now.")
	id, secret := b.shown()
	b.inspect("created")
	s.decides(policy.AddressListed, id, secret, "203.0.113.20", "acme-web")
	s.decides(policy.AddressNotListed, id, secret, "203.0.113.32", "acme-web")
	s.decides(policy.ProjectNotGranted, id, secret, "203.0.113.20", "acme-data")

	before := s.position()
	b.reload(409)
	b.wants("The key exists already", "No second key was made")
	require.NotContains(t, b.read().text, secret.Reveal())
	b.inspect("create-again")
	require.Equal(t, before, s.position())
	b.follow("Go to the key")
	b.wants("Backup of the web shop", "203.0.113.16/28")
	require.NotContains(t, b.read().text, secret.Reveal())
}

// Keys are found by a label, by their status and by their lists.
func TestKeysAreSearched(t *testing.T) {
	t.Parallel()
	s := newService(t)
	b := newTab(t, s)
	b.enter("Acme Rockets")
	b.follow("5 keys")
	b.fill("Description, ID, label or external ID", "team=plat")
	b.press("Search")
	b.row("Deployment pipeline", "deploy", "203.0.113.7")
	b.unwanted("Grafana data source", "Nightly report")
	b.follow("Clear")
	b.choose("Status", "Switched off")
	b.press("Search")
	b.row("CI before the move", "old-ci")
	b.unwanted("Deployment pipeline")
	b.choose("Access list", "Without a list")
	b.press("Search")
	b.wants("Keys", "No key found")
}

// A list is narrowed to the observed addresses.
func TestListIsTightened(t *testing.T) {
	t.Parallel()
	s := newService(t)
	b := newTab(t, s)
	secret := s.secrets["deploy"]
	s.decides(policy.AddressListed, "deploy", secret, "198.51.100.99", "")
	b.enter("Acme Rockets")
	b.follow("Keys")
	b.follow("Deployment pipeline")
	b.follow("Tighten from traffic")
	b.wants("Tighten the access list", "removed: 198.51.100.0/24 # of the customer's network", "2 entries stay.", "covers 2 of 2 observed addresses")
	b.press("Go on to apply it")
	b.wants("Replace the access list?", "removed: 198.51.100.0/24 # of the customer's network")
	b.because("nobody calls from the block")
	b.press("Replace the list")
	b.wants("Deployment pipeline", "Saved.")
	b.unwanted("198.51.100.0/24 of the customer's network")
	s.decides(policy.AddressNotListed, "deploy", secret, "198.51.100.99", "")
	s.decides(policy.AddressListed, "deploy", secret, "198.51.100.20", "")
	s.decides(policy.AddressListed, "deploy", secret, "203.0.113.7", "")
	require.Equal(t, 2, s.key("deploy").AccessList.Len())
}

// A list on trial refuses nobody, is judged by calls, and is enforced.
func TestListIsTriedAndEnforced(t *testing.T) {
	t.Parallel()
	s := newService(t)
	b := newTab(t, s)
	secret := s.secrets["nightly-report"]
	b.enter("Acme Rockets")
	b.visit(prefix + "o/acme/keys/nightly-report")
	b.inspect("key-open")
	b.follow("Try a list")
	b.fill("The list on trial", "203.0.113.80")
	b.press("See what this would do")
	b.because("before it is enforced")
	b.press("Put it on trial")
	b.wants("Nightly report", "Saved.", "List on trial")
	require.Equal(t, policy.AddressNotListed, s.call("nightly-report", "203.0.113.81", "acme-data").WouldDeny)
	s.decides(policy.OpenList, "nightly-report", secret, "203.0.113.81", "acme-data")
	b.visit(prefix + "o/acme/keys/nightly-report")
	require.Contains(t, b.row("The address is not on the access list", "203.0.113.81"), "1")
	b.inspect("key-trial")
	b.follow("Enforce it")
	b.press("See what this would do")
	b.because("the other address is gone")
	b.check("Go ahead: calls of 1 key will be refused")
	b.press("Enforce the list")
	b.wants("Nightly report", "Saved.")
	s.decides(policy.AddressNotListed, "nightly-report", secret, "203.0.113.81", "acme-data")
	s.decides(policy.AddressListed, "nightly-report", secret, "203.0.113.80", "acme-data")
}

// A secret is rotated with an overlap. The old one is ended once the new one is in use.
func TestSecretIsRotated(t *testing.T) {
	t.Parallel()
	s := newService(t)
	b := newTab(t, s)
	old := s.secrets["deploy"]
	b.enter("Acme Rockets")
	b.visit(prefix + "o/acme/keys/deploy")
	b.follow("Rotate the secret")
	b.choose("The present secret stays valid", "for 24 hours")
	b.press("See what this would do")
	b.wants("Rotate the secret?", "added: a new secret")
	b.because("yearly")
	b.press("Make a new secret")
	b.wants("The key has a new secret", "Two secrets are live until the earlier one ends.")
	b.inspect("rotated")
	id, fresh := b.shown()
	require.Equal(t, apikey.ID("deploy"), id)
	s.decides(policy.AddressListed, "deploy", old, "203.0.113.7", "")
	s.decides(policy.AddressListed, "deploy", fresh, "203.0.113.7", "")

	// Sent again, the form makes no third one.
	before := s.position()
	b.reload(409)
	b.wants("Not done")
	b.inspect("edit-conflict")
	require.Equal(t, before, s.position())
	require.Len(t, s.key("deploy").Secrets, 2)

	s.secrets["deploy"] = fresh
	s.call("deploy", "203.0.113.7", "")
	b.visit(prefix + "o/acme/keys/deploy")
	b.inspect("key-rotated")
	b.follow("End it…")
	b.press("See what this would do")
	b.because("the new one is everywhere")
	if len(b.controls("checkbox")) > 0 {
		b.check("Go ahead: calls of 1 key will be refused")
	}
	b.press("End the secret")
	b.wants("Deployment pipeline", "Saved.")
	s.decides(policy.WrongSecret, "deploy", old, "203.0.113.7", "")
	s.decides(policy.AddressListed, "deploy", fresh, "203.0.113.7", "")
}

// A leaked key is switched off at once, replaced and deleted.
func TestLeakedKeyIsSwitchedOffAndDeleted(t *testing.T) {
	t.Parallel()
	s := newService(t)
	b := newTab(t, s)
	secret := s.secrets["grafana"]
	b.enter("Acme Rockets")
	b.visit(prefix + "o/acme/keys/grafana")
	b.follow("Switch off")
	b.because("found in a public repository")
	b.press("Switch it off now")
	b.wants("Grafana data source", "Saved.", "Switched off")
	b.inspect("key-off")
	s.decides(policy.KeyDisabled, "grafana", secret, "203.0.113.90", "acme-data")

	b.follow("Make a replacement")
	b.wants("Create a key", "10.0.0.0/8")
	b.press("See what this would do")
	b.because("in the place of the leaked one")
	b.press("Create the key")
	id, fresh := b.shown()
	s.decides(policy.AddressListed, id, fresh, "203.0.113.90", "acme-data")
	s.decides(policy.ProjectNotGranted, id, fresh, "203.0.113.90", "acme-web")

	b.visit(prefix + "o/acme/keys/grafana")
	b.follow("Delete")
	b.press("See what this would do")
	b.wants("Delete the key?")
	b.because("nobody has tried it since")
	b.press("Delete the key")
	b.wants("Keys", "Saved.")
	s.decides(policy.UnknownKey, "grafana", secret, "203.0.113.90", "acme-data")
	_, err := s.store.Key(t.Context(), "grafana")
	require.ErrorIs(t, err, store.ErrNotFound)
}
