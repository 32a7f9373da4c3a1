package accesslist_test

import (
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/sallyport-go/sallyport/accesslist"
)

func TestZeroValuesCoverNothing(t *testing.T) {
	var e accesslist.Entry
	var l accesslist.List
	for _, addr := range append(addrs("0.0.0.0", "203.0.113.7", "::", "::1"), unfit...) {
		if e.Covers(addr, now) || l.Contains(addr, now) {
			t.Errorf("%v is covered", addr)
		}
	}
	if e.String() != "invalid entry" || e.IsSingle() || e.Prefix().IsValid() || e.ExpiredAt(now) {
		t.Errorf("zero Entry: %v, single %v, %v", e, e.IsSingle(), e.Prefix())
	}
	if !l.IsEmpty() || l.Len() != 0 || len(texts(l)) != 0 {
		t.Errorf("zero List: %d entries", l.Len())
	}
	if _, ok := l.Find(netip.MustParsePrefix("0.0.0.0/0")); ok {
		t.Error("the zero List found an entry")
	}
	wantEqual(t, "the zero List with nothing", must(l.With()), l)
	if _, err := accesslist.New(); !errors.Is(err, accesslist.ErrNoEntries) {
		t.Errorf("New of nothing: %v", err)
	}
}

func TestA6DuplicatesAreNamedAndNothingIsAdded(t *testing.T) {
	list := listOf("10.0.0.0/8", "203.0.113.7", "2001:db8::/32")
	for _, test := range []struct {
		add   []accesslist.Entry
		name  string
		where string
	}{
		{[]accesslist.Entry{entry("203.0.113.7/32")}, "203.0.113.7", "on the list already"},
		{[]accesslist.Entry{entryUntil("10.0.0.0/8", now)}, "10.0.0.0/8", "on the list already"},
		{[]accesslist.Entry{entry("192.0.2.1"), entry("2001:db8::/32")}, "2001:db8::/32", "on the list already"},
		{[]accesslist.Entry{entry("192.0.2.1"), entry("192.0.2.1/32")}, "192.0.2.1", "given twice"},
	} {
		got, err := list.With(test.add...)
		wantError(t, test.name, err, "accesslist: "+test.name+": duplicate entry: it is "+test.where+"; nothing was added")
		if !errors.Is(err, accesslist.ErrDuplicate) || got.Len() != 0 {
			t.Errorf("%s: %v and a list of %d", test.name, err, got.Len())
		}
		wantEqual(t, "the list after "+test.name, texts(list), []string{"10.0.0.0/8", "203.0.113.7", "2001:db8::/32"})
	}
}

func TestA9OverlappingEntriesCoexist(t *testing.T) {
	list := must(listOf("10.0.0.0/8").With(entry("10.0.0.0/16"), entry("10.0.0.0"), entry("0.0.0.0/0"), entry("10.0.0.0/7")))
	wantEqual(t, "entries", texts(list), []string{"0.0.0.0/0", "10.0.0.0/7", "10.0.0.0/8", "10.0.0.0/16", "10.0.0.0"})
}

func TestA9FindingAndRemovingIsByExactEntry(t *testing.T) {
	list := listOf("10.0.0.0/8", "10.0.0.0/16", "203.0.113.7", "2001:db8::/32")
	for _, prefix := range prefixes("10.0.0.0/8", "10.0.0.0/16", "203.0.113.7/32", "2001:db8::/32") {
		e, ok := list.Find(prefix)
		if !ok || e.Prefix() != prefix {
			t.Errorf("Find(%v) = %v, %v", prefix, e, ok)
		}
		shorter, err := list.Without([]netip.Prefix{prefix})
		if err != nil || shorter.Len() != 3 {
			t.Errorf("Without(%v): %d entries, %v", prefix, shorter.Len(), err)
		}
		if _, ok := shorter.Find(prefix); ok {
			t.Errorf("%v is still there", prefix)
		}
	}
	absent := append(prefixes("10.0.0.0/9", "10.0.0.0/7", "0.0.0.0/0", "10.1.2.3/32", "203.0.113.0/24", "2001:db8::/33",
		"10.0.0.1/8", "::ffff:203.0.113.7/128", "255.255.255.255/32"), netip.Prefix{}, netip.PrefixFrom(netip.MustParseAddr("10.0.0.0"), 33))
	for _, prefix := range absent {
		if e, ok := list.Find(prefix); ok {
			t.Errorf("Find(%v) = %v", prefix, e)
		}
		written := prefix.String() // as an entry
		switch {
		case !prefix.IsValid():
			written = "invalid entry"
		case prefix.IsSingleIP():
			written = prefix.Addr().String()
		}
		for _, options := range [][]accesslist.RemoveOption{nil, {accesslist.AllowOpen}} {
			_, err := list.Without([]netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), prefix}, options...)
			wantError(t, prefix.String(), err, "accesslist: "+written+": no such entry: an entry is removed by its exact address or block; nothing was removed")
			if !errors.Is(err, accesslist.ErrNotListed) {
				t.Errorf("%v is not ErrNotListed", err)
			}
		}
	}
	wantEqual(t, "the list afterwards", list.Len(), 4)
}

