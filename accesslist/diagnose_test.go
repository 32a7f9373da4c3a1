package accesslist_test

import (
	"errors"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/sallyport-go/sallyport/accesslist"
)

// pasted are texts as people have them, with what an error says after the quoted text, and
// what it says of the same text as the line of a list. An empty line says the same, with
// "each on a line of its own" in the place of "each by itself"; "ok" is accepted.
var pasted = []struct{ text, entry, line string }{
	{`203.0.113.4 - 203.0.113.9`, `is a range: write "203.0.113.4/30" and "203.0.113.8/31", each by itself; or "203.0.113.0/28", the block around them, with 10 more addresses`, ""},
	{`203.0.113.4–203.0.113.9`, `is a range: write "203.0.113.4/30" and "203.0.113.8/31", each by itself; or "203.0.113.0/28", the block around them, with 10 more addresses`, ""},
	{`203.0.113.4 — 203.0.113.9`, `is a range: write "203.0.113.4/30" and "203.0.113.8/31", each by itself; or "203.0.113.0/28", the block around them, with 10 more addresses`, ""},
	{`203.0.113.4 to 203.0.113.9`, `is a range: write "203.0.113.4/30" and "203.0.113.8/31", each by itself; or "203.0.113.0/28", the block around them, with 10 more addresses`, ""},
	{`203.0.113.4 through 203.0.113.9`, `is a range: write "203.0.113.4/30" and "203.0.113.8/31", each by itself; or "203.0.113.0/28", the block around them, with 10 more addresses`, ""},
	{`203.0.113.4-9`, `is a range: write "203.0.113.4/30" and "203.0.113.8/31", each by itself; or "203.0.113.0/28", the block around them, with 10 more addresses`, ""},
	{`203.0.113.4 – 9`, `is a range: write "203.0.113.4/30" and "203.0.113.8/31", each by itself; or "203.0.113.0/28", the block around them, with 10 more addresses`, ""},
	{`203.0.113.4-114.9`, `is a range: write "203.0.113.4/30", "203.0.113.8/29", "203.0.113.16/28", "203.0.113.32/27", "203.0.113.64/26", "203.0.113.128/25", "203.0.114.0/29" and "203.0.114.8/31", each by itself; or "203.0.112.0/22", the block around them, with 762 more addresses`, ""},
	{`203.0.113.4..203.0.113.9`, `is a range: write "203.0.113.4/30" and "203.0.113.8/31", each by itself; or "203.0.113.0/28", the block around them, with 10 more addresses`, ""},
	{`203.0.113.4-203.0.113.4`, `is a range: write "203.0.113.4"`, ""},
	{`203.0.113.0-203.0.113.255`, `is a range: write "203.0.113.0/24"`, ""},
	{`203.0.113.0/24-203.0.115.0/24`, `is a range: write "203.0.113.0/24" and "203.0.114.0/23", each by itself; or "203.0.112.0/22", the block around them, with 256 more addresses`, ""},
	{`203.0.113.4-203.0.113.400`, otherNotation, ""},
	{`203.0.113.7 - office`, `has words after the entry: write "203.0.113.7", and the words as its comment`,
		`"203.0.113.7 - office" has words after the entry: write "203.0.113.7 # office"`},
	{`10.0.0.1-10.0.0.6`, `is a range: write "10.0.0.1", "10.0.0.2/31", "10.0.0.4/31" and "10.0.0.6", each by itself; or "10.0.0.0/29", the block around them, with 2 more addresses`, ""},
	{`0.0.0.1-10.255.255.254`, `is a range: write "0.0.0.1", "0.0.0.2/31", "0.0.0.4/30", "0.0.0.8/29", "0.0.0.16/28", "0.0.0.32/27", "0.0.0.64/26", "0.0.0.128/25", "0.0.1.0/24", "0.0.2.0/23", "0.0.4.0/22", "0.0.8.0/21", "0.0.16.0/20", "0.0.32.0/19", "0.0.64.0/18", "0.0.128.0/17", "0.1.0.0/16", "0.2.0.0/15", "0.4.0.0/14", "0.8.0.0/13", "0.16.0.0/12", "0.32.0.0/11", "0.64.0.0/10", "0.128.0.0/9", "1.0.0.0/8", "2.0.0.0/7", "4.0.0.0/6", "8.0.0.0/7", "10.0.0.0/9", "10.128.0.0/10", "10.192.0.0/11", "10.224.0.0/12" and 20 more blocks, each by itself`, ""},
	{`0.0.0.0-10.0.0.0`, `is a range: write "0.0.0.0/5", "8.0.0.0/7" and "10.0.0.0", each by itself`, ""},
	{`0.0.0.0-0.0.0.0`, `is a range, and is the unspecified address, which no client has: name a client's address, or write "0.0.0.0/0" to mean every IPv4 address`, ""},
	{`255.255.255.255-0.0.0.0`, `is a range that ends before it begins: write the lower address first`, ""},
	{`10.0.0.1-2001:db8::1`, `is a range from one address family to the other: want two IPv4 addresses, or two IPv6 ones`, ""},
	{`2001:db8::1-2001:db8::8`, `is a range: write "2001:db8::1", "2001:db8::2/127", "2001:db8::4/126" and "2001:db8::8", each by itself; or "2001:db8::/124", the block around them`, ""},
	{`2001:db8::-2001:db8::ffff`, `is a range: write "2001:db8::/112"`, ""},
	{`::1-::2`, `is a range: write "::1" and "::2", each by itself; or "::/126", the block around them`, ""},
	{`2000::-2fff::`, `is a range: write "2000::/5", "2800::/6", "2c00::/7", "2e00::/8", "2f00::/9", "2f80::/10", "2fc0::/11", "2fe0::/12", "2ff0::/13", "2ff8::/14", "2ffc::/15", "2ffe::/16" and "2fff::", each by itself`, ""},
	{`::ffff:1.2.3.4-::ffff:1.2.3.9`, `is a range, and ::ffff:1.2.3.4/126 in it is IPv4-mapped IPv6: write it as IPv4, "1.2.3.4/30"`, ""},
	{`203.0.113.0 255.255.255.0`, `has a netmask: write "203.0.113.0/24"`, ""},
	{`203.0.113.7 255.255.255.0`, `has a netmask, and has host bits set: use "203.0.113.0/24" for the block or "203.0.113.7" for the single address`, ""},
	{`203.0.113.0 / 255.255.255.0`, `has white space in it, and has a netmask: write "203.0.113.0/24"`, ""},
	{`203.0.113.0 netmask 255.255.255.0`, `has a netmask: write "203.0.113.0/24"`, ""},
	{`203.0.113.0,255.255.255.0`, `has a netmask: write "203.0.113.0/24"`, ""},
	{`"203.0.113.0","255.255.255.0"`, `has a netmask: write "203.0.113.0/24"`, ""},
	{`203.0.113.0 0.0.0.255`, `has an inverse netmask: write "203.0.113.0/24"`, ""},
	{`203.0.113.0/0.0.0.255`, `has an inverse netmask: write "203.0.113.0/24"`, ""},
	{`203.0.113.7 0.0.0.255`, `has an inverse netmask, and has host bits set: use "203.0.113.0/24" for the block or "203.0.113.7" for the single address`, ""},
	{`203.0.113.7 0.0.0.0`, `has the mask 0.0.0.0, which may mean one address or every address: write "203.0.113.7" for the address, or "0.0.0.0/0" for every IPv4 address`, ""},
	{`0.0.0.0 0.0.0.0`, `has the mask 0.0.0.0, which may mean one address or every address: write "0.0.0.0/0", every IPv4 address`, ""},
	{`0.0.0.0/0.0.0.0`, `has the mask 0.0.0.0, which may mean one address or every address: write "0.0.0.0/0", every IPv4 address`, ""},
	{`203.0.113.7 255.255.255.255`, `has a netmask: write "203.0.113.7"`, ""},
	{`203.0.113.0 255.0.255.0`, `has 2 entries in it: write "203.0.113.0" and "255.0.255.0", each by itself`, ""},
	{`203.0.113.0 240.0.0.0`, `has 2 entries in it: write "203.0.113.0" and "240.0.0.0", each by itself`, ""},
	{`203.0.113.0/240.0.0.0`, `has a netmask, and has host bits set: use "192.0.0.0/4" for the block or "203.0.113.0" for the single address`, ""},
	{`203.0.113.0 /24`, `has white space in it: write "203.0.113.0/24"`, ""},
	{`203.0.113.0/ 24`, `has white space in it: write "203.0.113.0/24"`, ""},
	{`203.0.113.0 / 24`, `has white space in it: write "203.0.113.0/24"`, ""},
	{`203.0.113.7 / 24`, `has white space in it, and has host bits set: use "203.0.113.0/24" for the block or "203.0.113.7" for the single address`, ""},
	{`203.0.113.0/24 / office`, `has words after the entry: write "203.0.113.0/24", and the words as its comment`,
		`"203.0.113.0/24 / office" has words after the entry: write "203.0.113.0/24 # office"`},
	{`203.0.113.*`, `has a wildcard: write "203.0.113.0/24"`, ""},
	{`203.0.*.*`, `has a wildcard: write "203.0.0.0/16"`, ""},
	{`203.0.113.x`, `has a wildcard: write "203.0.113.0/24"`, ""},
	{`203.0.113.X`, `has a wildcard: write "203.0.113.0/24"`, ""},
	{`203.0.*`, `has a wildcard: write "203.0.0.0/16"`, ""},
	{`203.*.113.*`, `has a wildcard or a range before its last octets, so it is many ranges: write the block or the address of each; ` + wantAny, ""},
	{`203.0.4-7.*`, `has a wildcard: write "203.0.4.0/22"`, ""},
	{`203.0.4-6.*`, `has a wildcard: write "203.0.4.0/23" and "203.0.6.0/24", each by itself; or "203.0.4.0/22", the block around them, with 256 more addresses`, ""},
	{`203.0.4-7.0-255`, `has a range in it: write "203.0.4.0/22"`, ""},
	{`203.0.4-7.1`, `has a wildcard or a range before its last octets, so it is many ranges: write the block or the address of each; ` + wantAny, ""},
	{`203.0.256.*`, otherNotation, ""},
	{`203.0.08.*`, otherNotation, ""},
	{`*.*`, `has a wildcard: write "0.0.0.0/0", every IPv4 address`, ""},
	{`x`, otherNotation, ""},
	{`203.0.`, `ends with a dot: write "203.0.0.0/16"`, ""},
	{`203.0.113.7.`, `ends with a dot: write "203.0.113.7"`, ""},
	{`203.0.113`, `has only 3 of the 4 octets of an IPv4 address: ` + wantAny, ""},
	{`203.0.113/24`, `has only 3 of the 4 octets of an IPv4 address: write "203.0.113.0/24"`, ""},
	{`203.0/16`, `has only 2 of the 4 octets of an IPv4 address: write "203.0.0.0/16"`, ""},
	{`203/24`, `has only 1 of the 4 octets of an IPv4 address: ` + wantAny, ""},
	{`203/-1`, `has only 1 of the 4 octets of an IPv4 address: ` + wantAny, ""},
	{`2001:db8:*`, `has a wildcard: write "2001:db8::/32"`, ""},
	{`2001:db8::*`, `has a wildcard: write "2001:db8::/112"`, ""},
	{`2001:db8::1:*`, `has a wildcard: write "2001:db8::1:0/112"`, ""},
	{`2001:db8:0:0:0:0:0:*`, `has a wildcard: write "2001:db8::/112"`, ""},
	{`2001:db8:*:*:*:*:*:*`, `has a wildcard: write "2001:db8::/32"`, ""},
	{`1:2:3:4:5:6:7:8:*`, `is not an IPv6 address: ` + wantAny, ""},
	{`zz:*`, otherNotation, ""},
	{`203.0.113.7 203.0.113.8 198.51.100.0/24`, `has 3 entries in it: write "203.0.113.7", "203.0.113.8" and "198.51.100.0/24", each by itself`, ""},
	{`203.0.113.7, 203.0.113.8`, `has 2 entries in it: write "203.0.113.7" and "203.0.113.8", each by itself`, ""},
	{`203.0.113.7,203.0.113.8,10.0.0.7/24`, `has 3 entries in it, and 10.0.0.7/24 has host bits set: use "10.0.0.0/24" for the block or "10.0.0.7" for the single address`, ""},
	{`203.0.113.7 and 203.0.113.8`, `has 2 entries and words in it: write "203.0.113.7" and "203.0.113.8", each by itself`, ""},
	{`203.0.113.4-9,10.0.0.9`, `has several entries in it, and "203.0.113.4-9" is a range: write "203.0.113.4/30" and "203.0.113.8/31", each by itself; or "203.0.113.0/28", the block around them, with 10 more addresses`, ""},
	{`10.0.0.9 203.0.113.4-9`, `has several entries in it, and "203.0.113.4-9" is a range: write "203.0.113.4/30" and "203.0.113.8/31", each by itself; or "203.0.113.0/28", the block around them, with 10 more addresses`, ""},
	{`10.0.0.9, 203.0.113.4 - 203.0.113.9`, `has several entries in it, and "203.0.113.4 - 203.0.113.9" is a range: write "203.0.113.4/30" and "203.0.113.8/31", each by itself; or "203.0.113.0/28", the block around them, with 10 more addresses`, ""},
	{`10.0.0.9, 203.0.113.*`, `has several entries in it, and "203.0.113.*" has a wildcard: write "203.0.113.0/24"`, ""},
	{`10.0.0.9;2001:db8:1:*`, `has several entries in it, and "2001:db8:1:*" has a wildcard: write "2001:db8:1::/48"`, ""},
	{`10.0.0.9 203.0.113.0/255.255.255.0`, `has several entries in it, and "203.0.113.0/255.255.255.0" has a netmask: write "203.0.113.0/24"`, ""},
	{`203.0.113.* office`, `has words in it, and "203.0.113.*" has a wildcard: write "203.0.113.0/24"`, ""},
	{`203.0.113.0/24,deny`, `has columns, as CSV has: write "203.0.113.0/24", and the words as its comment, if it is to be let in`,
		`"203.0.113.0/24,deny" has columns, as CSV has: write "203.0.113.0/24 # deny", if it is to be let in`},
	{`203.0.113.7 DROP`, `has words after the entry: write "203.0.113.7", and the words as its comment, if it is to be let in`,
		`"203.0.113.7 DROP" has words after the entry: write "203.0.113.7 # DROP", if it is to be let in`},
	{`203.0.113.7, version 2.0.`, `has columns, as CSV has: write "203.0.113.7", and the words as its comment`,
		`"203.0.113.7, version 2.0." has columns, as CSV has: write "203.0.113.7 # version 2.0."`},
	{`203.0.113.7; 203.0.113.8;`, `has ";" after it, and has 2 entries in it: write "203.0.113.7" and "203.0.113.8", each by itself`, ""},
	{`["203.0.113.7", "203.0.113.8"]`, `has brackets around it, and has 2 entries in it: write "203.0.113.7" and "203.0.113.8", each by itself`, ""},
	{`"203.0.113.7"`, `has quotes around it: write "203.0.113.7"`, ""},
	{`"203.0.113.7",`, `has "," after it, and has quotes around it: write "203.0.113.7"`, ""},
	{`'203.0.113.7'`, `has quotes around it: write "203.0.113.7"`, ""},
	{`“203.0.113.7”`, `has quotes around it: write "203.0.113.7"`, ""},
	{`"203.0.113.7/24"`, `has quotes around it, and has host bits set: use "203.0.113.0/24" for the block or "203.0.113.7" for the single address`, ""},
	{`"'203.0.113.7'"`, `has quotes around it, and has quotes around it: write "203.0.113.7"`, ""},
	{`((((203.0.113.7))))`, otherNotation, ""},
	{`[[[[["203.0.113.7"]]]]]`, `has brackets in it: write the address without them`, ""},
	{`- 203.0.113.7`, `has a list mark before it: write "203.0.113.7"`, ""},
	{`- "203.0.113.7"`, `has a list mark before it, and has quotes around it: write "203.0.113.7"`, ""},
	{`- cidr: 203.0.113.0/24`, `has a list mark before it, and has a name before it: write "203.0.113.0/24"`, ""},
	{`ip: 203.0.113.7`, `has a name before it: write "203.0.113.7"`, ""},
	{`{"address": "203.0.113.7"}`, `has brackets around it, and has a name before it, and has quotes around it: write "203.0.113.7"`, ""},
	{`203.0.113.7,office,Berlin`, `has columns, as CSV has: write "203.0.113.7", and the words as its comment`,
		`"203.0.113.7,office,Berlin" has columns, as CSV has: write "203.0.113.7 # office,Berlin"`},
	{`"203.0.113.7","the office, Berlin"`, `has columns, as CSV has: write "203.0.113.7", and the words as its comment`,
		`"\"203.0.113.7\",\"the office, Berlin\"" has columns, as CSV has: write "203.0.113.7 # the office, Berlin"`},
	{`office,203.0.113.7,2026`, `has columns, as CSV has: write "203.0.113.7", and the words as its comment, if it is to be let in`,
		`"office,203.0.113.7,2026" has columns, as CSV has: write "203.0.113.7 # office 2026", if it is to be let in`},
	{`203.0.113.7 office`, `has words after the entry: write "203.0.113.7", and the words as its comment`,
		`"203.0.113.7 office" has words after the entry: write "203.0.113.7 # office"`},
	{`203.0.113.7 ; office`, `has columns, as CSV has: write "203.0.113.7", and the words as its comment`,
		`"203.0.113.7 ; office" has columns, as CSV has: write "203.0.113.7 # office"`},
	{`203.0.113.7 // office`, `has words after the entry: write "203.0.113.7", and the words as its comment`,
		`"203.0.113.7 // office" has words after the entry: write "203.0.113.7 # office"`},
	{`203.0.113.7 the office # in Berlin`, `has words after the entry: write "203.0.113.7", and the words as its comment`,
		`"203.0.113.7 the office" has words after the entry: write "203.0.113.7 # the office; in Berlin"`},
	{`203.0.113.7 office expires=2027-01-01T00:00:00Z`, `has words after the entry: write "203.0.113.7", and the words as its comment; its expiry is not a comment`,
		`"203.0.113.7 office" has words after the entry: write "203.0.113.7 expires=2027-01-01T00:00:00Z # office"`},
	{`203.0.113.7 203.0.113.8 expires=2027-01-01T00:00:00Z`, `has 2 entries and words in it: write "203.0.113.7" and "203.0.113.8", each by itself`,
		`"203.0.113.7 203.0.113.8" has 2 entries in it: write "203.0.113.7" and "203.0.113.8", each on a line of its own with the rest of this one`},
	{`203.0.113.7 # office`, `has words after the entry: write "203.0.113.7", and the words as its comment`,
		`ok`},
	{`allow 203.0.113.7;`, `has ";" after it, and has words before the entry: write "203.0.113.7", and the words as its comment, if it is to be let in`,
		`"allow 203.0.113.7;" has ";" after it, and has words before the entry: write "203.0.113.7 # allow", if it is to be let in`},
	{`deny 203.0.113.7;`, `has ";" after it, and has words before the entry: write "203.0.113.7", and the words as its comment, if it is to be let in`,
		`"deny 203.0.113.7;" has ";" after it, and has words before the entry: write "203.0.113.7 # deny", if it is to be let in`},
	{`Require ip 203.0.113.7`, `has words before the entry: write "203.0.113.7", and the words as its comment, if it is to be let in`,
		`"Require ip 203.0.113.7" has words before the entry: write "203.0.113.7 # Require ip", if it is to be let in`},
	{`office (203.0.113.7)`, `has words before the entry: write "203.0.113.7", and the words as its comment, if it is to be let in`,
		`"office (203.0.113.7)" has words before the entry: write "203.0.113.7 # office", if it is to be let in`},
	{`10.0.0.7/24 office`, `has words after the entry, and has host bits set: use "10.0.0.0/24" for the block or "10.0.0.7" for the single address`, ""},
	{`10.0.0.7/33 office`, `has words in it, and "10.0.0.7/33" has the prefix length "33", longer than the address: want a number from 0 to 32 after the slash`, ""},
	{`10.0.0.300 office`, `has words in it, and "10.0.0.300" has the octet "300": want octets from 0 to 255`, ""},
	{`office 10.0.0.7/24`, `has words before the entry, and has host bits set: use "10.0.0.0/24" for the block or "10.0.0.7" for the single address`, ""},
	{`the office`, `has white space in it: ` + wantAny, ""},
	{`http://203.0.113.7/`, `is a URL: write "203.0.113.7"`, ""},
	{`https://user@203.0.113.7:8443/x?y`, `is a URL: write "203.0.113.7"`, ""},
	{`https://[2001:db8::7]:443/`, `is a URL: write "2001:db8::7"`, ""},
	{`http://example.com/`, otherNotation, ""},
	{`203.0.113.0/24:443`, `has the prefix length "24:443", which is not a number: want a number from 0 to 32 after the slash`, ""},
	{`fe80::1%eth0 office`, `has a zone: write the address without it, since a zone means something on one host only`, ""},
	{`; a comment`, `is a comment with another mark: begin a comment with #`, ""},
	{`// a comment`, `is a comment with another mark: begin a comment with #`, ""},
	{`;`, `has ";" after it, and is empty: ` + wantAny, ""},
	{`""`, `has quotes around it, and is empty: ` + wantAny, ""},
	{`-`, otherNotation, ""},
}

