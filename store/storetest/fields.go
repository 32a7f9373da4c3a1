package storetest

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/storetest/internal/fixture"
)

var fieldCases = []testCase{
	{sentence: "S6", name: "the longest texts come back whole", run: onHardKeys(longTexts)},
	{sentence: "S6", name: "texts that look like something else come back as they were written", run: onHardKeys(hardTexts)},
	{sentence: "S6", name: "grants that differ in a byte are different", run: onHardKeys(similarGrants)},
	{sentence: "S6", name: "many grants come back", run: onHardKeys(manyGrants)},
	{sentence: "S6", name: "a long list comes back whole", run: longListComesBack},
	{sentence: "S6", name: "blocks of every length come back", run: onHardKeys(everyBlock)},
	{sentence: "S6", name: "a list on trial comes back beside the list", run: onHardKeys(trialLists)},
	{sentence: "S6", name: "labels that differ in a byte are different", run: onHardKeys(similarLabels)},
	{sentence: "S6", name: "every byte of a hash comes back", run: onHardKeys(everyByte)},
	{sentence: "S6", name: "Digest credentials come back with their secret", run: onHardKeys(everyDigest)},
	{sentence: "S6", name: "each time is kept by itself", run: onHardKeys(everyTime)},
	{sentence: "S14", name: "an organization created again has nothing of the deleted one", run: organizationAgain},
}

// longestServerKey is the length of the longest ID of a server key, in bytes.
const longestServerKey = 32

// hardKeys returns keys for an organization. Each field has values that stores have lost.
func hardKeys(organization string) (all []apikey.Key) {
	for _, some := range []func(string) []apikey.Key{longTexts, hardTexts, similarGrants, manyGrants, longLists, everyBlock, trialLists, similarLabels, everyByte, everyDigest, everyTime} {
		all = append(all, some(organization)...)
	}
	return all
}

// onHardKeys is a case that stores keys and reads them by every method.
func onHardKeys(some func(organization string) []apikey.Key) func(*kit) {
	return func(k *kit) {
		k.organization("acme")
		all := some("acme")
		for i, key := range all {
			stored := k.put(key.Clone())
			all[i].Revision = stored.Revision
			k.wantKey("PutKey", stored, all[i])
		}
		k.wantAll(all)
	}
}

// wantAll checks that every method returns the keys, all of one organization, unchanged.
func (k *kit) wantAll(all []apikey.Key) {
	k.Helper()
	listed := map[apikey.ID]apikey.Key{}
	for _, key := range k.keys(all[0].Organization, 0) {
		listed[key.ID] = key
	}
	for _, want := range all {
		k.wantKey("Key", k.readKey(want.ID), want)
		k.wantKey("Lookup", k.lookup(want.ID).Key(), want)
		k.wantKey("Keys", listed[want.ID], want)
	}
}

// long returns a text of n bytes. It begins like every other and ends with a letter of
// its own.
func long(n int, end string) string { return strings.Repeat("x", n-len(end)) + end }

// longTexts returns keys with the longest text in every field, of one byte and of four
// bytes a character. Texts of one field differ in the last byte.
func longTexts(organization string) []apikey.Key {
	wide := func(n int, end string) string {
		text := strings.Repeat("🔑", (n-len(end))/4) + end
		return strings.Repeat("x", n-len(text)) + text
	}
	var all []apikey.Key
	for i, text := range []func(n int, end string) string{long, wide} {
		key := fixture.Plain(apikey.ID(long(apikey.MaxID, fmt.Sprint(i))), organization)
		key.Description = text(apikey.MaxDescription, "d")
		for _, end := range "abc" {
			key.Grants = append(key.Grants,
				apikey.Grant{Role: text(apikey.MaxName, string(end))},
				apikey.Grant{Role: "role", Project: text(apikey.MaxName, string(end))},
				apikey.Grant{Role: text(apikey.MaxName, string(end)), AllProjects: true})
		}
		key.Metadata = &apikey.Metadata{Labels: map[string]string{}, ExternalID: text(apikey.MaxName, "e")}
		for _, end := range "abc" {
			key.Metadata.Labels[text(apikey.MaxLabelName, string(end))] = text(apikey.MaxName, string(end))
		}
		key.Secrets[0].ServerKey = long(longestServerKey, "A")
		key.Secrets[0].Digest = fixture.Digest(long(apikey.MaxRealm, "A"), "first", "first")
		key.Secrets = append(key.Secrets, apikey.StoredSecret{
			ServerKey: long(longestServerKey, "B"), Sum: sha256.Sum256([]byte("second")), Digest: fixture.Digest(long(apikey.MaxRealm, "B"), "second", "second"),
		})
		key.AccessList = commented(text(accesslist.MaxComment, "a"), text(accesslist.MaxComment, "b"))
		all = append(all, key)
	}
	return all
}

