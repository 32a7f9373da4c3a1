package transfer_test

import (
	"context"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/memory"
	"github.com/sallyport-go/sallyport/store/storetest/faulty"
	"github.com/sallyport-go/sallyport/store/transfer"
)

// A lossy store returns no error and does not keep what it was given.
type lossy struct {
	*memory.Store
	organization func(*policy.Organization) bool
	key          func(*apikey.Key) bool
	usage        func(id apikey.ID, usage *store.KeyUsage) bool
}

func (s lossy) PutOrganization(ctx context.Context, o policy.Organization) (policy.Organization, error) {
	if s.organization != nil && !s.organization(&o) {
		return o, nil
	}
	return s.Store.PutOrganization(ctx, o)
}

func (s lossy) PutKey(ctx context.Context, key apikey.Key, options ...store.PutOption) (apikey.Key, error) {
	if s.key != nil && !s.key(&key) {
		return key, nil
	}
	return s.Store.PutKey(ctx, key, options...)
}

func (s lossy) RecordUsage(ctx context.Context, batch map[apikey.ID]store.KeyUsage) error {
	kept := map[apikey.ID]store.KeyUsage{}
	for id, usage := range batch {
		if s.usage == nil || s.usage(id, &usage) {
			kept[id] = usage
		}
	}
	return s.Store.RecordUsage(ctx, kept)
}

// What a store lost or altered is found when it is read back.
func TestReadBack(t *testing.T) {
	file := export(t, rich(t))
	for name, test := range map[string]struct {
		lossy
		want string
	}{
		"an organization": {lossy{organization: func(o *policy.Organization) bool { return o.ID != "日本" }}, `organization "日本" is only in the file`},
		"a requirement":   {lossy{organization: func(o *policy.Organization) bool { o.Requirement = policy.NotRequired; return true }}, `organization "\"<&>\"\\" has the requirement not_required instead of required`},
		"a switch":        {lossy{organization: func(o *policy.Organization) bool { o.Disabled = false; return true }}, `organization "acme ltd" has disabled false instead of true`},
		"a suspension":    {lossy{organization: func(o *policy.Organization) bool { o.SuspendedUntil = time.Time{}; return true }}, `organization "acme ltd" has another end of its suspension`},
		"a key":           {lossy{key: func(k *apikey.Key) bool { return k.ID != "B" }}, `key "B" of organization "acme" is only in the file`},
		"a list":          {lossy{key: func(k *apikey.Key) bool { k.AccessList = accesslist.List{}; return true }}, `key "a" of organization "Acme" has another access list`},
		"a name":          {lossy{organization: func(o *policy.Organization) bool { o.Name = ""; return true }}, `organization "Acme" has another name`},
		"a label": {lossy{key: func(k *apikey.Key) bool {
			*k = k.Clone()
			if k.Metadata != nil {
				delete(k.Metadata.Labels, "archived")
			}
			return true
		}}, `key "-" of organization "acme" has other labels`},
		"an external ID": {lossy{key: func(k *apikey.Key) bool {
			*k = k.Clone()
			if k.Metadata != nil {
				k.Metadata.ExternalID = ""
			}
			return true
		}}, `key "-" of organization "acme" has another external ID`},
		"a trial": {lossy{key: func(k *apikey.Key) bool { k.TrialList = accesslist.List{}; return true }}, `key "-" of organization "acme" has another list on trial`},
		"an entry": {lossy{key: func(k *apikey.Key) bool {
			if k.ID == "a" {
				k.AccessList = must(k.AccessList.Without([]netip.Prefix{netip.MustParsePrefix("192.0.2.1/32")}))
			}
			return true
		}}, `key "a" of organization "Acme" has another access list`},
		"grants":            {lossy{key: func(k *apikey.Key) bool { slices.Reverse(k.Grants); return true }}, `key "-" of organization "acme" has other grants`},
		"usage":             {lossy{usage: func(id apikey.ID, _ *store.KeyUsage) bool { return id != "a" }}, `key "a" of organization "Acme" has no usage`},
		"usage of a secret": {lossy{usage: func(_ apikey.ID, u *store.KeyUsage) bool { u.Secrets = nil; return true }}, `key "b" of organization "acme" has other usage`},
		"an address":        {lossy{usage: func(_ apikey.ID, u *store.KeyUsage) bool { u.Addresses = nil; return true }}, `has other usage`},
		"dropped addresses": {lossy{usage: func(_ apikey.ID, u *store.KeyUsage) bool { u.Dropped.Last = moment.Add(time.Hour); return true }}, `has other usage`},
		"denials":           {lossy{usage: func(_ apikey.ID, u *store.KeyUsage) bool { u.Denials = u.WouldDeny; return true }}, `has other usage`},
	} {
		t.Run(name, func(t *testing.T) {
			test.Store = memory.New()
			result, err := importInto(test.lossy, file)
			require.ErrorIs(t, err, transfer.ErrDiffers)
			require.ErrorContains(t, err, "store/transfer: import: reading back what was written: the store differs from the file: ")
			require.ErrorContains(t, err, test.want)
			require.NotZero(t, result.Written)
			_, err = transfer.Verify(t.Context(), test.lossy, strings.NewReader(file))
			require.ErrorIs(t, err, transfer.ErrDiffers)
			require.ErrorContains(t, err, test.want)
		})
	}
}

