package accesslist_test

import (
	"errors"
	"net/netip"
	"strconv"
	"strings"
	"testing"

	"github.com/sallyport-go/sallyport/accesslist"
)

func TestA6AnAddressAndItsFullLengthBlockAreOneEntry(t *testing.T) {
	for _, pair := range [][2]string{{"203.0.113.7", "203.0.113.7/32"}, {"2001:db8::7", "2001:db8::7/128"}, {"2001:DB8:0::7", "2001:db8::7"}} {
		a, b := entry(pair[0]), entry(pair[1])
		if !a.Equal(b) || a.String() != b.String() || !a.IsSingle() {
			t.Errorf("%s and %s: %v (single %v) and %v", pair[0], pair[1], a, a.IsSingle(), b)
		}
		_, err := anyFamily.Parse(pair[0], pair[1])
		wantError(t, pair[0], err, "accesslist: "+a.String()+": duplicate entry: it is given twice; nothing was added")
		if !errors.Is(err, accesslist.ErrDuplicate) {
			t.Errorf("%v is not ErrDuplicate", err)
		}
	}
}

func TestA7AcceptedTexts(t *testing.T) {
	for _, test := range []struct{ text, entry string }{
		{"203.0.113.7", "203.0.113.7"},
		{"203.0.113.7/32", "203.0.113.7"},
		{"198.51.100.0/24", "198.51.100.0/24"},
		{"0.0.0.1", "0.0.0.1"},
		{"0.0.0.0/31", "0.0.0.0/31"},
		{"0.0.0.0/0", "0.0.0.0/0"}, // rule A8
		{"128.0.0.0/1", "128.0.0.0/1"},
		{"255.255.255.255", "255.255.255.255"},
	} {
		e, err := accesslist.ParseEntry(test.text)
		if err != nil || e.String() != test.entry || e.IsSingle() != !strings.Contains(test.entry, "/") {
			t.Errorf("%s: %v, %v", test.text, e, err)
		}
	}
}

const wantAny = `want an IPv4 address such as "203.0.113.7" or a block such as "198.51.100.0/24"`

const otherNotation = `is not an address: host names and other notations are not taken, since what they mean can change; ` + wantAny

