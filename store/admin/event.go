package admin

import (
	"encoding/json"
	"maps"
	"net/netip"
	"slices"
	"time"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
)

// Bounds for the events of one write, so that they fit into a store.Write whatever the length
// of the texts: at most eight events come beside those of entries and projects.
const (
	maxEntryEvents   = 100
	maxEntryBytes    = 80 << 10 // of all events of entries, in JSON
	maxProjectEvents = 25
	maxProjectBytes  = 24 << 10
	maxGrantsBytes   = 4 << 10 // of the grants in one before or after
	maxListBytes     = 4 << 10 // of a list in one before or after
	maxLabelsBytes   = 4 << 10 // of the labels in one before or after
)

// fields are the before or the after of an event, for JSON.
type fields map[string]any

// An eventList gathers the events of one write from the differences in its record. Each has
// the actor and the reason.
type eventList struct {
	template store.Event
	events   []store.Event
}

func (l *eventList) add(kind store.EventType, before, after fields) *store.Event {
	event := l.template
	event.Type, event.Before, event.After = kind, before.json(), after.json()
	if size := sizeOf(event); size == 0 || size > store.MaxEventBytes { // very long texts of the actor and the record
		event.Before, event.After = before.omitted(), after.omitted()
	}
	l.events = append(l.events, event)
	return &l.events[len(l.events)-1]
}

// sizeOf returns the size of an event in JSON, zero if its Before or After alone is too
// large.
func sizeOf(event store.Event) int {
	data, _ := event.MarshalJSON() // of a valid actor and record nothing else can be wrong
	return len(data)
}

// omitted says that fields were too long for an event.
func (f fields) omitted() json.RawMessage {
	if len(f) == 0 {
		return nil
	}
	return fields{"omittedBytes": len(f.json())}.json()
}

// json is empty without fields.
func (f fields) json() json.RawMessage {
	if len(f) == 0 {
		return nil
	}
	data, _ := json.Marshal(f) // of a valid record it never fails
	return data
}

// organizationEvents adds the differences of an organization. One of them may be nil, for
// absent.
func (l *eventList) organizationEvents(before, after *policy.Organization) {
	switch {
	case before == nil:
		l.add(store.EventOrganizationCreated, nil, organizationFields(after))
		return
	case after == nil:
		l.add(store.EventOrganizationDeleted, organizationFields(before), nil)
		return
	}
	if before.Name != after.Name {
		l.add(store.EventOrganizationRenamed, fields{"name": before.Name}, fields{"name": after.Name})
	}
	changed := before.Requirement != after.Requirement
	if changed {
		l.add(store.EventRequirementChanged, fields{"requirement": before.Requirement}, fields{"requirement": after.Requirement})
	}
	if !before.SuspendedUntil.Equal(after.SuspendedUntil) {
		switch {
		case !after.SuspendedUntil.IsZero():
			l.add(store.EventRequirementSuspended, suspension(before), suspension(after))
		case !changed:
			l.add(store.EventRequirementResumed, suspension(before), nil)
		}
	}
	if before.Disabled != after.Disabled {
		kind := store.EventOrganizationEnabled
		if after.Disabled {
			kind = store.EventOrganizationDisabled
		}
		l.add(kind, fields{"disabled": before.Disabled}, fields{"disabled": after.Disabled})
	}
}

// organizationFields is a whole organization.
func organizationFields(o *policy.Organization) fields {
	f := fields{"requirement": o.Requirement, "disabled": o.Disabled}
	if o.Name != "" {
		f["name"] = o.Name
	}
	maps.Copy(f, suspension(o))
	return f
}

// suspension is empty without one.
func suspension(o *policy.Organization) fields {
	if o.SuspendedUntil.IsZero() {
		return nil
	}
	return fields{"suspendedUntil": o.SuspendedUntil.UTC()}
}

