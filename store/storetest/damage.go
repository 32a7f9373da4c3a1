package storetest

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/adapter"
	"github.com/sallyport-go/sallyport/store/storetest/internal/fixture"
)

// Damages are functions. Each makes one stored record unreadable: they write half a
// document, delete a row, or store an unparsable text. The store is the one from
// newStore. The record exists. A nil function leaves out its cases.
type Damages struct {
	Key          func(t testing.TB, s store.Store, id apikey.ID)
	AccessList   func(t testing.TB, s store.Store, id apikey.ID) // of a key
	Usage        func(t testing.TB, s store.Store, id apikey.ID) // of a key
	Organization func(t testing.TB, s store.Store, id string)
	Observation  func(t testing.TB, s store.Store)
	Events       func(t testing.TB, s store.Store, revision uint64) // of a write

	// Newer adds to the stored document of a key a member that only a later version knows,
	// such as "later":1, and leaves the document readable otherwise (S30).
	Newer func(t testing.TB, s store.Store, id apikey.ID)
}

// Damage has Run check that an unreadable record is an error wherever it is read, is not
// replaced, and hides no other record (S6, W8, U8, U15, E5, E7).
func Damage(damages Damages) Option {
	return func(r *runner) error {
		r.damages = damages
		return nil
	}
}

var damageCases = []testCase{
	{sentence: "S6", name: "a list that cannot be read is an error", run: onKey(ofList, unreadableKey), needs: "Damage.AccessList"},
	{sentence: "S6", name: "a key that cannot be read is an error", run: onKey(ofKey, unreadableKey), needs: "Damage.Key"},
	{sentence: "S6", name: "an organization that cannot be read is an error", run: unreadableOrganization, needs: "Damage.Organization"},
	{sentence: "S6", name: "a key whose list cannot be read is not replaced", run: onKey(ofList, unreadableKeyStays), needs: "Damage.AccessList"},
	{sentence: "S6", name: "a key that cannot be read is not replaced", run: onKey(ofKey, unreadableKeyStays), needs: "Damage.Key"},
	{sentence: "S6", name: "an organization that cannot be read is not replaced", run: unreadableOrganizationStays, needs: "Damage.Organization"},
	{sentence: "W8", name: "an unreadable list is delivered with Err, and the rest is delivered", run: onKey(ofList, unreadableKeyIsDelivered), needs: "Damage.AccessList"},
	{sentence: "W8", name: "an unreadable key is delivered with Err, and the rest is delivered", run: onKey(ofKey, unreadableKeyIsDelivered), needs: "Damage.Key"},
	{sentence: "W8", name: "an unreadable organization is delivered with Err, and the rest is delivered", run: unreadableOrganizationIsDelivered, needs: "Damage.Organization"},
	{sentence: "U8", name: "unreadable usage is an error and is not counted from zero", run: unreadableUsage, needs: "Damage.Usage"},
	{sentence: "U15", name: "an unreadable observation is an error and does not start again", run: unreadableObservation, needs: "Damage.Observation"},
}

// A damagedKey is a case with an unreadable key among others.
type damagedKey struct {
	*kit
	before       *fixture.Mirror // nil without a feed
	key          apikey.Key      // before the damage
	organization policy.Organization
	sound        []apikey.Key // before and after it in listings
}

func ofKey(d Damages) func(testing.TB, store.Store, apikey.ID)  { return d.Key }
func ofList(d Damages) func(testing.TB, store.Store, apikey.ID) { return d.AccessList }

// onKey runs a case on a key after one kind of damage.
func onKey(damage func(Damages) func(testing.TB, store.Store, apikey.ID), run func(d damagedKey)) func(k *kit) {
	return func(k *kit) {
		d := damagedKey{kit: k, organization: k.organization("acme")}
		d.sound = []apikey.Key{k.put(fixture.Plain("a-sound", "acme", "192.0.2.1")), k.put(fixture.Plain("z-sound", "acme", "192.0.2.1"))}
		if _, ok := store.As[store.Watcher](k.store); ok {
			d.before = k.mirror()
		}
		d.key = k.put(fixture.Plain("damaged", "acme", "192.0.2.1", "192.0.2.2"))
		k.option("Damage", func() { damage(k.runner.damages)(k.TB, k.adapter, d.key.ID) })
		run(d)
	}
}