// refused are texts that are no entry, with what the whole message says after the
// quoted text.
var refused = []struct{ text, says string }{
	{"", "is empty: " + wantAny},
	{" ", "is only white space: " + wantAny},
	{"\n", "is only white space: " + wantAny},

	// White space.
	{" 203.0.113.7", `has white space around it: write "203.0.113.7"`},
	{"203.0.113.7\n", `has white space around it: write "203.0.113.7"`},
	{"\u00a010.0.0.0/8\t", `has white space around it: write "10.0.0.0/8"`},
	{"203.0.113. 7", "has white space in it: " + wantAny},
	{"203.0.113.7 203.0.113.8", `has 2 entries in it: write "203.0.113.7" and "203.0.113.8", each by itself`},
	{"203.0.113.7 # office", `has words after the entry: write "203.0.113.7", and the words as its comment`},

	// More than one, or all but one.
	{",", `has "," after it, and is empty: ` + wantAny},
	{"203.0.113.7,", `has "," after it: write "203.0.113.7"`},
	{"203.0.113.7;203.0.113.8", `has 2 entries in it: write "203.0.113.7" and "203.0.113.8", each by itself`},
	{"203.0.113.*", `has a wildcard: write "203.0.113.0/24"`},
	{"*", `has a wildcard: write "0.0.0.0/0", every IPv4 address`},

	// Leading zeros.
	{"010.0.0.1", `has a leading zero in the octet "010": write the octet in decimal without it, since some programs read such a number as octal`},
	{"10.0.0.00", `has a leading zero in the octet "00": write the octet in decimal without it, since some programs read such a number as octal`},
	{"010.0.0.0/8", `has a leading zero in the octet "010": write the octet in decimal without it, since some programs read such a number as octal`},
	{"10.0.0.0/08", `has a leading zero in the prefix length "08": write "10.0.0.0/8"`},
	{"10.0.0.7/08", `has a leading zero in the prefix length "08", and has host bits set: use "10.0.0.0/8" for the block or "10.0.0.7" for the single address`},
	{"0.0.0.0/00", `has a leading zero in the prefix length "00": write "0.0.0.0/0", every IPv4 address`},
	{"10.0.0.0/0032", `has a leading zero in the prefix length "0032": write "10.0.0.0"`},

	// Octets.
	{"10", "has only 1 of the 4 octets of an IPv4 address: " + wantAny},
	{"10/8", `has only 1 of the 4 octets of an IPv4 address: write "10.0.0.0/8"`},
	{"127.1", "has only 2 of the 4 octets of an IPv4 address: " + wantAny},
	{"10.0.0", "has only 3 of the 4 octets of an IPv4 address: " + wantAny},
	{"10.0.0.1.2", "has 5 octets where an IPv4 address has 4: " + wantAny},
	{"10.0.0.0.0/8", "has 5 octets where an IPv4 address has 4: " + wantAny},
	{"10.0.0.", `ends with a dot: write "10.0.0.0/24"`},
	{".0.0.1", "has an empty octet: " + wantAny},
	{"10..0.1", "has an empty octet: " + wantAny},
	{"10.0.0.256", `has the octet "256": want octets from 0 to 255`},
	{"10.0.0.99999999999999999999", `has the octet "99999999999999999999": want octets from 0 to 255`},
	{"1677721600", "has only 1 of the 4 octets of an IPv4 address: " + wantAny},

	// Host names and other notations.
	{"localhost", otherNotation},
	{"office.example.com", otherNotation},
	{"localhost:80", otherNotation},
	{"http://203.0.113.7/", `is a URL: write "203.0.113.7"`},
	{"0x7f.0.0.1", otherNotation},
	{"-1.0.0.1", otherNotation},
	{"10.0.0.1-9", `is a range: write "10.0.0.1", "10.0.0.2/31", "10.0.0.4/30" and "10.0.0.8/31", each by itself; or "10.0.0.0/28", the block around them, with 7 more addresses`},
	{"٢٠٣.0.113.7", otherNotation},
	{"empty", otherNotation},
	{"null", otherNotation},
	{"\ufeff10.0.0.1", `has a byte order mark (U+FEFF) in it: write "10.0.0.1"`},
	{"10.0.0.1\x00", `has zero bytes in it, as text in UTF-16 has: write "10.0.0.1"`},

	// Ports.
	{"203.0.113.7:443", `has a port, which no entry has: write "203.0.113.7"`},
	{"203.0.113.7:", `has a port, which no entry has: write "203.0.113.7"`},
	{"203.0.113.0:443/24", `has a port, which no entry has: write "203.0.113.0/24"`},
	{"203.0.113.0/24:443", `has the prefix length "24:443", which is not a number: want a number from 0 to 32 after the slash`},

	// Zones.
	{"fe80::1%eth0", "has a zone: write the address without it, since a zone means something on one host only"},
	{"fe80::%eth0/64", "has a zone: write the address without it, since a zone means something on one host only"},
	{"::ffff:1.2.3.4%eth0", "has a zone: write the address without it, since a zone means something on one host only"},
	{"1.2.3.4%eth0", "has a zone: write the address without it, since a zone means something on one host only"},

	// Ranges.
	{"10.0.0.4-10.0.0.7", `is a range: write "10.0.0.4/30"`},
	{"10.0.0.1-10.0.0.4", `is a range: write "10.0.0.1", "10.0.0.2/31" and "10.0.0.4", each by itself; or "10.0.0.0/29", the block around them, with 4 more addresses`},
	{"10.0.0.1-10.0.0.7", `is a range: write "10.0.0.1", "10.0.0.2/31" and "10.0.0.4/30", each by itself; or "10.0.0.0/29", the block around them, with one more address`},
	{"10.0.0.1-10.0.0.15", `is a range: write "10.0.0.1", "10.0.0.2/31", "10.0.0.4/30" and "10.0.0.8/29", each by itself; or "10.0.0.0/28", the block around them, with one more address`},
	{"10.0.0.1-10.0.0.16", `is a range: write "10.0.0.1", "10.0.0.2/31", "10.0.0.4/30", "10.0.0.8/29" and "10.0.0.16", each by itself; or "10.0.0.0/27", the block around them, with 16 more addresses`},
	{"10.0.0.7-10.0.0.4", `is a range that ends before it begins: write the lower address first`},

	// Prefix lengths.
	{"10.0.0.0/33", `has the prefix length "33", longer than the address: want a number from 0 to 32 after the slash`},
	{"10.0.0.0/99999999999999999999", `has the prefix length "99999999999999999999", longer than the address: want a number from 0 to 32 after the slash`},
	{"10.0.0.0/", "has no prefix length after the slash: want a number from 0 to 32 after the slash"},
	{"10.0.0.0/-1", `has the prefix length "-1", which is not a number: want a number from 0 to 32 after the slash`},
	{"10.0.0.0/+8", `has the prefix length "+8", which is not a number: want a number from 0 to 32 after the slash`},
	{"10.0.0.0/8/8", `has the prefix length "8/8", which is not a number: want a number from 0 to 32 after the slash`},
	{"10.0.0.0/255.0.0.0", `has a netmask: write "10.0.0.0/8"`},
	{"10.0.0.7/255.0.0.0", `has a netmask, and has host bits set: use "10.0.0.0/8" for the block or "10.0.0.7" for the single address`},
	{"10.0.0.7/255.255.255.255", `has a netmask: write "10.0.0.7"`},
	{"10.0.0.7/0.0.0.0", `has the mask 0.0.0.0, which may mean one address or every address: write "10.0.0.7" for the address, or "0.0.0.0/0" for every IPv4 address`},
	{"10.0.0.0/0.255.255.255", `has an inverse netmask: write "10.0.0.0/8"`},
	{"2001:db8::/129", `has the prefix length "129", longer than the address: want a number from 0 to 128 after the slash`},
	{"2001:db8::/255.255.0.0", `has the prefix length "255.255.0.0", which is not a number: want a number from 0 to 128 after the slash`},
	{"/24", "has no address before the slash: " + wantAny},
	{"/", "has no address before the slash: " + wantAny},

	// Host bits.
	{"10.0.0.7/24", `has host bits set: use "10.0.0.0/24" for the block or "10.0.0.7" for the single address`},
	{"10.0.0.1/0", `has host bits set: use "0.0.0.0/0" for the block or "10.0.0.1" for the single address`},
	{"10.0.0.1/31", `has host bits set: use "10.0.0.0/31" for the block or "10.0.0.1" for the single address`},

	// The unspecified address.
	{"0.0.0.0", `is the unspecified address, which no client has: name a client's address, or write "0.0.0.0/0" to mean every IPv4 address`},
	{"0.0.0.0/32", `is the unspecified address, which no client has: name a client's address, or write "0.0.0.0/0" to mean every IPv4 address`},

	// IPv4-mapped IPv6.
	{"::ffff:203.0.113.7", `is IPv4-mapped IPv6: write it as IPv4, "203.0.113.7"`},
	{"::ffff:cb00:7107/128", `is IPv4-mapped IPv6: write it as IPv4, "203.0.113.7"`},
	{"::ffff:198.51.100.0/120", `is IPv4-mapped IPv6: write it as IPv4, "198.51.100.0/24"`},
	{"::ffff:0.0.0.0", `is IPv4-mapped IPv6, and is the unspecified address, which no client has: name a client's address, or write "0.0.0.0/0" to mean every IPv4 address`},
	{"::ffff:0:0/128", `is IPv4-mapped IPv6, and is the unspecified address, which no client has: name a client's address, or write "0.0.0.0/0" to mean every IPv4 address`},
	{"::ffff:0:0/96", `is IPv4-mapped IPv6: write it as IPv4, "0.0.0.0/0"`},
	{"::ffff:198.51.100.7/120", "is IPv4-mapped IPv6: write it as IPv4"},
	{"::ffff:198.51.100.0/24", "is IPv4-mapped IPv6: write it as IPv4"},
	{"::ffff:0:0/95", "is IPv4-mapped IPv6: write it as IPv4"},

	// What never was IPv6.
	{"1:2", otherNotation},
	{":::", "is not an IPv6 address: " + wantAny},
	{"2001:db8::g/64", "is not an IPv6 address: " + wantAny},
}

