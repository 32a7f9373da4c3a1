package accesslist_test

import (
	"encoding/json"
	"errors"
	"net/netip"
	"strings"
	"testing"

	"github.com/sallyport-go/sallyport/accesslist"
)

// Each test here is a defeat of another program's address list, tried in vain on these.

// CVE-2021-29923: Go's net.ParseIP took 010.0.0.1 for 10.0.0.1, others for 8.0.0.1.
func TestDefeatLeadingZeros(t *testing.T) {
	for _, text := range []string{"010.0.0.1", "10.0.0.010", "00.0.0.1", "10.0.0.0/08", "0010.0.0.0/8", "::ffff:010.0.0.1"} {
		if e, err := anyFamily.ParseEntry(text); err == nil {
			t.Errorf("%s was read as %v", text, e)
		}
	}
}

// CVE-2024-24790 and the engines that compare a mapped address as IPv6: an allow
// list that does not unmap locks its clients out.
func TestDefeatMappedAddress(t *testing.T) {
	client := netip.MustParseAddr("::ffff:10.1.2.3")
	for _, text := range []string{"10.0.0.0/8", "10.1.2.3", "0.0.0.0/0"} {
		wantMatch(t, listOf(text), client, now, entry(text), true)
	}
	wantMatch(t, listOf("::/0", "2001:db8::/32"), client, now, accesslist.Entry{}, false)
}

// netip.Addr.Unmap drops a zone: an address of one link, unmapped first, is compared with
// addresses of the internet.
func TestDefeatZonedAddress(t *testing.T) {
	list := listOf("1.2.3.4", "0.0.0.0/0", "fe80::/10", "fe80::1", "::/0")
	for _, text := range []string{"::ffff:1.2.3.4%eth0", "fe80::1%eth0", "fe80::1%0.0.0.0"} {
		wantMatch(t, list, netip.MustParseAddr(text), now, accesslist.Entry{}, false)
	}
}

// GHSA-f99h-w337-mv56: a mask longer than the address panicked.
func TestDefeatMaskOver32(t *testing.T) {
	for _, text := range []string{"10.0.0.0/33", "10.0.0.0/64", "10.0.0.0/256", "10.0.0.0/4294967297", "10.0.0.0/-1", "2001:db8::/129", "::ffff:10.0.0.0/129"} {
		if e, err := anyFamily.ParseEntry(text); err == nil {
			t.Errorf("%s was read as %v", text, e)
		}
	}
	for _, bits := range []int{-1, 33, 256, 1 << 40} {
		prefix := netip.PrefixFrom(netip.MustParseAddr("10.0.0.0"), bits)
		if e, err := anyFamily.NewEntry(prefix); err == nil {
			t.Errorf("/%d was taken as %v", bits, e)
		}
	}
}

// One bad entry dropped silently left the list empty, and so open; with others
// beside it, it left a list that was not what had been written.
func TestDefeatBadEntryDroppedSilently(t *testing.T) {
	for name, parse := range map[string]func(list *accesslist.List) error{
		"texts": func(list *accesslist.List) (err error) {
			*list, err = accesslist.Parse("203.0.113.7", "198.51.100.0/240")
			return err
		},
		"the only text": func(list *accesslist.List) (err error) { *list, err = accesslist.Parse("198.51.100.0/240"); return err },
		"text": func(list *accesslist.List) error {
			return list.UnmarshalText([]byte("203.0.113.7\n198.51.100.0/240\n"))
		},
		"JSON": func(list *accesslist.List) error {
			return json.Unmarshal([]byte(`[{"address":"203.0.113.7"},{"address":"198.51.100.0/240"}]`), list)
		},
		"the only one in JSON": func(list *accesslist.List) error {
			return json.Unmarshal([]byte(`[{"address":"198.51.100.0/240"}]`), list)
		},
		"entries": func(list *accesslist.List) (err error) {
			*list, err = accesslist.New(entry("203.0.113.7"), accesslist.Entry{})
			return err
		},
	} {
		var list accesslist.List
		if err := parse(&list); err == nil || list.Len() != 0 {
			t.Errorf("%s: a list of %v, %v", name, texts(list), err)
		}
	}
}

// A program that checks every error skipped the bad lines of a file with a warning, and
// made a list of what remained: nothing. The key was open to everybody.
func TestDefeatNothingLeftOfBadLines(t *testing.T) {
	load := func(file string) (list accesslist.List, skipped int, err error) {
		var entries []accesslist.Entry
		for line := range strings.Lines(file) {
			e, err := accesslist.ParseEntry(strings.TrimSpace(line))
			if err != nil {
				skipped++ // with a warning
				continue
			}
			entries = append(entries, e)
		}
		list, err = accesslist.New(entries...)
		return list, skipped, err
	}
	for _, file := range []string{"203.0.113.700\nlocalhost\n", "\n", ""} {
		list, _, err := load(file)
		wantError(t, file, err, `accesslist: no entries: an empty access list opens the key to every address: want entries, or List{}, [] in JSON, "empty" in text`)
		if !errors.Is(err, accesslist.ErrNoEntries) {
			t.Errorf("%v is not ErrNoEntries", err)
		}
		wantInvalid(t, file, list) // for a program that passes over this error as well
	}
	list, skipped, err := load("203.0.113.7\nlocalhost\n")
	if err != nil || skipped != 1 || list.Len() != 1 {
		t.Errorf("%d entries, %d skipped, %v", list.Len(), skipped, err)
	}
}