func TestA7PastedTextsAreRecognized(t *testing.T) {
	for _, test := range pasted {
		checkRefused(t, anyFamily, test.text, test.entry)
		_, err := anyFamily.ParseText([]byte(test.text))
		want := test.line
		switch want {
		case "":
			want = strconv.Quote(test.text) + " " + strings.ReplaceAll(test.entry, "each by itself", "each on a line of its own")
		case "ok":
			if err != nil {
				t.Errorf("%s: %v", test.text, err)
			}
			continue
		}
		wantError(t, test.text, err, "line 1: accesslist: "+want)
	}
}

// Without the opt-in to IPv6 nothing is offered that would be refused.
func TestA5NoIPv6IsOfferedWithoutOptIn(t *testing.T) {
	const says = "is IPv6: this list takes IPv4 addresses and blocks only"
	for text, before := range map[string]string{
		`"2001:db8::7"`: "has quotes around it, and ", "[2001:db8::7]": "has brackets around it, and ", "[2001:db8::7]:443": "has a port, which no entry has, and ",
		"2001:db8::7 office": "has words after the entry, and ", "2001:db8::*": "has a wildcard, and ", "https://[2001:db8::7]/": "is a URL, and ",
		"2001:db8::1-2001:db8::7": "is a range, and 2001:db8::1 in it ", "2001:db8::1-2001:db8::1": "is a range, and ",
		"203.0.113.7 2001:db8::7": "has 2 entries in it, and 2001:db8::7/128 ", "2001:db8::/064": `has a leading zero in the prefix length "064", and `,
	} {
		checkRefused(t, accesslist.Parser{}, text, before+says)
	}
}

