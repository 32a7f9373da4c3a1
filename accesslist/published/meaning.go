package published

import (
	"slices"
	"strings"
	"unicode"
)

// A meaning is what the name of a member or column says of what is under it.
type meaning struct {
	denied  bool // deny, blockedAddresses, ip_block_list
	enabled bool // enabled, isActive: no under it denies
	label   bool // a name of somebody, or a default: no value under it denies
}

var (
	// deniedValues are values such as an action, and words of configurations, too.
	deniedValues = []string{"ban", "banned", "blacklist", "blacklisted", "block", "blocked", "blocklist", "denied", "deny", "denylist", "disabled", "drop",
		"exclude", "excluded", "inactive", "reject", "rejected", "revoked"}
	deniedStems  = []string{"banned", "blacklist", "blocked", "blocklist", "denied", "deny", "exclu", "reject"} // blockedips
	enabledNames = []string{"active", "allow", "allowed", "enabled", "permitted", "valid"}
	labelNames   = []string{"company", "name", "organization", "owner", "provider", "title", "vendor"}
	yes          = []string{"1", "on", "t", "true", "y", "yes"}
	no           = []string{"0", "f", "false", "n", "no", "off"}
)

// meaningOf reads a name. A block alone, or a cidr_block_list, has CIDR blocks.
func meaningOf(name string) (m meaning) {
	words := wordsOf(name)
	if len(words) == 0 {
		return m
	}
	all, last := strings.Join(words, " "), words[len(words)-1]
	m.denied = strings.Contains(all, "black list") || strings.Contains(all, "block list") && !strings.Contains(all, "cidr block") ||
		slices.ContainsFunc(words, func(word string) bool {
			return word != "block" && slices.Contains(denies, word) ||
				slices.ContainsFunc(deniedStems, func(stem string) bool { return strings.Contains(word, stem) })
		})
	m.enabled = slices.Contains(enabledNames, last)
	m.label = words[0] == "default" || slices.Contains(labelNames, last)
	return m
}

// denies reports whether a value under the name says that what stands beside it is denied.
func (m meaning) denies(value string) bool {
	value = strings.ToLower(value)
	return !m.label && (slices.Contains(deniedValues, value) || m.denied && slices.Contains(yes, value) || m.enabled && slices.Contains(no, value))
}

// wordsOf returns the words of a name in lower case: of blockedIPs, IPDenyList or ip_block-list.
func wordsOf(name string) []string {
	runes := []rune(name)
	var b strings.Builder
	for i, r := range runes {
		isNext := i+1 < len(runes) && unicode.IsLower(runes[i+1])
		switch {
		case !unicode.IsLetter(r):
			r = ' '
		case i > 0 && unicode.IsUpper(r) && (unicode.IsLower(runes[i-1]) || unicode.IsUpper(runes[i-1]) && isNext):
			b.WriteRune(' ')
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return strings.Fields(b.String())
}