// An absent or empty text was read as "all": only what says that there are no
// entries is a list without entries, and no such list covers anyone.
func TestDefeatEmptyListThatMeantItsOpposite(t *testing.T) {
	for _, text := range []string{"", ",", " ", "\n", ";", "[]", "null", "*", "any", "all", "# only a comment", "\x00"} {
		if list, err := (accesslist.Parser{}).ParseText([]byte(text)); err == nil {
			t.Errorf("the text %q was read as %v", text, texts(list))
		}
		if list, err := accesslist.Parse(text); err == nil {
			t.Errorf("the entry %q was read as %v", text, texts(list))
		}
	}
	for _, text := range []string{"", "null", `""`, `","`, "{}", "[null]", "[[]]", "[{}]", `[""]`, `[","]`, "0", "false", "[", "[]]", "[],"} {
		if list, err := (accesslist.Parser{}).ParseJSON([]byte(text)); err == nil {
			t.Errorf("the JSON %s was read as %v", text, texts(list))
		}
	}
	if _, err := accesslist.Parse(); err == nil {
		t.Error("no texts were read as a list")
	}
	if (accesslist.List{}).Contains(netip.MustParseAddr("203.0.113.7"), now) {
		t.Error("a list without entries says that it contains an address")
	}
}

// nil.Equal(nil): an unreadable address was equal to an unreadable entry.
func TestDefeatNothingEqualsNothing(t *testing.T) {
	var nobody netip.Addr
	if (accesslist.Entry{}).Covers(nobody, now) || listOf("0.0.0.0/0", "::/0").Contains(nobody, now) || (accesslist.List{}).Contains(nobody, now) {
		t.Error("no address is covered")
	}
	if _, ok := listOf("203.0.113.7").Find(netip.Prefix{}); ok {
		t.Error("no prefix was found")
	}
	if _, err := listOf("203.0.113.7").With(accesslist.Entry{}); err == nil {
		t.Error("an entry without an address was taken")
	}
}

// One column compared as a string: a block never matched, and an address did so in
// one spelling only.
func TestDefeatComparedAsText(t *testing.T) {
	wantMatch(t, listOf("198.51.100.0/24"), netip.MustParseAddr("198.51.100.7"), now, entry("198.51.100.0/24"), true)
	wantMatch(t, listOf("203.0.113.7/32"), netip.MustParseAddr("203.0.113.7"), now, entry("203.0.113.7"), true)
	wantMatch(t, listOf("2001:DB8:0:0::7"), netip.MustParseAddr("2001:db8::7"), now, entry("2001:db8::7"), true)
}

// An invalid prefix was ignored without a word, on adding and on removing.
func TestDefeatInvalidPrefixIgnored(t *testing.T) {
	list := listOf("203.0.113.7")
	if _, err := anyFamily.NewEntry(netip.Prefix{}); err == nil {
		t.Error("made an entry of it")
	}
	for _, prefix := range []netip.Prefix{{}, netip.PrefixFrom(netip.MustParseAddr("203.0.113.7"), 33)} {
		if _, err := list.Without([]netip.Prefix{prefix}, accesslist.AllowOpen); err == nil {
			t.Errorf("Without(%v) is no error", prefix)
		}
	}
}

// A cached answer went on allowing after the entry was removed or had run out.
func TestDefeatAnswerThatOutlivesItsEntry(t *testing.T) {
	client := netip.MustParseAddr("203.0.113.7")
	list := must(accesslist.New(entryUntil("203.0.113.7", now.Add(1)), entry("192.0.2.1")))
	if !list.Contains(client, now) || list.Contains(client, now.Add(1)) || !list.Contains(client, now) {
		t.Error("the answer does not follow the clock it is given")
	}
	if must(list.Without(prefixes("203.0.113.7/32"))).Contains(client, now) {
		t.Error("a removed entry still covers")
	}
}

// Two fields of one name, or one in another case: a checker in front reads the
// one, the program behind it the other.
func TestDefeatFieldsOfOneName(t *testing.T) {
	for _, text := range []string{
		`{"address":"203.0.113.7","address":"0.0.0.0/0"}`,
		`{"address":"203.0.113.7","Address":"0.0.0.0/0"}`,
		`{"address":"203.0.113.7","expires":"2026-01-01T00:00:00Z","expires":"9999-01-01T00:00:00Z"}`,
		`{"address":"203.0.113.7","expires":"2026-01-01T00:00:00Z","EXPIRES":"9999-01-01T00:00:00Z"}`,
		`{"address":"203.0.113.7","expires":null}`,
		`{"address":"203.0.113.7","expires":"0001-01-01T00:00:00Z"}`,
		`{"address":"203.0.113.7"}{"address":"0.0.0.0/0"}`,
	} {
		var e accesslist.Entry
		if err := e.UnmarshalJSON([]byte(text)); err == nil {
			t.Errorf("%s was read as %v until %v", text, e, e.Expires)
		}
	}
}