// commented returns a list with an entry for each comment.
func commented(comments ...string) accesslist.List {
	entries := make([]accesslist.Entry, len(comments))
	for i, comment := range comments {
		entries[i] = fixture.Must(accesslist.NewEntry(netip.PrefixFrom(netip.AddrFrom4([4]byte{192, 0, 2, byte(i)}), 32)))
		entries[i].Comment = comment
	}
	return fixture.Must(accesslist.New(entries...))
}

// Texts that some database, format or template takes for something else: a number, a
// boolean, a date, nothing, an escape, a pattern, another spelling.
var textsLikeOthers = []string{
	"007", "1e3", "1E3", "0x10", "1_000", "+1", "-0", ".5", "1.0", "1.50", "9007199254740993", "18446744073709551616", "Infinity", "NaN",
	"NULL", "null", "nil", "undefined", "true", "FALSE", "yes", "No", "t", "2031-05-06", "2031-05-06T07:08:09Z", "12:30", "~", "=1+1", "@x", "-", "--",
	"*", "%", "_", "?", "**", "<b>bold</b>", "&amp;", "&lt;", "&#65;", "%41", "%20", "%%", "a+b", "%s", "$1", ":id", "{{x}}", "${x}", "`x`",
	`\`, `\\`, `\n`, `\x41`, `\u0041`, `\U0001F511`, `a\`, `'`, `''`, `"`, `""`, `"quoted"`, `'quoted'`, "#x", "a #b", "a -- b", "/* x */", "a; b",
	"{", "{}", "[]", "[1]", `{"a":1}`, "a=b", "a:b", "a: b", "a,b", "a|b", "a/b", "a//b", "a\\b", "a b", "a  b", "./a", "..", "(a)",
	"MixedCase", "mixedcase", "MIXEDCASE", "Stra\u00dfe", "STRASSE", "\u00e9", "e\u0301", "\u00c9", "\u212a", "K", "\ufb01", "fi", "\u0130", "\u0131", "i", "\uff41", "\u00bd", "1/2",
	"\u65e5\u672c", "\u0627", "\U0001f511", "\U0001f468\u200d\U0001f469", "\ufffd", "\ud7ff", "\ue000", "a\u00a0b", "caf\u00c3\u00a9", "\u0950",
}

// hardTexts returns keys with textsLikeOthers in every field that takes them.
func hardTexts(organization string) []apikey.Key {
	var all []apikey.Key
	for i, text := range validTexts() {
		key := fixture.Plain(apikey.ID(fmt.Sprint("text-", i)), organization)
		key.Description = text
		key.Grants = []apikey.Grant{{Role: text}, {Role: "role", Project: text}}
		key.Metadata = &apikey.Metadata{Labels: map[string]string{"label": text}, ExternalID: text}
		if len(text) <= apikey.MaxLabelName && !strings.Contains(text, "=") {
			key.Metadata.Labels[text] = ""
		}
		key.AccessList = commented(text, " "+text+" ", "x")
		if i == 0 { // blanks, and nothing else, are text where they are allowed
			key.Description = "  "
			key.AccessList = commented("", " ", "  ", "a ", " a")
		}
		all = append(all, key)
	}
	for i, id := range []string{"007", "1e3", "-0", "NULL", "null", "true", "MixedCase", "0x10", "_"} {
		key := fixture.Plain(apikey.ID(fmt.Sprint("server-key-", i)), organization)
		key.Secrets[0].ServerKey = id
		all = append(all, key)
	}
	return all
}

