package adminhttp

import (
	"cmp"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"time"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/internal/strictjson"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store/admin"
)

func one(change admin.Change) ([]admin.Change, error) { return []admin.Change{change}, nil }

// editOrganization sets the given fields of an organization, in one write. The others stay.
func (h *handler) editOrganization(_ *call, b *body) (changes []admin.Change, err error) {
	var name string
	var disabled bool
	err = b.read(
		strictjson.Field{Name: "disabled", Read: setting(&changes, strictjson.Bool(&disabled), func() admin.Change {
			if disabled {
				return admin.DisableOrganization()
			}
			return admin.EnableOrganization()
		})},
		strictjson.Field{Name: "name", Read: setting(&changes, strictjson.Text(&name), func() admin.Change { return admin.SetName(name) })},
	)
	return byKind(changes), err
}

func (h *handler) setName(_ *call, b *body) ([]admin.Change, error) {
	var name string
	if err := b.read(strictjson.Field{Name: "name", Required: true, Read: strictjson.Text(&name)}); err != nil {
		return nil, err
	}
	return one(admin.SetName(name))
}

func (h *handler) enableOrganization(_ *call, b *body) ([]admin.Change, error) {
	return bare(b, admin.EnableOrganization())
}

func (h *handler) disableOrganization(_ *call, b *body) ([]admin.Change, error) {
	return bare(b, admin.DisableOrganization())
}

// setting reads a field, and adds the change that sets it.
func setting(to *[]admin.Change, read func(strictjson.Value) error, change func() admin.Change) func(strictjson.Value) error {
	return func(v strictjson.Value) error {
		if err := read(v); err != nil {
			return err
		}
		*to = append(*to, change())
		return nil
	}
}

// byKind puts changes in the order of their kinds: that of the members in a body has no meaning,
// and the token of a preview is the same for every order.
func byKind(changes []admin.Change) []admin.Change {
	slices.SortFunc(changes, func(a, b admin.Change) int { return cmp.Compare(a.Kind(), b.Kind()) })
	return changes
}

func (h *handler) setRequirement(_ *call, b *body) ([]admin.Change, error) {
	var to policy.Requirement
	if err := b.read(strictjson.Field{Name: "requirement", Required: true, Read: strictjson.Unmarshal(&to)}); err != nil {
		return nil, err
	}
	return one(admin.SetRequirement(to))
}

func (h *handler) suspend(_ *call, b *body) ([]admin.Change, error) {
	var until time.Time
	if err := b.read(strictjson.Field{Name: "until", Read: strictjson.Time(&until)}); err != nil {
		return nil, err
	}
	return one(admin.SuspendRequirement(until))
}

func (h *handler) resume(_ *call, b *body) ([]admin.Change, error) {
	return bare(b, admin.ResumeRequirement())
}

// bare returns a change without fields.
func bare(b *body, change admin.Change) ([]admin.Change, error) {
	if err := b.read(); err != nil {
		return nil, err
	}
	return one(change)
}

// ownCreateKey creates a key. Fields left out are those of the key in like. Without like the
// grants and the entries are required: none of them are [].
func (h *handler) ownCreateKey(c *call, b *body) ([]admin.Change, error) {
	var like, id apikey.ID
	var from admin.KeyView
	names, err := namesOf(b.value)
	if err != nil {
		return nil, badBody(err)
	}
	_, alike := names["like"]
	made := admin.NewKey{}
	if alike {
		if err := strictjson.Text(&like)(names["like"]); err != nil {
			return nil, fieldProblem("like", err.Error())
		}
		if from, err = h.Admin.Key(c.Context(), c.organization, like); err != nil {
			return nil, err
		}
		made = newLike(from)
	}
	fields := []strictjson.Field{
		{Name: "like", Read: unread},
		{Name: "description", Read: strictjson.Text(&made.Description)}, labelsField(&made.Labels), {Name: "externalId", Read: strictjson.Text(&made.ExternalID)},
		grantsField(&made.Grants, !alike), entriesField(&made.Entries, !alike, accesslist.Parser{}),
		{Name: "notBefore", Read: strictjson.Time(&made.NotBefore)}, {Name: "expires", Read: strictjson.Time(&made.Expires)},
		{Name: "disabled", Read: strictjson.Bool(&made.Disabled)},
	}
	if b.extra == nil { // a part of several has its key beside the kind
		fields = append(fields, strictjson.Field{Name: "id", Read: strictjson.Text(&id)})
	}
	if err := b.read(fields...); err != nil {
		return nil, err
	}
	if made.ID = cmp.Or(id, apikey.ID(b.key)); id == "" && names["id"] != nil {
		return nil, fieldProblem("id", "is empty: leave it out for a random one")
	}
	if err := h.checkGrants(c, made.Grants, from.Grants); err != nil {
		return nil, err
	}
	return one(admin.CreateKey(made))
}

