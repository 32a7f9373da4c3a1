package store_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/memory"
)

func TestPageRequestSize(t *testing.T) {
	for limit, want := range map[int]int{
		0: store.DefaultPageSize, -1: store.DefaultPageSize, math.MinInt: store.DefaultPageSize,
		1: 1, 100: 100, 999: 999, 1000: store.MaxPageSize, 1001: store.MaxPageSize, math.MaxInt: store.MaxPageSize,
	} {
		assert.Equal(t, want, store.PageRequest{Limit: limit}.Size(), "limit %d", limit)
	}
}

func TestAll(t *testing.T) {
	ctx, s := t.Context(), memory.New()
	const n = 2*store.MaxPageSize + 1
	for i := range n {
		_, err := s.PutOrganization(ctx, policy.Organization{ID: fmt.Sprintf("organization %04d", i)})
		require.NoError(t, err)
		_, err = s.PutKey(ctx, newKey(t, apikey.ID(fmt.Sprintf("key-%04d", i)), "organization 0000"), store.AllowOpen)
		require.NoError(t, err)
	}
	got := 0
	for organization, err := range store.AllOrganizations(ctx, s) {
		require.NoError(t, err)
		require.Equal(t, fmt.Sprintf("organization %04d", got), organization.ID)
		got++
	}
	assert.Equal(t, n, got)
	got = 0
	for key, err := range store.AllKeys(ctx, s, "organization 0000") {
		require.NoError(t, err)
		require.Equal(t, apikey.ID(fmt.Sprintf("key-%04d", got)), key.ID)
		got++
	}
	assert.Equal(t, n, got)
	for range store.AllKeys(ctx, s, "organization 0001") {
		t.Error("it has no keys")
	}
	for range store.AllKeys(ctx, s, "not there") {
		t.Error("it is not there")
	}
}

// failing answers the first pages and then fails.
type failing struct {
	store.Store
	pages int
}

var errFailing = errors.New("no connection")

func (f *failing) Keys(ctx context.Context, organization string, page store.PageRequest) (store.Page[apikey.Key], error) {
	if f.pages--; f.pages < 0 {
		return store.Page[apikey.Key]{Items: []apikey.Key{{ID: "not to be seen"}}}, errFailing
	}
	page.Limit = 2
	return f.Store.Keys(ctx, organization, page)
}

func (f *failing) Organizations(context.Context, store.PageRequest) (store.Page[policy.Organization], error) {
	return store.Page[policy.Organization]{}, errFailing
}

func TestAllEndsWithAnError(t *testing.T) {
	ctx, s := t.Context(), memory.New()
	_, err := s.PutOrganization(ctx, policy.Organization{ID: "acme"})
	require.NoError(t, err)
	for i := range 10 {
		_, err = s.PutKey(ctx, newKey(t, apikey.ID(fmt.Sprint("key-", i)), "acme"), store.AllowOpen)
		require.NoError(t, err)
	}
	var got []apikey.ID
	var errs []error
	for key, err := range store.AllKeys(ctx, &failing{s, 2}, "acme") {
		if errs = append(errs, err); err != nil {
			assert.Zero(t, key)
			continue
		}
		got = append(got, key.ID)
	}
	assert.Equal(t, []apikey.ID{"key-0", "key-1", "key-2", "key-3"}, got)
	assert.Equal(t, []error{nil, nil, nil, nil, errFailing}, errs)
	for _, err := range store.AllOrganizations(ctx, &failing{s, 0}) {
		assert.ErrorIs(t, err, errFailing)
	}
	cancelled, cancel := context.WithCancel(ctx)
	cancel()
	for _, err := range store.AllKeys(cancelled, s, "acme") {
		assert.ErrorIs(t, err, context.Canceled)
	}
}

func TestAllMayBeLeft(t *testing.T) {
	ctx, s := t.Context(), memory.New()
	_, err := s.PutOrganization(ctx, policy.Organization{ID: "acme"})
	require.NoError(t, err)
	for i := range 10 {
		_, err = s.PutKey(ctx, newKey(t, apikey.ID(fmt.Sprint("key-", i)), "acme"), store.AllowOpen)
		require.NoError(t, err)
	}
	f := &failing{s, 2}
	n := 0
	for _, err := range store.AllKeys(ctx, f, "acme") {
		require.NoError(t, err)
		if n++; n == 3 {
			break
		}
	}
	assert.Zero(t, f.pages, "no page is asked for that nobody reads")
}

func TestFilterMatches(t *testing.T) {
	key := apikey.Key{Metadata: &apikey.Metadata{Labels: map[string]string{"team": "web", "archived": ""}, ExternalID: "cus_1"}}
	for filter, want := range map[store.Filter][2]bool{ // the key, and one without metadata
		{}:                                      {true, true},
		{Label: "team"}:                         {true, false},
		{Label: "team=web"}:                     {true, false},
		{Label: "team=Web"}:                     {false, false},
		{Label: "team="}:                        {false, false},
		{Label: "archived"}:                     {true, false},
		{Label: "archived="}:                    {true, false},
		{Label: "web"}:                          {false, false},
		{Label: "="}:                            {false, false},
		{ExternalID: "cus_1"}:                   {true, false},
		{ExternalID: "cus_2"}:                   {false, false},
		{Label: "team", ExternalID: "cus_1"}:    {true, false},
		{Label: "team", ExternalID: "cus_2"}:    {false, false},
		{Label: "archive", ExternalID: "cus_1"}: {false, false},
	} {
		assert.Equal(t, want[0], filter.Matches(key), "%+v", filter)
		assert.Equal(t, want[1], filter.Matches(apikey.Key{}), "%+v", filter)
	}
}
