package storetest

import (
	"crypto/sha256"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/store/storetest/internal/fixture"
)

// richKey returns a key with something to lose in every field.
func richKey(id apikey.ID, organization string) apikey.Key {
	key := apikey.Key{
		ID: id, Organization: organization, Disabled: true,
		Description: `  It's "quoted" \n NULL; -- , ` + "`${x}` %s 🔑 e\u0301 \u00e9 \u3000日本  ",
		Secrets: []apikey.StoredSecret{
			{ServerKey: "2031-a", Sum: sha256.Sum256([]byte("old")), Created: fixture.Moment, Expires: fixture.Moment.Add(90 * time.Minute),
				Digest: fixture.Digest(`It's %s <&> ${x}; --`, "old", "old")},
			{Sum: sha256.Sum256([]byte("new")), FormerID: "5ec2e700", Created: fixture.Moment.Add(time.Microsecond), Digest: fixture.Digest("api", "", "new")},
		},
		NotBefore: time.Date(1969, 12, 31, 23, 59, 59, 999999000, time.UTC),
		Expires:   time.Date(9999, 12, 31, 23, 59, 59, 999999000, time.UTC),
		Created:   fixture.Moment,
	}
	// Neither the order of the roles nor that of the projects.
	for i := range 30 {
		role := fmt.Sprintf("role %d é'", (i*7)%10)
		key.Grants = append(key.Grants, apikey.Grant{Role: role, Project: fmt.Sprintf("project/%d", 29-i)})
	}
	key.Grants = append(key.Grants,
		apikey.Grant{Role: "zeta"}, apikey.Grant{Role: "alpha", AllProjects: true}, apikey.Grant{Role: "zeta", AllProjects: true})
	key.Metadata = &apikey.Metadata{
		Labels:     map[string]string{"team": `It's "quoted" \n NULL; -- 日本`, "Team": "e\u0301", "archived": ""},
		ExternalID: "cus/1 <&> \u00e9",
	}
	key.AccessList = richList()
	key.TrialList = fixture.Must(key.AccessList.Without([]netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("2001:db8::1/128")}))
	return key
}

// richList returns more than 200 entries of every kind.
func richList() accesslist.List {
	texts := []string{"0.0.0.0/0", "::/0", "255.255.255.255", "10.0.0.0/8", "10.0.0.0/9", "10.0.0.0", "2001:db8::/32", "2001:db8::1", "fe80::/10"}
	for i := range 200 {
		texts = append(texts, fmt.Sprintf("198.51.%d.%d", i, 255-i))
	}
	var entries []accesslist.Entry
	for i, text := range texts {
		entry := fixture.Must(accesslist.Parser{AllowIPv6: true}.ParseEntry(text))
		switch i % 4 {
		case 0:
			entry.Comment = fmt.Sprintf(`  entry %d: "x", 'y' # \ = 🏢 e%c`, i, '\u0301')
		case 1:
			entry.Added, entry.Expires = fixture.Moment.Add(time.Duration(i)*time.Microsecond), fixture.Moment.AddDate(1, 0, i)
		case 2:
			entry.Expires = time.Date(1999, 1, 1, 0, 0, i%60, 1000, time.UTC) // expired, still an entry (A2)
		}
		entries = append(entries, entry)
	}
	entries[0].Comment = strings.Repeat("🏢", accesslist.MaxComment/4)
	return fixture.Must(accesslist.New(entries...))
}

// wantWhole checks that a key is a version from fixture.Whole.
func (k *kit) wantWhole(what string, got apikey.Key) {
	k.Helper()
	if _, problem := fixture.VersionOf(got); problem != "" {
		k.Errorf("%s: key %q %s", what, got.ID, problem)
	}
}
