package storetest

import (
	"context"
	"fmt"
	"html"
	"maps"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/memory"
	"github.com/sallyport-go/sallyport/store/storetest/internal/fixture"
	"github.com/sallyport-go/sallyport/store/storetest/internal/teststore"
)

const (
	longest          = "S6/the longest texts come back whole"
	asWritten        = "S6/texts that look like something else come back as they were written"
	similar          = "S6/grants that differ in a byte are different"
	longList         = "S6/a long list comes back whole"
	blocks           = "S6/blocks of every length come back"
	onLabels         = "S6/labels that differ in a byte are different"
	onTrial          = "S6/a list on trial comes back beside the list"
	eachOrganization = "S6/an organization comes back in every field"
	onDigest         = "S6/Digest credentials come back with their secret"
	eachTime         = "S6/each time is kept by itself"
)

// Broken in one field of what they keep. Each is caught by one case alone.
var brokenFields = []brokenStore{
	{name: "cuts descriptions at 64 bytes", sentence: "S6", only: longest, make: onDescriptions(cutAt(64))},
	{name: "cuts descriptions at 255 bytes", sentence: "S6", only: longest, make: onDescriptions(cutAt(255))},
	{name: "cuts descriptions at 1,000 bytes", sentence: "S6", only: longest, make: onDescriptions(cutAt(1000))},
	{name: "cuts descriptions at 255 characters", sentence: "S6", only: longest, make: onDescriptions(cutAtCharacters(255))},
	{name: "cuts descriptions by one byte", sentence: "S6", only: longest, make: onDescriptions(cutAt(1023))},
	{name: "cuts roles at 64 bytes", sentence: "S6", only: longest, make: onRoles(cutAt(64))},
	{name: "cuts roles at 255 bytes", sentence: "S6", only: longest, make: onRoles(cutAt(255))},
	{name: "cuts projects at 64 bytes", sentence: "S6", only: longest, make: onProjects(cutAt(64))},
	{name: "cuts projects at 255 bytes", sentence: "S6", only: longest, make: onProjects(cutAt(255))},
	{name: "cuts IDs of server keys", sentence: "S6", only: longest, make: onSecrets(func(s *apikey.StoredSecret) { s.ServerKey = cutAt(16)(s.ServerKey) })},
	{name: "cuts comments at 1,000 characters", sentence: "S6", only: longest, make: onComments(cutAtCharacters(1000))},
	{name: "reads descriptions as numbers", sentence: "S6", only: asWritten, make: onDescriptions(asNumber)},
	{name: "reads the text NULL as none", sentence: "S6", only: asWritten, make: onDescriptions(func(text string) string { return strings.TrimPrefix(text, "NULL") })},
	{name: "unescapes HTML", sentence: "S6", only: asWritten, make: onDescriptions(html.UnescapeString)},
	{name: "unescapes URLs", sentence: "S6", only: asWritten, make: onDescriptions(unescaped)},
	{name: "reads comments as numbers", sentence: "S6", only: asWritten, make: onComments(asNumber)},
	{name: "folds the case of comments", sentence: "S6", only: asWritten, make: onComments(strings.ToLower)},
	{name: "trims comments at their end", sentence: "S6", only: asWritten, make: onComments(func(text string) string { return strings.TrimRight(text, " ") })},
	{name: "reads a blank comment as none", sentence: "S6", only: asWritten, make: onComments(func(text string) string {
		if text == " " {
			return ""
		}
		return text
	})},
	{name: "reads IDs of server keys as numbers", sentence: "S6", only: asWritten, make: onSecrets(func(s *apikey.StoredSecret) { s.ServerKey = asNumber(s.ServerKey) })},
	{name: "joins role and project by a colon", sentence: "S6", only: similar, make: joinedBy(":")},
	{name: "joins role and project by a slash", sentence: "S6", only: similar, make: joinedBy("/")},
	{name: "takes grants for one by their letters", sentence: "S6", only: similar, make: onKeys(func(key apikey.Key) apikey.Key {
		seen := map[string]bool{}
		key.Grants = slices.DeleteFunc(key.Grants, func(g apikey.Grant) bool {
			folded := strings.ToLower(fmt.Sprintf("%+v", g))
			defer func() { seen[folded] = true }()
			return seen[folded]
		})
		return key
	})},
	{name: "keeps 700 grants", sentence: "S6", only: "S6/many grants come back", make: onKeys(func(key apikey.Key) apikey.Key {
		key.Grants = key.Grants[:min(len(key.Grants), 700)]
		return key
	})},
	{name: "cuts lists at 255 entries", sentence: "S6", only: longList, make: cutLists(255)},
	{name: "cuts lists at 256 entries", sentence: "S6", only: longList, make: cutLists(256)},
	{name: "cuts lists at 1,000 entries", sentence: "S6", only: longList, make: cutLists(1000)},
	{name: "reads IPv6 masks as IPv4's", sentence: "S6", only: blocks, make: onBits(func(block netip.Prefix) int {
		if block.Addr().Is6() && block.Bits() < 128 {
			return min(block.Bits(), 32)
		}
		return block.Bits()
	})},
	{name: "keeps IPv4 masks by bytes", sentence: "S6", only: blocks, make: onBits(func(block netip.Prefix) int {
		if block.Addr().Is4() && block.Bits() > 9 {
			return block.Bits() / 8 * 8
		}
		return block.Bits()
	})},
	{name: "drops labels", sentence: "S6", make: onMetadata(func(m *apikey.Metadata) { m.Labels = nil })},
	{name: "drops external IDs", sentence: "S6", make: onMetadata(func(m *apikey.Metadata) { m.ExternalID = "" })},
	{name: "drops labels without a value", sentence: "S6", make: onMetadata(func(m *apikey.Metadata) {
		maps.DeleteFunc(m.Labels, func(_, value string) bool { return value == "" })
	})},
	{name: "drops labels of a key without an external ID", sentence: "S6", only: onLabels, make: onMetadata(func(m *apikey.Metadata) {
		if m.ExternalID == "" {
			m.Labels = nil
		}
	})},
	{name: "keeps 20 labels of a key", sentence: "S6", only: onLabels, make: onMetadata(func(m *apikey.Metadata) {
		for _, name := range slices.Sorted(maps.Keys(m.Labels))[min(20, len(m.Labels)):] {
			delete(m.Labels, name)
		}
	})},
	{name: "folds the case of labels' names", sentence: "S6", make: onMetadata(func(m *apikey.Metadata) {
		folded := map[string]string{}
		for name, value := range m.Labels {
			folded[strings.ToLower(name)] = value
		}
		m.Labels = folded
	})},
	{name: "cuts labels' names at 63 bytes", sentence: "S6", only: longest, make: onMetadata(func(m *apikey.Metadata) {
		cut := map[string]string{}
		for name, value := range m.Labels {
			cut[name[:min(len(name), 63)]] = value
		}
		m.Labels = cut
	})},
	{name: "cuts external IDs at 255 bytes", sentence: "S6", only: longest, make: onMetadata(func(m *apikey.Metadata) { m.ExternalID = m.ExternalID[:min(len(m.ExternalID), 255)] })},
	{name: "reads external IDs as numbers", sentence: "S6", only: asWritten, make: onMetadata(func(m *apikey.Metadata) { m.ExternalID = asNumber(m.ExternalID) })},
	{name: "drops names of organizations", sentence: "S6", make: onNames(func(string) string { return "" })},
	{name: "cuts names of organizations at 255 bytes", sentence: "S6", only: eachOrganization, make: onNames(cutAt(255))},
	{name: "reads names of organizations as numbers", sentence: "S6", only: eachOrganization, make: onNames(asNumber)},
	{name: "drops lists on trial", sentence: "S6", make: onKeys(func(key apikey.Key) apikey.Key {
		key.TrialList = accesslist.List{}
		return key
	})},
	{name: "puts lists on trial in force", sentence: "S6", make: onKeys(func(key apikey.Key) apikey.Key {
		if !key.TrialList.IsEmpty() {
			key.AccessList, key.TrialList = key.TrialList, accesslist.List{}
		}
		return key
	})},
	{name: "puts a list on trial in force if there is no other", sentence: "S6", make: onKeys(func(key apikey.Key) apikey.Key {
		if key.AccessList.IsEmpty() {
			key.AccessList, key.TrialList = key.TrialList, accesslist.List{}
		}
		return key
	})},
	{name: "keeps an entry once, with the comment of the list in force", sentence: "S6", only: onTrial, make: onKeys(func(key apikey.Key) apikey.Key {
		for entry := range key.TrialList.All() {
			if other, ok := key.AccessList.Find(entry.Prefix()); ok && entry.Comment == "on trial" {
				key.TrialList = fixture.Must(key.TrialList.Replace(other))
			}
		}
		return key
	})},
	{name: "cuts hashes at a zero byte", sentence: "S6", make: onSecrets(func(s *apikey.StoredSecret) {
		if i := slices.Index(s.Sum[1:], 0); i >= 0 {
			clear(s.Sum[i+1:])
		}
	})},
	{name: "cuts realms of Digest credentials", sentence: "S6", only: longest, make: onDigests(func(realm, md5, sha256 string) (string, string, string) {
		return cutAt(64)(realm), md5, sha256
	})},
	{name: "folds the case of realms", sentence: "S6", only: onDigest, make: onDigests(func(realm, md5, sha256 string) (string, string, string) {
		if realm == "API" {
			realm = "api"
		}
		return realm, md5, sha256
	})},
	{name: "reads Digest hashes as numbers", sentence: "S6", only: onDigest, make: onDigests(func(realm, md5, sha256 string) (string, string, string) {
		if md5 == "1e"+strings.Repeat("0", 30) {
			md5 = "1" + strings.Repeat("0", 31)
		}
		return realm, md5, sha256
	})},
	{name: "keeps one hash of Digest credentials", sentence: "S6", make: onDigests(func(realm, md5, sha256 string) (string, string, string) {
		if sha256 != "" {
			md5 = ""
		}
		return realm, md5, sha256
	})},
	{name: "drops Digest credentials", sentence: "S6", make: onSecrets(func(s *apikey.StoredSecret) { s.Digest = apikey.DigestCredentials{} })},
	{name: "gives the Digest credentials of a secret to the other", sentence: "S6", make: onKeys(func(key apikey.Key) apikey.Key {
		key = key.Clone()
		if len(key.Secrets) == 2 {
			key.Secrets[0].Digest, key.Secrets[1].Digest = key.Secrets[1].Digest, key.Secrets[0].Digest
		}
		return key
	})},
	{name: "reads 1970 as no time", sentence: "S6", only: eachTime, make: onKeys(func(key apikey.Key) apikey.Key {
		if key.NotBefore.Equal(time.Unix(0, 0)) {
			key.NotBefore = time.Time{}
		}
		return key
	})},
	{name: "keeps NotBefore in nanoseconds", sentence: "S6", only: eachTime, make: onKeys(func(key apikey.Key) apikey.Key {
		if !key.NotBefore.IsZero() {
			key.NotBefore = time.Unix(0, key.NotBefore.UnixNano())
		}
		return key
	})},
	{name: "keeps a suspension after its organization's end", sentence: "S14", only: "S14/an organization created again has nothing of the deleted one", make: keptSuspension},
	{name: "keeps an organization's requirement after its end", sentence: "S14", only: "S14/an organization created again has nothing of the deleted one", make: keptRequirement},
}

