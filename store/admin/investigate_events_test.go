package admin_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/admin"
	"github.com/sallyport-go/sallyport/store/memory"
)

// A call in the past is judged by the records of now, and what changed since is listed.
func TestInvestigateThePast(t *testing.T) {
	w := newWorld(t)
	w.organization("other", policy.NotRequired)
	w.key("boss", "198.51.100.1", "owner")
	w.key("k", "203.0.113.7 192.0.2.9", "reader")
	w.apply(ann, plain, admin.Describe("k", "nightly"))
	w.now = w.now.Add(time.Minute)
	called := w.now
	w.now = w.now.Add(time.Minute)
	w.apply(ann, plain, admin.RemoveEntries("k", prefixes("192.0.2.9")...), admin.Describe("boss", "not of this key"))
	w.apply(ann, plain, admin.SetRequirement(policy.Required))
	_, err := w.admin.Apply(w.ctx, ann, "other", plain, admin.SetName("Other"))
	require.NoError(t, err)
	w.now = w.now.Add(time.Hour)

	call := read("192.0.2.9")
	require.Empty(t, w.investigate(ann, call).Changed, "a call of now met the records of now")
	call.Time = called
	found := w.investigate(ann, call)
	require.Equal(t, policy.AddressNotListed, found.Reason)
	require.Equal(t, []string{"organization.requirement_changed", "key.entry_removed"}, types(found.Changed))
	require.False(t, found.MoreChanged)
	require.Equal(t, called, found.Time)
	require.Equal(t, w.stored("k").Revision, found.KeyRevision)
	text := found.String()
	require.True(t, strings.HasPrefix(text, "The call of 2026-03-01T12:01:00Z met other records, which were changed since. By those of now:\n"), text)
	require.NotContains(t, w.investigate(ann, read("192.0.2.9")).String(), "met other records")
	require.Contains(t, text, "The call was at 2026-03-01T12:01:00Z. The records are those of now: the key at revision ")
	require.Contains(t, text, "Changed since: 2026-03-01T12:02:00Z key.entry_removed by person \"ann@example.com\": 192.0.2.9.\n")
	require.Contains(t, text, "Changed since: 2026-03-01T12:02:00Z organization.requirement_changed by person \"ann@example.com\".\n")
	require.NotContains(t, text, "more than")

	// Denied then, and allowed now.
	w.edit("k", func(k *apikey.Key) { k.NotBefore = w.now.Add(-time.Minute) })
	call = read("203.0.113.7")
	call.Time = called
	found = w.investigate(ann, call)
	require.Equal(t, policy.KeyNotYetValid, found.Reason)
	require.Equal(t, policy.AddressListed, found.Again)
	require.Empty(t, found.Obstacles)
	require.Empty(t, found.Remedies)
	require.Contains(t, found.String(), "Made again, it is allowed: address_listed.\n")
}

// A key's events are listed after its deletion, whatever the time, and none of another
// organization's.
func TestInvestigateAnUnknownKey(t *testing.T) {
	w := newWorld(t)
	w.organization("other", policy.NotRequired)
	_, err := w.admin.Apply(w.ctx, ann, "other", plain, admin.CreateKey(admin.NewKey{ID: "foreign", Entries: w.entries("203.0.113.7")}))
	require.NoError(t, err)
	w.key("boss", "198.51.100.1", "owner")
	w.key("k", "203.0.113.7", "reader")
	w.apply(ann, plain, admin.DeleteKey("k"))
	call := read("203.0.113.7")
	for _, unproven := range []bool{false, true} {
		call.Unproven = unproven
		found := w.investigate(ann, call)
		require.Equal(t, policy.UnknownKey, found.Reason)
		require.Equal(t, []string{"key.deleted"}, types(found.Changed))
		require.Equal(t, []policy.Reason{policy.UnknownKey}, found.Obstacles)
		require.Zero(t, found.KeyRevision)
		require.Zero(t, found.Evidence)
		require.Contains(t, found.String(), "The organization has no such key.\n"+
			"Made again, it is denied, and no change is proposed: unknown_key.\nChanged since: 2026-03-01T12:00:00Z key.deleted by person")
	}

	var answers []string
	for _, id := range []apikey.ID{"absent7", "foreign"} {
		for _, resource := range []string{"acme", "other"} {
			call := read("203.0.113.7")
			call.Key, call.Resource.Organization = id, resource
			found := w.investigate(ann, call)
			data, err := json.Marshal(found)
			require.NoError(t, err)
			answers = append(answers, strings.ReplaceAll(string(data)+found.String(), string(id), "ID"))
		}
	}
	require.Equal(t, answers[:2], answers[2:], "another organization's key is an absent one")

	call.Key = "sally_secret with a space"
	found := w.investigate(ann, call)
	require.Empty(t, found.Key)
	require.Empty(t, found.Changed)
	data, err := json.Marshal(found)
	require.NoError(t, err)
	require.NotContains(t, string(data)+found.String(), "sally_secret", "the text in the place of an ID may be a secret")
}