// keyEvents adds the differences of a key. One of them may be nil, for absent.
func (l *eventList) keyEvents(before, after *apikey.Key) {
	switch {
	case before == nil:
		created := *after
		created.AccessList = accesslist.List{}
		l.add(store.EventKeyCreated, nil, keyFields(created))
		l.entries(accesslist.List{}, after.AccessList)
		l.projects(nil, after.Grants)
		return
	case after == nil:
		l.add(store.EventKeyDeleted, keyFields(*before), nil)
		return
	}
	if before.Description != after.Description {
		l.add(store.EventKeyDescribed, fields{"description": before.Description}, fields{"description": after.Description})
	}
	if was, is := metadataFields(before, after), metadataFields(after, before); len(was)+len(is) > 0 {
		l.add(store.EventKeyMetadataChanged, was, is)
	}
	l.grants(before.Grants, after.Grants)
	l.entries(before.AccessList, after.AccessList)
	if !before.TrialList.Equal(after.TrialList) {
		l.add(store.EventTrialListChanged, trialFields(before), trialFields(after))
	}
	if !before.NotBefore.Equal(after.NotBefore) || !before.Expires.Equal(after.Expires) {
		l.add(store.EventKeyValidityChanged, validity(*before), validity(*after))
	}
	l.secrets(before.Secrets, after.Secrets)
	if before.Disabled != after.Disabled {
		kind := store.EventKeyEnabled
		if after.Disabled {
			kind = store.EventKeyDisabled
		}
		l.add(kind, fields{"disabled": before.Disabled}, fields{"disabled": after.Disabled})
	}
}

// keyFields is a whole key.
func keyFields(key apikey.Key) fields {
	f := validity(key)
	f["description"], f["disabled"], f["secrets"] = key.Description, key.Disabled, secretViews(key.Secrets)
	f["grants"] = grantsDetail(key.Grants)
	maps.Copy(f, metadataFields(&key, &apikey.Key{}))
	if !key.AccessList.IsEmpty() {
		f["entries"] = listDetail(key.AccessList)
	}
	maps.Copy(f, trialFields(&key))
	return f
}

// trialFields is the list on trial, empty without one.
func trialFields(key *apikey.Key) fields {
	if key.TrialList.IsEmpty() {
		return nil
	}
	return fields{"trialEntries": listDetail(key.TrialList)}
}

// listDetail is the entries themselves, or their number if they are too many for an event.
func listDetail(list accesslist.List) any {
	entries := make([]fields, 0, list.Len())
	for entry := range list.All() {
		entries = append(entries, entryFields(entry))
	}
	if len((fields{"": entries}).json()) > maxListBytes {
		return list.Len()
	}
	return entries
}

// metadataFields is the metadata that another key, or the same at another time, does not
// have: the labels themselves, or their number if they are too many for an event.
func metadataFields(key, other *apikey.Key) fields {
	f, labels := fields{}, fields{}
	for name, value := range key.Labels() {
		if has, ok := other.Label(name); !ok || has != value {
			labels[name] = value
		}
	}
	switch size := len(labels.json()); {
	case size > maxLabelsBytes:
		f["labels"] = len(labels)
	case size > 0:
		f["labels"] = labels
	}
	if id := key.ExternalID(); id != "" && id != other.ExternalID() {
		f["externalId"] = id
	}
	return f
}

func validity(key apikey.Key) fields {
	f := fields{}
	for name, t := range map[string]time.Time{"notBefore": key.NotBefore, "expires": key.Expires} {
		if !t.IsZero() {
			f[name] = t.UTC()
		}
	}
	return f
}

// grantsDetail is the grants themselves, or their number if they are too many for an event.
func grantsDetail(grants []apikey.Grant) any {
	views := grantViews(grants)
	if len((fields{"": views}).json()) > maxGrantsBytes {
		return len(grants)
	}
	return views
}

// grants has the grants removed as before and those added as after.
func (l *eventList) grants(before, after []apikey.Grant) {
	removed, added := without(before, after), without(after, before)
	if len(removed)+len(added) == 0 {
		return
	}
	var was, is fields
	if len(removed) > 0 {
		was = fields{"grants": grantsDetail(removed)}
	}
	if len(added) > 0 {
		is = fields{"grants": grantsDetail(added)}
	}
	l.add(store.EventKeyGrantsChanged, was, is)
	l.projects(before, after)
}

