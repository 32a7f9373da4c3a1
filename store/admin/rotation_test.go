package admin_test

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/adapter"
	"github.com/sallyport-go/sallyport/store/admin"
)

// rotated rotates a key some time ago, with a long overlap.
func (w *world) rotated(id string, ago time.Duration) {
	w.t.Helper()
	w.edit(id, func(k *apikey.Key) {
		rotated, _, err := w.issuer.Rotate(*k, 90*day)
		require.NoError(w.t, err)
		rotated.Secrets[len(rotated.Secrets)-1].Created = w.now.Add(-ago)
		*k = rotated
	})
}

// proved records calls with a secret of a key, by its place.
func (w *world) proved(id string, secret int, ago time.Duration) {
	w.t.Helper()
	require.NoError(w.t, w.memory.RecordUsage(w.ctx, adapter.UsageBatch(store.UsageRecord{Key: apikey.ID(id), Secret: w.stored(id).Secrets[secret].ID(),
		Usage: accesslist.Usage{Count: 2, Last: w.now.Add(-ago), LastAddress: netip.MustParseAddr("::ffff:203.0.113.7")}})))
}

// otherwise records calls with other proof than a secret, such as a client certificate.
func (w *world) otherwise(id, address string, ago time.Duration) {
	w.t.Helper()
	require.NoError(w.t, w.memory.RecordUsage(w.ctx, adapter.UsageBatch(store.UsageRecord{Key: apikey.ID(id),
		Usage: accesslist.Usage{Count: 2, Last: w.now.Add(-ago), LastAddress: netip.MustParseAddr(address)}})))
}

// Other proof may be of any secret, whose end breaks calls then, perhaps (rule M15).
func TestM15OtherProof(t *testing.T) {
	w := newWorld(t)
	w.key("boss", "198.51.100.1", "owner")
	w.key("k", "203.0.113.7", "reader")
	class := func(change admin.Change) admin.KeyClass { return classes(w.preview(ann, change))["k"] }
	end := func(i int) admin.Change { return admin.EndSecret("k", w.stored("k").Secrets[i].ID(), time.Time{}) }
	require.Equal(t, admin.KeyUnused, class(admin.Rotate("k", time.Minute)))
	w.otherwise("k", "203.0.113.7", 2*day)
	require.Equal(t, admin.KeyMayBreak, class(admin.Rotate("k", 0)))
	require.Equal(t, admin.KeyMayBreak, class(admin.Rotate("k", time.Minute)))
	require.Empty(t, class(admin.Rotate("k", 2*time.Hour)))
	w.rotated("k", 3*day)
	require.Equal(t, admin.KeyMayBreak, class(end(0)))
	w.proved("k", 1, day) // what was earlier is not known
	require.Equal(t, admin.KeyUnused, class(end(0)))
	require.Equal(t, admin.KeyBreaks, class(end(1)))
	w.otherwise("k", "203.0.113.7", time.Hour)
	require.Equal(t, admin.KeyMayBreak, class(end(0)))

	w.key("m", "203.0.113.7", "reader")
	w.rotated("m", 3*day)
	w.proved("m", 1, day)
	require.NoError(t, w.memory.RecordUsage(w.ctx, adapter.UsageBatch(store.UsageRecord{Key: "m", Entry: netip.MustParsePrefix("203.0.113.7/32"),
		Usage: accesslist.Usage{Count: 1, Last: w.now.Add(-time.Hour), LastAddress: netip.MustParseAddr("203.0.113.7")}})))
	require.Equal(t, admin.KeyMayBreak, classes(w.preview(ann, admin.EndSecret("m", w.stored("m").Secrets[0].ID(), time.Time{})))["m"], "an entry's use is no secret's")

	w.key("l", "203.0.113.7", "reader")
	require.NoError(t, w.memory.RecordUsage(w.ctx, map[apikey.ID]store.KeyUsage{"l": {Addresses: map[netip.Addr]store.AddressUsage{netip.MustParseAddr("203.0.113.7"): {Count: 1}}}}))
	require.Equal(t, admin.KeyMayBreak, classes(w.preview(ann, admin.Rotate("l", time.Minute)))["l"], "at an unknown time")
}