func TestA10AddingTheFirstEntryNarrows(t *testing.T) {
	list := must(accesslist.List{}.With(entry("203.0.113.7")))
	if list.IsEmpty() || list.Contains(netip.MustParseAddr("203.0.113.8"), now) {
		t.Error("the first entry did not narrow the list")
	}
}

func TestA10NoRemovalOpensAListUnlessItSaysSo(t *testing.T) {
	one, two := listOf("203.0.113.7"), listOf("10.0.0.0/8", "203.0.113.7")
	last, both := prefixes("203.0.113.7/32"), prefixes("10.0.0.0/8", "203.0.113.7/32")
	const refusal = ": an empty access list opens the key to every address: want an entry left, or AllowOpen"

	_, err := one.Without(last)
	wantError(t, "the only one", err, "accesslist: 203.0.113.7"+refusal)
	if !errors.Is(err, accesslist.ErrOpensKey) {
		t.Errorf("%v is not ErrOpensKey", err)
	}
	_, err = two.Without(both)
	wantError(t, "both", err, "accesslist: 10.0.0.0/8"+refusal)
	_, err = one.Without(append(last, last...))
	wantError(t, "the only one twice", err, "accesslist: 203.0.113.7"+refusal)
	_, err = must(accesslist.New(entryUntil("203.0.113.7", now.AddDate(-1, 0, 0)))).Without(last)
	wantError(t, "the only one, expired", err, "accesslist: 203.0.113.7"+refusal)

	_, err = one.Without(last, 0, 2)
	wantError(t, "the only one, with other options", err, "accesslist: 203.0.113.7"+refusal)

	wantEqual(t, "one of two", texts(must(two.Without(both[:1]))), []string{"203.0.113.7"})
	wantEqual(t, "one of two, twice", texts(must(two.Without(append(both[:1:1], both[0])))), []string{"203.0.113.7"})
	wantEqual(t, "both, said so", must(two.Without(both, accesslist.AllowOpen)), accesslist.List{})
	wantEqual(t, "the only one, said so", must(one.Without(last, 0, accesslist.AllowOpen)), accesslist.List{})
	wantEqual(t, "nothing of one", must(one.Without(nil)), one)
	wantEqual(t, "nothing of nothing", must(accesslist.List{}.Without(nil)), accesslist.List{})
	_, err = accesslist.List{}.Without(last)
	if !errors.Is(err, accesslist.ErrNotListed) {
		t.Errorf("one of nothing: %v", err)
	}
}

func TestReplaceChangesWhatIsNotTheAddress(t *testing.T) {
	list := listOf("10.0.0.0/8", "203.0.113.7")
	changed := entryUntil("203.0.113.7", now)
	changed.Comment, changed.Added = "the office", now.Add(-time.Hour)

	got := must(list.Replace(changed))
	wantEqual(t, "replaced", got, must(accesslist.New(entry("10.0.0.0/8"), changed)))
	if got.Contains(netip.MustParseAddr("203.0.113.7"), now) {
		t.Error("the new expiry is not in force")
	}
	wantEqual(t, "put back", must(got.Replace(entry("203.0.113.7"))), list)
	wantEqual(t, "nothing replaced", must(list.Replace()), list)

	got, err := list.Replace(changed, entry("10.0.0.0/9"))
	wantError(t, "an absent one", err, "accesslist: 10.0.0.0/9: no such entry: add it with With; nothing was replaced")
	if !errors.Is(err, accesslist.ErrNotListed) || got.Len() != 0 {
		t.Errorf("%v and a list of %d", err, got.Len())
	}
	_, err = list.Replace(changed, entry("203.0.113.7"))
	wantError(t, "one twice", err, "accesslist: 203.0.113.7: duplicate entry: it is given twice; nothing was replaced")
	if !errors.Is(err, accesslist.ErrDuplicate) {
		t.Errorf("%v is not ErrDuplicate", err)
	}
	wantEqual(t, "the list afterwards", list, listOf("10.0.0.0/8", "203.0.113.7"))
}