// Keys are told by another name, a list is one that was returned beside an error, an
// organization is the one next to it.
func TestVerifyOfAStoreThatReturnsOthers(t *testing.T) {
	s := rich(t)
	file := export(t, s)
	for name, test := range map[string]struct {
		other
		want string
	}{
		"another key": {other{key: func(k *apikey.Key) { k.ID = "B" }}, `has the ID "B"`},
		"an invalid list": {other{key: func(k *apikey.Key) {
			if k.ID == "B" { // whose list is empty
				k.AccessList, _ = accesslist.Parse("no address")
			}
		}}, `key "B" of organization "acme" has another access list`},
		"another organization":    {other{organization: func(o *policy.Organization) { o.ID = "other" }}, `has the ID "other"`},
		"a zero key and no error": {other{key: func(k *apikey.Key) { *k = apikey.Key{} }}, `has the ID ""`},
	} {
		test.Store = s
		_, err := transfer.Verify(t.Context(), test.other, strings.NewReader(file))
		require.ErrorIs(t, err, transfer.ErrDiffers, name)
		require.ErrorContains(t, err, test.want, name)
	}
}

// What only the store has is a difference, too: a copy without it is no copy.
func TestVerifyFindsWhatTheFileHasNot(t *testing.T) {
	s := rich(t)
	file := export(t, s)
	key := plainKey("more", "acme")
	_, err := s.PutKey(t.Context(), key, store.AllowOpen)
	require.NoError(t, err)
	verify := func(s store.Store, file string) error {
		counts, err := transfer.Verify(t.Context(), s, strings.NewReader(file))
		require.ErrorIs(t, err, transfer.ErrDiffers)
		require.Zero(t, counts)
		return err
	}
	require.EqualError(t, verify(s, file), `store/transfer: verify: the store differs from the file: key "more" of organization "acme" is only in the store`)

	require.NoError(t, s.DeleteKey(t.Context(), "B", 0))
	require.EqualError(t, verify(s, file), `store/transfer: verify: the store differs from the file: key "B" of organization "acme" is only in the file`+"\n"+
		`the store differs from the file: key "more" of organization "acme" is only in the store`)

	err = verify(s, sealed(`{"sallyport":{"format":1}}`))
	require.ErrorContains(t, err, `organization "Acme" is only in the store; key "a" of organization "Acme" is only in the store; `)
	require.ErrorContains(t, err, "; and 10 more")

	_, err = importInto(s, file)
	require.NoError(t, err, "an import adds what is missing, and minds nothing else")

	for method, want := range map[faulty.Method]string{
		faulty.Organizations: "store/transfer: verify: listing the organizations: broken on demand",
		faulty.Keys:          `store/transfer: verify: listing the keys of organization "\"<&>\"\\": broken on demand`,
	} {
		f := faulty.New(s)
		f.Break(faulty.Fail(errBroken), method)
		_, err := transfer.Verify(t.Context(), f, strings.NewReader(export(t, s)))
		require.EqualError(t, err, want)
	}
}

// An other store returns something else.
type other struct {
	*memory.Store
	organization func(*policy.Organization)
	key          func(*apikey.Key)
}

func (s other) Organization(ctx context.Context, id string) (policy.Organization, error) {
	o, err := s.Store.Organization(ctx, id)
	if s.organization != nil {
		s.organization(&o)
	}
	return o, err
}

func (s other) Key(ctx context.Context, id apikey.ID) (apikey.Key, error) {
	key, err := s.Store.Key(ctx, id)
	if s.key != nil {
		s.key(&key)
	}
	return key, err
}
