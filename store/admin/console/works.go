package console

import (
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/store/admin"
)

// A work is a kind of change of a key, with its form.
type work struct {
	Do        string // in the form
	Title     string
	Lead      string // a sentence for the form
	Button    string // that makes the change
	Grants    bool   // the form has the grants
	Emergency bool   // made without a preview
	Danger    bool
	fields    func(*edit) []field
	make      func(*edit) (made, error)
}

// works are by their Do.
var works = map[string]work{}

func init() {
	for _, w := range []work{
		{Do: "create", Title: "Create a key", Lead: "The secret is shown once, right after the key was created.", Button: "Create the key", Grants: true, fields: createFields, make: makeKey},
		{Do: "describe", Title: "Change the description", Button: "Save the description", fields: describeFields, make: makeDescription},
		{Do: "grants", Title: "Change the roles", Button: "Save the roles", Grants: true, make: makeGrants},
		{Do: "validity", Title: "Change the validity", Button: "Save the validity", fields: validityFields, make: makeValidity},
		{Do: "add", Title: "Add addresses", Lead: "The first entry of a list narrows the key at once: calls from elsewhere are refused from then on.", Button: "Add them", fields: newEntryFields, make: makeAdd},
		{Do: "entry", Title: "Change an entry", Button: "Save the entry", fields: entryFields, make: makeEntry},
		{Do: "remove", Title: "Remove an entry", Lead: "Calls from this address or block are refused, unless another entry covers them.", Button: "Remove the entry", Danger: true, fields: entryField, make: makeRemove},
		{Do: "replace", Title: "Replace the access list", Lead: "The lines become the whole list, in one write. The one line \"empty\" stands for no list.", Button: "Replace the list", fields: listFields, make: makeReplace},
		{Do: "trial", Title: "Put a list on trial", Lead: "A list on trial refuses nobody. Calls that it would refuse are counted.", Button: "Put it on trial", fields: trialFields, make: makeTrial},
		{Do: "enforce", Title: "Enforce the list on trial", Lead: "The list on trial becomes the access list, in one write.", Button: "Enforce the list", make: makeEnforce},
		{Do: "discard", Title: "End the trial", Lead: "The list on trial is dropped. The access list stays as it is.", Button: "End the trial", make: makeDiscard},
		{Do: "rotate", Title: "Rotate the secret", Lead: "The key gets a new secret, shown once. The present one stays valid for the overlap.", Button: "Make a new secret", fields: rotateFields, make: makeRotation},
		{Do: "end", Title: "End a secret", Lead: "Calls with this secret are refused from now on.", Button: "End the secret", Danger: true, fields: secretField, make: makeEnd},
		{Do: "disable", Title: "Switch the key off", Lead: "Every call with the key is refused at once. You can switch it on again.", Button: "Switch it off now", Emergency: true, Danger: true, fields: reasonField, make: makeDisabled},
		{Do: "enable", Title: "Switch the key on", Lead: "Calls are answered again as its list and its roles say.", Button: "Switch it on", make: makeEnabled},
		{Do: "delete", Title: "Delete the key", Lead: "The key goes for good, with its list, its roles and its secrets. Switch it off first and watch, if in doubt.", Button: "Delete the key", Danger: true, make: makeDeleted},
	} {
		works[w.Do] = w
	}
}

const (
	entryHint = "One address or block a line, such as: 198.51.100.0/24 expires=2027-01-01T00:00:00Z # the office"
	timeHint  = "In UTC, such as 2027-01-01 or 2027-01-01 18:30. Empty: none."
)

func createFields(e *edit) []field {
	return []field{
		{Name: "description", Label: "Description", Kind: "text", Value: e.value("description", e.like.Description), Hint: "What the key is for, and whose it is.", Required: true},
		{Name: "entries", Label: "Addresses its calls come from", Kind: "textarea", Value: e.value("entries", listText(e.like.AccessList)), Hint: entryHint + ". Without any, the key is open to every address."},
		{Name: "expires", Label: "Ends", Kind: "text", Value: e.value("expires", ""), Hint: timeHint},
	}
}

func makeKey(e *edit) (made, error) {
	n := admin.NewKey{ID: apikey.ID(e.form.Get("id")), Description: strings.TrimSpace(e.form.Get("description"))}
	if n.ID == "" {
		return made{}, badChange
	}
	if n.Description == "" {
		return made{}, &wrongField{"description", "Say what the key is for."}
	}
	if strings.TrimSpace(e.form.Get("entries")) != "" {
		list, err := e.list()
		if err != nil {
			return made{}, err
		}
		n.Entries = slices.Collect(list.All())
	}
	var err error
	if n.Expires, err = e.time("expires"); err != nil {
		return made{}, err
	}
	if n.Grants, err = e.granted(); err != nil {
		return made{}, err
	}
	after := slices.Concat([]string{n.Description}, grantLines(n.Grants), entryLines(n.Entries...))
	return made{change: admin.CreateKey(n), after: after}, nil
}

func describeFields(e *edit) []field {
	return []field{{Name: "description", Label: "Description", Kind: "text", Value: e.value("description", e.key.Description), Hint: "What the key is for, and whose it is."}}
}

func makeDescription(e *edit) (made, error) {
	text := strings.TrimSpace(e.form.Get("description"))
	return made{admin.Describe(e.key.ID, text), []string{e.key.Description}, []string{text}}, nil
}