// An earlier secret is safe to end once it is out of use, the latest one is in use, and both
// is known from observation without a gap (rules K4, M16).
func TestM16Rotation(t *testing.T) {
	for _, test := range []struct {
		name  string
		made  time.Duration // ago: the latest secret
		used  []time.Duration
		idle  time.Duration
		edit  func(*world)
		since time.Duration // ago
		why   string
	}{
		{name: "out of use", made: 3 * day, used: []time.Duration{2 * day, time.Hour}, since: 2 * day},
		{name: "out of use since before", made: 3 * day, used: []time.Duration{5 * day, time.Hour}, since: 3 * day},
		{name: "never used", made: 3 * day, used: []time.Duration{-1, time.Hour}, since: 3 * day},
		{name: "just long enough", made: 3 * day, used: []time.Duration{day, time.Hour}, since: day},
		{name: "not long enough", made: 3 * day, used: []time.Duration{day - time.Second, time.Hour}, since: day - time.Second,
			why: "It was used at 2026-02-28T12:00:01Z. Without further use it is safe to end at 2026-03-01T12:00:01Z."},
		{name: "a shorter idle time", made: 3 * day, used: []time.Duration{day - time.Second, time.Hour}, idle: 2 * time.Hour, since: day - time.Second},
		{name: "a longer idle time", made: 8 * day, used: []time.Duration{2 * day, time.Hour}, idle: 7 * day, since: 2 * day,
			why: "It was used at 2026-02-27T12:00:00Z. Without further use it is safe to end at 2026-03-06T12:00:00Z."},
		{name: "a new secret", made: time.Hour, used: []time.Duration{2 * day, time.Minute}, since: time.Hour,
			why: "The latest secret is new. Without use of this one it is safe to end at 2026-03-02T11:00:00Z."},
		{name: "the latest is not in use", made: 3 * day, used: []time.Duration{2 * day, -1}, since: 2 * day, why: "The latest secret was not used yet."},
		{name: "an unknown time", made: 3 * day, used: []time.Duration{-1, time.Hour}, edit: func(w *world) {
			require.NoError(t, w.memory.RecordUsage(w.ctx, map[apikey.ID]store.KeyUsage{"k": {Secrets: map[string]accesslist.Usage{w.stored("k").Secrets[0].ID(): {Count: 1}}}}))
		}, since: -1, why: "It was used at an unknown time."},
		{name: "of unknown age", made: 3 * day, used: []time.Duration{2 * day, time.Hour}, edit: func(w *world) {
			w.edit("k", func(k *apikey.Key) { k.Secrets[1].Created = time.Time{} })
		}, since: -1, why: "It is not known when the latest secret was made."},
		{name: "a gap since", made: 3 * day, used: []time.Duration{2 * day, time.Hour}, edit: func(w *world) {
			w.report(store.Report{Recorder: "second", Since: start.Add(-3 * day), From: start.Add(-2 * time.Hour), Until: start, At: start, Lost: 1})
		}, since: 2 * day, why: "Usage was not observed in the last 3 days. 1 call is known to be lost."},
		{name: "later calls are not known yet", made: 3 * day, used: []time.Duration{day, time.Hour}, edit: func(w *world) {
			w.report(store.Report{Recorder: "second", Since: start.Add(-9 * day), Until: start.Add(-time.Second), At: start})
		}, since: day, why: "It was used at 2026-02-28T12:00:00Z. Without further use it is safe to end at 2026-03-01T12:00:00Z."},
		{name: "other proof", made: 3 * day, used: []time.Duration{2 * day, 2 * time.Hour}, edit: func(w *world) { w.otherwise("k", "203.0.113.7", time.Hour) },
			since: 2 * day, why: "The last call came with other proof than a secret, such as a client certificate. Whether it was made with this secret is not known."},
		{name: "other proof before", made: 3 * day, used: []time.Duration{5 * day, -1}, edit: func(w *world) {
			w.otherwise("k", "203.0.113.7", 4*day)
			w.proved("k", 1, time.Hour)
		}, since: 3 * day},
		{name: "the latest ends first", made: 3 * day, used: []time.Duration{2 * day, time.Hour}, edit: func(w *world) {
			w.apply(ann, accept(admin.BreaksKey), admin.EndSecret("k", w.stored("k").Secrets[1].ID(), start.Add(5*time.Minute)))
		}, since: 2 * day, why: "The latest secret ends first, at 2026-03-01T12:05:00Z. The key would have none then."},
		{name: "a gap before", made: 3 * day, used: []time.Duration{2 * day, time.Hour}, edit: func(w *world) {
			w.report(store.Report{Recorder: "second", Since: start.Add(-9 * day), Until: start.Add(-5 * day), At: start.Add(-5 * day), Ended: true})
		}, since: 2 * day},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t)
			w.key("k", "203.0.113.7", "reader")
			w.rotated("k", test.made)
			for secret, ago := range test.used {
				if ago >= 0 {
					w.proved("k", secret, ago)
				}
			}
			if test.edit != nil {
				test.edit(w)
			}
			before := w.position()
			rotation, err := w.admin.Rotation(w.ctx, "acme", "k", test.idle)
			require.NoError(t, err)
			require.Equal(t, before, w.position())
			require.Len(t, rotation.Secrets, 2)
			require.Equal(t, w.stored("k").Revision, rotation.Revision)
			old, latest := rotation.Secrets[0], rotation.Secrets[1]
			require.Equal(t, test.why, old.Why)
			require.Equal(t, test.why == "", old.SafeToEnd)
			require.True(t, old.Live)
			if test.since < 0 {
				require.Zero(t, old.IdleSince)
			} else {
				require.Equal(t, start.Add(-test.since), old.IdleSince)
			}
			require.False(t, latest.SafeToEnd)
			require.Equal(t, "It is the latest secret. Rotate the key first.", latest.Why)
			if test.used[1] >= 0 {
				require.Equal(t, "203.0.113.7", latest.Address.String())
				require.Equal(t, start.Add(-test.used[1]), latest.Last)
				require.EqualValues(t, 2, latest.Count)
			}
			if old.SafeToEnd { // it is as the preview has it
				preview := w.preview(ann, admin.EndSecret("k", old.ID, time.Time{}).At(rotation.Revision))
				require.NotEqual(t, admin.KeyUnknown, preview.Keys[0].Class)
			}
		})
	}
}