// validTexts returns the valid names among textsLikeOthers.
func validTexts() (valid []string) {
	for _, text := range textsLikeOthers {
		if apikey.ValidateName("text", text) == nil {
			valid = append(valid, text)
		}
	}
	return valid
}

// similarGrants returns a key with grants that are equal by a collation, or as one text of
// role and project.
func similarGrants(organization string) []apikey.Key {
	key := fixture.Plain("similar", organization)
	for _, text := range validTexts() {
		key.Grants = append(key.Grants, apikey.Grant{Role: text}, apikey.Grant{Role: text, AllProjects: true}, apikey.Grant{Role: "role", Project: text})
	}
	for _, joint := range []string{":", "/", ",", "|", "=", "@", "#", " ", ";", ".", "-", "_"} {
		key.Grants = append(key.Grants, apikey.Grant{Role: "a", Project: "b" + joint + "c"}, apikey.Grant{Role: "a" + joint + "b", Project: "c"}, apikey.Grant{Role: "a" + joint + "b" + joint + "c"})
	}
	return []apikey.Key{key}
}

// similarLabels returns keys with labels whose names are equal by a collation, with as many
// labels as a key may have, and with each part of the metadata alone.
func similarLabels(organization string) (all []apikey.Key) {
	add := func(metadata apikey.Metadata) {
		key := fixture.Plain(apikey.ID(fmt.Sprint("labels-", len(all))), organization)
		key.Metadata = &metadata
		all = append(all, key)
	}
	add(apikey.Metadata{ExternalID: "alone"})
	add(apikey.Metadata{Labels: map[string]string{"alone": ""}})
	add(apikey.Metadata{Labels: map[string]string{"alone": "alone"}})
	labels := map[string]string{}
	for _, name := range validTexts() {
		if len(name) > apikey.MaxLabelName || strings.Contains(name, "=") {
			continue
		}
		if labels[name] = name; len(labels) == apikey.MaxLabels {
			add(apikey.Metadata{Labels: labels})
			labels = map[string]string{}
		}
	}
	add(apikey.Metadata{Labels: labels, ExternalID: "Alone"})
	return all
}

// manyGrants returns a key with as many grants as any store keeps.
func manyGrants(organization string) []apikey.Key {
	key := fixture.Plain("many-grants", organization)
	for i := range 1000 {
		key.Grants = append(key.Grants, apikey.Grant{Role: fmt.Sprint("role ", i%7), Project: fmt.Sprint("project ", i)})
	}
	return []apikey.Key{key}
}

// longLists returns a key with the longest list that every store keeps.
func longLists(organization string) []apikey.Key {
	return []apikey.Key{withEntries(fixture.Plain("long", organization), store.MaxEntries)}
}

func withEntries(key apikey.Key, n int) apikey.Key {
	entries := make([]accesslist.Entry, n)
	for i := range entries {
		address := netip.AddrFrom4([4]byte{10, byte(i >> 8), byte(i), 1})
		entries[i] = fixture.Must(accesslist.NewEntry(netip.PrefixFrom(address, 32)))
		entries[i].Comment = fmt.Sprint("entry ", i)
	}
	key.AccessList = fixture.Must(accesslist.New(entries...))
	return key
}

