package storetest

import (
	"context"
	"encoding/json"
	"errors"
	"testing"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/adapter"
	"github.com/sallyport-go/sallyport/store/storetest/internal/fixture"
)

// Migrate is for stores whose form has a version. Run checks what this version does once a
// newer one has changed the store under it (S31, S32). The function changes the store as a
// newer version would, one that lets this version read it and write it, or not. It may be
// called several times for a store, and allows less each time.
func Migrate(migrate func(t testing.TB, s store.Store, mayRead, mayWrite bool)) Option {
	return func(r *runner) error {
		r.migrate = migrate
		return nil
	}
}

var versionCases = []testCase{
	{sentence: "S30", name: "metadata of a later version comes back", run: laterMetadata},
	{sentence: "S30", name: "metadata of a later version is loaded and delivered", run: laterMetadataIsDelivered},
	{sentence: "S30", name: "a key with an unknown name cannot be read", run: onKey(ofNewer, unreadableKey), needs: "Damage.Newer"},
	{sentence: "S30", name: "a key with an unknown name is not replaced", run: onKey(ofNewer, unreadableKeyStays), needs: "Damage.Newer"},
	{sentence: "S31", name: "reads and writes go on as far as a newer version allows", run: newerAllows, needs: "Migrate"},
	{sentence: "S31", name: "reads go on where a newer version forbids writes", run: newerForbidsWrites, needs: "Migrate"},
	{sentence: "S32", name: "a forbidden write returns ErrNewer and changes nothing", run: forbiddenWrites, needs: "Migrate"},
	{sentence: "S32", name: "a forbidden read is an error and not absence", run: forbiddenReads, needs: "Migrate"},
}

func ofNewer(d Damages) func(testing.TB, store.Store, apikey.ID) { return d.Newer }

// laterKey returns a key with metadata that only a later version knows.
func laterKey(id apikey.ID, organization string, n int) apikey.Key {
	key := fixture.Whole(id, organization, n)
	addMetadata(&key)
	return key
}

// laterOrganization is like laterKey.
func laterOrganization(id string) policy.Organization {
	o := policy.Organization{ID: id, Name: "Later", Requirement: policy.Required}
	addMetadata(&o)
	return o
}

// addMetadata adds members of unknown names to the metadata of a record.
func addMetadata(record interface {
	json.Marshaler
	json.Unmarshaler
}) {
	members := map[string]json.RawMessage{}
	_ = json.Unmarshal(fixture.Must(record.MarshalJSON()), &members)
	metadata := map[string]json.RawMessage{}
	_ = json.Unmarshal(members["metadata"], &metadata) // there may be none
	metadata["later"] = json.RawMessage(`{"tags":["a","\u003cb\u003e"],"level":3}`)
	metadata["ünknown"] = json.RawMessage(`null`)
	members["metadata"] = fixture.Must(json.Marshal(metadata))
	if err := record.UnmarshalJSON(fixture.Must(json.Marshal(members))); err != nil {
		panic(err)
	}
}

func laterMetadata(k *kit) {
	organization := k.putOrganization(laterOrganization("acme"))
	k.wantOrganization("PutOrganization", organization, organization.Revision, laterOrganization("acme"))
	for n := 1; n <= 5; n++ { // the fifth has no other metadata
		key := laterKey("key", "acme", n)
		if n > 1 {
			key.Revision = k.readKey("key").Revision
		}
		stored := k.put(key.Clone())
		key.Revision = stored.Revision
		k.wantKey("PutKey", stored, key)
		k.wantEverywhere(key)

		// As one that knows nothing of it would change the key.
		changed := k.readKey("key")
		changed.Description = "changed"
		changed = k.put(changed)
		key.Description, key.Revision = "changed", changed.Revision
		k.wantEverywhere(key)
	}
	changed := k.readOrganization("acme")
	changed.Name = "changed"
	want := laterOrganization("acme")
	want.Name = "changed"
	revision := k.putOrganization(changed).Revision
	k.wantOrganization("Organization", k.readOrganization("acme"), revision, want)
	k.wantOrganization("Organizations", k.organizations(0)[0], revision, want)
	k.wantOrganization("Lookup", k.lookup("key").Organization(), revision, want)
}