// The earlier secret is not the one of two in the place of it: an ended one is none.
func TestRotationOfOneSecret(t *testing.T) {
	w := newWorld(t)
	w.key("boss", "198.51.100.1", "owner")
	w.key("k", "203.0.113.7", "reader")
	rotation, err := w.admin.Rotation(w.ctx, "acme", "k", 0)
	require.NoError(t, err)
	require.Equal(t, "It is the latest secret. Rotate the key first.", rotation.Secrets[0].Why)
	require.Equal(t, start, rotation.Evidence.Begin)

	w.rotated("k", 3*day)
	w.proved("k", 0, 2*day)
	w.apply(ann, plain, admin.EndSecret("k", w.stored("k").Secrets[1].ID(), time.Time{}))
	rotation, err = w.admin.Rotation(w.ctx, "acme", "k", 0)
	require.NoError(t, err)
	require.Equal(t, []bool{true, false}, []bool{rotation.Secrets[0].Live, rotation.Secrets[1].Live})
	require.Equal(t, []bool{false, false}, []bool{rotation.Secrets[0].SafeToEnd, rotation.Secrets[1].SafeToEnd})
	require.Equal(t, "It is the latest secret. Rotate the key first.", rotation.Secrets[0].Why)
	require.Equal(t, "It has ended.", rotation.Secrets[1].Why)

	w.apply(ann, plain, admin.EndSecret("k", rotation.Secrets[0].ID, time.Time{}))
	rotation, err = w.admin.Rotation(w.ctx, "acme", "k", 0)
	require.NoError(t, err)
	require.Equal(t, "It has ended.", rotation.Secrets[0].Why)
	require.False(t, rotation.Secrets[0].SafeToEnd)
	require.Equal(t, start.Add(-admin.DefaultIdle), rotation.Evidence.Begin, "there is no latest secret")
}

func TestRotationRefuses(t *testing.T) {
	f := newFaulty()
	w := worldOf(t, f, f.Store)
	w.observed(60 * day)
	w.key("k", "203.0.113.7", "reader")
	w.organization("other", policy.NotRequired)
	w.keyOf("other", "theirs", "")
	_, err := w.admin.Rotation(w.ctx, "acme", "k", -1)
	requireClass(t, admin.Invalid, err)
	_, err = w.admin.Rotation(w.ctx, "acme", "theirs", 0)
	requireClass(t, admin.NotFound, err)
	f.fail("Key", false)
	_, err = w.admin.Rotation(w.ctx, "acme", "k", 0)
	requireClass(t, admin.Unavailable, err)

	// Usage that cannot be read makes nothing safe (rule M25).
	w.rotated("k", 3*day)
	w.proved("k", 0, 2*day)
	w.proved("k", 1, time.Hour)
	for _, call := range []string{"Usage", "Observation"} {
		f.fail(call, false)
		rotation, err := w.admin.Rotation(w.ctx, "acme", "k", 0)
		require.NoError(t, err)
		require.False(t, rotation.Secrets[0].SafeToEnd)
		require.Contains(t, rotation.Secrets[0].Why, "Some usage could not be read.")
	}
	f.fail("", false)
	rotation, err := w.admin.Rotation(w.ctx, "acme", "k", 0)
	require.NoError(t, err)
	data, err := json.Marshal(rotation.Secrets[0])
	require.NoError(t, err)
	require.JSONEq(t, fmt.Sprintf(`{"id":%q,"created":"2026-03-01T12:00:00Z","expires":"2026-05-30T12:00:00Z","live":true,"count":2,"last":"2026-02-27T12:00:00Z",
		"address":"203.0.113.7","idleSince":"2026-02-27T12:00:00Z","safeToEnd":true}`, rotation.Secrets[0].ID), string(data))
}
