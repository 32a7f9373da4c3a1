package adapter_test

import (
	"encoding/json"
	"fmt"
	"math"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/adapter"
)

var (
	moment = time.Date(2031, 1, 2, 3, 4, 5, 6000, time.UTC)
	first  = netip.MustParseAddr("192.0.2.1")
	second = netip.MustParseAddr("192.0.2.2")
)

// U1, U2, U11, U12.
func TestCountUsage(t *testing.T) {
	entry := netip.MustParsePrefix("192.0.2.0/24")
	later := moment.Add(time.Second)
	var usage store.KeyUsage
	for _, record := range []store.UsageRecord{
		{Entry: entry, Secret: "s", Usage: accesslist.Usage{Count: 2, Last: moment, LastAddress: first}},
		{Entry: entry, Usage: accesslist.Usage{Count: 3, Last: later, LastAddress: second}},
		{Entry: entry, Usage: accesslist.Usage{Count: 4, Last: moment, LastAddress: first}, First: moment.Add(-time.Hour)}, // late
		{Entry: entry, Secret: "s", Usage: accesslist.Usage{Count: 5}},                                                     // at no known time and from no known address
		{Secret: "t", Usage: accesslist.Usage{Count: 6}},
		{Usage: accesslist.Usage{Count: 7, Last: moment}}, // of neither
		{Denied: policy.KeyExpired, Usage: accesslist.Usage{Count: 8, Last: later, LastAddress: second}},
		{WouldDeny: policy.AddressNotListed, Usage: accesslist.Usage{Count: 9, Last: moment, LastAddress: first}},
	} {
		adapter.CountUsage(&usage, record)
	}
	assert.Equal(t, store.KeyUsage{
		Entries: map[netip.Prefix]accesslist.Usage{entry: {Count: 14, Last: later, LastAddress: second}},
		Secrets: map[string]accesslist.Usage{"s": {Count: 7, Last: moment, LastAddress: first}, "t": {Count: 6}},
		Addresses: map[netip.Addr]store.AddressUsage{
			first:  {Count: 15, First: moment.Add(-time.Hour), Last: moment},
			second: {Count: 3, First: later, Last: later},
		},
		Dropped:   accesslist.Usage{Count: 18, Last: moment},
		Denials:   map[policy.Reason]accesslist.Usage{policy.KeyExpired: {Count: 8, Last: later, LastAddress: second}},
		WouldDeny: map[policy.Reason]accesslist.Usage{policy.AddressNotListed: {Count: 9, Last: moment, LastAddress: first}},
	}, usage)

	dropped := adapter.CloneUsage(usage)
	adapter.CountDropped(&dropped, store.UsageRecord{Entry: entry, Usage: accesslist.Usage{Count: 1, Last: later, LastAddress: first}})
	adapter.CountDropped(&dropped, store.UsageRecord{Denied: policy.KeyExpired, Usage: accesslist.Usage{Count: 1}})
	assert.Equal(t, usage.Addresses, dropped.Addresses)
	assert.Equal(t, accesslist.Usage{Count: 19, Last: later, LastAddress: first}, dropped.Dropped)
	assert.EqualValues(t, 15, dropped.Entries[entry].Count)
	assert.EqualValues(t, 9, dropped.Denials[policy.KeyExpired].Count)

	records := []store.UsageRecord{{Key: "a", Secret: "s", Usage: accesslist.Usage{Count: 1}}, {Key: "b"}, {Key: "a", Secret: "s", Usage: accesslist.Usage{Count: 2}}}
	batch := adapter.UsageBatch(records...)
	assert.Len(t, batch, 2)
	assert.EqualValues(t, 3, batch["a"].Secrets["s"].Count)
}

// Counting one by one and adding up give the same, and it is the latest addresses (U11).
func TestAddressesAreBounded(t *testing.T) {
	var counted, added, whole store.KeyUsage
	for i := range 200 {
		address := netip.AddrFrom4([4]byte{10, 0, 0, byte(i)})
		record := store.UsageRecord{Usage: accesslist.Usage{Count: 1, Last: moment.Add(time.Duration(i/2) * time.Second), LastAddress: address}}
		adapter.CountUsage(&counted, record)
		var one store.KeyUsage
		adapter.CountUsage(&one, record)
		adapter.AddUsage(&added, one)
		if whole.Addresses == nil {
			whole.Addresses = map[netip.Addr]store.AddressUsage{}
		}
		whole.Addresses[address] = one.Addresses[address]
	}
	assert.Equal(t, counted, added)
	assert.Equal(t, counted, adapter.CloneUsage(whole))
	assert.Len(t, counted.Addresses, store.MaxUsageAddresses)
	assert.EqualValues(t, 200-store.MaxUsageAddresses, counted.Dropped.Count)
	addresses, all := counted.AddressesSince(counted.Dropped.Last.Add(1))
	assert.True(t, all)
	assert.Len(t, addresses, store.MaxUsageAddresses)
}