func TestUnfitEntriesAreRefused(t *testing.T) {
	with := func(change func(*accesslist.Entry)) accesslist.Entry {
		e := entry("203.0.113.7")
		change(&e)
		return e
	}
	comment := func(comment string) accesslist.Entry {
		return with(func(e *accesslist.Entry) { e.Comment = comment })
	}
	const longest = accesslist.MaxComment
	year10000 := time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, test := range []struct {
		entry   accesslist.Entry
		message string
	}{
		{accesslist.Entry{}, "an entry without an address: want one made by ParseEntry or NewEntry"},
		{accesslist.Entry{Comment: "office"}, "an entry without an address: want one made by ParseEntry or NewEntry"},
		{comment(strings.Repeat("x", longest+1)), "the comment of 203.0.113.7 has 1025 bytes: want at most 1024"},
		{comment(strings.Repeat("é", longest/2) + "x"), "the comment of 203.0.113.7 has 1025 bytes: want at most 1024"},
		{comment("a\xff"), "the comment of 203.0.113.7 is not valid UTF-8: want UTF-8"},
		{comment("a\nb"), "the comment of 203.0.113.7 has the control character U+000A at byte 2: want it without"},
		{comment("é\r"), "the comment of 203.0.113.7 has the control character U+000D at byte 3: want it without"},
		{comment("\t"), "the comment of 203.0.113.7 has the control character U+0009 at byte 1: want it without"},
		{comment("\x1b[2K"), "the comment of 203.0.113.7 has the control character U+001B at byte 1: want it without"},
		{comment("\x00"), "the comment of 203.0.113.7 has the control character U+0000 at byte 1: want it without"},
		{comment("\x7f"), "the comment of 203.0.113.7 has the control character U+007F at byte 1: want it without"},
		{comment("\u0085"), "the comment of 203.0.113.7 has the control character U+0085 at byte 1: want it without"},
		{comment("\u2028"), "the comment of 203.0.113.7 has the line separator U+2028 at byte 1: want it without"},
		{comment("\u202egnp.exe"), "the comment of 203.0.113.7 has the direction-changing character U+202E at byte 1: want it without"},
		{comment("a\u200bb"), "the comment of 203.0.113.7 has the invisible character U+200B at byte 2: want it without"},
		{comment("\u2029"), "the comment of 203.0.113.7 has the line separator U+2029 at byte 1: want it without"},
		{with(func(e *accesslist.Entry) { e.Expires = year10000 }), `"expires" of 203.0.113.7 is in the year 10000: want a year from 1 to 9999`},
		{with(func(e *accesslist.Entry) { e.Added = time.Time{}.Add(-1) }), `"added" of 203.0.113.7 is in the year 0: want a year from 1 to 9999`},
		{with(func(e *accesslist.Entry) { e.Expires = time.Time{}.AddDate(-5, 0, 0) }), `"expires" of 203.0.113.7 is in the year -4: want a year from 1 to 9999`},
	} {
		message := "accesslist: " + test.message
		_, err := accesslist.New(entry("10.0.0.0/8"), test.entry)
		wantError(t, "New", err, message)
		_, err = listOf("203.0.113.7").Replace(test.entry)
		wantError(t, "Replace", err, message)
		_, err = test.entry.MarshalJSON()
		wantError(t, "MarshalJSON", err, message)
	}
	for _, fit := range []accesslist.Entry{
		comment(strings.Repeat("x", longest)), comment(strings.Repeat("é", longest/2)), comment("größer # \u00a0 \ufffd 日本"), comment(" "), comment("\u2027"),
		with(func(e *accesslist.Entry) { e.Expires = year10000.Add(-1).In(time.FixedZone("", 3600)) }),
		with(func(e *accesslist.Entry) { e.Added = time.Time{}.Add(1).In(time.FixedZone("", -3600)) }),
	} {
		if _, err := accesslist.New(fit); err != nil {
			t.Errorf("%+v: %v", fit, err)
		}
		wantEqual(t, "JSON round trip", jsonRoundTrip(t, must(accesslist.New(fit))), must(accesslist.New(fit)))
		wantEqual(t, "text round trip", textRoundTrip(t, must(accesslist.New(fit))), must(accesslist.New(fit)))
	}
}

