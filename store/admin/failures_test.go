package admin_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/admin"
)

// What cannot be judged is refused as unavailable, in words that say so.
func TestM25Unavailable(t *testing.T) {
	f := newFaulty()
	w := worldOf(t, f, f.Store)
	w.observed(365 * day)
	w.key("boss", "198.51.100.1", "owner")
	w.key("self", "203.0.113.7", "owner")
	w.key("k", "203.0.113.7", "reader")
	actor := w.by("self", "203.0.113.7")
	for call, change := range map[string]admin.Change{
		"Organization": admin.Describe("k", "x"), "Key": admin.Describe("k", "x"), "Keys": admin.SetRequirement(policy.Required),
	} {
		f.fail(call, false)
		for _, actor := range []admin.Actor{actor, ann} {
			refusal := w.refuse(admin.Unavailable, actor, plain, change)
			require.Equal(t, "The records could not be read. Nothing was changed. Try again later.", refusal.Message)
			require.ErrorIs(t, refusal, errFault)
			require.ErrorContains(t, refusal, "(the disk is full of bees)")
		}
	}
	f.fail("Keys", false)
	_, err := w.admin.Keys(w.ctx, "acme", store.PageRequest{})
	requireClass(t, admin.Unavailable, err)
	f.fail("Key", false)
	_, err = w.admin.Key(w.ctx, "acme", "k")
	requireClass(t, admin.Unavailable, err)
	f.fail("Organization", false)
	_, err = w.admin.Organization(w.ctx, "acme")
	requireClass(t, admin.Unavailable, err)

	// A key that cannot be read among many is one, too.
	f.before = func(call string) error {
		if call == "Key" {
			f.fail("Key", false)
		}
		return nil
	}
	w.refuse(admin.Unavailable, actor, plain, admin.Describe("k", "x"))

	// Usage that cannot be read makes classes unknown, and not the change impossible.
	w.used("k", "203.0.113.7", day, 3)
	f.fail("Usage", false)
	w.notices = nil
	preview := w.preview(ann, admin.DeleteKey("k"))
	require.Equal(t, map[apikey.ID]admin.KeyClass{"k": admin.KeyUnknown}, classes(preview))
	require.True(t, preview.Evidence.Unread)
	require.Equal(t, admin.UsageUnread, w.notices[0].Kind)
	require.ErrorIs(t, w.notices[0].Err, errFault)

	// So does an observation that cannot be read, and usage counts all the same.
	f.fail("Observation", false)
	w.notices = nil
	require.Equal(t, map[apikey.ID]admin.KeyClass{"k": admin.KeyBreaks}, classes(w.preview(ann, admin.DeleteKey("k"))))
	preview = w.preview(ann, admin.DeleteKey("self"))
	require.Equal(t, map[apikey.ID]admin.KeyClass{"self": admin.KeyUnknown}, classes(preview))
	require.True(t, preview.Evidence.Unread)
	require.Equal(t, 30*day, preview.Evidence.Missing)
	require.Equal(t, admin.UsageUnread, w.notices[0].Kind)
	require.ErrorContains(t, w.notices[0].Err, "store/admin: observation of usage: the disk is full of bees")

	// With the caller gone it is the change that is unavailable.
	ctx, cancel := context.WithCancel(w.ctx)
	f.before = func(call string) error {
		if call == "Usage" {
			cancel()
			return ctx.Err()
		}
		return nil
	}
	_, err = w.admin.Preview(ctx, ann, "acme", admin.DeleteKey("k"))
	requireClass(t, admin.Unavailable, err)
	ctx, cancel = context.WithCancel(w.ctx)
	_, err = w.admin.Preview(ctx, ann, "acme", admin.DisableOrganization())
	requireClass(t, admin.Unavailable, err)
	f.before = func(call string) error { return nil }
	ctx, cancel = context.WithCancel(w.ctx)
	cancel()
	_, err = w.admin.Apply(ctx, ann, "acme", plain, admin.DeleteKey("k"))
	require.ErrorIs(t, err, context.Canceled)
	require.Equal(t, "k", string(w.stored("k").ID))

	// A page that is none is the caller's mistake.
	_, err = w.admin.Keys(w.ctx, "acme", store.PageRequest{Cursor: "\xff"})
	requireClass(t, admin.Invalid, err)
}