// everything is usage with all that there may be.
func everything() store.KeyUsage {
	calls := accesslist.Usage{Count: math.MaxUint64, Last: moment, LastAddress: netip.MustParseAddr("fe80::1%eth0")}
	return store.KeyUsage{
		Entries:   map[netip.Prefix]accesslist.Usage{netip.MustParsePrefix("2001:db8::/32"): calls, netip.MustParsePrefix("192.0.2.1/32"): {Count: 1}},
		Secrets:   map[string]accesslist.Usage{"5ec2e700": calls, "": {}},
		Addresses: map[netip.Addr]store.AddressUsage{first: {Count: 1, First: moment, Last: moment}, second: {}},
		Dropped:   calls,
		Denials:   map[policy.Reason]accesslist.Usage{policy.KeyDisabled: calls, policy.RoleMissing: {}},
		WouldDeny: map[policy.Reason]accesslist.Usage{policy.OrganizationRequiresAccessList: calls},
	}
}

func TestAddUsage(t *testing.T) {
	known := everything()
	adapter.AddUsage(&known, everything())
	assert.EqualValues(t, uint64(math.MaxUint64), known.Dropped.Count, "the sum would be more")
	assert.EqualValues(t, 2, known.Addresses[first].Count)

	shared := everything()
	clone := adapter.CloneUsage(shared)
	clear(shared.Addresses)
	clear(shared.Denials)
	assert.Equal(t, everything(), clone)

	var cut store.KeyUsage
	adapter.AddUsage(&cut, store.KeyUsage{Dropped: accesslist.Usage{Last: moment.Add(999).In(time.FixedZone("", 3600))}})
	assert.Equal(t, moment, cut.Dropped.Last)
}

// U5 and U8.
func TestAddToDocument(t *testing.T) {
	list, err := accesslist.Parse("192.0.2.1")
	require.NoError(t, err)
	key := apikey.Key{AccessList: list, Secrets: []apikey.StoredSecret{{}}}
	usage := everything()
	usage.Secrets[key.Secrets[0].ID()] = accesslist.Usage{Count: 7}
	want := everything()
	want.Entries = map[netip.Prefix]accesslist.Usage{netip.MustParsePrefix("192.0.2.1/32"): {Count: 1}}
	want.Secrets = map[string]accesslist.Usage{key.Secrets[0].ID(): {Count: 7}}
	more := store.KeyUsage{Denials: map[policy.Reason]accesslist.Usage{policy.RoleMissing: {Count: 1}}}
	read := 0
	add := func(document []byte, key *apikey.Key, failure error) (store.KeyUsage, error) {
		document, err := adapter.AddToDocument("key", document, more, func() (*apikey.Key, error) { read++; return key, failure })
		if err != nil {
			assert.Nil(t, document)
			return store.KeyUsage{}, err
		}
		got, err := adapter.DecodeUsage(document)
		require.NoError(t, err)
		return got, nil
	}
	encoded := func(usage store.KeyUsage) []byte {
		document, err := adapter.EncodeUsage(usage)
		require.NoError(t, err)
		return document
	}
	got, err := add([]byte("{}"), nil, nil)
	require.NoError(t, err)
	assert.Equal(t, more, got)
	adapter.AddUsage(&want, more)
	small := encoded(usage)
	got, err = add(small, &key, nil)
	require.NoError(t, err)
	assert.Len(t, got.Entries, len(usage.Entries), "it is not large")
	assert.Zero(t, read)

	for i := range 2000 {
		usage.Secrets[fmt.Sprintf("%08x", i+1)] = accesslist.Usage{Count: 1}
	}
	large := encoded(usage)
	got, err = add(large, &key, nil)
	require.NoError(t, err)
	assert.Equal(t, string(encoded(want)), string(encoded(got)))
	assert.Equal(t, 1, read)
	got, err = add(large, nil, nil)
	require.NoError(t, err)
	assert.Len(t, got.Secrets, len(usage.Secrets), "the key cannot be read")
	_, err = add(large, nil, assert.AnError)
	assert.Equal(t, assert.AnError, err)
	for _, document := range []string{"", "{", "[]"} {
		_, err = add([]byte(document), &key, nil)
		assert.ErrorContains(t, err, `store: the usage of key "key" cannot be read: `)
	}
}