// newLike returns a key with all of another one but its ID, its secret, and its being switched
// off.
func newLike(from admin.KeyView) admin.NewKey {
	made := admin.NewKey{Description: from.Description, Labels: from.Labels, ExternalID: from.ExternalID, NotBefore: from.NotBefore, Expires: from.Expires}
	for _, grant := range from.Grants {
		made.Grants = append(made.Grants, apikey.Grant(grant))
	}
	for _, view := range from.Entries {
		made.Entries = append(made.Entries, entryOf(view))
	}
	return made
}

// entryOf returns an entry as shown, to be added now.
func entryOf(view admin.EntryView) accesslist.Entry {
	entry, _ := (accesslist.Parser{AllowIPv6: true}).ParseEntry(view.Address) // of a stored entry
	entry.Comment, entry.Expires = view.Comment, view.Expires
	return entry
}

// editKey sets the given fields of a key, in one write. The others stay.
func (h *handler) editKey(c *call, b *body) (changes []admin.Change, err error) {
	id := apikey.ID(b.key)
	var description, externalID string
	var labels map[string]string
	var grants []apikey.Grant
	var notBefore, expires time.Time
	var disabled bool
	set := func(change func() admin.Change, read func(strictjson.Value) error) func(strictjson.Value) error {
		return setting(&changes, read, change)
	}
	labelled, granted := labelsField(&labels), grantsField(&grants, false)
	labelled.Read = set(func() admin.Change { return admin.SetLabels(id, labels) }, labelled.Read)
	granted.Read = set(func() admin.Change { return admin.SetGrants(id, grants...) }, granted.Read)
	if err := b.read(
		strictjson.Field{Name: "description", Read: set(func() admin.Change { return admin.Describe(id, description) }, strictjson.Text(&description))},
		strictjson.Field{Name: "externalId", Read: set(func() admin.Change { return admin.SetExternalID(id, externalID) }, strictjson.Text(&externalID))},
		labelled, granted,
		strictjson.Field{Name: "validity", Read: set(func() admin.Change { return admin.SetValidity(id, notBefore, expires) }, func(v strictjson.Value) error {
			return v.Object(validityFields(&notBefore, &expires)...)
		})},
		strictjson.Field{Name: "disabled", Read: set(func() admin.Change {
			if disabled {
				return admin.DisableKey(id)
			}
			return admin.EnableKey(id)
		}, strictjson.Bool(&disabled))},
	); err != nil {
		return nil, err
	}
	if len(grants) > 0 {
		key, err := h.Admin.Key(c.Context(), c.organization, id)
		if err != nil {
			return nil, err
		}
		if err := h.checkGrants(c, grants, key.Grants); err != nil {
			return nil, err
		}
	}
	return byKind(changes), nil
}

func validityFields(notBefore, expires *time.Time) []strictjson.Field {
	return []strictjson.Field{{Name: "notBefore", Read: strictjson.Time(notBefore)}, {Name: "expires", Read: strictjson.Time(expires)}}
}

// setValidity sets both bounds. One that is left out is taken away.
func (h *handler) setValidity(_ *call, b *body) ([]admin.Change, error) {
	var notBefore, expires time.Time
	if err := b.read(validityFields(&notBefore, &expires)...); err != nil {
		return nil, err
	}
	return one(admin.SetValidity(apikey.ID(b.key), notBefore, expires))
}

func (h *handler) enableKey(_ *call, b *body) ([]admin.Change, error) {
	return bare(b, admin.EnableKey(apikey.ID(b.key)))
}

func (h *handler) disableKey(_ *call, b *body) ([]admin.Change, error) {
	return bare(b, admin.DisableKey(apikey.ID(b.key)))
}

func (h *handler) ownDeleteKey(_ *call, b *body) ([]admin.Change, error) {
	return bare(b, admin.DeleteKey(apikey.ID(b.key)))
}

func (h *handler) addGrants(c *call, b *body) ([]admin.Change, error) {
	var grants []apikey.Grant
	if err := b.read(grantsField(&grants, true)); err != nil {
		return nil, err
	}
	if err := h.checkGrants(c, grants, nil); err != nil {
		return nil, err
	}
	return one(admin.AddGrants(apikey.ID(b.key), grants...))
}

func (h *handler) removeGrants(_ *call, b *body) ([]admin.Change, error) {
	var grants []apikey.Grant
	if err := b.read(grantsField(&grants, true)); err != nil {
		return nil, err
	}
	return one(admin.RemoveGrants(apikey.ID(b.key), grants...))
}

// ofEntries reads the entries of a body, for a change of them. They are IPv4, unless the key has
// others already: clients write back the list that they read.
func (h *handler) ofEntries(c *call, b *body, change func(key apikey.ID, entries ...accesslist.Entry) admin.Change) ([]admin.Change, error) {
	var entries []accesslist.Entry
	err := b.read(entriesField(&entries, true, accesslist.Parser{}))
	if err != nil && h.hasIPv6(c, b.key) {
		err = b.read(entriesField(&entries, true, accesslist.Parser{AllowIPv6: true}))
	}
	if err != nil {
		return nil, err
	}
	return one(change(apikey.ID(b.key), entries...))
}

