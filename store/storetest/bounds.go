package storetest

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/netip"
	"strings"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/storetest/internal/fixture"
)

var boundCases = []testCase{
	{sentence: "S28", name: "a list of too many entries is refused", run: tooManyEntries},
	{sentence: "S28", name: "a longer list may stay as long", run: longListStays},
	{sentence: "S28", name: "the entries of a list on trial count", run: trialEntriesCount},
	{sentence: "S28", name: "a key at all bounds comes back", run: keyAtAllBounds},
	{sentence: "S28", name: "an error does not grow with its record", run: boundedErrors},
}

// maxError is the length of the longest error, in bytes.
const maxError = 4096

// entries returns a list of n addresses.
func entries(n int) accesslist.List {
	list := make([]accesslist.Entry, n)
	for i := range list {
		addr := netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})
		list[i] = fixture.Must(accesslist.NewEntry(netip.PrefixFrom(addr, 32)))
	}
	return fixture.Must(accesslist.New(list...))
}

func tooManyEntries(k *kit) {
	k.organization("acme")
	stored := k.put(fixture.Plain("here", "acme", "192.0.2.1"))
	for _, id := range []apikey.ID{"new", "here"} {
		key := fixture.Plain(id, "acme")
		if id == "here" {
			key.Revision = stored.Revision
		}
		key.AccessList = entries(store.MaxEntries + 1)
		_, err := k.store.PutKey(k.ctx, key, store.AllowOpen)
		k.wantError(err, store.ErrInvalid, "PutKey of key %q with %d entries, without AllowManyEntries", id, key.AccessList.Len())
		key.AccessList = entries(apikey.MaxEntries + 1)
		_, err = k.store.PutKey(k.ctx, key, store.AllowOpen, store.AllowManyEntries)
		k.wantError(err, store.ErrInvalid, "PutKey of key %q with %d entries", id, key.AccessList.Len())
	}
	k.wantEverywhere(stored)
	k.wantAbsent("acme", "new")
}

func longListStays(k *kit) {
	k.organization("acme")
	key := fixture.Plain("long", "acme")
	key.AccessList = entries(store.MaxEntries + 2)
	key = k.putMany(key)
	for _, n := range []int{store.MaxEntries + 2, store.MaxEntries + 1} {
		key.AccessList, key.Disabled = entries(n), !key.Disabled
		revision, err := k.store.PutKey(k.ctx, key)
		k.wantError(err, nil, "PutKey of %d entries, no more than there were, without AllowManyEntries", n)
		key.Revision = revision.Revision
	}
	k.wantEverywhere(key)
	longer := key
	longer.AccessList = entries(store.MaxEntries + 2)
	_, err := k.store.PutKey(k.ctx, longer)
	k.wantError(err, store.ErrInvalid, "PutKey of %d entries, one more than there were, without AllowManyEntries", longer.AccessList.Len())
	k.wantEverywhere(key)
}

func trialEntriesCount(k *kit) {
	k.organization("acme")
	half := store.MaxEntries / 2
	key := fixture.Plain("trial", "acme")
	key.AccessList, key.TrialList = entries(half), entries(half+1)
	_, err := k.store.PutKey(k.ctx, key)
	k.wantError(err, store.ErrInvalid, "PutKey of a key with %d entries and %d on trial, without AllowManyEntries", half, half+1)
	k.wantAbsent("acme", "trial")
	key.TrialList = entries(apikey.MaxEntries)
	_, err = k.store.PutKey(k.ctx, key, store.AllowManyEntries)
	k.wantError(err, store.ErrInvalid, "PutKey of a key with %d entries and %d on trial", half, apikey.MaxEntries)
	k.wantAbsent("acme", "trial")

	key.TrialList = entries(half)
	key = k.put(key)
	k.wantEverywhere(key)
	key.TrialList = entries(half + 2)
	key = k.putMany(key)
	key.AccessList, key.TrialList = key.TrialList, key.AccessList // as many as there were
	stored, err := k.store.PutKey(k.ctx, key)
	k.wantError(err, nil, "PutKey of %d entries, no more than there were, without AllowManyEntries", key.Entries())
	k.wantEverywhere(stored)
	longer := stored
	longer.TrialList = entries(half + 1)
	_, err = k.store.PutKey(k.ctx, longer)
	k.wantError(err, store.ErrInvalid, "PutKey of %d entries, one more than there were, without AllowManyEntries", longer.Entries())
	k.wantEverywhere(stored)
}

// putMany puts a key with more than store.MaxEntries entries.
func (k *kit) putMany(key apikey.Key) apikey.Key {
	stored, err := k.store.PutKey(k.ctx, key, store.AllowManyEntries)
	k.wantError(err, nil, "PutKey of key %q with %d entries and AllowManyEntries", key.ID, key.AccessList.Len())
	key.Revision = stored.Revision
	return key
}