func TestA7RefusedTextsAreNamedAndToldWhatIsRight(t *testing.T) {
	for _, test := range refused {
		for _, p := range []accesslist.Parser{{}, anyFamily} {
			checkRefused(t, p, test.text, test.says)
		}
	}
}

func checkRefused(t *testing.T, p accesslist.Parser, text, says string) {
	t.Helper()
	_, err := p.ParseEntry(text)
	wantError(t, text, err, "accesslist: "+strconv.Quote(text)+" "+says)
	var parse *accesslist.ParseError
	if !errors.As(err, &parse) || parse.Text != text {
		t.Errorf("%q: %#v is not a *ParseError with the text", text, err)
	}
}

func TestA5IPv6IsRefusedUnlessOptedIn(t *testing.T) {
	for _, text := range []string{"2001:db8::7", "2001:db8::/32", "::/0", "::1", "2001:db8::7/32", "::", "fe80::1"} {
		checkRefused(t, accesslist.Parser{}, text, "is IPv6: this list takes IPv4 addresses and blocks only")
	}
	for _, text := range []string{"2001:db8::7", "2001:db8::/32", "::/0", "::/1", "::1", "::/127", "fe80::1"} {
		if e, err := anyFamily.ParseEntry(text); err != nil || e.String() != text {
			t.Errorf("%s: %v, %v", text, e, err)
		}
	}
	checkRefused(t, anyFamily, "2001:db8::7/32", `has host bits set: use "2001:db8::/32" for the block or "2001:db8::7" for the single address`)
	for _, text := range []string{"::", "::/128"} {
		checkRefused(t, anyFamily, text, `is the unspecified address, which no client has: name a client's address, or write "::/0" to mean every IPv6 address`)
	}
}

