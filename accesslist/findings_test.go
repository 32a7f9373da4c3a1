package accesslist_test

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/sallyport-go/sallyport/accesslist"
)

// A line of an expected finding: the kind, the entry, and what covers it.
func lines(findings []accesslist.Finding) []string {
	out := []string{}
	for _, f := range findings {
		line := fmt.Sprintf("%s %s", f.Kind, f.Entry)
		for _, by := range f.By {
			line += " " + by.String()
		}
		out = append(out, line)
	}
	return out
}

func TestA8BlocksWiderThanEightAreOverBroad(t *testing.T) {
	for bits := range 33 {
		block := must(netip.MustParseAddr("128.0.0.0").Prefix(bits))
		want := []string{}
		if bits < 8 {
			want = append(want, "over_broad "+block.String())
		}
		wantEqual(t, block.String(), lines(listOf(block.String()).Findings(now, accesslist.Evidence{})), want)
	}
}

func TestA8IPv6BlocksWiderThanThirtyTwoAreOverBroad(t *testing.T) {
	for bits := range 129 {
		block := must(netip.MustParseAddr("2400::").Prefix(bits))
		want := []string{}
		if bits < 32 {
			want = append(want, "over_broad "+block.String())
		}
		wantEqual(t, block.String(), lines(listOf(block.String()).Findings(now, accesslist.Evidence{})), want)
	}
	wantEqual(t, "nested", lines(listOf("::/0", "2000::/7", "2100::/32").Findings(now, accesslist.Evidence{})),
		[]string{"over_broad ::/0", "over_broad 2000::/7", "shadowed 2000::/7 ::/0", "shadowed 2100::/32 2000::/7"})
}