func TestA4ListsShareNothing(t *testing.T) {
	original := []accesslist.Entry{entryUntil("10.0.0.0/8", now), entry("203.0.113.7")}
	given := append(make([]accesslist.Entry, 0, 8), original...)
	list := must(accesslist.New(given...))
	want := must(accesslist.New(original...))

	given[0], given[1].Comment = entry("0.0.0.0/0"), "changed"
	wantEqual(t, "after a change of what it was made of", list, want)

	a := must(list.With(entry("192.0.2.1"), entry("0.0.0.0/0")))
	b := must(list.With(entry("192.0.2.2")))
	c := must(list.Without(prefixes("10.0.0.0/8")))
	d := must(list.Replace(entry("10.0.0.0/8")))
	e := must(list.Without(prefixes("10.0.0.0/8", "203.0.113.7/32"), accesslist.AllowOpen))
	wantEqual(t, "after With, Without and Replace", list, want)
	wantEqual(t, "With two", texts(a), []string{"0.0.0.0/0", "10.0.0.0/8", "192.0.2.1", "203.0.113.7"})
	wantEqual(t, "With one", texts(b), []string{"10.0.0.0/8", "192.0.2.2", "203.0.113.7"})
	wantEqual(t, "Without", texts(c), []string{"203.0.113.7"})
	if !d.Contains(netip.MustParseAddr("10.0.0.0"), now) || list.Contains(netip.MustParseAddr("10.0.0.0"), now) {
		t.Error("Replace reached into the list it came from")
	}
	wantEqual(t, "Without all", e.Len(), 0)

	for got := range list.All() {
		got.Comment = "changed"
	}
	got, _ := list.Match(netip.MustParseAddr("203.0.113.7"), now)
	got.Expires = now
	found, _ := list.Find(netip.MustParsePrefix("203.0.113.7/32"))
	found.Comment = "changed"
	wantEqual(t, "after a change of what it gave out", list, want)

	copied := list
	copied = must(copied.With(entry("192.0.2.1")))
	wantEqual(t, "after a change of a copy", list, want)
	wantEqual(t, "the copy", copied.Len(), 3)
}

func TestAllStopsWhenAsked(t *testing.T) {
	var got []string
	for e := range listOf("10.0.0.0/8", "10.0.0.0/9", "203.0.113.7").All() {
		if got = append(got, e.String()); len(got) == 2 {
			break
		}
	}
	wantEqual(t, "entries", got, []string{"10.0.0.0/8", "10.0.0.0/9"})
}

func TestEqualAndCompare(t *testing.T) {
	base := entryUntil("203.0.113.7", now)
	base.Comment, base.Added = "office", now.Add(-time.Hour)
	same := base
	same.Added, same.Expires = base.Added.In(time.FixedZone("", 3600)), base.Expires.In(time.FixedZone("", -3600))
	others := []accesslist.Entry{{}, entry("203.0.113.7")}
	for _, change := range []func(*accesslist.Entry){
		func(e *accesslist.Entry) { e.Comment = "Office" },
		func(e *accesslist.Entry) { e.Added = e.Added.Add(1) },
		func(e *accesslist.Entry) { e.Expires = e.Expires.Add(-1) },
		func(e *accesslist.Entry) { e.Expires = time.Time{} },
		func(e *accesslist.Entry) {
			c := *e
			*e = entry("203.0.113.8")
			e.Comment, e.Added, e.Expires = c.Comment, c.Added, c.Expires
		},
	} {
		other := base
		change(&other)
		others = append(others, other)
	}

	if !base.Equal(same) || !cmp.Equal(base, same) || cmp.Diff(base, same) != "" {
		t.Error("the same instants in other zones make another entry")
	}
	list := must(accesslist.New(base, entry("10.0.0.0/8")))
	if again := must(accesslist.New(entry("10.0.0.0/8"), same)); !list.Equal(again) || !cmp.Equal(list, again) || cmp.Diff(list, again) != "" {
		t.Error("the same entries in another order make another list")
	}
	if !list.Equal(list) || !cmp.Equal(list, list) {
		t.Error("a list is not equal to itself")
	}
	for _, other := range others {
		if base.Equal(other) || other.Equal(base) || cmp.Equal(base, other) || cmp.Diff(base, other) == "" {
			t.Errorf("%+v is equal to %+v", base, other)
		}
		if !other.Prefix().IsValid() {
			continue
		}
		changed := must(accesslist.New(other, entry("10.0.0.0/8")))
		if list.Equal(changed) || cmp.Equal(list, changed) || cmp.Diff(list, changed) == "" {
			t.Errorf("a list with %+v is equal to one with %+v", base, other)
		}
	}
	for _, other := range []accesslist.List{{}, must(accesslist.New(base))} {
		if list.Equal(other) || other.Equal(list) || cmp.Diff(list, other) == "" {
			t.Errorf("equal to %v", texts(other))
		}
	}
}