func TestA7PrefixesAreRefusedLikeTheirTexts(t *testing.T) {
	for _, prefix := range prefixes("10.0.0.7/24", "0.0.0.0/32", "::/128", "2001:db8::7/32", "::ffff:1.2.3.4/128", "2001:db8::/32", "10.0.0.0/8", "0.0.0.0/0") {
		for _, p := range []accesslist.Parser{{}, anyFamily} {
			got, err := p.NewEntry(prefix)
			if !p.AllowIPv6 {
				got, err = accesslist.NewEntry(prefix)
			}
			want, wantErr := p.ParseEntry(prefix.String())
			wantEqual(t, prefix.String(), got, want)
			if wantErr != nil {
				wantError(t, prefix.String(), err, wantErr.Error())
			} else if err != nil {
				t.Errorf("%v: %v", prefix, err)
			}
		}
	}
	for _, prefix := range []netip.Prefix{{}, netip.PrefixFrom(netip.AddrFrom4([4]byte{10}), 33), netip.PrefixFrom(netip.Addr{}, 0)} {
		_, err := anyFamily.NewEntry(prefix)
		wantError(t, "an invalid prefix", err, `accesslist: "invalid Prefix" is not a valid prefix: want an address and a length within it`)
	}
}

func TestA7LongTextsAreCutInMessages(t *testing.T) {
	eighty := strings.Repeat("1", 80)
	_, err := accesslist.ParseEntry(eighty)
	wantError(t, "80 bytes", err, `accesslist: "`+eighty+`" has only 1 of the 4 octets of an IPv4 address: `+wantAny)
	_, err = accesslist.ParseEntry(eighty + "1")
	wantError(t, "81 bytes", err, `accesslist: "`+eighty+`…" has only 1 of the 4 octets of an IPv4 address: `+wantAny)

	long := strings.Repeat("1", 100_000)
	for _, text := range []string{long, "1.2.3." + long, "1.2.3.0" + long, "1.2.3.4/" + long, "1.2.3.4/x" + long, "1.2.3.4/255.255." + long, "10.0.0.1-" + long, "::1:" + long} {
		if _, err := accesslist.ParseEntry(text); err == nil || len(err.Error()) > 500 {
			t.Errorf("%s…: a message of %d bytes", text[:10], len(err.Error()))
		}
	}
}

func TestA7EveryRefusalOfAListIsTold(t *testing.T) {
	list, err := accesslist.Parse("203.0.113.7", "10.0.0.7/24", "198.51.100.0/24", "localhost")
	wantError(t, "two of four", err, `accesslist: "10.0.0.7/24" has host bits set: use "10.0.0.0/24" for the block or "10.0.0.7" for the single address`+"\n"+
		`accesslist: "localhost" `+otherNotation)
	wantInvalid(t, "two of four", list)
}

func TestParseOrdersEntries(t *testing.T) {
	list := must(anyFamily.Parse("2001:db8::/32", "203.0.113.7", "10.0.0.0/8", "10.0.0.0/16", "::1", "9.255.255.255"))
	wantEqual(t, "order", texts(list), []string{"9.255.255.255", "10.0.0.0/8", "10.0.0.0/16", "203.0.113.7", "::1", "2001:db8::/32"})
}

func TestParseOfNothingIsAnError(t *testing.T) {
	for _, p := range []accesslist.Parser{{}, anyFamily} {
		if _, err := p.Parse(); !errors.Is(err, accesslist.ErrNoEntries) {
			t.Errorf("%+v: %v", p, err)
		}
	}
	_, err := accesslist.Parse()
	wantError(t, "no text", err, `accesslist: no entries: an empty access list opens the key to every address: want entries, or List{}, [] in JSON, "empty" in text`)
}
