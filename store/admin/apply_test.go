package admin_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/admin"
)

// Judging writes nothing, and counts no usage (rule M1).
func TestM1JudgingIsPure(t *testing.T) {
	w := newWorld(t)
	w.key("self", "203.0.113.7", "owner")
	w.key("k", "", "reader")
	w.used("k", "192.0.2.1", day, 2)
	before := w.position()
	usage, err := w.memory.Usage(w.ctx, "self", "k")
	require.NoError(t, err)
	actor := w.by("self", "203.0.113.7")
	for range 3 {
		w.preview(actor, admin.SetRequirement(policy.Required), admin.DeleteKey("k"), admin.CreateKey(admin.NewKey{ID: "new"}))
		w.refuse(admin.Refused, actor, plain, admin.DeleteKey("self"))
	}
	require.Equal(t, before, w.position())
	require.Empty(t, w.events())
	after, err := w.memory.Usage(w.ctx, "self", "k")
	require.NoError(t, err)
	require.Equal(t, usage, after)
}

// Acceptance is by name, with a reason, and names only what was found.
func TestM22Acceptance(t *testing.T) {
	w := newWorld(t)
	w.key("boss", "198.51.100.1", "owner")
	w.key("k", "203.0.113.7", "reader")
	w.used("k", "203.0.113.7", day, 1)
	change := admin.DeleteKey("k")
	for name, test := range map[string]struct {
		options admin.ApplyOptions
		message string
	}{
		"no reason":       {admin.ApplyOptions{Accept: list(admin.BreaksKey)}, "Going ahead with a finding needs a reason of 1 to 500 characters."},
		"an empty reason": {admin.ApplyOptions{Accept: list(admin.BreaksKey), Reason: "  "}, "Going ahead with a finding needs a reason of 1 to 500 characters."},
		"a long reason":   {admin.ApplyOptions{Reason: strings.Repeat("ä", 501)}, "The reason has more than 500 characters."},
		"a longer reason": {admin.ApplyOptions{Reason: strings.Repeat("ä", 2000)}, "The reason has 4000 bytes: want at most 2000."},
		"two lines":       {admin.ApplyOptions{Reason: "a\nb"}, "The reason has the control character U+000A at byte 2: want it without."},
		"an unknown kind": {admin.ApplyOptions{Accept: list("all"), Reason: "x"}, `There is no finding of the kind "all" to accept.`},
	} {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, test.message, w.refuse(admin.Invalid, ann, test.options, change).Message)
		})
	}
	w.refuse(admin.Refused, ann, accept(admin.Opens, admin.LastManager), change)
	options := admin.ApplyOptions{Accept: list(admin.Opens, admin.BreaksKey), Reason: strings.Repeat("𝔸", 500)}
	result := w.apply(ann, options, change)
	require.Equal(t, []string{"breaks_key"}, result.Events[0].Accepted)
	require.Equal(t, options.Reason, result.Events[0].Reason)
}

// A list of changes is judged as a whole, and made in one write where it is of one record.
func TestM26OneRecord(t *testing.T) {
	f := newFaulty()
	w := worldOf(t, f, f.Store)
	w.key("self", "203.0.113.7", "owner")
	actor := w.by("self", "203.0.113.7")
	// Alone the first would be a lockout.
	w.refuse(admin.Refused, actor, plain, admin.ReplaceEntries("self", w.entries("192.0.2.1")...))
	f.writes = nil
	result := w.apply(actor, plain,
		admin.ReplaceEntries("self", w.entries("192.0.2.1")...), admin.AddEntries("self", w.entries("203.0.113.7")...),
		admin.Rotate("self", time.Hour), admin.Describe("self", "x"))
	require.Len(t, f.writes, 1)
	require.Equal(t, []string{"key.described", "key.entry_added", "key.rotated"}, types(result.Events), "what was taken and given back is no change")
	require.Len(t, result.Secrets, 1)
	require.Equal(t, w.stored("self").Secrets[1].ID(), result.Secrets[0].ID)
}