var inQuotes = regexp.MustCompile(`"(?:[^"\\]|\\.)*"`)

// wantRepairs fails unless the same parser takes every text that a refusal offers.
func wantRepairs(t testing.TB, p accesslist.Parser, text string) {
	t.Helper()
	var refusal *accesslist.ParseError
	if _, err := p.ParseEntry(text); errors.As(err, &refusal) {
		for _, quoted := range inQuotes.FindAllString(refusal.Want, -1) {
			if _, err := p.ParseEntry(must(strconv.Unquote(quoted))); err != nil {
				t.Errorf("%q is refused with %q, and that with %v", text, refusal.Want, err)
			}
		}
	}
	if _, err := p.ParseText([]byte(text)); errors.As(err, &refusal) {
		for _, quoted := range inQuotes.FindAllString(refusal.Want, -1) {
			if list, err := p.ParseText([]byte(must(strconv.Unquote(quoted)))); err != nil || list.Len() != 1 {
				t.Errorf("the line %q is refused with %q, and that with %v", text, refusal.Want, err)
			}
		}
	}
}

func TestA7WhatARefusalOffersIsTaken(t *testing.T) {
	offered := 0
	for _, p := range []accesslist.Parser{{}, anyFamily} {
		for _, test := range pasted {
			wantRepairs(t, p, test.text)
			offered += len(inQuotes.FindAllString(test.entry, -1))
		}
		for _, test := range refused {
			wantRepairs(t, p, test.text)
		}
	}
	if offered < 300 {
		t.Errorf("%d texts are offered", offered)
	}
}