// Without a journal it is not known what changed, and the text says so.
func TestInvestigateWithoutAJournal(t *testing.T) {
	w := newWorld(t)
	w.key("k", "203.0.113.7", "reader")
	call := read("192.0.2.9")
	call.Time = w.now.Add(-time.Hour)
	found, err := worldLike(w, bare{w.memory}).Investigate(w.ctx, ann, "acme", call)
	require.NoError(t, err)
	require.False(t, found.Journaled)
	require.Empty(t, found.Changed)
	require.Contains(t, found.String(), "Changed since: unknown, because the store keeps no events.\n")
	require.True(t, w.investigate(ann, call).Journaled)
}

// Of many events the newest are listed, and a search without an end says that there may be
// more.
func TestInvestigateBoundsEvents(t *testing.T) {
	j := &journal{Store: memory.New()}
	w := worldOf(t, j, j.Store)
	w.key("k", "203.0.113.7", "reader")
	called := w.now
	for n := range admin.MaxChanged + 5 {
		w.now = w.now.Add(time.Second)
		w.apply(ann, plain, admin.Describe("k", fmt.Sprint(n)))
	}
	call := read("192.0.2.9")
	call.Time = called
	found := w.investigate(ann, call)
	require.Len(t, found.Changed, admin.MaxChanged)
	require.True(t, found.MoreChanged)
	require.Equal(t, w.stored("k").Revision, found.Changed[0].Revision)
	require.Contains(t, found.String(), "Changed since: maybe more than is listed.\n")

	call.Time = w.now.Add(-time.Second) // the last page of it has earlier ones
	j.size = 3
	found = w.investigate(ann, call)
	require.Len(t, found.Changed, 2)
	require.False(t, found.MoreChanged)
	call.Time = called
	found = w.investigate(ann, call)
	require.Len(t, found.Changed, 30, "ten pages")
	require.True(t, found.MoreChanged)

	for n := range 2 {
		j.left = n
		j.err = errFault
		_, err := w.admin.Investigate(w.ctx, ann, "acme", call)
		requireClass(t, admin.Unavailable, err)
		require.True(t, errors.Is(err, errFault))
	}
}

// Events that were forgotten may have been after the call, unless an earlier one is kept.
func TestInvestigateForgottenEvents(t *testing.T) {
	j := &journal{Store: memory.New()}
	w := worldOf(t, j, j.Store)
	w.organization("other", policy.NotRequired)
	w.key("k", "203.0.113.7", "reader")
	change := func(organization, name string) time.Time {
		w.now = w.now.Add(time.Hour)
		_, err := w.admin.Apply(w.ctx, ann, organization, plain, admin.SetName(name))
		require.NoError(t, err)
		return w.now
	}
	more := func(at time.Time) bool {
		call := read("192.0.2.9")
		call.Time = at
		found := w.investigate(ann, call)
		require.Equal(t, found.MoreChanged, strings.Contains(found.String(), "Changed since: maybe more than is listed.\n"))
		return found.MoreChanged
	}
	first := change("acme", "first")
	change("acme", "second")
	require.False(t, more(first.Add(-time.Minute)), "nothing was forgotten")

	position := w.position()
	last := change("other", "third")
	_, err := j.Write(w.ctx, store.Write{Forget: &position})
	require.NoError(t, err)
	w.now = w.now.Add(time.Hour)
	require.True(t, more(first.Add(time.Minute)))
	require.False(t, more(last.Add(time.Minute)), "an earlier event is kept")

	call := read("192.0.2.9")
	call.Time = first
	for n := range 4 {
		j.left, j.err = n, errFault
		_, err := w.admin.Investigate(w.ctx, ann, "acme", call)
		requireClass(t, admin.Unavailable, err)
	}
}

// A journal has small pages, and fails after some.
type journal struct {
	*memory.Store
	size, left int
	err        error
}

func (j *journal) Events(ctx context.Context, request store.EventRequest) (store.EventPage, error) {
	if j.err != nil {
		if j.left--; j.left < 0 {
			return store.EventPage{}, j.err
		}
	}
	if j.size > 0 {
		request.Limit = j.size
	}
	return j.Store.Events(ctx, request)
}
