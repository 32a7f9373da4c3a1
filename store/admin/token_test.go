package admin_test

import (
	"context"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/admin"
)

// A token stands for what the preview depends on, and for nothing else.
func TestM17Token(t *testing.T) {
	w := newWorld(t)
	w.key("self", "203.0.113.7", "owner")
	w.key("k", "", "reader")
	w.key("unrelated", "203.0.113.7", "reader")
	actor := w.by("self", "203.0.113.7")
	changes := []admin.Change{admin.SetRequirement(policy.Required), admin.CreateKey(admin.NewKey{Entries: w.entries("203.0.113.9")})}
	token := func() string { return w.preview(actor, changes...).Token }
	first := token()
	require.Len(t, first, 32)

	// Unrelated writes, usage and time do not alter it.
	w.edit("unrelated", func(k *apikey.Key) { k.Description = "x" })
	w.used("self", "203.0.113.7", day, 2)
	w.now = w.now.Add(time.Minute)
	require.Equal(t, first, token())

	// What it depends on does.
	seen := map[string]bool{first: true}
	differs := func(what, token string) {
		t.Helper()
		require.False(t, seen[token], what)
		seen[token] = true
	}
	w.used("k", "192.0.2.1", day, 2)
	differs("a key to accept", token())
	differs("the address", w.preview(w.byAddress("self", "203.0.113.7", func() { w.edit("self", func(k *apikey.Key) { k.AccessList = w.list("203.0.113.7 203.0.113.8") }) }), changes...).Token)
	differs("another address", w.preview(w.by("self", "203.0.113.8"), changes...).Token)
	differs("a person", w.preview(ann, changes...).Token)
	differs("another person", w.preview(admin.ByPerson("bob", "", actorAddress), changes...).Token)
	differs("the system", w.preview(admin.BySystem("ann@example.com"), changes...).Token)
	differs("the change", w.preview(actor, admin.SetRequirement(policy.ReportOnly), changes[1]).Token)
	differs("the order", w.preview(actor, changes[1], changes[0]).Token)
	differs("an entry", w.preview(actor, changes[0], admin.CreateKey(admin.NewKey{Entries: w.entries("203.0.113.10")})).Token)
	differs("a condition", w.preview(ann, admin.Describe("k", "x").At(w.stored("k").Revision)).Token)
	differs("no condition", w.preview(ann, admin.Describe("k", "x")).Token)
	w.edit("k", func(k *apikey.Key) { k.Description = "y" })
	differs("a listed key", token())
	w.edit("self", func(k *apikey.Key) { k.Description = "y" })
	differs("the actor's key", token())
	w.key("late", "", "reader")
	differs("a key more that is hit", token())
	require.NoError(t, w.memory.DeleteKey(w.ctx, "k", 0))
	differs("a key less", token())
	requires(w)
	differs("the organization", token())
}

func (w *world) byAddress(id, address string, before func()) admin.Actor {
	before()
	return w.by(id, address)
}

var actorAddress = netip.MustParseAddr("198.51.100.77")

// A token that no longer holds refuses the change, with the new preview.
func TestM18Token(t *testing.T) {
	w := newWorld(t)
	w.key("boss", "198.51.100.1", "owner")
	w.key("k", "203.0.113.7", "reader")
	change := admin.SetRequirement(policy.Required)
	preview := w.preview(ann, change)
	require.Empty(t, preview.Findings)

	w.key("open", "", "reader")
	refusal := w.refuse(admin.Changed, ann, admin.ApplyOptions{Token: preview.Token}, change)
	require.Equal(t, "What the preview showed has changed meanwhile. Look at the new one.", refusal.Message)
	require.Equal(t, map[apikey.ID]admin.KeyClass{"open": admin.KeyUnused}, classes(*refusal.Preview))
	require.Empty(t, refusal.Findings)
	w.apply(ann, admin.ApplyOptions{Token: refusal.Preview.Token}, change)

	// Without a token the guard holds all the same.
	refusal = w.refuse(admin.Refused, ann, plain, admin.DeleteKey("boss"))
	require.Equal(t, list(admin.LastManager), kinds(refusal.Findings))
	// With one, too: it accepts nothing.
	w.refuse(admin.Refused, ann, admin.ApplyOptions{Token: refusal.Preview.Token}, admin.DeleteKey("boss"))
}

