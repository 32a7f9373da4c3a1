package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/admin"
	"github.com/sallyport-go/sallyport/store/trials/upgrade/orders"
)

// create creates a key by package admin, and answers with its secret.
func (w *worker) create(ctx context.Context, o orders.Order, a *orders.Answer) error {
	entries, err := entriesOf(o.Entries)
	if err != nil {
		return err
	}
	return w.change(ctx, o, a, admin.CreateKey(admin.NewKey{ID: apikey.ID(o.Key), Description: o.Description, Entries: entries, Labels: o.Labels,
		Disabled: o.Disabled, Grants: []apikey.Grant{{Role: "reader"}}}))
}

// apply makes one change by package admin, at the revision of the order unless that is zero.
func (w *worker) apply(ctx context.Context, o orders.Order, a *orders.Answer) error {
	key := apikey.ID(o.Key)
	entries, err := entriesOf(o.Entries)
	if err != nil {
		return err
	}
	var prefixes []netip.Prefix
	for _, entry := range entries {
		prefixes = append(prefixes, entry.Prefix())
	}
	var requirement policy.Requirement
	if o.Change == "set_requirement" {
		if err := requirement.UnmarshalText([]byte(o.Requirement)); err != nil {
			return err
		}
	}
	changes := map[string]admin.Change{
		"create_organization":  admin.CreateOrganization(requirement),
		"disable_organization": admin.DisableOrganization(),
		"enable_organization":  admin.EnableOrganization(),
		"set_requirement":      admin.SetRequirement(requirement),
		"add_entries":          admin.AddEntries(key, entries...),
		"remove_entries":       admin.RemoveEntries(key, prefixes...),
		"replace_entries":      admin.ReplaceEntries(key, entries...),
		"describe":             admin.Describe(key, o.Description),
		"disable_key":          admin.DisableKey(key),
		"enable_key":           admin.EnableKey(key),
		"delete_key":           admin.DeleteKey(key),
		"set_labels":           admin.SetLabels(key, o.Labels),
		"rotate":               admin.Rotate(key, o.Overlap),
		"end_secret":           admin.EndSecret(key, o.Secret, time.Now()),
	}
	change, ok := changes[o.Change]
	if !ok {
		return fmt.Errorf("no change is called %q", o.Change)
	}
	if o.Revision != 0 {
		change = change.At(o.Revision)
	}
	return w.change(ctx, o, a, change)
}

func (w *worker) change(ctx context.Context, o orders.Order, a *orders.Answer, change admin.Change) error {
	accept := []admin.Kind{admin.Opens, admin.OrganizationLockout, admin.LastManager, admin.BreaksKey, admin.OverBroad}
	made, err := w.admin.Apply(ctx, admin.BySystem("trial"), o.Organization, admin.ApplyOptions{Accept: accept, Reason: o.Description}, change)
	if err != nil {
		return err
	}
	for _, key := range made.Keys {
		a.Key, a.Revision = string(key.ID), key.Revision
	}
	for _, organization := range made.Organizations {
		a.Revision = organization.Revision
	}
	for _, secret := range made.Secrets {
		a.Secret = secret.Secret.Reveal()
	}
	a.Events, err = eventsOf(made.Events)
	return err
}

// events answers with all events of the journal, the oldest first.
func (w *worker) events(ctx context.Context, _ orders.Order, a *orders.Answer) error {
	journal, ok := store.As[store.Journal](w.store)
	if !ok {
		return errors.New("the store is no journal")
	}
	var all []store.Event
	for event, err := range store.AllEvents(ctx, journal, store.EventRequest{}) {
		if err != nil {
			return err
		}
		all = append(all, event)
	}
	var err error
	a.Events, err = eventsOf(all)
	return err
}

// forget forgets every event of now.
func (w *worker) forget(ctx context.Context, _ orders.Order, _ *orders.Answer) error {
	journal, ok := store.As[store.Journal](w.store)
	watcher, watches := store.As[store.Watcher](w.store)
	if !ok || !watches {
		return errors.New("the store is no journal, or no watcher")
	}
	position, err := watcher.Position(ctx)
	if err == nil {
		_, err = journal.Write(ctx, store.Write{Forget: &position})
	}
	return err
}

func eventsOf(events []store.Event) (all []orders.Event, err error) {
	for _, e := range events {
		document, err := e.MarshalJSON()
		if err != nil {
			return nil, err
		}
		all = append(all, orders.Event{ID: e.ID(), Revision: e.Revision, Type: string(e.Type), Organization: e.Organization,
			Key: string(e.Key), Actor: e.Actor.Name, Document: string(document)})
	}
	return all, nil
}

// A follower reads the events while they are written.
type follower struct {
	mu     sync.Mutex
	events []store.Event
	err    error
}

// follow begins to read the events, from the first.
func (w *worker) follow(_ context.Context, _ orders.Order, _ *orders.Answer) error {
	f := &follower{}
	w.follower.Store(f)
	go func() {
		for page, err := range store.FollowEvents(context.Background(), w.store, store.EventRequest{}) {
			f.mu.Lock()
			f.events, f.err = append(f.events, page.Events...), err
			f.mu.Unlock()
		}
	}()
	return nil
}

// followed answers with what was followed, once that is as many events as the order says.
func (w *worker) followed(ctx context.Context, o orders.Order, a *orders.Answer) error {
	f := w.follower.Load()
	for ctx.Err() == nil {
		f.mu.Lock()
		events, err := f.events, f.err
		f.mu.Unlock()
		if err != nil {
			return err
		}
		if len(events) >= o.Count {
			a.Events, err = eventsOf(events)
			return err
		}
		time.Sleep(time.Millisecond)
	}
	return ctx.Err()
}
