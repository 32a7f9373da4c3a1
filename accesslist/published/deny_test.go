package published_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/sallyport-go/sallyport/accesslist/published"
)

// TestDenials has documents that deny something. What they deny is admitted by none: it is left out,
// and where another part admits it, or where it cannot be read, the list is refused.
func TestDenials(t *testing.T) {
	const (
		refused = "refused"
		ranges  = "203.0.113.0-203.0.113.9\n203.0.113.20-203.0.113.29\n203.0.113.40-203.0.113.49\n"
		kept    = "203.0.113.0-203.0.113.9 203.0.113.20-203.0.113.29 203.0.113.40-203.0.113.49"
	)
	address := published.Options{Columns: published.Columns{Address: "cidr", Region: "where", Service: "what"}}
	for _, c := range []struct {
		text    string
		options published.Options
		want    string // the ranges admitted, and what was left out; or refused, and the words
	}{
		// Ranges, whose lines have names and fields.
		{text: ranges + "198.51.100.0-198.51.100.255 except 198.51.100.7\n", want: kept + ", 1 denied"},
		{text: ranges + "198.51.100.0-198.51.100.255, except 198.51.100.7\n", want: kept + ", 1 denied"},
		{text: ranges + "198.51.100.0-198.51.100.255 denied\n", want: kept + ", 1 denied"},
		{text: ranges + "198.51.100.0 - 198.51.100.255, DE, denied\n", want: kept + ", 1 denied"},
		{text: ranges + "198.51.100.0-198.51.100.255 minus 198.51.100.7\n", want: kept + ", 1 invalid"},
		{text: ranges + "198.51.100.0-198.51.100.255, minus 198.51.100.7\n", want: kept + ", 1 invalid"},
		{text: ranges + "198.51.100.0-198.51.100.255 DE\n", want: kept + ", 1 invalid"},
		{text: ranges + "198.51.100.0 - 198.51.100.255 x, DE\n", want: kept + ", 1 invalid"},
		{text: ranges + "198.51.100.0, - 198.51.100.255\n", want: kept + ", 1 invalid"},
		{text: ranges + "198.51.100.0-198.51.100.255, DE, Example Ltd # minus 198.51.100.7\n", want: kept + " 198.51.100.0/24"},
		{text: ranges + "198.51.100.0 - 198.51.100.255\tDE\n", want: kept + " 198.51.100.0/24"},
		{text: ranges + "Blocked hosts:198.51.100.0-198.51.100.255\n", want: kept + ", 1 denied"},
		{text: ranges + "Blocked:198.51.100.0 - 198.51.100.255\n", want: kept + ", 1 denied"},
		{text: ranges + "Example Ltd:198.51.100.0-198.51.100.255 except 198.51.100.7\n", want: kept + ", 1 denied"},
		{text: ranges + "ban 203.0.113.5, 203.0.113.6\n", want: refused + " 203.0.113.5"},
		{text: ranges + "deny from 203.0.113.5\n", want: refused + " 203.0.113.5"},
		{text: ranges + "deny 203.0.113.256\n", want: refused + ` the line "deny 203.0.113.256" is not understood`},
		{text: ranges + "!2001:db8:0:0:0:0:0:1\n", want: kept + ", 1 denied"},
		{text: ranges + "deny 2001:db8:0:0:0:0:0:1\n", want: kept + ", 1 denied"},
		{text: "203.0.113.0,203.0.113.9\n198.51.100.0,198.51.100.255 without 198.51.100.7\n198.51.100.0,198.51.100.255 minus 198.51.100.7\n203.0.113.20, 203.0.113.29, DE\n203.0.113.40 203.0.113.49\n",
			options: published.Options{Format: published.Ranges}, want: kept + ", 1 invalid, 1 denied"},

		{text: ranges + "Exceptions:\n203.0.113.7-203.0.113.9\n", want: refused + ` the line "Exceptions:" is not understood`},
		{text: ranges + "denied_ips:\n- 203.0.113.7\n", want: refused + ` the line "denied_ips:" is not understood`},

		// Text.
		{text: "allow:\n  - 192.0.2.0/24\n  - 198.51.100.0/24\ndeny:\n  - 192.0.2.7\n", want: refused + ` the line "deny:" is not understood`},
		{text: "192.0.2.0/24\n198.51.100.0/24\n[denied]\n192.0.2.7\n", want: refused + ` the line "[denied]"`},
		{text: "192.0.2.0/24\n198.51.100.0/24\n[blocked_ips]\n192.0.2.7\n", want: refused + ` the line "[blocked_ips]"`},
		{text: "192.0.2.0/24\n198.51.100.0/24\ndeny\n192.0.2.7\n", want: refused + ` the line "deny"`},
		{text: "192.0.2.0/24\n198.51.100.0/24\nDo not use these:\n192.0.2.7\n", want: refused + ` the line "Do not use these:"`},
		{text: "Example:\n192.0.2.0/24\n", want: "192.0.2.0/24, 1 invalid"},
		{text: "add trusted 192.0.2.0/24\nadd trusted 192.0.2.7 nomatch\n", want: refused + " 192.0.2.7"},
		{text: "add allowed 192.0.2.0/24\nadd blocked 192.0.2.7\n", want: refused + " 192.0.2.7"},
		{text: "allow 192.0.2.0/24 ; deny 192.0.2.7 ;\n203.0.113.0/24 ; not in use\n", want: "203.0.113.0/24, 1 denied"},
		{text: "192.0.2.0/24\ndeny 192.0.2.*\n", want: refused + ` the line "deny 192.0.2.*"`},
		{text: "192.0.2.0/24\ndeny=192.0.2.7\n", want: refused + " 192.0.2.7"},
		{text: "192.0.2.0/24\ndeny:192.0.2.7\n", want: refused + " 192.0.2.7"},
		{text: "192.0.2.0/24\n! 192.0.2.7\n", want: refused + " 192.0.2.7"},
		{text: "192.0.2.0/24\n-192.0.2.7\n", want: refused + " 192.0.2.7"},
		{text: "2001:db8::/32\ndeny [2001:db8::1]:443\n", options: published.Options{AllowIPv6: true}, want: refused + ` the line "deny [2001:db8::1]:443"`},
		{text: "fe80::/16\ndeny fe80::1%eth0\n", options: published.Options{AllowIPv6: true}, want: refused + ` the line "deny fe80::1%eth0"`},
		{text: "allow fc00::/16\ndeny fc00::1/32\n", options: published.Options{AllowIPv6: true}, want: refused + ` the line "deny fc00::1/32" is not understood`},
		{text: "allow from 10.0.0.0/8\ndeny from 10\n", want: refused + ` the line "deny from 10" is not understood`},
		{text: "10.0.0.0/8\ndeny 192.0.2.1 10.1\n", want: refused + ` the line "deny 192.0.2.1 10.1" is not understood`},
		{text: "10.0.0.0/8\ndeny from example.com\n", want: "10.0.0.0/8, 1 invalid"},
		{text: "10.0.0.0/8\ndo not use before 2026-01-01\n", want: "10.0.0.0/8, 1 invalid"},
		{text: "10.0.0.0/8\ndeny all\n", want: "10.0.0.0/8, 1 denied"},
		{text: "10.0.0.0/8\ndeny 192.0.2.1 example.com\n", want: "10.0.0.0/8, 1 denied"},

		// JSON with members for what is denied.
		{text: `{"allow":["192.0.2.0/24"],"deny":["198.51.100.0/24"]}`, want: "192.0.2.0/24, 1 denied"},
		{text: `{"allow":["192.0.2.0/24"],"deny":["192.0.2.7"]}`, want: refused + " 192.0.2.7"},
		{text: `{"allow":["192.0.2.0/24"],"except":"192.0.2.7"}`, want: refused + " 192.0.2.7"},
		{text: `{"allow":["192.0.2.0/24"],"x":{"blockedIPs":{"a":{"b":{"c":["198.51.100.0/24"]}}}}}`, want: "192.0.2.0/24, 1 denied"},
		{text: `{"allow":["192.0.2.0/24"],"ip_block_list":["198.51.100.0/24"]}`, want: "192.0.2.0/24, 1 denied"},
		{text: `{"blocks":["192.0.2.0/24"],"cidr_block":["198.51.100.0/24"]}`, want: "192.0.2.0/24 198.51.100.0/24"},
		{text: `{"allow":["192.0.2.0/24"],"deny":["192.0.2.256"]}`, want: refused + ` the line "192.0.2.256" is not understood`},
		{text: `{"allow":["192.0.2.0/24"],"deny":"192.0.2.7, 192.0.2.8"}`, want: refused + " 192.0.2.7"},
		{text: `{"allow":["192.0.2.0/24"],"deny":["192.0.2.7 - 192.0.2.9"]}`, want: refused + " 192.0.2.7-192.0.2.9"},
		{text: `{"allow":["192.0.2.0/24","198.51.100.0/24"],"deny":["192.0.2.*",""]}`, want: refused + ` the line "192.0.2.*"`},
		{text: `{"allow":["192.0.2.0/24"],"deny":{"192.0.2.7":"spam"}}`, want: refused + " 192.0.2.7"},
		{text: `{"allow":["192.0.2.0/24","deny 192.0.2.7"]}`, want: refused + " 192.0.2.7"},
		{text: `{"allow":["192.0.2.0/24"],"IPBlacklist":["192.0.2.7"]}`, want: refused + " 192.0.2.7"},
		{text: `{"allow":["192.0.2.0/24"],"IPDenyList":["192.0.2.7"]}`, want: refused + " 192.0.2.7"},
		{text: `{"allow":["192.0.2.0/24"],"blockedips":["192.0.2.7"]}`, want: refused + " 192.0.2.7"},
		{text: `{"allow":["192.0.2.0/24"],"black_list":["192.0.2.7"]}`, want: refused + " 192.0.2.7"},
		{text: `{"allow":["192.0.2.0/24"],"rule":{"isAllowed":false,"ips":["192.0.2.7"]}}`, want: refused + ` the member "isAllowed" is not understood`},
		{text: `{"success":true,"result":{"allow":["192.0.2.0/24"],"deny":["192.0.2.7"]}}`, want: refused + " 192.0.2.7"},
		{text: `{"hooks":["192.0.2.0/24"],"blocked":["192.0.2.7"]}`, want: refused + " 192.0.2.7"},
		{text: `{"addresses":["192.0.2.0/24"],"ipv6_addresses":[],"deny":["192.0.2.7"]}`, want: refused + " 192.0.2.7"},
		{text: `{"default":"deny","allow":["192.0.2.0/24"]}`, want: "192.0.2.0/24"},
		{text: `{"default_deny":["192.0.2.7"],"allow":["192.0.2.0/24"]}`, want: refused + " 192.0.2.7"},
		{text: `{"networkRuleSet":{"defaultAction":"Deny","ipRules":[{"value":"192.0.2.0/24","action":"Allow"}]}}`, options: published.Options{Columns: published.Columns{Address: "value"}}, want: "192.0.2.0/24"},
		{text: `{"cache":{"enabled":false},"cors":{"allowed":false},"ips":["192.0.2.0/24"]}`, want: "192.0.2.0/24"},
		{text: `{"providers":[{"name":"Block","ips":["192.0.2.0/24"]}],"comment":"Without"}`, want: "192.0.2.0/24"},
		{text: `{"vpc":{"cidr_block_list":["192.0.2.0/24"]}}`, want: "192.0.2.0/24"},
		{text: `{"":["192.0.2.0/24"]}`, want: "192.0.2.0/24"},
		{text: `{"allow":["192.0.2.0/24"],"deny":["example.com"]}`, want: "192.0.2.0/24, 1 invalid"},
		{text: `{"allow":["192.0.2.0/24"],"rules":[{"action":"deny","cidrs":["192.0.2.0/28"]}]}`, want: refused + ` the member "action" with "deny" is not understood`},
		{text: `{"allow":["192.0.2.0/24"],"deny_reason":"customer"}`, want: "192.0.2.0/24"},
		{text: `[{"cidr":"192.0.2.0/24"},{"cidr":"198.51.100.0/24","":"deny"}]`, options: published.Options{Columns: published.Columns{Address: "cidr"}}, want: "192.0.2.0/24, 1 denied"},
		{text: `[["192.0.2.0/24"],["deny","192.0.2.0/28"]]`, want: refused + ` the member "" with "deny" is not understood`},
		{text: `{"allow":["192.0.2.0/24"],"rules":[{"denied":true,"cidrs":["192.0.2.0/28"]}]}`, want: refused + ` the member "denied" is not understood`},
		{text: `{"allow":["192.0.2.0/24"],"rules":[{"denied":1,"cidrs":["192.0.2.0/28"]}]}`, want: refused},
		{text: `{"allow":["192.0.2.0/24"],"rules":[{"denied":"yes","cidrs":["192.0.2.0/28"]}]}`, want: refused},
		{text: `{"allow":["192.0.2.0/24"],"rules":[{"denied":false,"cidrs":["192.0.2.64/28"]}]}`, want: "192.0.2.0/24, 1 covered"},
		{text: `[{"cidr":"192.0.2.0/24","where":"block"},{"cidr":"198.51.100.0/24","what":"deny","action":"drop"},{"cidr":"203.0.113.0/24","what":"deny","blocked":0}]`, options: address,
			want: "192.0.2.0/24 203.0.113.0/24, 1 denied"},
		{text: `[{"cidr":"192.0.2.0/24","except":["192.0.2.7"]}]`, options: address, want: refused + " 192.0.2.7"},
		{text: `{"a":[{"cidr":"192.0.2.0/24"}],"excluded":[{"cidr":"198.51.100.0/24"}]}`, options: address, want: "192.0.2.0/24, 1 denied"},
		{text: `[{"cidr":"192.0.2.0/24"},{"cidr":"192.0.2.7","rule":{"action":"deny"}}]`, options: address, want: refused + " 192.0.2.7"},
		{text: `[{"denied":"192.0.2.0/24"}]`, options: published.Options{Columns: published.Columns{Address: "denied"}}, want: "192.0.2.0/24"},

		{text: `{"cidrs":["192.0.2.0/24","!192.0.2.7"]}`, want: refused + " 192.0.2.7"},
		{text: `[{"cidr":"192.0.2.0/24"},{"cidr":"!192.0.2.7"}]`, options: address, want: refused + " 192.0.2.7"},
		{text: `[{"cidr":"192.0.2.0/24","enabled":true},{"cidr":"198.51.100.0/24","enabled":false},{"cidr":"203.0.113.0/24","status":"disabled"}]`, options: address, want: "192.0.2.0/24, 2 denied"},
		{text: `[{"cidr":"192.0.2.0/24","exceptions":["192.0.2.7"]}]`, options: address, want: refused + " 192.0.2.7"},

		// CSV with a column for it.
		{text: "cidr,except\n192.0.2.0/24,192.0.2.7\n", want: refused + " 192.0.2.7"},
		{text: "cidr,except\n192.0.2.0/24,192.0.2.7 - 192.0.2.9\n", want: refused + " 192.0.2.7-192.0.2.9"},
		{text: "cidr,except\n192.0.2.0/24,192.0.2.256\n", want: refused + ` the line "192.0.2.256" is not understood`},
		{text: "cidr,except\n192.0.2.0/24,\n198.51.100.0/24,203.0.113.7\n", want: "192.0.2.0/24 198.51.100.0/24, 1 denied"},
		{text: "cidr,except\n192.0.2.0/24,192.0.2.*\n", want: refused + ` the line "192.0.2.*"`},
		{text: "cidr,comment\n192.0.2.0/24,except 192.0.2.7\n", want: refused + " 192.0.2.7"},
		{text: "cidr,comment\n192.0.2.0/24,not in use\n", want: "192.0.2.0/24"},
		{text: "cidr,x\n192.0.2.0/24,\ndeny 192.0.2.7,x\n", want: refused + " 192.0.2.7"},
		{text: "start,end\n192.0.2.0,192.0.2.255\n!192.0.2.7,192.0.2.9\n", want: refused + " 192.0.2.7-192.0.2.9"},
		{text: "192.0.2.0/24,DE,\n198.51.100.0/24,DE,\ndeny 192.0.2.7/32,DE,\n", want: refused + " 192.0.2.7"},
		{text: "cidr,is_active\n192.0.2.0/24,true\n198.51.100.0/24,false\n", want: "192.0.2.0/24, 1 denied"},
		{text: "cidr,IPBlacklist\n192.0.2.0/24,192.0.2.7\n", want: refused + " 192.0.2.7"},
		{text: "cidr,deny_reason\n192.0.2.0/24,none\n", want: "192.0.2.0/24"},
		{text: "cidr,enabled\n192.0.2.0/24,1\n198.51.100.0/24,0\n", want: "192.0.2.0/24, 1 denied"},
		{text: "cidr\n192.0.2.0/24\n!192.0.2.7\n", want: refused + " 192.0.2.7"},
		{text: "cidr,action\n192.0.2.0/24,allow\n198.51.100.0/24,deny\n", want: "192.0.2.0/24, 1 denied"},
		{text: "cidr,action\n192.0.2.0/24,allow\n192.0.2.7,Deny\n", want: refused + " 192.0.2.7"},
		{text: "cidr,\n192.0.2.0/24,\n198.51.100.0/24,deny\n", want: "192.0.2.0/24, 1 denied"},
		{text: "cidr\n192.0.2.0/24\n198.51.100.0/24,deny\n", want: "192.0.2.0/24, 1 denied"},
		{text: "cidr,is_blocked\n192.0.2.0/24,no\n198.51.100.0/24,yes\n", want: "192.0.2.0/24, 1 denied"},
		{text: "cidr,is_blocked\n192.0.2.0/24,no\n192.0.2.1/28,yes\n", want: refused + ` the line "192.0.2.1/28" is not understood`},
		{text: "start,end,is_blocked\n192.0.2.0,192.0.2.255,no\n192.0.2.4,192.0.2.9,yes\n", want: refused + " 192.0.2.4-192.0.2.9"},
		{text: "cidr,country,service\n192.0.2.0/24,NO,deny\n", want: "192.0.2.0/24"},
	} {
		list, err := published.Read(strings.NewReader(c.text), c.options)
		if words, ok := strings.CutPrefix(c.want, refused); ok {
			assert.ErrorIs(t, err, published.ErrDenies, c.text)
			assert.ErrorContains(t, err, strings.TrimSpace(words), c.text)
			continue
		}
		assert.NoError(t, err, c.text)
		admitted, left, _ := strings.Cut(c.want, ", ")
		wanted, err := published.Read(strings.NewReader(strings.ReplaceAll(admitted, " ", "\n")), published.Options{Format: published.Text})
		assert.NoError(t, err)
		assert.Equal(t, blocks(wanted), blocks(list), c.text)
		assert.Equal(t, left, leftOut(list), c.text)
	}
}

// blocks are the entries of a list without their comments.
func blocks(l published.List) []string {
	var texts []string
	for _, e := range l.Entries {
		texts = append(texts, fmt.Sprint(e))
	}
	return texts
}