// Changes of several records are made in order, each judged before, up to the first refusal.
func TestM26SeveralRecords(t *testing.T) {
	f := newFaulty()
	w := worldOf(t, f, f.Store)
	w.key("self", "", "owner")
	w.key("k", "203.0.113.7", "reader")
	actor := w.by("self", "203.0.113.7")
	switching := []admin.Change{admin.SetRequirement(policy.Required), admin.AddEntries("self", w.entries("203.0.113.7")...)}

	// As a whole it is no lockout, but in this order its beginning is one.
	preview := w.preview(actor, switching...)
	require.Equal(t, list(admin.SelfLockout, admin.LastManager), preview.Needs())
	require.False(t, preview.Findings[0].Acceptable)
	refusal := w.refuse(admin.Refused, actor, plain, switching...)
	require.Contains(t, refusal.Message, "The change is refused. After 1 of 2 changes: The key that makes this change")
	require.Contains(t, refusal.Message, "No later change could be made.")
	w.apply(actor, plain, switching[1], switching[0])

	// A failure in the middle says what was made, with its secrets.
	f.before = func(call string) error {
		if call == "Write" && len(f.writes) > 3 {
			return errFault
		}
		return nil
	}
	f.writes = nil
	revision := w.stored("k").Revision
	result, err := w.admin.Apply(w.ctx, actor, "acme", plain,
		admin.Rotate("k", time.Hour).At(revision), admin.Describe("k", "x").At(revision),
		admin.CreateKey(admin.NewKey{Entries: w.entries("192.0.2.1")}),
		admin.Describe("k", "y").At(revision), admin.SetRequirement(policy.ReportOnly))
	require.ErrorContains(t, err, "4 of 5 changes were made. It is not known whether the change was made.")
	require.ErrorIs(t, err, errFault)
	require.Equal(t, 4, result.Made)
	require.Len(t, result.Secrets, 2)
	require.Len(t, result.Keys, 3)
	require.Equal(t, "y", w.stored("k").Description)
	require.NotEmpty(t, result.Preview.Token)

	// What somebody else changed in between is not overwritten.
	f.before = func(call string) error {
		if call == "Write" && len(f.writes) == 2 {
			w.edit("k", func(k *apikey.Key) { k.Description = "by another" })
		}
		return nil
	}
	f.writes = nil
	revision = w.stored("k").Revision
	result, err = w.admin.Apply(w.ctx, ann, "acme", plain,
		admin.Describe("k", "1").At(revision), admin.SetRequirement(policy.ReportOnly), admin.Describe("k", "2").At(revision))
	requireClass(t, admin.Conflict, err)
	require.Equal(t, 2, result.Made)
	require.Len(t, result.Organizations, 1)
	require.Equal(t, "by another", w.stored("k").Description)

	require.Equal(t, "101 changes in one call are too many: 100 are possible.", w.refuse(admin.Invalid, ann, plain, make([]admin.Change, 101)...).Message)
	require.Equal(t, "There is no change to make.", w.refuse(admin.Invalid, ann, plain).Message)
}

// A key that is deleted and created again is two writes.
func TestM26Again(t *testing.T) {
	w := newWorld(t)
	w.key("boss", "198.51.100.1", "owner")
	w.key("k", "203.0.113.7", "reader")
	again := admin.CreateKey(admin.NewKey{ID: "k", Entries: w.entries("203.0.113.7")})
	result := w.apply(ann, plain, admin.DeleteKey("k"), again, admin.Describe("k", "x"), admin.DeleteKey("k"))
	require.Equal(t, []string{"key.deleted", "key.created", "key.entry_added", "key.deleted"}, types(result.Events))
}

// Each event says who, when, from where, by which way in, what and why (rule M27).
func TestM27Events(t *testing.T) {
	w := newWorld(t)
	w.key("self", "203.0.113.7", "owner")
	actor := w.by("self", "203.0.113.7").Via(store.ViaAPI, "req-9")
	result := w.apply(actor, admin.ApplyOptions{Reason: "moving house"}, admin.AddEntries("self", until(entry("192.0.2.0/24", "new"), start.Add(day))))
	require.Equal(t, result.Events, w.events())
	event := result.Events[0]
	require.Equal(t, start, event.Time)
	require.Equal(t, w.stored("self").Revision, event.Revision)
	data, err := json.Marshal(event)
	require.NoError(t, err)
	require.JSONEq(t, fmt.Sprintf(`{"revision":%d,"time":"2026-03-01T12:00:00Z","type":"key.entry_added","organization":"acme","key":"self",
		"actor":{"kind":"key","id":"self","secret":%q},"address":"203.0.113.7","origin":"peer","via":"api","correlation":"req-9","reason":"moving house",
		"entry":"192.0.2.0/24","after":{"address":"192.0.2.0/24","comment":"new","expires":"2026-03-02T12:00:00Z"}}`,
		event.Revision, w.stored("self").Secrets[0].ID()), string(data))

	// None has a secret or a hash.
	result = w.apply(ann, plain, admin.Rotate("self", time.Hour))
	data, err = json.Marshal(w.events())
	require.NoError(t, err)
	for _, secret := range w.stored("self").Secrets {
		require.NotContains(t, string(data), fmt.Sprintf("%x", secret.Sum[:8]))
		require.Contains(t, string(data), secret.ID())
	}
	require.NotContains(t, string(data), result.Secrets[0].Secret.Reveal())

	// Refusals and previews leave none, and go to the observer.
	w.notices = nil
	events := len(w.events())
	w.preview(ann, admin.DeleteKey("self"))
	w.refuse(admin.Refused, ann, plain, admin.DeleteKey("self"))
	_, err = w.admin.Preview(w.ctx, ann, "acme", admin.DeleteKey("absent"))
	require.Error(t, err)
	require.Len(t, w.events(), events)
	require.Equal(t, []admin.NoticeKind{admin.Previewed, admin.NotMade, admin.NotMade}, []admin.NoticeKind{w.notices[0].Kind, w.notices[1].Kind, w.notices[2].Kind})
	require.Equal(t, list(admin.LastManager, admin.OrganizationLockout), kinds(w.notices[1].Findings))
	require.Equal(t, `[kind=not_made actor=person "ann@example.com" address=198.51.100.77 organization=acme changes=delete_key of key "self" `+
		`findings=last_manager, organization_lockout error=store/admin: refused: The change is refused. No key could manage the organization any more. `+
		`The organization would have no usable key any more. To go ahead, accept last_manager and organization_lockout with a reason.]`, w.notices[1].LogValue().String())
}