// wantUnreadable checks that a call failed, and not with absence.
func (k *kit) wantUnreadable(err error, format string, args ...any) {
	k.Helper()
	switch what := fmt.Sprintf(format, args...); {
	case err == nil:
		k.Errorf("%s succeeded; want an error, since the record cannot be read", what)
	case errors.Is(err, store.ErrNotFound):
		k.Errorf("%s: %s; want another error, since the record is there and cannot be read", what, quoted(err))
	}
}

// wantNamed checks that the error of a listing names the record.
func (k *kit) wantNamed(err error, id string) {
	k.Helper()
	if err != nil && !strings.Contains(err.Error(), fmt.Sprintf("%q", id)) {
		k.Errorf("a listing with a record that cannot be read: error %s; want it to name the record, %q", quoted(err), id)
	}
}

func unreadableKey(d damagedKey) {
	d.wantKeyUnreadable()
	for _, key := range d.sound {
		d.wantKey("Key of another key", d.readKey(key.ID), key)
		d.wantKey("Lookup of another key", d.lookup(key.ID).Key(), key)
	}
	if got := d.readOrganization("acme"); !got.Equal(d.organization) {
		d.Errorf("Organization of a key that cannot be read is %+v; want %+v", got, d.organization)
	}
}

// wantKeyUnreadable calls every method for the key.
func (d damagedKey) wantKeyUnreadable() {
	d.Helper()
	_, found, err := d.store.Lookup(d.ctx, d.key.ID)
	d.wantUnreadable(err, "Lookup of a key that cannot be read (found: %v)", found)
	_, err = d.store.Key(d.ctx, d.key.ID)
	d.wantUnreadable(err, "Key of a key that cannot be read")
	for _, limit := range []int{1, 2, 100} {
		listed, err := listUntilError(func(request store.PageRequest) (store.Page[apikey.Key], error) {
			request.Limit = limit
			return d.store.Keys(d.ctx, "acme", request)
		})
		d.wantUnreadable(err, "Keys in pages of %d, with %q and a key that cannot be read,", limit, ids(listed))
		d.wantNamed(err, string(d.key.ID))
	}
}

// listUntilError returns the records before the first failing page.
func listUntilError[T any](list func(store.PageRequest) (store.Page[T], error)) (all []T, err error) {
	request := store.PageRequest{}
	for range 100 {
		page, err := list(request)
		if err != nil {
			return all, err
		}
		if all = append(all, page.Items...); page.Next == "" {
			return all, nil
		}
		request.Cursor = page.Next
	}
	return all, nil
}

func unreadableKeyStays(d damagedKey) {
	for _, revision := range []uint64{d.key.Revision, 0} {
		next := fixture.Whole(d.key.ID, "acme", 7)
		next.Revision = revision
		_, err := d.store.PutKey(d.ctx, next, store.AllowOpen)
		d.wantUnreadable(err, "PutKey with revision %d over a key of revision %d that cannot be read", revision, d.key.Revision)
		d.wantKeyUnreadable()
	}
	if loader, ok := store.As[store.Loader](d.store); ok {
		err := loader.Load(d.ctx, nil, []apikey.Key{fixture.Plain(d.key.ID, "acme", "192.0.2.1")})
		d.wantUnreadable(err, "Load of a key that is there and cannot be read")
		d.wantKeyUnreadable()
	}
	d.wantUnreadable(d.store.DeleteOrganization(d.ctx, "acme", 0), "DeleteOrganization of one whose key cannot be read")
	d.wantKeyUnreadable()

	// It may be deleted. Then it is gone.
	switch err := d.store.DeleteKey(d.ctx, d.key.ID, 0); {
	case err == nil:
		d.wantAbsent("acme", d.key.ID)
	case errors.Is(err, store.ErrNotFound):
		d.wantUnreadable(err, "DeleteKey of a key that cannot be read")
	default:
		d.wantKeyUnreadable()
	}
}