// An expiry on a refused line is in what is offered: without it the entry would never end.
func TestA2NoExpiryIsLostInARepair(t *testing.T) {
	const expires = "expires=2027-01-01T00:00:00Z"
	for _, text := range []string{"203.0.113.7 office", `"203.0.113.7"`, "203.0.113.*", "203.0.113.0 255.255.255.0", "203.0.113.7:443", "- 203.0.113.7", "203.0.113.7,"} {
		_, err := accesslist.Parser{}.ParseText([]byte(text + " " + expires + " # note"))
		var refusal *accesslist.ParseError
		if !errors.As(err, &refusal) || !strings.Contains(refusal.Want, " "+expires+" # ") || !strings.Contains(refusal.Want, "note") {
			t.Errorf("%s: %v", text, err)
		}
	}
	for text, want := range map[string]string{
		"203.0.113.7 office expires=soon":               `line 1: accesslist: "expires" of 203.0.113.7 is "soon": want a time such as 2026-01-02T15:04:05Z, or leave it out`,
		"203.0.113.7 " + expires + " " + expires:        `line 1: accesslist: "` + expires + `" a second time: want added=TIME and expires=TIME each at most once`,
		"203.0.113.7 office " + expires + " # a\u202eb": `line 1: accesslist: "203.0.113.7 office" has words after the entry: write "203.0.113.7 ` + expires + ` # office"`,
		"203.0.113.7 a \x01 " + expires:                 `line 1: accesslist: "203.0.113.7 a \x01" has words after the entry: write "203.0.113.7 ` + expires + `"`,
		"203.0.113.7 Expires=2027-01-01T00:00:00Z":      `line 1: accesslist: "Expires=2027-01-01T00:00:00Z": want expires=TIME`,
		"203.0.113.7 ADDED=2027-01-01T00:00:00Z":        `line 1: accesslist: "ADDED=2027-01-01T00:00:00Z": want added=TIME`,
		"203.0.113.7 expiry 2027":                       `line 1: accesslist: "203.0.113.7 expiry 2027" has words after the entry: write "203.0.113.7 # expiry 2027"; its expiry is not a comment`,
		"10.0.0.7/24 " + expires:                        `line 1: accesslist: "10.0.0.7/24" has host bits set: use "10.0.0.0/24" for the block or "10.0.0.7" for the single address`,
		"203.0.113.4-9 " + expires:                      `line 1: accesslist: "203.0.113.4-9" is a range: write "203.0.113.4/30" and "203.0.113.8/31", each on a line of its own with the rest of this one; or "203.0.113.0/28", the block around them, with 10 more addresses`,
	} {
		_, err := accesslist.Parser{}.ParseText([]byte(text))
		wantError(t, text, err, want)
	}
}

