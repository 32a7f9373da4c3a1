package admin_test

import (
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

// All uses are judged, and the latest shown.
func TestM15ManyUses(t *testing.T) {
	w := newWorld(t)
	w.key("boss", "198.51.100.1", "owner")
	var words string
	for i := range 30 {
		words += fmt.Sprintf(" 203.0.113.%d", i)
	}
	w.key("k", words, "reader")
	for i := range 30 {
		w.used("k", fmt.Sprintf("203.0.113.%d", i), time.Duration(30-i)*time.Hour, 1)
	}
	effect := w.preview(ann, admin.RemoveEntries("k", prefixes("203.0.113.0")...)).Keys[0]
	require.Equal(t, admin.KeyBreaks, effect.Class)
	require.Equal(t, "203.0.113.0", effect.Address.String())
	require.Equal(t, 31, effect.UseCount, "the entries and the secret")
	require.Len(t, effect.Uses, admin.MaxUses)
	require.Equal(t, "203.0.113.29", effect.Uses[0].Address.String())
	require.Equal(t, "203.0.113.11", effect.Uses[19].Address.String())
}

// All addresses are judged, and the latest shown.
func TestM15ManyAddresses(t *testing.T) {
	w := newWorld(t)
	w.key("boss", "198.51.100.1", "owner")
	w.key("k", "203.0.113.0/24", "reader")
	for i := range 30 {
		w.used("k", fmt.Sprintf("203.0.113.%d", i), time.Duration(60-i)*time.Hour, 1)
		w.used("k", fmt.Sprintf("203.0.113.%d", i), time.Duration(30-i)*time.Hour, 2)
	}
	effect := w.preview(ann, admin.ReplaceEntries("k", w.entries("203.0.113.1 203.0.113.2/31 203.0.113.4/30 203.0.113.8/29 203.0.113.16/28")...)).Keys[0]
	require.Equal(t, admin.KeyBreaks, effect.Class)
	require.Equal(t, "203.0.113.0", effect.Address.String())
	require.Equal(t, 30, effect.AddressCount)
	require.Len(t, effect.Addresses, admin.MaxUses)
	require.Equal(t, admin.AddressUse{Address: netip.MustParseAddr("203.0.113.29"), Count: 3, First: start.Add(-31 * time.Hour), Last: start.Add(-time.Hour)}, effect.Addresses[0])
	require.Equal(t, "203.0.113.10", effect.Addresses[19].Address.String())
}

// Denials of the window are evidence, too: of whom a widening lets in.
func TestM15Denials(t *testing.T) {
	w := newWorld(t)
	w.key("boss", "198.51.100.1", "owner")
	w.key("k", "203.0.113.7", "reader")
	w.key("l", "203.0.113.7", "reader")
	denied := func(key string, reason policy.Reason, ago time.Duration) store.UsageRecord {
		return store.UsageRecord{Key: apikey.ID(key), Denied: reason, Usage: accesslist.Usage{Count: 7, Last: start.Add(-ago), LastAddress: netip.MustParseAddr("::ffff:192.0.2.1")}}
	}
	require.NoError(t, w.memory.RecordUsage(w.ctx, adapter.UsageBatch(denied("k", policy.RoleMissing, 31*day),
		denied("k", policy.AddressNotListed, time.Hour), denied("k", policy.KeyDisabled, day), denied("l", policy.RoleMissing, day))))
	preview := w.preview(ann, admin.AddEntries("k", w.entries("192.0.2.0/28")...))
	require.Equal(t, admin.KeyWidens, preview.Keys[0].Class)
	address := netip.MustParseAddr("192.0.2.1")
	require.Equal(t, []admin.DenialUse{
		{Reason: policy.KeyDisabled, Count: 7, Last: start.Add(-day), Address: address},
		{Reason: policy.AddressNotListed, Count: 7, Last: start.Add(-time.Hour), Address: address},
	}, preview.Keys[0].Denials)
	require.Equal(t, admin.KeyUnused, w.preview(ann, admin.DisableKey("l")).Keys[0].Class, "a denied call is no use of the key")
}

// Absence of evidence is never called unused. The preview says what the evidence is.
func TestM16Evidence(t *testing.T) {
	begin := start.Add(-30 * day)
	all := store.Report{Since: begin, Until: start, At: start}
	for name, test := range map[string]struct {
		reports []store.Report
		options []admin.Option
		class   admin.KeyClass
		want    admin.Evidence // beside Time, Revision and Begin
	}{
		"not observed":          {nil, nil, admin.KeyUnknown, admin.Evidence{Missing: 30 * day}},
		"observed for a day":    {[]store.Report{{Since: start.Add(-day), Until: start, At: start}}, nil, admin.KeyUnknown, admin.Evidence{Since: start.Add(-day), Until: start, Missing: 29 * day}},
		"a shorter window":      {[]store.Report{{Since: start.Add(-day), Until: start, At: start}}, []admin.Option{admin.WithWindow(day)}, admin.KeyUnused, admin.Evidence{Since: start.Add(-day), Until: start}},
		"observed all the time": {[]store.Report{all}, nil, admin.KeyUnused, admin.Evidence{Since: begin, Until: start}},
		"a gap of a minute": {[]store.Report{
			{Since: begin, Until: start.Add(-day), At: start.Add(-day), Ended: true},
			{Recorder: "second", Since: start.Add(-day + admin.MaxMissing), Until: start, At: start},
		}, nil, admin.KeyUnused, admin.Evidence{Since: start.Add(-day + time.Minute), Until: start, Missing: time.Minute}},
		"a longer gap": {[]store.Report{
			{Since: begin, Until: start.Add(-day), At: start.Add(-day), Ended: true},
			{Recorder: "second", Since: start.Add(-day + admin.MaxMissing + time.Microsecond), Until: start, At: start},
		}, nil, admin.KeyUnknown, admin.Evidence{Since: start.Add(-day + time.Minute + time.Microsecond), Until: start, Missing: time.Minute + time.Microsecond}},
		"a process has died": {[]store.Report{all,
			{Recorder: "dead", Since: begin, Until: start.Add(-day), At: start.Add(-day)},
		}, nil, admin.KeyUnknown, admin.Evidence{Since: start.Add(-day + store.MaxSilence), Until: start, Missing: store.MaxSilence}},
		"calls are lost": {[]store.Report{
			{Since: begin, Until: start.Add(-time.Second), At: start.Add(-time.Second)},
			{Since: begin, From: start.Add(-time.Second), Until: start, At: start, Lost: 3},
		}, nil, admin.KeyUnknown, admin.Evidence{Since: start, Until: start, Missing: time.Second, Lost: 3}},
		"late":     {[]store.Report{{Since: begin, Until: start.Add(-admin.MaxLate), At: start}}, nil, admin.KeyUnused, admin.Evidence{Since: begin, Until: start.Add(-store.MaxSilence)}},
		"too late": {[]store.Report{{Since: begin, Until: start.Add(-admin.MaxLate - time.Microsecond), At: start}}, nil, admin.KeyUnknown, admin.Evidence{Since: begin, Until: start.Add(-store.MaxSilence - time.Microsecond)}},
		"no recorder runs": {[]store.Report{{Since: begin, Until: start.Add(-2 * time.Minute), At: start.Add(-2 * time.Minute), Ended: true}}, nil,
			admin.KeyUnknown, admin.Evidence{Until: start.Add(-2 * time.Minute), Missing: 2 * time.Minute}},
	} {
		t.Run(name, func(t *testing.T) {
			w := unobserved(t, test.options...)
			for _, report := range test.reports {
				w.report(report)
			}
			w.key("boss", "198.51.100.1", "owner")
			w.key("k", "203.0.113.7", "reader")
			preview := w.preview(ann, admin.DisableKey("k"))
			require.Equal(t, test.class, preview.Keys[0].Class)
			test.want.Time, test.want.Revision, test.want.Begin = start, w.stored("k").Revision, begin
			if test.options != nil {
				test.want.Begin = start.Add(-day)
			}
			require.Equal(t, test.want, preview.Evidence)

			// Once it is used, a gap hides no more than from where.
			w.used("k", "203.0.113.7", time.Minute, 1)
			require.Equal(t, admin.KeyBreaks, w.preview(ann, admin.DisableKey("k")).Keys[0].Class)
		})
	}
}

// An entry with a time but no calls was not used.
func TestM15NoCalls(t *testing.T) {
	w := newWorld(t)
	w.key("boss", "198.51.100.1", "owner")
	w.key("k", "203.0.113.7 192.0.2.1", "reader")
	require.NoError(t, w.memory.RecordUsage(w.ctx, map[apikey.ID]store.KeyUsage{"k": {
		Entries: map[netip.Prefix]accesslist.Usage{prefixes("192.0.2.1")[0]: {Last: start, LastAddress: netip.MustParseAddr("192.0.2.1")}},
	}}))
	require.Equal(t, map[apikey.ID]admin.KeyClass{"k": admin.KeyUnused}, classes(w.preview(ann, admin.RemoveEntries("k", prefixes("192.0.2.1")...))))
}