func unreadableKeyIsDelivered(d damagedKey) {
	fromZero := fixture.NewMirror()
	d.firstMark("with a key that cannot be read", fromZero)
	d.reach(d.before, d.revision())
	last := d.sound[1]
	for range 2 { // before and after another write
		d.wantUnreadableDelivered("from zero", fromZero, fixture.KeyName(d.key.ID), false)
		d.wantUnreadableDelivered("from before the damage", d.before, fixture.KeyName(d.key.ID), true)
		for _, key := range []apikey.Key{d.sound[0], last} {
			d.wantDeliveredKey(fromZero, key)
		}
		if fromZero.Records[fixture.OrganizationName("acme")].OrganizationRecord == nil {
			d.Errorf("beside a key that cannot be read, Watch did not deliver the organization")
		}
		last = d.put(last) // the feed goes on
		d.reach(fromZero, d.revision())
		d.reach(d.before, d.revision())
	}
}

// wantUnreadableDelivered checks that a copy has a record with Err. If orAsBefore, the feed may
// still know the record from before the damage.
func (k *kit) wantUnreadableDelivered(what string, m *fixture.Mirror, name fixture.RecordName, orAsBefore bool) {
	k.Helper()
	delivered, ok := m.Records[name]
	if ok && (delivered.Err != nil || orAsBefore) {
		return
	}
	k.Errorf("of %v, which cannot be read, a Watch %s delivered no Err (anything: %v); want the record's Err", name, what, ok)
}

func (k *kit) wantDeliveredKey(m *fixture.Mirror, want apikey.Key) {
	k.Helper()
	delivered := m.Records[fixture.KeyName(want.ID)]
	if delivered.KeyRecord == nil {
		k.Errorf("Watch delivered no record of key %q, which can be read (error %s)", want.ID, quoted(delivered.Err))
		return
	}
	k.wantKey("delivered by Watch", *delivered.KeyRecord, want)
}

// A damagedOrganization is a case with an unreadable organization among others.
type damagedOrganization struct {
	*kit
	before *fixture.Mirror // nil without a feed
	stored policy.Organization
	key    apikey.Key
	sound  policy.Organization
	other  apikey.Key // the sound one's
}

func (k *kit) damagedOrganization() damagedOrganization {
	d := damagedOrganization{kit: k, sound: k.organization("b-sound")}
	d.other = k.put(fixture.Plain("other", "b-sound", "192.0.2.1"))
	k.organization("z-sound")
	if _, ok := store.As[store.Watcher](k.store); ok {
		d.before = k.mirror()
	}
	d.stored = k.putOrganization(policy.Organization{ID: "damaged", Requirement: policy.Required})
	d.key = k.put(fixture.Plain("key", "damaged"))
	k.option("Damage", func() { k.runner.damages.Organization(k.TB, k.adapter, "damaged") })
	return d
}

func unreadableOrganization(k *kit) {
	d := k.damagedOrganization()
	d.wantOrganizationUnreadable()

	// Its key is not absent, but may be unreadable too.
	if key, err := k.store.Key(k.ctx, "key"); err == nil {
		k.wantKey("Key of an organization that cannot be read", key, d.key)
	} else {
		k.wantUnreadable(err, "Key of an organization that cannot be read")
	}
	if page, err := k.store.Keys(k.ctx, "damaged", store.PageRequest{}); err == nil && !slices.Equal(ids(page.Items), []string{"key"}) {
		k.Errorf("Keys of an organization that cannot be read has %q; want its key or an error", ids(page.Items))
	}
	if got := k.readOrganization("b-sound"); !got.Equal(d.sound) {
		k.Errorf("Organization beside one that cannot be read is %+v; want %+v", got, d.sound)
	}
	k.wantEverywhere(d.other)
}

// wantOrganizationUnreadable calls every method for the organization.
func (d damagedOrganization) wantOrganizationUnreadable() {
	d.Helper()
	_, err := d.store.Organization(d.ctx, "damaged")
	d.wantUnreadable(err, "Organization of one that cannot be read")
	subject, found, err := d.store.Lookup(d.ctx, "key")
	d.wantUnreadable(err, "Lookup of a key whose organization cannot be read (found: %v, requirement %v)", found, subject.Organization().Requirement)
	for _, limit := range []int{1, 2, 100} {
		listed, err := listUntilError(func(request store.PageRequest) (store.Page[policy.Organization], error) {
			request.Limit = limit
			return d.store.Organizations(d.ctx, request)
		})
		d.wantUnreadable(err, "Organizations in pages of %d, with %+v and one that cannot be read,", limit, listed)
		d.wantNamed(err, "damaged")
	}
}

