package accesslist_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/sallyport-go/sallyport/accesslist"
)

// acceptable says by net/netip alone which texts are entries.
func acceptable(text string, v6 bool) (netip.Prefix, bool) {
	prefix, err := netip.ParsePrefix(text)
	if addr, addrErr := netip.ParseAddr(text); addrErr == nil && addr.Zone() == "" {
		prefix, err = netip.PrefixFrom(addr, addr.BitLen()), nil
	}
	ok := err == nil && prefix == prefix.Masked() &&
		(prefix.Addr().Is4() || v6 && !prefix.Addr().Is4In6()) &&
		!(prefix.IsSingleIP() && prefix.Addr().IsUnspecified())
	return prefix, ok
}

func FuzzParseEntry(f *testing.F) {
	for _, test := range refused {
		f.Add(test.text)
	}
	for _, test := range pasted {
		f.Add(test.text)
	}
	for _, text := range []string{"203.0.113.7", "10.0.0.0/8", "0.0.0.0/0", "::/0", "2001:db8::/32", "::1", "10.0.0.1-10.0.0.9", "fe80::1%eth0-fe80::2%eth0", "::1-::9"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if len(text) > accesslist.MaxLine {
			return
		}
		for _, p := range []accesslist.Parser{{}, anyFamily} {
			wantRepairs(t, p, text)
			e, err := p.ParseEntry(text)
			want, ok := acceptable(text, p.AllowIPv6)
			if ok != (err == nil) {
				t.Fatalf("%q: %v, %v", text, e, err)
			}
			if !ok {
				var refusal *accesslist.ParseError
				if !errors.As(err, &refusal) || refusal.Text != text || refusal.Problem == "" || refusal.Want == "" {
					t.Fatalf("%q: %#v", text, err)
				}
				if message := err.Error(); !utf8.ValidString(message) || strings.Contains(message, "\n") || len(message) > 4000 {
					t.Fatalf("%q: the message %q", text, message)
				}
				if !e.Equal(accesslist.Entry{}) {
					t.Fatalf("%q: the entry %v beside an error", text, e)
				}
				continue
			}
			if e.Prefix() != want {
				t.Fatalf("%q was read as %v", text, e)
			}
			if again, err := p.ParseEntry(e.String()); err != nil || !again.Equal(e) {
				t.Fatalf("%q was read as %v, and that as %v, %v", text, e, again, err)
			}
		}
	})
}

func FuzzParseText(f *testing.F) {
	for _, text := range []string{"", "empty", "empty # yes\n", ",", "203.0.113.7\r\n# note\r\n\r\n10.0.0.0/8\t# a # b",
		"198.51.100.0/24 added=2026-01-02T15:04:05Z expires=2027-01-01T00:00:00+01:00 # the office\n::1",
		"203.0.113.7\n203.0.113.7/32", "empty\n203.0.113.7", "203.0.113.7 expires=", "203.0.113.7 #\xff", "203.0.113.7 expires=9999-12-31T23:59:59.999999999-23:59",
		strings.Repeat("x\n", 30)} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		for _, p := range []accesslist.Parser{{}, anyFamily} {
			list, err := p.ParseText(text)
			if err != nil {
				wantInvalid(t, strconv.Quote(string(text)), list)
				continue
			}
			if list.IsEmpty() && !bytes.Contains(text, []byte("empty")) {
				t.Fatalf("%q was read as a list without entries", text)
			}
			wantEqual(t, "text round trip", textRoundTrip(t, list), list)
			wantEqual(t, "JSON round trip", jsonRoundTrip(t, list), list)
		}
	})
}

