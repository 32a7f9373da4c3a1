package admin

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
)

// An OrganizationView is an organization for people and programs. The names in its JSON do
// not change.
type OrganizationView struct {
	ID          string             `json:"id"`
	Name        string             `json:"name"`
	Requirement policy.Requirement `json:"requirement"`
	Disabled    bool               `json:"disabled"`

	// SuspendedUntil is the end of a suspension running at the time of reading (rule M20).
	SuspendedUntil time.Time `json:"suspendedUntil,omitzero"`

	Revision uint64 `json:"revision"`
}

// A KeyView is a key for people and programs: without hashes. The names in its JSON do not
// change.
type KeyView struct {
	ID           apikey.ID `json:"id"`
	Organization string    `json:"organization"`
	Description  string    `json:"description"`

	Labels     map[string]string `json:"labels"` // never nil
	ExternalID string            `json:"externalId,omitempty"`

	Status       string       `json:"status"` // of the key itself at the time of reading: see apikey.Status
	Disabled     bool         `json:"disabled"`
	NotBefore    time.Time    `json:"notBefore,omitzero"`
	Expires      time.Time    `json:"expires,omitzero"`
	Created      time.Time    `json:"created,omitzero"`
	Grants       []GrantView  `json:"grants"`
	Entries      []EntryView  `json:"entries"`      // in order of address; none: open to every address while nothing requires a list
	TrialEntries []EntryView  `json:"trialEntries"` // of the list on trial (rule Q4); none: there is no such list
	Secrets      []SecretView `json:"secrets"`      // the oldest first
	Revision     uint64       `json:"revision"`
}

// Has reports whether the key has a text, in upper or lower case, as a part of its ID, its
// description, its external ID, a label as "name=value", or an entry's address or comment. Every
// key has the empty text.
func (k KeyView) Has(text string) bool {
	text = strings.ToLower(text)
	has := func(word string) bool { return strings.Contains(strings.ToLower(word), text) }
	for name, value := range k.Labels {
		if has(name + "=" + value) {
			return true
		}
	}
	return has(string(k.ID)) || has(k.Description) || has(k.ExternalID) ||
		slices.ContainsFunc(k.Entries, func(e EntryView) bool { return has(e.Address) || has(e.Comment) })
}

// A GrantView is a grant of a key.
type GrantView struct {
	Role        string `json:"role"`
	Project     string `json:"project,omitempty"`
	AllProjects bool   `json:"allProjects,omitempty"`
}

// An EntryView is an entry of an access list.
type EntryView struct {
	Address string    `json:"address"` // an address or a block
	Comment string    `json:"comment,omitempty"`
	Added   time.Time `json:"added,omitzero"`
	Expires time.Time `json:"expires,omitzero"`
	Expired bool      `json:"expired,omitempty"` // at the time of reading
}

// A SecretView names a secret of a key. It has nothing of the secret's text.
type SecretView struct {
	ID      string    `json:"id"`
	Created time.Time `json:"created,omitzero"`
	Expires time.Time `json:"expires,omitzero"`
	Digest  bool      `json:"digest,omitzero"` // it has HTTP Digest credentials
}

func viewOrganization(o policy.Organization, now time.Time) OrganizationView {
	view := OrganizationView{ID: o.ID, Name: o.Name, Requirement: o.Requirement, Disabled: o.Disabled, Revision: o.Revision}
	if isSuspended(&o, now) {
		view.SuspendedUntil = o.SuspendedUntil.UTC()
	}
	return view
}

func viewKey(k apikey.Key, now time.Time) KeyView {
	view := KeyView{
		ID: k.ID, Organization: k.Organization, Description: k.Description, Labels: map[string]string{}, ExternalID: k.ExternalID(), Status: k.Status(now).String(), Disabled: k.Disabled,
		NotBefore: k.NotBefore.UTC(), Expires: k.Expires.UTC(), Created: k.Created.UTC(),
		Grants: grantViews(k.Grants), Entries: entryViews(k.AccessList, now), Secrets: secretViews(k.Secrets),
		TrialEntries: entryViews(k.TrialList, now), Revision: k.Revision,
	}
	maps.Copy(view.Labels, k.Labels())
	return view
}

// The lists are never nil: in JSON an empty one is [].

func grantViews(grants []apikey.Grant) []GrantView {
	views := make([]GrantView, 0, len(grants))
	for _, grant := range grants {
		views = append(views, GrantView(grant))
	}
	return views
}

func entryViews(list accesslist.List, now time.Time) []EntryView {
	views := make([]EntryView, 0, list.Len())
	for e := range list.All() {
		views = append(views, viewEntry(e, now))
	}
	return views
}

func viewEntry(e accesslist.Entry, now time.Time) EntryView {
	return EntryView{e.String(), e.Comment, e.Added.UTC(), e.Expires.UTC(), e.ExpiredAt(now)}
}

func secretViews(secrets []apikey.StoredSecret) []SecretView {
	views := make([]SecretView, 0, len(secrets))
	for _, s := range secrets {
		views = append(views, SecretView{s.ID(), s.Created.UTC(), s.Expires.UTC(), !s.Digest.IsZero()})
	}
	return views
}