// longListComesBack stores lists of more and more entries, by each kind of write. Beyond
// store.MaxEntries a store may refuse one, but may not shorten it.
func longListComesBack(k *kit) {
	k.organization("acme")
	writes := map[string]func(apikey.Key) error{"put": func(key apikey.Key) error {
		_, err := k.store.PutKey(k.ctx, key, store.AllowManyEntries)
		return err
	}}
	if loader, ok := store.As[store.Loader](k.store); ok {
		writes["loaded"] = func(key apikey.Key) error { return loader.Load(k.ctx, nil, []apikey.Key{key}) }
	}
	for how, write := range writes {
		for _, n := range []int{255, 256, 257, store.MaxEntries, store.MaxEntries + 1} {
			want := withEntries(fixture.Plain(apikey.ID(fmt.Sprint(how, "-", n)), "acme"), n)
			err := write(want)
			if n > store.MaxEntries && errors.Is(err, store.ErrInvalid) {
				continue
			}
			if err != nil {
				k.Fatalf("a key with %d entries, %s: %v", n, how, err)
			}
			want.Revision = k.readKey(want.ID).Revision
			k.wantEverywhere(want)
			if _, ok := store.As[store.Watcher](k.store); ok {
				k.wantDeliveredKey(k.mirror(), want)
			}
		}
	}
}

// everyBlock returns a key with a block of every length, of both families.
func everyBlock(organization string) []apikey.Key {
	key := fixture.Plain("blocks", organization)
	var entries []accesslist.Entry
	for _, address := range []netip.Addr{netip.MustParseAddr("203.0.113.157"), netip.MustParseAddr("2001:db8:ffff:5a5a:a5a5:ffff:5a5a:a5a5")} {
		for bits := range address.BitLen() + 1 {
			block := netip.PrefixFrom(address, bits).Masked()
			entries = append(entries, fixture.Must(accesslist.Parser{AllowIPv6: true}.NewEntry(block)))
			entries[len(entries)-1].Comment = block.String()
		}
	}
	key.AccessList = fixture.Must(accesslist.New(entries...))
	return []apikey.Key{key}
}

// trialLists returns keys with each way that two lists can be, or not be, the same.
func trialLists(organization string) (all []apikey.Key) {
	list := func(addresses ...string) accesslist.List { return fixture.Must(accesslist.Parse(addresses...)) }
	noted := commented("in force")
	noted = fixture.Must(noted.With(fixture.Must(accesslist.ParseEntry("198.51.100.0/24"))))
	noted2 := commented("on trial")
	for _, lists := range [][2]accesslist.List{
		{{}, list("192.0.2.1")}, {list("192.0.2.1"), {}}, {list("192.0.2.1"), list("192.0.2.2")}, {list("192.0.2.2"), list("192.0.2.1")},
		{list("192.0.2.1"), list("192.0.2.1")}, {noted, noted2}, {noted2, noted}, {{}, expiredList()}, {expiredList(), list("0.0.0.0/0")},
		{list("0.0.0.0/0"), expiredList()},
	} {
		key := fixture.Plain(apikey.ID(fmt.Sprint("trial-", len(all))), organization)
		key.AccessList, key.TrialList = lists[0], lists[1]
		all = append(all, key)
	}
	return all
}

// everyByte returns keys with hashes for a text type to cut or trim.
func everyByte(organization string) (all []apikey.Key) {
	var rising [sha256.Size]byte
	for i := range rising {
		rising[i] = byte(i)
	}
	for i, sum := range [][sha256.Size]byte{{31: 1}, {0: 1}, {1: 1, 30: ' '}, {0: ' ', 31: ' '}, {0: 0xff, 31: 0xff}, {0: 0x80, 1: 0x7f}, rising} {
		key := fixture.Plain(apikey.ID(fmt.Sprint("hash-", i)), organization)
		key.Secrets[0].Sum = sum
		all = append(all, key)
	}
	return all
}

