package storetest

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/apikey"
)

// plainKey returns the least that can be stored under an ID, with the addresses on
// its list.
func plainKey(id apikey.ID, organization string, addresses ...string) apikey.Key {
	key := apikey.Key{ID: id, Organization: organization, Secrets: []apikey.StoredSecret{{Sum: sha256.Sum256([]byte(id))}}}
	if len(addresses) > 0 {
		key.AccessList = must(accesslist.Parse(addresses...))
	}
	return key
}

// must is for what is known to succeed.
func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

// moment is a time with all the digits that a store must keep, and not in UTC.
var moment = time.Date(2031, 5, 6, 7, 8, 9, 123456000, time.FixedZone("", 5*3600+1800))

// richKey returns a key that has something to lose in every field.
func richKey(id apikey.ID, organization string) apikey.Key {
	key := apikey.Key{
		ID: id, Organization: organization, Disabled: true,
		Description: `  It's "quoted" \n NULL; -- , ` + "`${x}` %s 🔑 e\u0301 \u00e9 \u200b日本  ",
		Secrets: []apikey.StoredSecret{
			{ServerKey: "2031-a", Sum: sha256.Sum256([]byte("old")), Created: moment, Expires: moment.Add(90 * time.Minute)},
			{Sum: sha256.Sum256([]byte("new")), Created: moment.Add(time.Microsecond)},
		},
		NotBefore: time.Date(1969, 12, 31, 23, 59, 59, 999999000, time.UTC),
		Expires:   time.Date(9999, 12, 31, 23, 59, 59, 999999000, time.UTC),
		Created:   moment,
	}
	// The order is neither that of the roles nor that of the projects.
	for i := range 30 {
		role := fmt.Sprintf("role %d é'", (i*7)%10)
		key.Grants = append(key.Grants, apikey.Grant{Role: role, Project: fmt.Sprintf("project/%d", 29-i)})
	}
	key.Grants = append(key.Grants,
		apikey.Grant{Role: "zeta"}, apikey.Grant{Role: "alpha", AllProjects: true}, apikey.Grant{Role: "zeta", AllProjects: true})
	key.AccessList = richList()
	return key
}

// richList returns a list of more than 200 entries of every kind.
func richList() accesslist.List {
	texts := []string{"0.0.0.0/0", "::/0", "255.255.255.255", "10.0.0.0/8", "10.0.0.0/9", "10.0.0.0", "2001:db8::/32", "2001:db8::1", "fe80::/10"}
	for i := range 200 {
		texts = append(texts, fmt.Sprintf("198.51.%d.%d", i, 255-i))
	}
	var entries []accesslist.Entry
	for i, text := range texts {
		entry := must(accesslist.Parser{AllowIPv6: true}.ParseEntry(text))
		switch i % 4 {
		case 0:
			entry.Comment = fmt.Sprintf(`  entry %d: "x", 'y' # \ = 🏢 e%c`, i, '\u0301')
		case 1:
			entry.Added, entry.Expires = moment.Add(time.Duration(i)*time.Microsecond), moment.AddDate(1, 0, i)
		case 2:
			entry.Expires = time.Date(1999, 1, 1, 0, 0, i%60, 1000, time.UTC) // long expired, an entry all the same (A2)
		}
		entries = append(entries, entry)
	}
	entries[0].Comment = strings.Repeat("🏢", accesslist.MaxComment/4)
	return must(accesslist.New(entries...))
}