// cutAt cuts a text at n bytes.
func cutAt(n int) func(string) string {
	return func(text string) string { return text[:min(len(text), n)] }
}

func cutAtCharacters(n int) func(string) string {
	return func(text string) string {
		characters := []rune(text)
		return string(characters[:min(len(characters), n)])
	}
}

// asNumber reads a text as a column of numbers does.
func asNumber(text string) string {
	if number, err := strconv.ParseFloat(text, 64); err == nil {
		return strconv.FormatFloat(number, 'g', -1, 64)
	}
	return text
}

func unescaped(text string) string {
	if plain, err := url.QueryUnescape(text); err == nil {
		return plain
	}
	return text
}

func onDescriptions(change func(string) string) func() store.Store {
	return onKeys(func(key apikey.Key) apikey.Key {
		key.Description = change(key.Description)
		return key
	})
}

func onGrants(change func(*apikey.Grant)) func() store.Store {
	return onKeys(func(key apikey.Key) apikey.Key {
		for i := range key.Grants {
			change(&key.Grants[i])
		}
		return key
	})
}

func onRoles(change func(string) string) func() store.Store {
	return onGrants(func(g *apikey.Grant) { g.Role = change(g.Role) })
}

func onProjects(change func(string) string) func() store.Store {
	return onGrants(func(g *apikey.Grant) { g.Project = change(g.Project) })
}