func keyAtAllBounds(k *kit) {
	name := strings.Repeat("o", apikey.MaxName)
	k.organization(name)
	want := greatestKey(name)
	want.Revision = k.put(want).Revision
	k.wantEverywhere(want)
}

// greatestKey returns a key at every bound, in its longest form: its texts
// are of a character that JSON escapes.
func greatestKey(organization string) apikey.Key {
	key := richKey(apikey.ID(strings.Repeat("k", apikey.MaxID)), organization)
	key.Description = strings.Repeat("<", apikey.MaxDescription)
	key.Grants = nil
	for i := range apikey.MaxGrants {
		key.Grants = append(key.Grants, apikey.Grant{Role: fmt.Sprintf("<%x", i), AllProjects: true})
	}
	key.Grants[0] = apikey.Grant{Role: strings.Repeat("<", apikey.MaxName), Project: strings.Repeat(">", apikey.MaxName)}
	key.Metadata = &apikey.Metadata{Labels: map[string]string{}, ExternalID: strings.Repeat("<", apikey.MaxName)}
	room := apikey.MaxText - len(key.Description) - len(key.ExternalID())
	for i := range apikey.MaxLabels {
		name, value := strings.Repeat("&", apikey.MaxLabelName-2)+fmt.Sprintf("%02d", i), strings.Repeat(">", apikey.MaxName)
		key.Metadata.Labels[name] = value
		room -= len(name) + len(value)
	}
	for _, grant := range key.Grants {
		room -= len(grant.Role) + len(grant.Project)
	}
	list := make([]accesslist.Entry, store.MaxEntries)
	for i := range list {
		addr := netip.AddrFrom16([16]byte{0x20, 0x01, 0x0d, 0xb8, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, byte(i>>8) | 0x80, byte(i)})
		entry := fixture.Must(accesslist.Parser{AllowIPv6: true}.NewEntry(netip.PrefixFrom(addr, 128)))
		entry.Comment = strings.Repeat("&", min(room, accesslist.MaxComment))
		entry.Added, entry.Expires = fixture.Moment, fixture.Moment.AddDate(1, 0, 0)
		room -= len(entry.Comment)
		list[i] = entry
	}
	half := len(list) / 2
	key.AccessList, key.TrialList = fixture.Must(accesslist.New(list[:half]...)), fixture.Must(accesslist.New(list[half:]...))
	return key
}

func boundedErrors(k *kit) {
	long := strings.Repeat("\x01é", 1<<18)
	key := fixture.Plain("key", "acme")
	key.Organization = long
	reads := map[string]func(context.Context) error{
		"Organization": func(ctx context.Context) error { _, err := k.store.Organization(ctx, long); return err },
		"Organizations": func(ctx context.Context) error {
			_, err := k.store.Organizations(ctx, store.PageRequest{Cursor: long})
			return err
		},
		"a genuine-looking cursor": func(ctx context.Context) error {
			_, err := k.store.Keys(ctx, "acme", store.PageRequest{Cursor: "1" + base64.RawURLEncoding.EncodeToString([]byte(long))})
			return err
		},
		"Keys": func(ctx context.Context) error {
			_, err := k.store.Keys(ctx, "acme", store.PageRequest{Cursor: long})
			return err
		},
		"Key":                func(ctx context.Context) error { _, err := k.store.Key(ctx, apikey.ID(long)); return err },
		"DeleteOrganization": func(ctx context.Context) error { return k.store.DeleteOrganization(ctx, long, 0) },
		"DeleteKey":          func(ctx context.Context) error { return k.store.DeleteKey(ctx, apikey.ID(long), 7) },
		"PutKey":             func(ctx context.Context) error { _, err := k.store.PutKey(ctx, key, store.AllowOpen); return err },
	}
	if journal, ok := store.As[store.Journal](k.store); ok {
		reads["Events after a position of a long name"] = func(ctx context.Context) error {
			_, err := journal.Events(ctx, store.EventRequest{After: store.Position{History: long, Revision: 1}})
			return err
		}
		for name, w := range map[string]store.Write{
			"Write": {PutKey: &key}, "Write that deletes": {Delete: &store.Condition{Organization: long, Revision: 1}},
			"Write with a condition": {PutOrganization: &policy.Organization{ID: "acme"}, If: []store.Condition{{Organization: long, Key: apikey.ID(long)}}},
			"Write with an event":    {PutOrganization: &policy.Organization{ID: "acme"}, Events: []store.Event{fixture.Event(long, apikey.ID(long), long)}},
			"Write that forgets":     {Forget: &store.Position{History: long, Revision: 1}},
		} {
			reads[name] = func(ctx context.Context) error { _, err := journal.Write(ctx, w); return err }
		}
	}
	for name, read := range reads {
		switch err := read(k.ctx); {
		case err == nil:
			k.Errorf("%s with a text of %d bytes returned no error", name, len(long))
		case len(err.Error()) > maxError:
			k.Errorf("%s with a text of %d bytes returned an error of %d; want at most %d", name, len(long), len(err.Error()), maxError)
		}
	}
}