// whole returns version n of a key, with n in every field, so that a mixture of
// two versions shows. Its list has n%4 entries.
func whole(id apikey.ID, organization string, n int) apikey.Key {
	version := fmt.Sprintf("version %d", n)
	key := apikey.Key{
		ID: id, Organization: organization, Description: version, Disabled: n%2 == 1,
		Secrets: []apikey.StoredSecret{{Sum: sha256.Sum256([]byte(version))}},
		Created: moment.Add(time.Duration(n) * time.Second),
	}
	for i := range n % 3 {
		key.Grants = append(key.Grants, apikey.Grant{Role: version, Project: fmt.Sprint(i)})
	}
	var entries []accesslist.Entry
	for i := range n % 4 {
		entry := must(accesslist.ParseEntry(fmt.Sprintf("192.0.2.%d", i)))
		entry.Comment = version
		entries = append(entries, entry)
	}
	key.AccessList = must(accesslist.List{}.With(entries...))
	return key
}

// wantWhole checks that a key is a version that whole returned.
func (k *kit) wantWhole(what string, got apikey.Key) {
	k.Helper()
	if _, problem := versionOf(got); problem != "" {
		k.Errorf("%s: key %q %s", what, got.ID, problem)
	}
}

// versionOf returns the version that whole returned as this key, or says why it is none.
func versionOf(got apikey.Key) (n int, problem string) {
	if _, err := fmt.Sscanf(got.Description, "version %d", &n); err != nil {
		return 0, fmt.Sprintf("has the description %q, which was never written", got.Description)
	}
	want := whole(got.ID, got.Organization, n)
	want.Revision = got.Revision
	if d := difference(got, want); d != "" {
		return 0, "is not as version " + fmt.Sprint(n) + " was written: " + d
	}
	return n, ""
}

// difference says where two keys differ, or returns "".
func difference(got, want apikey.Key) string {
	var all []string
	differ := func(what string, equal bool, got, want any) {
		if !equal {
			all = append(all, fmt.Sprintf("%s is %v; want %v", what, got, want))
		}
	}
	text := func(what, got, want string) {
		differ(what, got == want, fmt.Sprintf("%.200q", got), fmt.Sprintf("%.200q", want))
	}
	instant := func(what string, got, want time.Time) { differ(what, got.Equal(want), got.UTC(), want.UTC()) }

	text("ID", string(got.ID), string(want.ID))
	text("Organization", got.Organization, want.Organization)
	text("Description", got.Description, want.Description)
	differ("Disabled", got.Disabled == want.Disabled, got.Disabled, want.Disabled)
	differ("Grants", slices.Equal(got.Grants, want.Grants), got.Grants, want.Grants)
	instant("NotBefore", got.NotBefore, want.NotBefore)
	instant("Expires", got.Expires, want.Expires)
	instant("Created", got.Created, want.Created)
	differ("Revision", got.Revision == want.Revision, got.Revision, want.Revision)
	differ("number of secrets", len(got.Secrets) == len(want.Secrets), len(got.Secrets), len(want.Secrets))
	for i := range min(len(got.Secrets), len(want.Secrets)) {
		g, w, what := got.Secrets[i], want.Secrets[i], fmt.Sprintf("Secrets[%d].", i)
		text(what+"ServerKey", g.ServerKey, w.ServerKey)
		differ(what+"Sum", g.Sum == w.Sum, g.ID(), w.ID())
		instant(what+"Created", g.Created, w.Created)
		instant(what+"Expires", g.Expires, w.Expires)
	}
	differ("number of entries", got.AccessList.Len() == want.AccessList.Len(), got.AccessList.Len(), want.AccessList.Len())
	for w := range want.AccessList.All() {
		g, ok := got.AccessList.Find(w.Prefix())
		if !ok {
			differ("entry "+w.String(), false, "not there", "it")
			continue
		}
		text("comment of entry "+w.String(), g.Comment, w.Comment)
		instant("Added of entry "+w.String(), g.Added, w.Added)
		instant("Expires of entry "+w.String(), g.Expires, w.Expires)
	}
	if len(all) == 0 && !got.Equal(want) {
		return fmt.Sprintf("it is %+v; want %+v", got, want)
	}
	if len(all) > 5 {
		all = append(all[:5], fmt.Sprintf("and %d more", len(all)-5))
	}
	return strings.Join(all, "; ")
}