// joinedBy keeps a grant in a project as one text.
func joinedBy(joint string) func() store.Store {
	return onGrants(func(g *apikey.Grant) {
		if g.Project != "" {
			g.Role, g.Project, _ = strings.Cut(g.Role+joint+g.Project, joint)
		}
	})
}

func onSecrets(change func(*apikey.StoredSecret)) func() store.Store {
	return onKeys(func(key apikey.Key) apikey.Key {
		for i := range key.Secrets {
			change(&key.Secrets[i])
		}
		return key
	})
}

func onDigests(change func(realm, md5, sha256 string) (string, string, string)) func() store.Store {
	return onSecrets(func(s *apikey.StoredSecret) {
		if !s.Digest.IsZero() {
			s.Digest = fixture.Must(apikey.NewDigestCredentials(change(s.Digest.Realm(), s.Digest.Hash(apikey.DigestMD5), s.Digest.Hash(apikey.DigestSHA256))))
		}
	})
}

func onComments(change func(string) string) func() store.Store {
	return onEntries(func(e *accesslist.Entry) { e.Comment = change(e.Comment) })
}

func cutLists(n int) func() store.Store {
	return onKeys(func(key apikey.Key) apikey.Key { return shortened(key, n) })
}

// shortened returns a key with the first n entries.
func shortened(key apikey.Key, n int) apikey.Key {
	return teststore.Entries(key, func(all []accesslist.Entry) []accesslist.Entry { return all[:min(len(all), n)] })
}