func TestUsageForm(t *testing.T) {
	document, err := adapter.EncodeUsage(everything())
	require.NoError(t, err)
	const calls = `[18446744073709551615,1925089445000006,"fe80::1%eth0"]`
	const unknown = `-62135596800000000`
	assert.Equal(t, `{"entries":{"192.0.2.1/32":[1,`+unknown+`,""],"2001:db8::/32":`+calls+`},"secrets":{"":[0,`+unknown+`,""],"5ec2e700":`+calls+
		`},"addresses":{"192.0.2.1":[1,1925089445000006,1925089445000006],"192.0.2.2":[0,`+unknown+`,`+unknown+`]},"dropped":`+calls+
		`,"denials":{"key_disabled":`+calls+`,"role_missing":[0,`+unknown+`,""]},"wouldDeny":{"organization_requires_access_list":`+calls+`}}`, string(document))
	usage, err := adapter.DecodeUsage(document)
	require.NoError(t, err)
	assert.Equal(t, everything(), usage)

	document, err = adapter.EncodeUsage(store.KeyUsage{})
	require.NoError(t, err)
	assert.Equal(t, "{}", string(document))
	usage, err = adapter.DecodeUsage(document)
	require.NoError(t, err)
	assert.True(t, usage.IsZero())

	_, err = adapter.EncodeUsage(store.KeyUsage{Denials: map[policy.Reason]accesslist.Usage{99: {}}})
	assert.ErrorContains(t, err, "store: usage: ")

	// As large as the documentation says.
	var full store.KeyUsage
	for i := range byte(store.MaxUsageAddresses) {
		client := netip.AddrFrom16([16]byte{0x20, 1, 0xd, 0xb8, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, i})
		adapter.CountUsage(&full, store.UsageRecord{Usage: accesslist.Usage{Count: 1e6, Last: moment, LastAddress: client}})
	}
	for reason := policy.KeyDisabled; reason <= policy.RoleMissing; reason++ {
		adapter.CountUsage(&full, store.UsageRecord{Denied: reason, Usage: accesslist.Usage{Count: 1e6, Last: moment, LastAddress: first}})
	}
	document, err = adapter.EncodeUsage(full)
	require.NoError(t, err)
	assert.Less(t, len(document), 6<<10)
}

func TestUsageThatCannotBeRead(t *testing.T) {
	for document, want := range map[string]string{
		"":                                   "want one JSON value",
		"null":                               "want an object",
		`{"entry":{}}`:                       `unknown name "entry"`,
		`{"entries":[]}`:                     "want an object",
		`{"entries":{"192.0.2.1":[1,0,""]}}`: "192.0.2.1",
		`{"secrets":{"a":[1,0,""],"a":[1,0,""]}}`: "occurs twice",
		`{"secrets":{"a":1}}`:                     "want an array",
		`{"secrets":{"a":[1,0]}}`:                 "an array of 2 values: want 3",
		`{"secrets":{"a":[-1,0,""]}}`:             "want a whole number",
		`{"secrets":{"a":[1,0.5,""]}}`:            "want a whole number",
		`{"secrets":{"a":[1,0,"here"]}}`:          "here",
		`{"addresses":{"":[1,0,0]}}`:              "ParseAddr",
		`{"addresses":{"::1":[1,0,""]}}`:          "want a whole number",
		`{"dropped":[]}`:                          "an array of 0 values: want 3",
		`{"denials":{"expired":[1,0,""]}}`:        "expired",
		`{"denials":{"wrong_secret":[1,0,""]}}`:   "want a reason after the proof",
		`{"wouldDeny":{"open_list":[1,0,""]}}`:    "want a reason after the proof",
	} {
		usage, err := adapter.DecodeUsage([]byte(document))
		assert.ErrorContains(t, err, want, document)
		assert.Zero(t, usage, document)
	}
}

func TestObservationForm(t *testing.T) {
	report := store.Report{Recorder: "one", Since: moment, From: moment.Add(time.Second), Until: moment.Add(time.Minute), At: moment.Add(time.Hour), Lost: math.MaxUint64}
	ended := report
	ended.Recorder, ended.Ended = "ended", true
	for _, want := range []store.Observation{{}, store.Observation{}.Add(report), store.Observation{}.Add(report).Add(ended)} {
		document := adapter.EncodeObservation(want)
		require.True(t, json.Valid(document))
		got, err := adapter.DecodeObservation(document)
		require.NoError(t, err)
		assert.Equal(t, want, got)
	}

	var full store.Observation
	for i := range store.MaxReports {
		report.Recorder = strings.Repeat("x", 30) + strings.Repeat("y", i%10) + strings.Repeat("z", i/10)
		report.Recorder = report.Recorder[:min(len(report.Recorder), 40)]
		report.Ended = i%2 == 0
		full.Reports = append(full.Reports, report)
	}
	for range store.MaxGaps {
		full.Gaps = append(full.Gaps, store.Gap{From: moment, To: moment, Lost: math.MaxUint64})
	}
	assert.Less(t, len(adapter.EncodeObservation(full)), 48<<10)

	for document, want := range map[string]string{
		"":                                    "want one JSON value",
		"{}":                                  `"since" is missing`,
		`{"since":0}`:                         `"until" is missing`,
		`{"since":0,"until":"now"}`:           "want a whole number",
		`{"since":0,"until":0,"reports":[1]}`: "want an array",
		`{"since":0,"until":0,"reports":[["one",0,0,0,0]]}`: "an array of 5 values: want 7",
		`{"since":0,"until":0,"gaps":[[0,0,-1]]}`:           "want a whole number",
	} {
		observation, err := adapter.DecodeObservation([]byte(document))
		assert.ErrorContains(t, err, want, document)
		assert.Zero(t, observation, document)
	}
}
