package admin

import (
	"context"
	"slices"

	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
)

// behind notes the change from which the denial comes.
func (q *inquiry) behind(ctx context.Context, found *Investigation) error {
	if q.admin.journal == nil || q.found.key == nil {
		return nil
	}
	ofKey, ofOrganization := q.causes(found.Reason)
	var latest *store.Event
	for _, search := range []struct {
		request store.EventRequest
		is      func(store.Event) bool
	}{
		{store.EventRequest{Organization: found.Organization, Key: found.Key}, ofKey},
		{store.EventRequest{Organization: found.Organization}, ofOrganization},
	} {
		if search.is == nil {
			continue
		}
		event, err := q.latest(ctx, search.request, search.is)
		if err != nil {
			return unread(err)
		}
		if event != nil && (latest == nil || latest.Revision < event.Revision) {
			latest = event
		}
	}
	found.Behind = latest
	return nil
}

// latest returns the newest event that is one, nil if there is none on the first pages.
func (q *inquiry) latest(ctx context.Context, request store.EventRequest, is func(store.Event) bool) (*store.Event, error) {
	request.Newest, request.Limit = true, store.MaxPageSize
	for range maxEventPages {
		page, err := q.admin.journal.Events(ctx, request)
		if err != nil {
			return nil, err
		}
		for i, event := range page.Events {
			if is(event) {
				return &page.Events[i], nil
			}
			if event.Type == store.EventKeyCreated && request.Key != "" { // others are of an earlier key
				return nil, nil
			}
		}
		if !page.More {
			return nil, nil
		}
		request.After = page.Next
	}
	return nil, nil
}

// causes returns what events of the key and of the organization bring about an answer, for the
// newest event first. An end that came by the clock has no event.
func (q *inquiry) causes(reason policy.Reason) (ofKey, ofOrganization func(store.Event) bool) {
	switch reason {
	case policy.WrongSecret:
		return typed(store.EventKeyRotated, store.EventSecretEnded), nil
	case policy.KeyDisabled:
		if q.found.key.Disabled {
			ofKey = typed(store.EventKeyDisabled, store.EventKeyCreated)
		}
		if q.found.organization.Disabled {
			ofOrganization = typed(store.EventOrganizationDisabled)
		}
		return ofKey, ofOrganization
	case policy.KeyNotYetValid, policy.KeyExpired:
		return typed(store.EventKeyValidityChanged, store.EventKeyCreated), nil
	case policy.AddressNotListed:
		return q.narrows(), nil
	case policy.OrganizationRequiresAccessList:
		return empties, typed(store.EventRequirementChanged, store.EventRequirementResumed)
	case policy.EndpointRequiresAccessList:
		return empties, nil
	case policy.ProjectNotGranted, policy.RoleMissing:
		return func(e store.Event) bool { return e.Type == store.EventKeyGrantsChanged && len(e.Before) > 0 }, nil
	}
	return nil, nil
}

// empties are the events after which a list has no entries, where it has none now.
var empties = typed(store.EventKeyCreated, store.EventEntryRemoved, store.EventListReplaced)

// typed reports whether an event is of one of these types.
func typed(types ...store.EventType) func(store.Event) bool {
	return func(e store.Event) bool { return slices.Contains(types, e.Type) }
}

// narrows reports whether an event took the client off the list: its entry was removed, or the
// list got its first entry after the key's creation. A replaced list has no entries in its event,
// and may have. No event is behind an entry that has expired.
func (q *inquiry) narrows() func(store.Event) bool {
	for entry := range q.found.key.AccessList.All() {
		if entry.Prefix().Contains(q.call.Client.Unmap()) {
			return nil
		}
	}
	created, length := q.found.key.Created, q.found.key.AccessList.Len() // length after the event
	return func(e store.Event) bool {
		switch e.Type {
		case store.EventEntryRemoved:
			length++
			return e.Entry.Contains(q.call.Client.Unmap())
		case store.EventEntryAdded:
			length--
			return length == 0 && e.Time.After(created)
		case store.EventListReplaced:
			return e.Time.After(created)
		}
		return false
	}
}