// onBits reads blocks with another length.
func onBits(bits func(netip.Prefix) int) func() store.Store {
	return onEntries(func(e *accesslist.Entry) {
		block := e.Prefix()
		if n := bits(block); n != block.Bits() {
			other := fixture.Must(accesslist.Parser{AllowIPv6: true}.NewEntry(netip.PrefixFrom(block.Addr(), n).Masked()))
			other.Comment, other.Added, other.Expires = e.Comment, e.Added, e.Expires
			*e = other
		}
	})
}

func onMetadata(change func(*apikey.Metadata)) func() store.Store {
	return onKeys(func(key apikey.Key) apikey.Key {
		if key = key.Clone(); key.Metadata != nil {
			change(key.Metadata)
		}
		return key
	})
}

// onNames keeps other names of organizations.
func onNames(change func(string) string) func() store.Store {
	return with(func(b *teststore.Broken, sound *memory.Store) {
		b.DoPutOrganization = func(ctx context.Context, o policy.Organization) (policy.Organization, error) {
			o.Name = change(o.Name)
			return sound.PutOrganization(ctx, o)
		}
	})
}

// keptRequirement forgets an organization except for its requirement.
func keptRequirement() store.Store {
	return keptAfterDeletion(func(created *policy.Organization, old policy.Organization) {
		if created.Requirement == policy.NotRequired {
			created.Requirement = old.Requirement
		}
	})
}

// keptSuspension forgets an organization except for its suspension.
func keptSuspension() store.Store {
	return keptAfterDeletion(func(created *policy.Organization, old policy.Organization) {
		if created.SuspendedUntil.IsZero() {
			created.SuspendedUntil = old.SuspendedUntil
		}
	})
}

// keptAfterDeletion mends a created organization by the deleted one of its ID.
func keptAfterDeletion(mend func(created *policy.Organization, old policy.Organization)) store.Store {
	return with(func(b *teststore.Broken, sound *memory.Store) {
		old := map[string]policy.Organization{}
		b.DoDeleteOrganization = func(ctx context.Context, id string, revision uint64) error {
			organization, _ := sound.Organization(ctx, id)
			err := sound.DeleteOrganization(ctx, id, revision)
			if err == nil {
				old[id] = organization
			}
			return err
		}
		b.DoPutOrganization = func(ctx context.Context, organization policy.Organization) (policy.Organization, error) {
			if organization.Revision == 0 {
				mend(&organization, old[organization.ID])
			}
			return sound.PutOrganization(ctx, organization)
		}
	})()
}