func TestA7FilesInOtherEncodings(t *testing.T) {
	utf16 := func(text string) (le, be string) {
		for _, r := range text {
			le, be = le+string([]byte{byte(r), byte(r >> 8)}), be+string([]byte{byte(r >> 8), byte(r)})
		}
		return le, be
	}
	le, be := utf16("203.0.113.7\n")
	for _, text := range []string{"\xff\xfe" + le, "\xfe\xff" + be, le, be, "203.0.113.7\n\x00"} {
		list, err := accesslist.Parser{}.ParseText([]byte(text))
		wantError(t, strconv.Quote(text), err, "accesslist: the text is UTF-16, or has zero bytes in it: want UTF-8")
		wantInvalid(t, "UTF-16", list)
	}
	for text, after := range map[string]string{le[:22]: "has zero bytes in it, as text in UTF-16 has", "\xff\xfe" + le[:22]: "has zero bytes in it, as text in UTF-16 has",
		"\xfe\xff" + be[:22]: "has zero bytes in it, as text in UTF-16 has", "203.0.113.7\u200b": "has the invisible character U+200B in it",
		"\u202a203.0.113.7\u202c": "has the invisible character U+202A in it"} {
		checkRefused(t, accesslist.Parser{}, text, after+`: write "203.0.113.7"`)
	}
	const mark = "line 1: accesslist: the text begins with a byte order mark (U+FEFF): save it as UTF-8 without one"
	_, err := accesslist.Parser{}.ParseText([]byte("\ufeff# a list\n203.0.113.7\n"))
	wantError(t, "a byte order mark", err, mark)
	_, err = accesslist.Parser{}.ParseText([]byte("\ufeff203.0.113.7/24\n\ufeff203.0.113.7\n"))
	wantError(t, "byte order marks", err, mark+"\n"+
		`line 1: accesslist: "203.0.113.7/24" has host bits set: use "203.0.113.0/24" for the block or "203.0.113.7" for the single address`+"\n"+
		`line 2: accesslist: "\ufeff203.0.113.7" has a byte order mark (U+FEFF) in it: write "203.0.113.7"`)
}