// projects adds an event for each project in which the key has its first role, or no role
// any more. If they are very many the event of the grants has to do.
func (l *eventList) projects(before, after []apikey.Grant) {
	was, is := projectsOf(before), projectsOf(after)
	gone, come := without(was, is), without(is, was)
	if n := len(gone) + len(come); n > maxProjectEvents || n*(sizeOf(l.template)+2*apikey.MaxName) > maxProjectBytes {
		return
	}
	for _, project := range gone {
		l.add(store.EventKeyProjectRemoved, nil, nil).Project = project
	}
	for _, project := range come {
		l.add(store.EventKeyProjectAdded, nil, nil).Project = project
	}
}

func projectsOf(grants []apikey.Grant) (projects []string) {
	seen := map[string]bool{"": true}
	for _, grant := range grants {
		if !seen[grant.Project] {
			projects = append(projects, grant.Project)
		}
		seen[grant.Project] = true
	}
	return projects
}

// without returns the items of all that are not among others, in order.
func without[T comparable](all, others []T) []T {
	known := make(map[T]bool, len(others))
	for _, item := range others {
		known[item] = true
	}
	return slices.DeleteFunc(slices.Clone(all), func(item T) bool { return known[item] })
}

// entries adds an event for each entry, or one with their numbers if there are very many.
func (l *eventList) entries(before, after accesslist.List) {
	start, size, added, removed, changed := len(l.events), 0, 0, 0, 0
	note := func(kind store.EventType, entry netip.Prefix, was, is fields) {
		if len(l.events)-start <= maxEntryEvents && size <= maxEntryBytes {
			event := l.add(kind, was, is)
			event.Entry = entry
			size += sizeOf(*event)
		}
	}
	for entry := range before.All() {
		stays, ok := after.Find(entry.Prefix())
		switch {
		case !ok:
			removed++
			note(store.EventEntryRemoved, entry.Prefix(), entryFields(entry), nil)
		case stays.Comment != entry.Comment || !stays.Expires.Equal(entry.Expires):
			changed++
			note(store.EventEntryChanged, entry.Prefix(), entryFields(entry), entryFields(stays))
		}
	}
	for entry := range after.All() {
		if _, ok := before.Find(entry.Prefix()); !ok {
			added++
			note(store.EventEntryAdded, entry.Prefix(), nil, entryFields(entry))
		}
	}
	if len(l.events)-start > maxEntryEvents || size > maxEntryBytes {
		l.events = l.events[:start]
		l.add(store.EventListReplaced, fields{"entries": before.Len()},
			fields{"entries": after.Len(), "added": added, "removed": removed, "changed": changed})
	}
}

// entryFields always has the address, so that an entry without more has a before and an
// after.
func entryFields(entry accesslist.Entry) fields {
	f := fields{"address": entry.String()}
	if entry.Comment != "" {
		f["comment"] = entry.Comment
	}
	if !entry.Expires.IsZero() {
		f["expires"] = entry.Expires.UTC()
	}
	return f
}

// secrets has the secrets of the key before and after, each by its ID.
func (l *eventList) secrets(before, after []apikey.StoredSecret) {
	if slices.EqualFunc(before, after, func(b, a apikey.StoredSecret) bool { return b.ID() == a.ID() && b.Expires.Equal(a.Expires) }) {
		return
	}
	kind := store.EventSecretEnded
	for _, secret := range after {
		if !hasSecret(before, secret.ID()) {
			kind = store.EventKeyRotated
		}
	}
	l.add(kind, fields{"secrets": secretViews(before)}, fields{"secrets": secretViews(after)})
}

func hasSecret(secrets []apikey.StoredSecret, id string) bool {
	return slices.ContainsFunc(secrets, func(s apikey.StoredSecret) bool { return s.ID() == id })
}