func unreadableOrganizationStays(k *kit) {
	d := k.damagedOrganization()
	for _, revision := range []uint64{d.stored.Revision, 0} {
		_, err := k.store.PutOrganization(k.ctx, policy.Organization{ID: "damaged", Revision: revision})
		k.wantUnreadable(err, "PutOrganization with revision %d over one of revision %d that cannot be read", revision, d.stored.Revision)
		d.wantOrganizationUnreadable()
	}
	if loader, ok := store.As[store.Loader](k.store); ok {
		k.wantUnreadable(loader.Load(k.ctx, []policy.Organization{{ID: "damaged"}}, nil), "Load of an organization that is there and cannot be read")
		d.wantOrganizationUnreadable()
	}
	if _, err := k.store.PutKey(k.ctx, fixture.Plain("new", "damaged", "192.0.2.1")); err != nil {
		k.wantUnreadable(err, "PutKey for an organization that cannot be read")
	}
	k.wantUnreadable(k.store.DeleteOrganization(k.ctx, "damaged", 0), "DeleteOrganization of one that cannot be read and has a key")
	d.wantOrganizationUnreadable()
}

func unreadableOrganizationIsDelivered(k *kit) {
	d := k.damagedOrganization()
	fromZero := fixture.NewMirror()
	k.firstMark("with an organization that cannot be read", fromZero)
	k.reach(d.before, k.revision())
	other := d.other
	for range 2 { // before and after another write
		k.wantUnreadableDelivered("from zero", fromZero, fixture.OrganizationName("damaged"), false)
		k.wantUnreadableDelivered("from before the damage", d.before, fixture.OrganizationName("damaged"), true)
		k.wantUnreadableDelivered("from zero", fromZero, fixture.KeyName("key"), true)
		k.wantDeliveredKey(fromZero, other)
		if fromZero.Records[fixture.OrganizationName("z-sound")].OrganizationRecord == nil {
			k.Errorf("beside an organization that cannot be read, Watch did not deliver another")
		}
		other = k.put(other) // the feed goes on
		k.reach(fromZero, k.revision())
		k.reach(d.before, k.revision())
	}
}

func unreadableUsage(k *kit) {
	r := k.recorder()
	other := k.put(fixture.Plain("other", "acme", "192.0.2.1"))
	k.record(r, used("key", "192.0.2.1", 7, fixture.Moment), used("other", "192.0.2.1", 5, fixture.Moment))
	k.option("Damage", func() { k.runner.damages.Usage(k.TB, k.adapter, "key") })
	for _, ids := range [][]apikey.ID{{"key"}, {"other", "key"}, {"gone", "key", "other"}} {
		_, err := r.Usage(k.ctx, ids...)
		k.wantUnreadable(err, "Usage of %q, of which that of one cannot be read", ids)
		if err != nil && !strings.Contains(err.Error(), `"key"`) {
			k.Errorf("Usage of %q: error %s; want it to name the key whose usage cannot be read, in quotes", ids, quoted(err))
		}
	}

	// A batch is refused, or added to the earlier count.
	entry := used("other", "192.0.2.1", 0, fixture.Moment).Entry
	err := r.RecordUsage(k.ctx, adapter.UsageBatch(used("key", "192.0.2.1", 1, fixture.Moment), used("other", "192.0.2.1", 1, fixture.Moment)))
	want := accesslist.Usage{Count: 6}
	if err != nil {
		k.wantUnreadable(err, "RecordUsage of a key whose usage cannot be read")
		want.Count = 5
	}
	if got := k.usage(r, "other").Entries[entry].Count; got != want.Count {
		k.Errorf("after RecordUsage with error %s, the usage of another key is %d; want %d", quoted(err), got, want.Count)
	}
	if usage, readErr := r.Usage(k.ctx, "key"); readErr == nil && (err != nil || usage["key"].Entries[entry].Count != 8) {
		k.Errorf("after RecordUsage with error %s, usage that could not be read has the count %d; want an error, or 8", quoted(err), usage["key"].Entries[entry].Count)
	}
	k.wantKey("Key beside usage that cannot be read", k.readKey("key"), k.lookup("key").Key())
	k.wantEverywhere(other)
}