func (k *kit) wantOrganization(what string, got policy.Organization, revision uint64, want policy.Organization) {
	k.Helper()
	if want.Revision = revision; !got.Equal(want) {
		k.Errorf("%s: organization %s; want %s", what, fixture.Must(got.MarshalJSON()), fixture.Must(want.MarshalJSON()))
	}
}

func laterMetadataIsDelivered(k *kit) {
	if loader, ok := store.As[store.Loader](k.store); ok {
		if err := loader.Load(k.ctx, []policy.Organization{laterOrganization("acme")}, []apikey.Key{laterKey("key", "acme", 7)}); err != nil {
			k.Fatalf("Load of records with unknown metadata: %v", err)
		}
	} else {
		k.putOrganization(laterOrganization("acme"))
		k.put(laterKey("key", "acme", 7))
	}
	organization, key := laterOrganization("acme"), laterKey("key", "acme", 7)
	key.Revision = k.readKey("key").Revision
	k.wantEverywhere(key)
	k.wantOrganization("Organization", k.readOrganization("acme"), k.readOrganization("acme").Revision, organization)
	if _, ok := store.As[store.Watcher](k.store); ok {
		m := k.mirror()
		k.wantMirror("with unknown metadata", m)
		key = k.put(key)
		k.reach(m, k.revision())
		k.wantMirror("with unknown metadata", m)
	}
}

// A shared store has been changed by a newer version.
type shared struct {
	*kit
	organization policy.Organization
	key          apikey.Key
	before       *fixture.Mirror // nil without a feed
}

// migrated stores records, and has a newer version change the store.
func (k *kit) migrated(mayRead, mayWrite bool) shared {
	s := shared{kit: k, organization: k.organization("acme"), key: k.put(fixture.Plain("key", "acme", "192.0.2.1"))}
	if recorder, ok := store.As[store.UsageRecorder](k.store); ok {
		k.record(recorder, used("key", "192.0.2.1", 7, fixture.Moment))
	}
	if _, ok := store.As[store.Watcher](k.store); ok {
		s.before = k.mirror()
	}
	s.migrate(mayRead, mayWrite)
	return s
}

func (s shared) migrate(mayRead, mayWrite bool) {
	s.option("Migrate", func() { s.runner.migrate(s.TB, s.adapter, mayRead, mayWrite) })
}

// writes are calls of every writing method. They would succeed in this order.
func (s shared) writes() []writing {
	all := []writing{
		{"PutOrganization", func(ctx context.Context) error {
			_, err := s.store.PutOrganization(ctx, policy.Organization{ID: "other"})
			return err
		}},
		{"PutKey", func(ctx context.Context) error {
			_, err := s.store.PutKey(ctx, fixture.Plain("new", "acme", "192.0.2.1"))
			return err
		}},
		{"PutKey of an existing key", func(ctx context.Context) error {
			_, err := s.store.PutKey(ctx, s.key)
			return err
		}},
	}
	if recorder, ok := store.As[store.UsageRecorder](s.store); ok {
		all = append(all, writing{"RecordUsage", func(ctx context.Context) error {
			return recorder.RecordUsage(ctx, adapter.UsageBatch(used("key", "192.0.2.1", 1, fixture.Moment)))
		}}, writing{"RecordObservation", func(ctx context.Context) error {
			return recorder.RecordObservation(ctx, store.Report{Recorder: "r", Since: fixture.Moment, From: fixture.Moment, Until: fixture.Moment, At: fixture.Moment})
		}})
	}
	if loader, ok := store.As[store.Loader](s.store); ok {
		all = append(all, writing{"Load", func(ctx context.Context) error {
			return loader.Load(ctx, []policy.Organization{{ID: "loaded"}}, nil)
		}})
	}
	if journal, ok := store.As[store.Journal](s.store); ok {
		all = append(all, writing{"Write", func(ctx context.Context) error {
			_, err := journal.Write(ctx, store.Write{PutOrganization: &policy.Organization{ID: "written"}})
			return err
		}})
	}
	return append(all, writing{"DeleteKey", func(ctx context.Context) error { return s.store.DeleteKey(ctx, "key", 0) }})
}

type writing struct {
	name string
	call func(ctx context.Context) error
}