// everyTime returns a key for each time and field, with no other time in it.
func everyTime(organization string) (all []apikey.Key) {
	for i, at := range hardTimes {
		for j, set := range []func(*apikey.Key, *accesslist.Entry){
			func(key *apikey.Key, _ *accesslist.Entry) { key.NotBefore = at },
			func(key *apikey.Key, _ *accesslist.Entry) { key.Expires = at },
			func(key *apikey.Key, _ *accesslist.Entry) { key.Created = at },
			func(key *apikey.Key, _ *accesslist.Entry) { key.Secrets[0].Created = at },
			func(key *apikey.Key, _ *accesslist.Entry) { key.Secrets[0].Expires = at },
			func(_ *apikey.Key, entry *accesslist.Entry) { entry.Added = at },
			func(key *apikey.Key, entry *accesslist.Entry) {
				entry.Expires = at
				key.TrialList = fixture.Must(accesslist.New(*entry))
				entry.Expires = time.Time{}
			},
			func(_ *apikey.Key, entry *accesslist.Entry) { entry.Expires = at },
		} {
			key := fixture.Plain(apikey.ID(fmt.Sprintf("time-%d-%d", i, j)), organization)
			entry := fixture.Must(accesslist.ParseEntry("192.0.2.1"))
			set(&key, &entry)
			key.AccessList = fixture.Must(accesslist.New(entry))
			all = append(all, key)
		}
	}
	return all
}

// hardTimes are the ends of the ranges that times have in stores.
var hardTimes = []time.Time{
	time.Date(1, 1, 1, 0, 0, 0, 1000, time.UTC), // the first after zero
	time.Date(1582, 10, 10, 0, 0, 0, 0, time.UTC),
	time.Date(1677, 9, 21, 0, 12, 43, 145224000, time.UTC), // before the first in nanoseconds of 64 bits
	time.Date(1900, 2, 28, 23, 59, 59, 0, time.UTC),
	time.Unix(-1, 999999000),
	time.Unix(0, 0), // zero to some databases
	time.Unix(0, 1000),
	time.Date(2024, 2, 29, 23, 59, 59, 999999000, time.FixedZone("", -11*3600)),
	time.Date(2031, 3, 30, 2, 30, 0, 0, time.FixedZone("", 14*3600)),
	time.Date(2038, 1, 19, 3, 14, 8, 1000, time.UTC),
	time.Date(2106, 2, 7, 6, 28, 16, 0, time.UTC),
	time.Date(2262, 4, 11, 23, 47, 16, 854776000, time.UTC), // after the last in nanoseconds of 64 bits
	time.Date(9999, 12, 31, 23, 59, 59, 999999000, time.UTC),
}

func organizationAgain(k *kit) {
	k.organization("other")
	for _, requirement := range []policy.Requirement{policy.Required, policy.ReportOnly, policy.NotRequired} {
		put := fixture.WholeOrganization("acme", 1)
		put.Requirement = requirement
		old := k.putOrganization(put)
		old = k.putOrganization(old)
		k.put(fixture.Plain("key", "acme"))
		k.delete("key")
		if err := k.store.DeleteOrganization(k.ctx, "acme", old.Revision); err != nil {
			k.Fatalf("DeleteOrganization: %v", err)
		}
		want := policy.Organization{ID: "acme"}
		want.Revision = k.organization("acme").Revision
		if got := k.readOrganization("acme"); !got.Equal(want) {
			k.Errorf("an organization created where one was deleted is %+v; want %+v", got, want)
		}
		if got := ids(k.keys("acme", 0)); len(got) > 0 {
			k.Errorf("an organization created where one was deleted has the keys %q; want none", got)
		}
		want.Requirement = policy.Required
		want = k.putOrganization(want)
		k.put(fixture.Plain("key", "acme"))
		if got := k.lookup("key").Organization(); !got.Equal(want) {
			k.Errorf("Lookup of a key of an organization created again has %+v; want %+v", got, want)
		}
		k.delete("key")
		if err := k.store.DeleteOrganization(k.ctx, "acme", 0); err != nil {
			k.Fatalf("DeleteOrganization: %v", err)
		}
	}
}