func TestA12LongInputIsRefusedUnread(t *testing.T) {
	longest := strings.Repeat("1", accesslist.MaxLine)
	_, err := anyFamily.ParseEntry(longest)
	wantError(t, "2048 bytes", err, `accesslist: "`+longest[:80]+`…" has only 1 of the 4 octets of an IPv4 address: `+wantAny)

	huge := strings.Repeat("1", 100<<20)
	if allocated := testing.AllocsPerRun(1, func() { _, err = anyFamily.ParseEntry(huge) }); allocated > 20 {
		t.Errorf("a text of 100 MB is refused with %v allocations", allocated)
	}
	wantError(t, "100 MB", err, `accesslist: "`+longest[:80]+`…" has 104857600 bytes: `+wantAny)
	var refusal *accesslist.ParseError
	if !errors.As(err, &refusal) || refusal.Text != longest {
		t.Errorf("the error holds on to %d bytes", len(refusal.Text))
	}
	_, err = anyFamily.ParseText([]byte("203.0.113.7\n" + huge + "\n203.0.113.8 #" + longest))
	wantError(t, "a line of 100 MB", err, `line 2: accesslist: "`+longest[:80]+`…" has 104857600 bytes: want at most 2048`+"\n"+
		`line 3: accesslist: "203.0.113.8 #`+longest[:67]+`…" has 2061 bytes: want at most 2048`)
	// What MarshalText writes is shorter.
	e := entryUntil("2001:db8:1111:2222:3333:4444:5555:6666", now.Add(1))
	e.Added, e.Comment = now.Add(2), strings.Repeat("é", accesslist.MaxComment/2)
	list := must(accesslist.New(e))
	wantEqual(t, "the longest line", textRoundTrip(t, list), list)
}