func TestA8EntriesThatNoClientCanHave(t *testing.T) {
	for _, test := range []struct{ entry, kind, special string }{
		{"0.0.0.1", "no_client", "of this network (RFC 791)"}, {"0.0.0.0/8", "no_client", "of this network (RFC 791)"}, {"0.0.0.0/7", "", ""}, {"1.0.0.0", "", ""},
		{"169.254.169.254", "no_client", "link-local (RFC 3927)"}, {"169.254.0.0/15", "", ""}, {"169.253.255.255", "", ""}, {"169.255.0.0", "", ""},
		{"224.0.0.1", "no_client", "multicast (RFC 5771)"}, {"239.255.255.255", "no_client", "multicast (RFC 5771)"}, {"224.0.0.0/4", "no_client", "multicast (RFC 5771)"},
		{"224.0.0.0/3", "", ""}, {"223.255.255.255", "", ""},
		{"240.0.0.0/8", "no_client", "reserved (RFC 1112)"}, {"255.255.255.254", "no_client", "reserved (RFC 1112)"}, {"255.255.255.255", "no_client", "the broadcast address (RFC 919)"},

		{"10.0.0.0/8", "private", "private (RFC 1918)"}, {"10.255.255.255", "private", "private (RFC 1918)"}, {"9.255.255.255", "", ""}, {"11.0.0.0", "", ""},
		{"172.16.0.0/12", "private", "private (RFC 1918)"}, {"172.31.255.255", "private", "private (RFC 1918)"}, {"172.32.0.0", "", ""}, {"172.15.255.255", "", ""},
		{"192.168.0.0/16", "private", "private (RFC 1918)"}, {"192.169.0.0", "", ""},
		{"100.64.0.0/10", "private", "behind a provider's address translation (RFC 6598)"}, {"100.63.255.255", "", ""}, {"100.128.0.0", "", ""},
		{"127.0.0.1", "private", "loopback (RFC 1122)"}, {"192.0.0.8", "private", "of protocols (RFC 6890)"}, {"192.0.1.0", "", ""},
		{"192.0.2.1", "private", "for documentation (RFC 5737)"}, {"198.51.100.0/24", "private", "for documentation (RFC 5737)"}, {"203.0.113.7", "private", "for documentation (RFC 5737)"},
		{"203.0.112.0/23", "", ""}, {"198.18.0.0/15", "private", "for benchmarks (RFC 2544)"}, {"198.20.0.0", "", ""},

		{"fe80::1", "no_client", "link-local (RFC 4291)"}, {"febf::1", "no_client", "link-local (RFC 4291)"}, {"ff02::1", "no_client", "multicast (RFC 4291)"},
		{"100::1", "no_client", "discarded (RFC 6666)"}, {"::2", "no_client", "not allocated to hosts (RFC 4291)"}, {"4000::/32", "no_client", "not allocated to hosts (RFC 4291)"},
		{"fec0::1", "no_client", "not allocated to hosts (RFC 4291)"}, {"1fff:ffff::/32", "no_client", "not allocated to hosts (RFC 4291)"}, {"::/127", "", ""},
		{"fe00::/32", "no_client", "not allocated to hosts (RFC 4291)"}, {"fe00::/7", "no_client", "not allocated to hosts (RFC 4291)"}, {"fc00::/6", "", ""}, {"64:ff9b::1", "", ""}, {"64:ff9b:2::1", "no_client", "not allocated to hosts (RFC 4291)"},
		{"2000::/32", "", ""}, {"3ffe::1", "", ""}, {"2606:4700::/32", "", ""}, {"2001::/32", "", ""},
		{"::1", "private", "loopback (RFC 4291)"}, {"fc00::/32", "private", "unique local (RFC 4193)"}, {"fdff::1", "private", "unique local (RFC 4193)"},
		{"64:ff9b:1::1", "private", "of local translation (RFC 8215)"}, {"2001:db8::1", "private", "for documentation (RFC 3849)"}, {"3fff:fff::1", "private", "for documentation (RFC 9637)"},
		{"3fff:1000::1", "", ""}, {"2001:2::1", "private", "for benchmarks (RFC 5180)"},
	} {
		for _, internet := range []bool{false, true} {
			var got []accesslist.Finding
			for _, f := range listOf(test.entry).Findings(now, accesslist.Evidence{Internet: internet}) {
				if f.Kind != accesslist.OverBroad {
					got = append(got, f)
				}
			}
			switch reported := test.kind == "no_client" || test.kind == "private" && internet; {
			case !reported && len(got) > 0, reported && len(got) != 1:
				t.Errorf("%s on the Internet %v: %v", test.entry, internet, got)
			case reported && (got[0].Kind.String() != test.kind || got[0].Special != test.special):
				t.Errorf("%s: %v, %q", test.entry, got[0].Kind, got[0].Special)
			}
		}
	}
}