func TestHasExpiry(t *testing.T) {
	lasting := must(accesslist.ParseEntry("203.0.113.7"))
	expiring := must(accesslist.ParseEntry("203.0.113.8"))
	expiring.Expires = now
	for _, test := range []struct {
		list accesslist.List
		want bool
	}{
		{accesslist.List{}, false},
		{must(accesslist.New(lasting)), false},
		{must(accesslist.New(lasting, expiring)), true},
		{must(must(accesslist.New(lasting, expiring)).Without([]netip.Prefix{expiring.Prefix()})), false},
	} {
		if test.list.HasExpiry() != test.want {
			t.Errorf("%v: HasExpiry is %v", texts(test.list), !test.want)
		}
	}
}

// A program that ignores an error must not get a list for everyone: the list beside an
// error admits nobody, and nothing takes it.
func TestA3WhatIsReturnedBesideAnErrorAdmitsNobody(t *testing.T) {
	entry := must(accesslist.ParseEntry("203.0.113.7"))
	one := must(accesslist.New(entry))
	for name, f := range map[string]func() (accesslist.List, error){
		"New":             func() (accesslist.List, error) { return accesslist.New(entry, entry) },
		"New of nothing":  func() (accesslist.List, error) { return accesslist.New() },
		"New of a zero":   func() (accesslist.List, error) { return accesslist.New(accesslist.Entry{}) },
		"Parse":           func() (accesslist.List, error) { return accesslist.Parse("203.0.113.7", "203.0.113.700") },
		"Parse nothing":   func() (accesslist.List, error) { return accesslist.Parse() },
		"ParseText":       func() (accesslist.List, error) { return accesslist.Parser{}.ParseText(nil) },
		"ParseJSON":       func() (accesslist.List, error) { return accesslist.Parser{}.ParseJSON([]byte("null")) },
		"With":            func() (accesslist.List, error) { return one.With(entry) },
		"Replace":         func() (accesslist.List, error) { return one.Replace(entry, entry) },
		"Without":         func() (accesslist.List, error) { return one.Without([]netip.Prefix{entry.Prefix()}) },
		"Without another": func() (accesslist.List, error) { return one.Without(prefixes("203.0.113.0/24")) },
		"Suggest":         func() (accesslist.List, error) { return accesslist.Suggest(slices.Values([]netip.Addr{}), 1) },
	} {
		list, err := f()
		if err == nil {
			t.Errorf("%s: no error", name)
		}
		wantInvalid(t, name, list)
	}
}

// wantInvalid checks everything that may be asked of an invalid list.
func wantInvalid(t *testing.T, name string, list accesslist.List) {
	t.Helper()
	entry := must(accesslist.ParseEntry("198.51.100.7"))
	if list.IsValid() || list.IsEmpty() || list.Len() != 0 || len(texts(list)) != 0 {
		t.Errorf("%s: valid %v, empty %v, entries %v", name, list.IsValid(), list.IsEmpty(), texts(list))
	}
	for _, addr := range []string{"203.0.113.7", "198.51.100.7", "0.0.0.0", "::1", "::ffff:203.0.113.7"} {
		if _, ok := list.Match(netip.MustParseAddr(addr), now); ok || list.Contains(netip.MustParseAddr(addr), now) {
			t.Errorf("%s: covers %s", name, addr)
		}
	}
	if _, ok := list.Find(entry.Prefix()); ok || len(list.Findings(now, accesslist.Evidence{})) != 0 {
		t.Errorf("%s: has something in it", name)
	}
	if list.Equal(accesslist.List{}) || (accesslist.List{}).Equal(list) || !list.Equal(list) {
		t.Errorf("%s: equals an empty list, or not itself", name)
	}
	for what, f := range map[string]func() error{
		"With":         func() error { _, err := list.With(entry); return err },
		"With nothing": func() error { _, err := list.With(); return err },
		"Replace":      func() error { _, err := list.Replace(); return err },
		"Without":      func() error { _, err := list.Without(nil); return err },
		"Without all":  func() error { _, err := list.Without(nil, accesslist.AllowOpen); return err },
		"MarshalJSON":  func() error { _, err := list.MarshalJSON(); return err },
		"MarshalText":  func() error { _, err := list.MarshalText(); return err },
	} {
		wantError(t, name+": "+what, f(), "accesslist: the list was returned with an error and covers nobody: want that error handled")
	}
}