func TestA12AMillionBadTexts(t *testing.T) {
	bad := make([]string, 1_000_000)
	for i := range bad {
		bad[i] = "office number " + strconv.Itoa(i)
	}
	_, err := accesslist.Parse(bad...)
	lines := strings.Split(err.Error(), "\n")
	if len(lines) != 21 || lines[20] != "accesslist: and 999980 more" || !strings.Contains(lines[19], "office number 19") {
		t.Errorf("%d lines, the last %q", len(lines), lines[len(lines)-1])
	}
	_, err = accesslist.Parser{}.ParseText([]byte(strings.Join(bad, "\n")))
	if lines := strings.Split(err.Error(), "\n"); len(lines) != 21 || lines[20] != "accesslist: and 999980 more" {
		t.Errorf("%d lines, the last %q", len(lines), lines[len(lines)-1])
	}
	_, err = accesslist.Parser{}.ParseJSON([]byte("[" + strings.Repeat(`{"address":"x"},`, 99) + `{"address":"10.0.0.7"}]`))
	if lines := strings.Split(err.Error(), "\n"); len(lines) != 21 || !strings.HasPrefix(lines[0], "entry 1 of 100: ") || lines[20] != "accesslist: and 79 more" {
		t.Errorf("%d lines, the last %q", len(lines), lines[len(lines)-1])
	}
}

