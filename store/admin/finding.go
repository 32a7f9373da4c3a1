package admin

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
)

// A Kind is the kind of a [Finding], and the name by which it is accepted.
type Kind string

// The kinds.
const (
	// SelfLockout: the request for the change would be denied after it, or within the notice
	// (rules M3 to M9). Only a key that ends itself can accept it: by disabling or deleting
	// itself, or by ending its secret, now or later (rule M10).
	SelfLockout Kind = "self_lockout"

	// SelfLockoutAt: the request would be denied later than the notice (rule M7). It is
	// reported and refuses nothing.
	SelfLockoutAt Kind = "self_lockout_at"

	// BreaksKey: keys were used in the window in a way that would be denied, at once or within
	// the notice (rule M11).
	BreaksKey Kind = "breaks_key"

	// LastManager: the organization would have no manager any more (rule M12). After the notice
	// it is reported and refuses nothing, unless a suspension ends then.
	LastManager Kind = "last_manager"

	// OrganizationLockout: the organization would have no usable key any more (rule M13). Later
	// it is like LastManager.
	OrganizationLockout Kind = "organization_lockout"

	// Opens: keys would be open to every address, now or once nothing requires a list (rule
	// M14).
	Opens Kind = "opens"

	// OverBroad: entries wider than /8, or /32 for IPv6, are added to a list, in force or on
	// trial, or last longer (rules A8, M14).
	OverBroad Kind = "over_broad"
)

// A Finding is news about a change for its actor.
type Finding struct {
	Kind Kind `json:"kind"`

	// Refuses reports whether the change is refused until the kind is accepted. Acceptable
	// reports whether it can be.
	Refuses    bool `json:"refuses"`
	Acceptable bool `json:"acceptable"`

	// Text is one or two sentences for the actor.
	Text string `json:"text"`

	Keys  []apikey.ID `json:"keys,omitempty"`  // its subjects, at most MaxListed; "" for a new one
	Count int         `json:"count,omitempty"` // of all its subjects

	Reason  policy.Reason `json:"reason,omitzero"`   // self-lockouts: the answer to the request
	Address netip.Addr    `json:"address,omitzero"`  // self-lockouts: of the request
	At      time.Time     `json:"at,omitzero"`       // lockouts: since when, if later than now
	Covers  string        `json:"covers,omitempty"`  // self-lockouts: an entry that would cover the address
	Entries []string      `json:"entries,omitempty"` // over-broad ones
}

// String returns the kind and the text.
func (f Finding) String() string { return string(f.Kind) + ": " + f.Text }

// same reports whether two findings say the same. Counts of usage may differ.
func (f Finding) same(o Finding) bool {
	return f.Kind == o.Kind && f.Refuses == o.Refuses && f.Acceptable == o.Acceptable && f.Reason == o.Reason &&
		f.Count == o.Count && f.At.Equal(o.At) && slices.Equal(f.Keys, o.Keys) && slices.Equal(f.Entries, o.Entries)
}

// A KeyClass is the effect of a change on the calls of one key (rule M15).
type KeyClass string

// The classes.
const (
	KeyBreaks   KeyClass = "breaks"    // calls like one seen in the window would be denied
	KeyMayBreak KeyClass = "may_break" // used in the window; usage does not show whether those calls would be denied
	KeyUnused   KeyClass = "unused"    // calls would be denied, but none such was made in the window, all of it observed
	KeyUnknown  KeyClass = "unknown"   // no usage is known, and it was not observed, or not for all of the window
	KeyOpens    KeyClass = "opens"     // calls would be allowed from addresses that are not listed
	KeyWidens   KeyClass = "widens"    // calls would be allowed by more entries, grants or time
)

// A KeyEffect is a key whose answer changes.
type KeyEffect struct {
	Key         apikey.ID     `json:"key"`
	Description string        `json:"description"`
	Revision    uint64        `json:"revision"` // zero: created by the change
	Class       KeyClass      `json:"class"`
	Before      policy.Reason `json:"before"` // the answers to one call that shows the class
	After       policy.Reason `json:"after"`
	At          time.Time     `json:"at,omitzero"`       // of that call, if later than now
	Address     netip.Addr    `json:"address"`           // of that call
	Secret      string        `json:"secret,omitempty"`  // of that call, if it needs this one
	Role        string        `json:"role,omitempty"`    // of that call, if it needs one
	Project     string        `json:"project,omitempty"` // of that call
	AllProjects bool          `json:"allProjects,omitempty"`
	Uses        []Use         `json:"uses,omitempty"` // in the window, the latest first, at most MaxUses
	UseCount    int           `json:"useCount,omitempty"`

	// Addresses are those of served calls in the window, the latest first, at most MaxUses.
	// MoreAddresses is true if there may have been others: a store keeps a bounded number.
	Addresses     []AddressUse `json:"addresses,omitempty"`
	AddressCount  int          `json:"addressCount,omitempty"`
	MoreAddresses bool         `json:"moreAddresses,omitempty"`

	// In the window, by reason: denied calls, and served ones that a list on trial or a
	// requirement not in force would have denied (rules Q2, Q4). Counts include calls
	// under earlier lists on trial. The class rests on addresses, and not on counts.
	Denials   []DenialUse `json:"denials,omitempty"`
	WouldDeny []DenialUse `json:"wouldDeny,omitempty"`
}

// Totals count the judged keys by class. A change of keys alone does not judge the others of
// the organization.
type Totals struct {
	Breaks    int `json:"breaks"`
	MayBreak  int `json:"mayBreak"`
	Unused    int `json:"unused"`
	Unknown   int `json:"unknown"`
	Opens     int `json:"opens"`
	Widens    int `json:"widens"`
	Unchanged int `json:"unchanged"` // the answer stays
}

func (t *Totals) add(class KeyClass) {
	counts := map[KeyClass]*int{KeyBreaks: &t.Breaks, KeyMayBreak: &t.MayBreak, KeyUnused: &t.Unused,
		KeyUnknown: &t.Unknown, KeyOpens: &t.Opens, KeyWidens: &t.Widens, "": &t.Unchanged}
	*counts[class]++
}

// listing names some keys in a sentence.
func listing(ids []apikey.ID, count int) string {
	const most = 5
	var b strings.Builder
	for i, id := range ids[:min(len(ids), most)] {
		if i > 0 {
			b.WriteString(", ")
		}
		if id == "" {
			b.WriteString("the new key")
		} else {
			fmt.Fprintf(&b, "key %q", id)
		}
	}
	if count > most {
		fmt.Fprintf(&b, " and %d more", count-most)
	}
	return b.String()
}