func TestA9FindingsOfOverlappingEntries(t *testing.T) {
	at := func(hours int) time.Time { return now.Add(time.Duration(hours) * time.Hour) }
	until := func(text string, hours int) accesslist.Entry { return entryUntil(text, at(hours)) }
	for name, test := range map[string]struct {
		entries []accesslist.Entry
		want    []string
	}{
		"no entries":           {nil, nil},
		"neighbours":           {[]accesslist.Entry{entry("10.0.0.0/25"), entry("10.0.0.128/25")}, nil},
		"shadowed":             {[]accesslist.Entry{entry("10.0.0.0/24"), entry("10.0.0.7")}, []string{"shadowed 10.0.0.7 10.0.0.0/24"}},
		"by the nearest wider": {[]accesslist.Entry{entry("10.0.0.0/16"), entry("10.0.0.0/24"), entry("10.0.0.7")}, []string{"shadowed 10.0.0.0/24 10.0.0.0/16", "shadowed 10.0.0.7 10.0.0.0/24"}},
		"at its first address": {[]accesslist.Entry{entry("10.0.0.0/24"), entry("10.0.0.0")}, []string{"shadowed 10.0.0.0 10.0.0.0/24"}},
		"at its last address":  {[]accesslist.Entry{entry("10.0.0.0/24"), entry("10.0.0.255")}, []string{"shadowed 10.0.0.255 10.0.0.0/24"}},
		"just outside":         {[]accesslist.Entry{entry("10.0.0.0/24"), entry("10.0.1.0"), entry("9.255.255.255")}, nil},
		"not across families":  {[]accesslist.Entry{entry("::/1"), entry("10.0.0.7")}, []string{"over_broad ::/1"}},

		"wider never ends":            {[]accesslist.Entry{entry("10.0.0.0/24"), until("10.0.0.7", 1)}, []string{"shadowed 10.0.0.7 10.0.0.0/24"}},
		"wider ends first":            {[]accesslist.Entry{until("10.0.0.0/24", 1), entry("10.0.0.7")}, nil},
		"wider ends a moment first":   {[]accesslist.Entry{entryUntil("10.0.0.0/24", at(1).Add(-1)), until("10.0.0.7", 1)}, nil},
		"both end at once":            {[]accesslist.Entry{until("10.0.0.0/24", 1), until("10.0.0.7", 1)}, []string{"shadowed 10.0.0.7 10.0.0.0/24"}},
		"wider ends a moment later":   {[]accesslist.Entry{entryUntil("10.0.0.0/24", at(1).Add(1)), until("10.0.0.7", 1)}, []string{"shadowed 10.0.0.7 10.0.0.0/24"}},
		"wider has ended":             {[]accesslist.Entry{until("10.0.0.0/24", 0), entry("10.0.0.7")}, []string{"expired 10.0.0.0/24"}},
		"the wider one beyond":        {[]accesslist.Entry{entry("10.0.0.0/16"), until("10.0.0.0/24", 1), until("10.0.0.7", 2)}, []string{"shadowed 10.0.0.0/24 10.0.0.0/16", "shadowed 10.0.0.7 10.0.0.0/16"}},
		"an ended one is not covered": {[]accesslist.Entry{entry("10.0.0.0/24"), until("10.0.0.7", 0)}, []string{"expired 10.0.0.7"}},

		"halves that outlive it":     {[]accesslist.Entry{until("10.0.0.0/24", 1), entry("10.0.0.0/25"), until("10.0.0.128/25", 2)}, []string{"duplicate_in_effect 10.0.0.0/24 10.0.0.0/25 10.0.0.128/25"}},
		"a half that ends with it":   {[]accesslist.Entry{until("10.0.0.0/24", 1), entry("10.0.0.0/25"), until("10.0.0.128/25", 1)}, []string{"shadowed 10.0.0.128/25 10.0.0.0/24"}},
		"halves of one without end":  {[]accesslist.Entry{entry("10.0.0.0/24"), entry("10.0.0.0/25"), entry("10.0.0.128/25")}, []string{"shadowed 10.0.0.0/25 10.0.0.0/24", "shadowed 10.0.0.128/25 10.0.0.0/24"}},
		"a gap at the beginning":     {[]accesslist.Entry{until("10.0.0.0/30", 1), entry("10.0.0.1"), entry("10.0.0.2/31")}, nil},
		"a gap in the middle":        {[]accesslist.Entry{until("10.0.0.0/30", 1), entry("10.0.0.0/31"), entry("10.0.0.3")}, nil},
		"a gap at the end":           {[]accesslist.Entry{until("10.0.0.0/30", 1), entry("10.0.0.0/31"), entry("10.0.0.2")}, nil},
		"a gap and then another":     {[]accesslist.Entry{until("10.0.0.0/30", 1), entry("10.0.0.0/31"), entry("10.0.0.2"), entry("10.0.0.4")}, nil},
		"nested ones count once":     {[]accesslist.Entry{until("10.0.0.0/30", 1), entry("10.0.0.0/31"), until("10.0.0.0", 2), until("10.0.0.1", 3), entry("10.0.0.2/31")}, []string{"duplicate_in_effect 10.0.0.0/30 10.0.0.0/31 10.0.0.2/31", "shadowed 10.0.0.0 10.0.0.0/31", "shadowed 10.0.0.1 10.0.0.0/31"}},
		"up to the last address":     {[]accesslist.Entry{until("255.255.255.254/31", 1), entry("255.255.255.254"), entry("255.255.255.255")}, []string{"no_client 255.255.255.254/31", "duplicate_in_effect 255.255.255.254/31 255.255.255.254 255.255.255.255", "no_client 255.255.255.254", "no_client 255.255.255.255"}},
		"shadowed before duplicated": {[]accesslist.Entry{until("10.0.0.0/24", 1), until("10.0.0.0/30", 1), entry("10.0.0.0/31"), entry("10.0.0.2/31")}, []string{"shadowed 10.0.0.0/30 10.0.0.0/24"}},
		"of everything": {[]accesslist.Entry{until("0.0.0.0/0", 1), entry("0.0.0.0/1"), entry("128.0.0.0/1")},
			[]string{"over_broad 0.0.0.0/0", "duplicate_in_effect 0.0.0.0/0 0.0.0.0/1 128.0.0.0/1", "over_broad 0.0.0.0/1", "over_broad 128.0.0.0/1"}},
		"IPv6": {[]accesslist.Entry{until("2001:db8::/127", 1), entry("2001:db8::"), entry("2001:db8::1")}, []string{"duplicate_in_effect 2001:db8::/127 2001:db8:: 2001:db8::1"}},
	} {
		wantEqual(t, name, lines(must(accesslist.List{}.With(test.entries...)).Findings(now, accesslist.Evidence{})), append([]string{}, test.want...))
	}
}