func FuzzListJSON(f *testing.F) {
	_, written, _ := written()
	for _, text := range []string{written, "", "null", "[]", "[null]", "{}", `[{"address":"203.0.113.7","expires":null}]`, `[{"address":"203.0.113.7"},{"address":"203.0.113.7"}]`,
		`[{"address":"::1","comment":"\u0000"}]`, `[{"address":"203.0.113.7","address":"0.0.0.0/0"}]`, `[{"address":"10.0.0.0/8","added":"0001-01-01T00:00:00.1Z"}]`, `[{"address":1e999}]`} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		for _, p := range []accesslist.Parser{{}, anyFamily} {
			list, err := p.ParseJSON(text)
			if err != nil {
				wantInvalid(t, strconv.Quote(string(text)), list)
				continue
			}
			// encoding/json is more lenient, but must find as many entries.
			var loose []map[string]string
			if err := json.Unmarshal(text, &loose); err != nil || loose == nil || len(loose) != list.Len() {
				t.Fatalf("%q was read as %v; encoding/json has %v, %v", text, texts(list), loose, err)
			}
			wantEqual(t, "JSON round trip", jsonRoundTrip(t, list), list)
			wantEqual(t, "text round trip", textRoundTrip(t, list), list)
		}
	})
}

// FuzzMatch makes a list of bytes, seven an entry: a family and an expiry, four
// bytes of address and a length. Addresses of both families have few free bits, so
// that entries and probes meet.
func FuzzMatch(f *testing.F) {
	f.Add([]byte{}, []byte{10, 0, 0, 1}, uint8(0))
	f.Add([]byte{0, 10, 0, 0, 0, 8, 0, 0, 10, 0, 0, 1, 32, 1, 0, 10, 0, 0, 0, 24, 2}, []byte{10, 0, 0, 1}, uint8(1))
	f.Add([]byte{1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3}, []byte{255, 255, 255, 255}, uint8(200))
	f.Add([]byte{1, 0x20, 1, 0xd, 0xb8, 32, 0, 1, 0x20, 1, 0xd, 0xb8, 128, 4}, []byte{0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, uint8(7))
	f.Add([]byte{1, 0, 0, 0, 0, 0, 0}, []byte{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 0, 0, 1}, uint8(7))
	f.Fuzz(func(t *testing.T, data, client []byte, when uint8) {
		var entries linear
		seen := map[netip.Prefix]bool{}
		for ; len(data) >= 7 && len(entries) < 50; data = data[7:] {
			addr := netip.AddrFrom4([4]byte(data[1:5]))
			if data[0]&1 != 0 {
				var b [16]byte
				copy(b[:], data[1:5])
				copy(b[14:], data[3:5])
				addr = netip.AddrFrom16(b)
			}
			e, err := anyFamily.NewEntry(netip.PrefixFrom(addr, int(data[5])%(addr.BitLen()+1)).Masked())
			if err != nil || seen[e.Prefix()] {
				continue
			}
			seen[e.Prefix()] = true
			e.Expires = expiries[int(data[6])%len(expiries)]
			entries = append(entries, e)
		}
		list, err := accesslist.List{}.With(entries...)
		if err != nil || list.Len() != len(entries) {
			t.Fatalf("%v: %d entries, %v", entries, list.Len(), err)
		}
		ask := []netip.Addr{{}}
		if addr, ok := netip.AddrFromSlice(client); ok {
			ask = append(ask, addr, addr.Unmap(), netip.AddrFrom16(addr.As16()), netip.AddrFrom16(addr.As16()).WithZone("eth0"))
		}
		for _, e := range entries {
			ask = append(ask, probes(e.Prefix())...)
		}
		at := instants()[int(when)%len(instants())]
		for _, addr := range ask {
			want, ok := entries.match(addr, at)
			wantMatch(t, list, addr, at, want, ok)
		}
		for _, e := range entries {
			if got, ok := list.Find(e.Prefix()); !ok || !got.Equal(e) {
				t.Fatalf("Find(%v) = %v, %v", e, got, ok)
			}
		}
		wantEqual(t, "a list made in the other order", must(accesslist.List{}.With(reversed(entries)...)), list)
		_ = list.Findings(at.Add(time.Hour), accesslist.Evidence{Since: at, Internet: true}) // must not panic
	})
}

func reversed(entries []accesslist.Entry) (out []accesslist.Entry) {
	for i := range entries {
		out = append(out, entries[len(entries)-1-i])
	}
	return out
}