func makeGrants(e *edit) (made, error) {
	grants, err := e.granted()
	return made{admin.SetGrants(e.key.ID, grants...), grantLines(e.key.Grants), grantLines(grants)}, err
}

func validityFields(e *edit) []field {
	return []field{
		{Name: "from", Label: "Valid from", Kind: "text", Value: e.value("from", formTime(e.key.NotBefore)), Hint: timeHint},
		{Name: "expires", Label: "Ends", Kind: "text", Value: e.value("expires", formTime(e.key.Expires)), Hint: timeHint},
	}
}

func makeValidity(e *edit) (made, error) {
	from, err := e.time("from")
	if err != nil {
		return made{}, err
	}
	until, err := e.time("expires")
	lines := func(from, until time.Time) []string {
		return []string{"valid from " + orNone(from), "ends " + orNone(until)}
	}
	return made{admin.SetValidity(e.key.ID, from, until), lines(e.key.NotBefore, e.key.Expires), lines(from, until)}, err
}

func rotateFields(e *edit) []field {
	return []field{{Name: "overlap", Label: "The present secret stays valid", Kind: "select", Required: true, Hint: "Long enough to put the new one everywhere.",
		Choices: choices(e.value("overlap", "24h"), "1h", "for 1 hour", "24h", "for 24 hours", "168h", "for 7 days", "0", "not at all: it leaked")}}
}

// overlaps are the choices of rotateFields.
var overlaps = map[string]time.Duration{"1h": time.Hour, "24h": 24 * time.Hour, "168h": 7 * 24 * time.Hour, "0": 0}

func makeRotation(e *edit) (made, error) {
	overlap, ok := overlaps[e.form.Get("overlap")]
	if !ok {
		return made{}, &wrongField{"overlap", "Choose how long the present secret stays valid."}
	}
	text := "every present secret ends at once"
	if overlap > 0 {
		text = "the present secret ends at " + orNone(e.visit.now.Add(overlap)) + ", or at its own end if that is earlier"
	}
	return made{admin.Rotate(e.key.ID, overlap), nil, []string{"a new secret", text}}, nil
}

func secretField(e *edit) []field {
	all := choices(e.value("secret", ""))
	for _, s := range e.key.Secrets {
		all = append(all, choice{s.ID(), s.ID(), s.ID() == e.form.Get("secret")})
	}
	return []field{{Name: "secret", Label: "Secret", Kind: "select", Choices: all, Required: true}}
}

func makeEnd(e *edit) (made, error) {
	for _, s := range e.key.Secrets {
		if s.ID() == e.form.Get("secret") {
			return made{admin.EndSecret(e.key.ID, s.ID(), time.Time{}), []string{"secret " + s.ID()}, nil}, nil
		}
	}
	return made{}, &wrongField{"secret", "The key has no such secret. Choose one of these."}
}

func reasonField(e *edit) []field {
	return []field{{Name: "reason", Label: "Reason", Kind: "text", Value: e.value("reason", ""), Hint: "One line, for the events."}}
}

func makeDisabled(e *edit) (made, error) { return made{change: admin.DisableKey(e.key.ID)}, nil }
func makeEnabled(e *edit) (made, error)  { return made{change: admin.EnableKey(e.key.ID)}, nil }
func makeDeleted(e *edit) (made, error)  { return made{change: admin.DeleteKey(e.key.ID)}, nil }
func makeDiscard(e *edit) (made, error) {
	return made{admin.EndTrial(e.key.ID), listLines(e.key.TrialList), nil}, nil
}
func makeEnforce(e *edit) (made, error) {
	return made{admin.EnforceTrial(e.key.ID), listLines(e.key.AccessList), listLines(e.key.TrialList)}, nil
}

// time reads a time of the form; zero if it is empty.
func (e *edit) time(name string) (time.Time, error) {
	text := strings.TrimSpace(e.form.Get(name))
	if text == "" {
		return time.Time{}, nil
	}
	for _, layout := range []string{time.DateOnly, "2006-01-02 15:04", minute, time.RFC3339} {
		if t, err := time.Parse(layout, text); err == nil {
			return t.UTC(), nil
		}
	}
	return time.Time{}, &wrongField{name, "This is no time. Want one such as 2027-01-01 or 2027-01-01 18:30, in UTC."}
}

// formTime returns a time for a field: exactly, so that saving it again changes nothing.
func formTime(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339Nano)
}

func orNone(t time.Time) string {
	if t.IsZero() {
		return "none"
	}
	return t.UTC().Format(minute)
}

// mine returns the person's address if it could be added to the list of a key.
func (v *visit) mine(key apikey.Key) string {
	address := v.person.Address.Unmap()
	if !address.Is4() {
		return ""
	}
	if _, covered := key.AccessList.Match(address, v.now); covered {
		return ""
	}
	if _, listed := key.AccessList.Find(netip.PrefixFrom(address, address.BitLen())); listed {
		return ""
	}
	return address.String()
}

// parser reads entries: of IPv6 only where the key, or the one it is to be like, has such entries
// already.
func (e *edit) parser() accesslist.Parser {
	for _, list := range []accesslist.List{e.key.AccessList, e.key.TrialList, e.like.AccessList} {
		for entry := range list.All() {
			if entry.Prefix().Addr().Is6() {
				return accesslist.Parser{AllowIPv6: true}
			}
		}
	}
	return accesslist.Parser{}
}