// hasIPv6 reports whether a key has entries of IPv6: the program opted in to them (rule A5).
func (h *handler) hasIPv6(c *call, id string) bool {
	key, _ := h.Admin.Key(c.Context(), c.organization, apikey.ID(id)) // without one there are no entries
	return slices.ContainsFunc(slices.Concat(key.Entries, key.TrialEntries), func(e admin.EntryView) bool { return prefixOf(e).Addr().Is6() })
}

func (h *handler) ownAddEntries(c *call, b *body) ([]admin.Change, error) {
	return h.ofEntries(c, b, admin.AddEntries)
}

func (h *handler) editEntries(c *call, b *body) ([]admin.Change, error) {
	return h.ofEntries(c, b, admin.EditEntries)
}

func (h *handler) replaceList(c *call, b *body) ([]admin.Change, error) {
	return h.ofEntries(c, b, admin.ReplaceEntries)
}

func (h *handler) setTrial(c *call, b *body) ([]admin.Change, error) {
	return h.ofEntries(c, b, admin.SetTrialList)
}

func (h *handler) endTrial(_ *call, b *body) ([]admin.Change, error) {
	return bare(b, admin.EndTrial(apikey.ID(b.key)))
}

func (h *handler) enforceTrial(_ *call, b *body) ([]admin.Change, error) {
	return bare(b, admin.EnforceTrial(apikey.ID(b.key)))
}

// pathEntry returns the entry in the path, by exact entry (rule A9).
func (h *handler) pathEntry(c *call) (accesslist.Entry, error) {
	key, err := h.pathKey(c)
	if err != nil {
		return accesslist.Entry{}, err
	}
	if view, found := c.listed(key); found {
		return entryOf(view), nil
	}
	text := c.PathValue("entry")
	return accesslist.Entry{}, &apiError{status: http.StatusNotFound, code: "NOT_FOUND", detail: "The entry " + quote(text) + " is not on the access list.", parameters: []string{cut(text)}}
}

// editEntry sets the comment and the expiry of the entry in the path. One that is left out is
// taken away.
func (h *handler) editEntry(c *call, b *body) ([]admin.Change, error) {
	entry, err := h.pathEntry(c)
	if err != nil {
		return nil, err
	}
	entry.Comment, entry.Expires = "", time.Time{}
	if err := b.read(
		strictjson.Field{Name: "comment", Read: strictjson.Text(&entry.Comment)},
		strictjson.Field{Name: "expires", Read: strictjson.Time(&entry.Expires)},
	); err != nil {
		return nil, err
	}
	return one(admin.EditEntries(apikey.ID(b.key), entry))
}

// removeEntry removes the entry in the path.
func (h *handler) removeEntry(c *call, b *body) ([]admin.Change, error) {
	entry, err := h.pathEntry(c)
	if err != nil {
		return nil, err
	}
	return bare(b, admin.RemoveEntries(apikey.ID(b.key), entry.Prefix()))
}

func (h *handler) removeEntries(_ *call, b *body) ([]admin.Change, error) {
	var addresses []string
	if err := b.read(strictjson.Field{Name: "addresses", Required: true, Read: texts(&addresses)}); err != nil {
		return nil, err
	}
	var prefixes []netip.Prefix
	for _, text := range addresses {
		entry, err := (accesslist.Parser{AllowIPv6: true}).ParseEntry(text)
		if err != nil {
			return nil, fieldProblem("addresses", err.Error())
		}
		prefixes = append(prefixes, entry.Prefix())
	}
	return one(admin.RemoveEntries(apikey.ID(b.key), prefixes...))
}

// rotate gives a key a new secret. The overlap is required: none would end the earlier secret
// at once.
func (h *handler) rotate(_ *call, b *body) ([]admin.Change, error) {
	var overlap int64
	if err := b.read(strictjson.Field{Name: "overlapSeconds", Required: true, Read: strictjson.Int(&overlap)}); err != nil {
		return nil, err
	}
	if overlap < 0 || overlap > seconds64 {
		return nil, fieldProblem("overlapSeconds", fmt.Sprintf("is %d: want 0, after a leak, or more", overlap))
	}
	return one(admin.Rotate(apikey.ID(b.key), time.Duration(overlap)*time.Second))
}

func (h *handler) endSecretAt(c *call, b *body) ([]admin.Change, error) {
	var expires time.Time
	if err := b.read(strictjson.Field{Name: "expires", Required: true, Read: strictjson.Time(&expires)}); err != nil {
		return nil, err
	}
	return one(admin.EndSecret(apikey.ID(b.key), c.PathValue("secret"), expires))
}

func (h *handler) endSecret(c *call, b *body) ([]admin.Change, error) {
	return bare(b, admin.EndSecret(apikey.ID(b.key), c.PathValue("secret"), time.Time{}))
}

func (h *handler) endNamedSecret(_ *call, b *body) ([]admin.Change, error) {
	var secret string
	var expires time.Time
	if err := b.read(
		strictjson.Field{Name: "secret", Required: true, Read: strictjson.Text(&secret)},
		strictjson.Field{Name: "expires", Read: strictjson.Time(&expires)},
	); err != nil {
		return nil, err
	}
	return one(admin.EndSecret(apikey.ID(b.key), secret, expires))
}