func TestA2ExpiredEntriesAreFoundFromTheInstantOfTheirExpiry(t *testing.T) {
	list := must(accesslist.New(entryUntil("0.0.0.0/0", now)))
	counted := accesslist.Evidence{Since: now.AddDate(-1, 0, 0)}
	wantEqual(t, "before", lines(list.Findings(now.Add(-1), counted)), []string{"over_broad 0.0.0.0/0", "unused 0.0.0.0/0"})
	wantEqual(t, "at", lines(list.Findings(now, counted)), []string{"expired 0.0.0.0/0"})
	wantEqual(t, "after", lines(list.Findings(now.Add(1), counted)), []string{"expired 0.0.0.0/0"})
}

func TestA11EntriesThatServedNoCallAreUnused(t *testing.T) {
	list := listOf("10.0.0.0/8", "10.0.0.7", "203.0.113.7")
	shadowed := "shadowed 10.0.0.7 10.0.0.0/8"
	used := accesslist.Usage{Count: 1, Last: now, LastAddress: netip.MustParseAddr("10.0.0.8")}
	for name, test := range map[string]struct {
		usage map[netip.Prefix]accesslist.Usage
		want  []string
	}{
		"no usage":     {nil, []string{"unused 10.0.0.0/8", shadowed, "unused 10.0.0.7", "unused 203.0.113.7"}},
		"nothing used": {map[netip.Prefix]accesslist.Usage{}, []string{"unused 10.0.0.0/8", shadowed, "unused 10.0.0.7", "unused 203.0.113.7"}},
		"one used":     {map[netip.Prefix]accesslist.Usage{netip.MustParsePrefix("10.0.0.0/8"): used}, []string{shadowed, "unused 10.0.0.7", "unused 203.0.113.7"}},
		"a count of zero": {map[netip.Prefix]accesslist.Usage{netip.MustParsePrefix("10.0.0.0/8"): used, netip.MustParsePrefix("10.0.0.7/32"): used,
			netip.MustParsePrefix("203.0.113.7/32"): {}}, []string{shadowed, "unused 203.0.113.7"}},
	} {
		evidence := accesslist.Evidence{Usage: test.usage, Since: now.AddDate(-1, 0, 0)}
		wantEqual(t, name, lines(list.Findings(now, evidence)), test.want)
		evidence.Since = time.Time{}
		wantEqual(t, name+", and it is unknown since when", lines(list.Findings(now, evidence)), []string{shadowed})
	}
}