func TestA6ADuplicateNamesTheEntryThatStands(t *testing.T) {
	office, again, home := entry("203.0.113.7"), entry("203.0.113.7"), entry("198.51.100.7")
	office.Comment, again.Comment = "the office", "again"
	list := must(accesslist.New(office))
	for _, test := range []struct {
		entries []accesslist.Entry
		want    string
	}{
		{[]accesslist.Entry{home, again}, `203.0.113.7: duplicate entry: it is on the list already, first with the comment "the office"; nothing was added`},
		{[]accesslist.Entry{home, home}, `198.51.100.7: duplicate entry: it is given twice; nothing was added`},
		{[]accesslist.Entry{home, home, again, home}, `198.51.100.7: duplicate entry: it is given twice; as are 2 more; nothing was added`},
	} {
		_, err := list.With(test.entries...)
		wantError(t, "With", err, "accesslist: "+test.want)
		if !errors.Is(err, accesslist.ErrDuplicate) {
			t.Errorf("%v is not ErrDuplicate", err)
		}
	}
	_, err := accesslist.New(again, office)
	wantError(t, "New", err, `accesslist: 203.0.113.7: duplicate entry: it is given twice, first with the comment "again"; nothing was added`)
	_, err = accesslist.Parser{}.ParseText([]byte("203.0.113.7 # office\n\n203.0.113.7/32\n203.0.113.7\n"))
	wantError(t, "a file", err, "line 3: accesslist: 203.0.113.7: duplicate entry: it is on line 1 already\nline 4: accesslist: 203.0.113.7: duplicate entry: it is on line 1 already")
	_, err = accesslist.Parser{}.ParseText([]byte(strings.Repeat("203.0.113.7\n", 100)))
	if lines := strings.Split(err.Error(), "\n"); len(lines) != 21 || lines[20] != "accesslist: and 79 more" {
		t.Errorf("%d lines, the last %q", len(lines), lines[len(lines)-1])
	}
}

// The lists of providers, if they are at hand, as they would be pasted: every line is taken,
// or refused with an offer that is taken.
func TestA7PublishedListsAsTheyArePasted(t *testing.T) {
	lists := published()
	if len(lists) == 0 {
		t.Skip("no published lists in ../../shared/data")
	}
	for _, list := range lists {
		for i, block := range list.blocks() {
			if i > 2000 {
				break
			}
			block := block.String()
			for _, form := range []string{"%s", `"%s",`, "- %s", "%s office", "%s;office", "allow %s;", "\ufeff%s", "ip-prefix: %s"} {
				wantRepairs(t, anyFamily, fmt.Sprintf(form, block))
			}
		}
	}
	if _, err := os.Stat("../../shared/data"); err != nil {
		t.Fatal(err)
	}
}