// A secret is returned only when its record is known to be stored.
func TestUnknownOutcome(t *testing.T) {
	f := newFaulty()
	w := worldOf(t, f, f.Store)
	w.key("boss", "198.51.100.1", "owner")
	create := admin.CreateKey(admin.NewKey{ID: "new", Entries: w.entries("203.0.113.7")})

	f.fail("Write", false)
	refusal := w.refuse(admin.Unavailable, ann, plain, create)
	require.Equal(t, "It is not known whether the change was made. Look before you try again.", refusal.Message)
	require.ErrorIs(t, refusal, errFault)

	// A newer version has changed the store, and forbids this one to write.
	f.before = func(call string) error {
		if call == "Write" {
			return fmt.Errorf("the tables: %w", store.ErrNewer)
		}
		return nil
	}
	refusal = w.refuse(admin.Unavailable, ann, plain, create)
	require.Equal(t, "A newer version of this program has changed the store, and this one may only read it. Nothing was changed. Make the change with the newer one.", refusal.Message)
	require.ErrorIs(t, refusal, store.ErrNewer)

	f.fail("Write", true)
	result := w.apply(ann, plain, create)
	stored := w.stored("new")
	_, err := result.Secrets[0].Secret.Verify(stored.Secrets, w.now)
	require.NoError(t, err, "the write was found to have been made")
	require.Equal(t, stored.Revision, result.Keys[0].Revision)
	require.Equal(t, w.events(), result.Events)

	// The same key with another secret is another's write.
	f.fail("Write", false)
	result, err = w.admin.Apply(w.ctx, ann, "acme", plain, admin.Rotate("new", time.Hour))
	requireClass(t, admin.Unavailable, err)
	require.Empty(t, result.Secrets)

	// Where it cannot be looked for, it is not known.
	f.after = func(call string) error {
		f.fail("Key", false)
		return errFault
	}
	f.before = func(string) error { return nil }
	result, err = w.admin.Apply(w.ctx, ann, "acme", plain, admin.Rotate("new", time.Hour))
	requireClass(t, admin.Unavailable, err)
	require.Empty(t, result.Secrets)

	// Without a secret nobody else's write can be told from this one.
	f.fail("Write", true)
	_, err = w.admin.Apply(w.ctx, ann, "acme", plain, admin.Describe("new", "x"))
	requireClass(t, admin.Unavailable, err)

	// A store that takes less than the contract says refuses the record.
	f.before = func(call string) error {
		if call == "Write" {
			return fmt.Errorf("%w: too long", store.ErrInvalid)
		}
		return nil
	}
	refusal = w.refuse(admin.Invalid, ann, plain, admin.Describe("new", "y"))
	require.Equal(t, "The store does not take the record. Nothing was changed.", refusal.Message)

	// A caller that has gone before the write changes nothing.
	ctx, cancel := context.WithCancel(w.ctx)
	f.before = func(call string) error {
		if call == "Key" {
			cancel()
		}
		return nil
	}
	f.writes = nil
	_, err = w.admin.Apply(ctx, ann, "acme", plain, admin.DeleteKey("new"))
	require.ErrorIs(t, err, context.Canceled)
	require.Empty(t, f.writes)
}

// Without a Journal events are handed on after the write.
func TestWithoutAJournal(t *testing.T) {
	_, err := admin.New(nil)
	require.ErrorContains(t, err, "the store is nil")
	f := newFaulty()
	_, err = admin.New(bare{f})
	require.ErrorContains(t, err, "want a store.Journal, or WithEvents")
	_, err = admin.New(f, admin.WithWindow(0))
	require.ErrorContains(t, err, "want a window above 0")
	var kept []store.Event
	var failure error
	sink := admin.WithEvents(func(_ context.Context, events []store.Event) error {
		kept = append(kept, events...)
		return failure
	})
	_, err = admin.New(bare{f}, sink, admin.RequireJournal())
	require.ErrorContains(t, err, "as RequireJournal says")

	w := worldOf(t, bare{f}, f.Store, sink)
	w.key("boss", "198.51.100.1", "owner")
	result := w.apply(ann, plain, admin.CreateKey(admin.NewKey{ID: "k", Entries: w.entries("203.0.113.7")}))
	require.Equal(t, result.Events, kept)
	require.Equal(t, w.stored("k").Revision, kept[0].Revision)
	w.apply(ann, plain, admin.SetRequirement(policy.Required))
	require.Equal(t, map[apikey.ID]admin.KeyClass{"k": admin.KeyUnknown}, classes(w.preview(ann, admin.DisableKey("k"))), "usage is not kept")
	w.apply(ann, plain, admin.DeleteKey("k"))
	_, err = w.admin.Apply(w.ctx, ann, "new", plain, admin.CreateOrganization(policy.Required))
	require.NoError(t, err)
	for _, notice := range w.notices {
		require.NotEqual(t, admin.EventsLost, notice.Kind)
	}
	failure = errFault
	w.notices = nil
	result, err = w.admin.Apply(w.ctx, ann, "new", plain, admin.DeleteOrganization())
	require.NoError(t, err)
	require.ErrorIs(t, result.EventErr, errFault)
	require.Equal(t, admin.EventsLost, w.notices[0].Kind)
	require.Empty(t, w.events())
}

// A change is in force on a replica after WaitFor.
func TestWaitFor(t *testing.T) {
	waited := 0
	good := syncer(func(context.Context) error { waited++; return nil })
	require.NoError(t, admin.WaitFor(t.Context(), good, good))
	require.Equal(t, 2, waited)
	err := admin.WaitFor(t.Context(), good, syncer(func(context.Context) error { return errFault }), good)
	require.ErrorIs(t, err, errFault)
	require.EqualError(t, err, "store/admin: unavailable: The change is stored. It is not known yet whether it is in force everywhere. (the disk is full of bees)")
	require.Equal(t, 3, waited)
}

// A replica that does not follow leaves the change stored, and not known to be in force.
func TestFailingWaits(t *testing.T) {
	const replicas = 4
	for n := range replicas {
		for _, w := range ways {
			asked := 0
			all := make([]admin.Replica, replicas)
			for i := range all {
				all[i] = syncer(func(context.Context) error {
					asked++
					if i == n {
						return w.err
					}
					return nil
				})
			}
			err := admin.WaitFor(t.Context(), all...)
			requireClass(t, admin.Unavailable, err)
			require.ErrorIs(t, err, w.err)
			require.Equal(t, n+1, asked)
		}
	}
}

type syncer func(context.Context) error

func (s syncer) Sync(ctx context.Context) error { return s(ctx) }

func TestClass(t *testing.T) {
	var texts []string
	for class := admin.Unavailable; class <= admin.Refused; class++ {
		text, err := class.MarshalText()
		require.NoError(t, err)
		texts = append(texts, string(text))
	}
	require.Equal(t, []string{"unavailable", "invalid", "forbidden", "not_found", "conflict", "changed", "refused"}, texts)
	require.Equal(t, "class(99)", admin.Class(99).String())
	require.Equal(t, admin.Unavailable, admin.ClassOf(errors.New("x")))
}