// Rule M16: absence of evidence is never called disuse.
func TestM16EntriesAreUnusedOnlyIfTheyWereCountedForLongEnough(t *testing.T) {
	const day = 24 * time.Hour
	ago := func(d time.Duration) time.Time { return now.Add(-d) }
	for name, test := range map[string]struct {
		added, since time.Time
		window       time.Duration
		usage        accesslist.Usage
		unused       time.Time // zero: it is not reported
	}{
		"never counted":                       {},
		"counted for 30 days":                 {since: ago(30 * day), unused: ago(30 * day)},
		"counted for a moment less":           {since: ago(30*day - 1)},
		"counted for longer":                  {since: ago(90 * day), unused: ago(90 * day)},
		"added a minute ago":                  {added: ago(time.Minute), since: ago(90 * day)},
		"added 30 days ago":                   {added: ago(30 * day), since: ago(90 * day), unused: ago(30 * day)},
		"added a moment later":                {added: ago(30*day - 1), since: ago(90 * day)},
		"added before it was counted":         {added: ago(90 * day), since: ago(40 * day), unused: ago(40 * day)},
		"counting begins in future":           {since: now.Add(day)},
		"a window of a day":                   {since: ago(day), window: day, unused: ago(day)},
		"a window of a day, counted for less": {since: ago(day - 1), window: day},
		"a negative window":                   {since: ago(29 * day), window: -1},
		"used":                                {since: ago(90 * day), usage: accesslist.Usage{Count: 1, Last: ago(day)}},
		"used at the begin of the window":     {since: ago(90 * day), usage: accesslist.Usage{Count: 1, Last: ago(30 * day)}},
		"used before the window":              {since: ago(90 * day), usage: accesslist.Usage{Count: 1, Last: ago(30*day + 1)}, unused: ago(30*day + 1)},
		"used at an unknown time":             {since: ago(90 * day), usage: accesslist.Usage{Count: 1}},
		"used, and not counted for long":      {since: ago(day), usage: accesslist.Usage{Count: 1, Last: ago(40 * day)}},
	} {
		e := entry("8.8.8.8")
		e.Added = test.added
		list := must(accesslist.New(e))
		found := list.Findings(now, accesslist.Evidence{Usage: map[netip.Prefix]accesslist.Usage{e.Prefix(): test.usage}, Since: test.since, Window: test.window})
		switch {
		case test.unused.IsZero() && len(found) > 0:
			t.Errorf("%s: %v", name, found)
		case !test.unused.IsZero() && (len(found) != 1 || found[0].Kind != accesslist.Unused || !found[0].Since.Equal(test.unused)):
			t.Errorf("%s: %v, want unused since %v", name, found, test.unused)
		}
	}
}

// TestFindingsMayAllBeActedOnTogether removes every entry that is said to be
// needless and looks whether anyone can tell, then and at every later expiry.
func TestFindingsMayAllBeActedOnTogether(t *testing.T) {
	removed := map[accesslist.FindingKind]int{}
	check := func(list accesslist.List) {
		var needless []netip.Prefix
		for _, f := range list.Findings(now, accesslist.Evidence{}) {
			if f.Kind == accesslist.OverBroad || f.Kind == accesslist.NoClient {
				continue
			}
			removed[f.Kind]++
			needless = append(needless, f.Entry.Prefix())
		}
		shorter := must(list.Without(needless, accesslist.AllowOpen))
		for _, at := range instants() {
			if at.Before(now) {
				continue
			}
			for e := range list.All() {
				for _, addr := range probes(e.Prefix()) {
					if list.Contains(addr, at) != shorter.Contains(addr, at) {
						t.Fatalf("%v at %v: covered %v, and %v without %v", addr, at, list.Contains(addr, at), shorter.Contains(addr, at), needless)
					}
				}
			}
		}
		// What is left is needed, or at least not said to be needless.
		for _, f := range shorter.Findings(now, accesslist.Evidence{}) {
			if f.Kind != accesslist.OverBroad && f.Kind != accesslist.NoClient {
				t.Fatalf("%s, after the removal of %v", f, needless)
			}
		}
	}
	r := newRand(6)
	for range 300 {
		check(must(accesslist.New(append(randomEntries(r, 1+r.IntN(40), false), randomEntries(r, r.IntN(10), true)...)...)))
	}
	// Within a /28 there are few blocks, so that many are covered by several.
	for range 3000 {
		var entries []accesslist.Entry
		for block := range subBlocks(netip.MustParsePrefix("10.0.0.0/28")) {
			if r.IntN(3) > 0 {
				e := must(anyFamily.NewEntry(block))
				e.Expires = expiries[r.IntN(len(expiries))]
				entries = append(entries, e)
			}
		}
		check(must(accesslist.List{}.With(entries...)))
	}
	for _, kind := range []accesslist.FindingKind{accesslist.Shadowed, accesslist.DuplicateInEffect, accesslist.Expired} {
		if removed[kind] < 100 {
			t.Errorf("only %d entries were %v", removed[kind], kind)
		}
	}
}