// A conflict that changes nothing about the judgement is tried again, and no other.
func TestRetries(t *testing.T) {
	f := newFaulty()
	w := worldOf(t, f, f.Store)
	w.key("boss", "198.51.100.1", "owner")
	w.key("k", "203.0.113.7 192.0.2.1", "reader")
	f.overtake(func() { w.edit("k", func(k *apikey.Key) { k.Description = "by another" }) })
	w.apply(ann, plain, admin.RemoveEntries("k", prefixes("192.0.2.1")...))
	require.Equal(t, "by another", w.stored("k").Description)
	require.Equal(t, 1, w.stored("k").AccessList.Len())
	require.Len(t, f.writes, 2)

	// With a token it must be the same one: the record that it stands for was changed.
	change := admin.Describe("k", "mine")
	token := admin.ApplyOptions{Token: w.preview(ann, change).Token}
	f.overtake(func() { w.edit("k", func(k *apikey.Key) { k.Description = "again" }) })
	_, err := w.admin.Apply(w.ctx, ann, "acme", token, change)
	requireClass(t, admin.Changed, err)
	require.Equal(t, "again", w.stored("k").Description)

	// The token stands for the listed keys only: a manager that is left is none of them.
	w.key("second", "198.51.100.1", "owner")
	change = admin.DeleteKey("second")
	token.Token = w.preview(ann, change).Token
	f.overtake(func() { w.edit("boss", func(k *apikey.Key) { k.Description = "x" }) })
	w.apply(ann, token, change)

	// Findings that differ, though they would be accepted, are looked at again.
	f.overtake(func() { w.edit("k", func(k *apikey.Key) { k.AccessList = w.list("203.0.113.7") }) })
	_, err = w.admin.Apply(w.ctx, ann, "acme", accept(admin.Opens), admin.ReplaceEntries("k", w.entries("10.0.0.0/7")...))
	requireClass(t, admin.Refused, err)
	w.used("k", "203.0.113.7", day, 1)
	f.overtake(func() { w.edit("k", func(k *apikey.Key) { k.AccessList = w.list("192.0.2.1") }) })
	_, err = w.admin.Apply(w.ctx, ann, "acme", accept(admin.BreaksKey), admin.ReplaceEntries("k", w.entries("192.0.2.9")...))
	require.EqualError(t, err, "store/admin: conflict: The records were changed meanwhile, and the change would have other effects now. Look at it again.")

	// The same findings, accepted, are gone ahead with.
	f.overtake(func() { w.edit("k", func(k *apikey.Key) { k.Description = "once more" }) })
	w.apply(ann, accept(admin.OverBroad), admin.AddEntries("k", w.entries("10.0.0.0/7")...))

	// It does not go on for ever.
	f.before = func(call string) error {
		if call == "Write" {
			return store.ErrConflict
		}
		return nil
	}
	f.writes = nil
	_, err = w.admin.Apply(w.ctx, ann, "acme", plain, admin.Describe("k", "z"))
	require.EqualError(t, err, "store/admin: conflict: The records are being changed by others. Nothing was changed. Try again. ("+store.ErrConflict.Error()+")")
	require.Len(t, f.writes, 10)

	// Nor when the caller has gone.
	ctx, cancel := context.WithCancel(w.ctx)
	f.before = func(call string) error {
		if call == "Write" {
			cancel()
			return store.ErrConflict
		}
		return nil
	}
	f.writes = nil
	_, err = w.admin.Apply(ctx, ann, "acme", plain, admin.Describe("k", "z"))
	require.ErrorIs(t, err, context.Canceled)
	require.Len(t, f.writes, 1)
}