// wantReads checks that reads and feeds go on.
func (s shared) wantReads() {
	s.Helper()
	s.wantEverywhere(s.key)
	if got := s.readOrganization("acme"); !got.Equal(s.organization) {
		s.Errorf("Organization is %+v; want %+v", got, s.organization)
	}
	if _, found, err := s.store.Lookup(s.ctx, "gone"); found || err != nil {
		s.Errorf("Lookup of an absent key: found %v, error %s; want not found", found, quoted(err))
	}
	if recorder, ok := store.As[store.UsageRecorder](s.store); ok {
		if got := s.usage(recorder, "key"); len(got.Entries) != 1 {
			s.Errorf("Usage is %+v; want that of one entry", got)
		}
		if _, err := recorder.Observation(s.ctx); err != nil {
			s.Errorf("Observation: %v", err)
		}
	}
	if journal, ok := store.As[store.Journal](s.store); ok {
		if _, err := journal.Events(s.ctx, store.EventRequest{}); err != nil {
			s.Errorf("Events: %v", err)
		}
	}
	if s.before != nil {
		s.reach(s.before, s.revision())
		s.wantMirror("by a watch from before the newer version", s.before)
		s.wantMirror("by a watch from zero", s.mirror())
	}
}

func newerAllows(k *kit) {
	s := k.migrated(true, true)
	s.wantReads()
	for _, write := range s.writes() {
		if err := write.call(k.ctx); err != nil {
			k.Errorf("%s, which a newer version allows: %v", write.name, err)
		}
	}
	k.wantAbsent("acme", "key")
	k.wantEverywhere(k.readKey("new"))
	if s.before != nil {
		k.reach(s.before, k.revision())
		k.wantMirror("by a watch from before the newer version", s.before)
	}
}

func newerForbidsWrites(k *kit) { k.migrated(true, false).wantReads() }

func forbiddenWrites(k *kit) {
	s := k.migrated(true, true)
	s.migrate(true, false)
	before := k.snapshot()
	for _, write := range s.writes() {
		k.wantError(write.call(k.ctx), store.ErrNewer, "%s, which a newer version forbids", write.name)
	}
	k.wantUnchanged(before, "forbidden writes")
	s.wantReads()
}

func forbiddenReads(k *kit) {
	s := k.migrated(true, false)
	s.wantReads()
	s.migrate(false, false)
	wantFailure := func(err error, what string) {
		switch {
		case err == nil:
			k.Errorf("%s succeeded; want an error, since a newer version forbids it", what)
		case errors.Is(err, store.ErrNotFound):
			k.Errorf("%s: %s; want another error, since a newer version forbids it", what, quoted(err))
		}
	}
	for _, id := range []apikey.ID{"key", "gone"} {
		_, _, err := k.store.Lookup(k.ctx, id)
		wantFailure(err, "Lookup")
		_, err = k.store.Key(k.ctx, id)
		wantFailure(err, "Key")
	}
	for _, organization := range []string{"acme", "gone"} {
		_, err := k.store.Organization(k.ctx, organization)
		wantFailure(err, "Organization")
		_, err = k.store.Keys(k.ctx, organization, store.PageRequest{})
		wantFailure(err, "Keys")
	}
	_, err := k.store.Organizations(k.ctx, store.PageRequest{})
	wantFailure(err, "Organizations")
	for _, write := range s.writes() {
		wantFailure(write.call(k.ctx), write.name)
	}
	if recorder, ok := store.As[store.UsageRecorder](k.store); ok {
		_, err := recorder.Usage(k.ctx, "key")
		wantFailure(err, "Usage")
		_, err = recorder.Observation(k.ctx)
		wantFailure(err, "Observation")
	}
	if journal, ok := store.As[store.Journal](k.store); ok {
		_, err := journal.Events(k.ctx, store.EventRequest{})
		wantFailure(err, "Events")
	}
	if watcher, ok := store.As[store.Watcher](k.store); ok {
		_, err := watcher.Position(k.ctx)
		wantFailure(err, "Position")
		for _, m := range []*fixture.Mirror{s.before, fixture.NewMirror()} {
			wantFailure(m.Follow(k.ctx, watcher, func(change store.Change) bool { return !change.IsMark() }), "Watch")
		}
	}
}