func TestFindingsAndKindsAsText(t *testing.T) {
	many := accesslist.Finding{Kind: accesslist.DuplicateInEffect, Entry: entry("10.0.0.0/29"),
		By: []accesslist.Entry{entry("10.0.0.0/31"), entry("10.0.0.2/31"), entry("10.0.0.4/31"), entry("10.0.0.6"), entry("10.0.0.7")}}
	four := many
	four.By = many.By[:4]
	for _, test := range []struct {
		finding accesslist.Finding
		kind    string
		text    string
	}{
		{accesslist.Finding{Kind: accesslist.OverBroad, Entry: entry("0.0.0.0/0")}, "over_broad", "0.0.0.0/0 is over-broad: every IPv4 address"},
		{accesslist.Finding{Kind: accesslist.OverBroad, Entry: entry("::/0")}, "over_broad", "::/0 is over-broad: every IPv6 address"},
		{accesslist.Finding{Kind: accesslist.OverBroad, Entry: entry("8.0.0.0/7")}, "over_broad", "8.0.0.0/7 is over-broad: a block wider than /8"},
		{accesslist.Finding{Kind: accesslist.OverBroad, Entry: entry("2400::/31")}, "over_broad", "2400::/31 is over-broad: a block wider than /32"},
		{accesslist.Finding{Kind: accesslist.NoClient, Entry: entry("224.0.0.1"), Special: "multicast (RFC 5771)"}, "no_client", "224.0.0.1 is multicast (RFC 5771): no client has such an address"},
		{accesslist.Finding{Kind: accesslist.Private, Entry: entry("10.0.0.0/8"), Special: "private (RFC 1918)"}, "private", "10.0.0.0/8 is private (RFC 1918): no client on the Internet has such an address"},
		{accesslist.Finding{Kind: accesslist.Shadowed, Entry: entry("10.0.0.7"), By: []accesslist.Entry{entry("10.0.0.0/8")}}, "shadowed", "10.0.0.7 is shadowed by 10.0.0.0/8 and could go"},
		{four, "duplicate_in_effect", "10.0.0.0/29 is a duplicate in effect and could go: 10.0.0.0/31, 10.0.0.2/31, 10.0.0.4/31, 10.0.0.6 cover it"},
		{many, "duplicate_in_effect", "10.0.0.0/29 is a duplicate in effect and could go: 10.0.0.0/31, 10.0.0.2/31, 10.0.0.4/31, 10.0.0.6 and 1 more cover it"},
		{accesslist.Finding{Kind: accesslist.Expired, Entry: entryUntil("10.0.0.7", now)}, "expired", "10.0.0.7 expired on 2026-08-22T12:00:00Z and covers nothing"},
		{accesslist.Finding{Kind: accesslist.Unused, Entry: entry("10.0.0.7"), Since: now.In(time.FixedZone("", 3600))}, "unused", "10.0.0.7 has served no call since 2026-08-22T12:00:00Z"},
		{accesslist.Finding{Entry: entry("10.0.0.7")}, "unknown", "10.0.0.7: unknown"},
		{accesslist.Finding{Kind: accesslist.Unused + 1}, "unknown", "invalid entry: unknown"},
		{accesslist.Finding{Kind: accesslist.Shadowed}, "shadowed", "invalid entry is shadowed by  and could go"},
	} {
		wantEqual(t, "kind", test.finding.Kind.String(), test.kind)
		wantEqual(t, "finding", test.finding.String(), test.text)
	}
}
