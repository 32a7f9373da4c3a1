package etcd

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/adapter"
)

// remove is somebody else's deletion.
func (f *fake) remove(name string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.write(mvccpb.Event_DELETE, []byte(name), nil)
	f.commit()
}

// TestDamage changes each value by other means. Package etcdtest does the same, and
// more, with etcd itself.
func TestDamage(t *testing.T) {
	const gone = "\x00"
	for _, c := range []struct {
		name, value string
		text        string // of every error
		fails       string // the calls that do
	}{
		{"keys/acme/k1", "x", "cannot be read", "Lookup Key Keys PutKey"},
		{"keys/acme/k1", `{"id":"k2","organization":"acme","disabled":false,"accessList":[],"secrets":[{"sum":"` + strings.Repeat("1", 64) + `"}]}`, "want key \"k1\"", "Lookup Key Keys PutKey"},
		{"keys/acme/k1", gone, "ids/k1", "Lookup Key PutKey"},
		{"organizations/acme", "x", "cannot be read", "Lookup Organization Organizations"},
		{"organizations/acme", `{"id":"acme","requirement":"required","revision":2}`, "revision 0", "Lookup Organization Organizations"},
		{"organizations/acme", gone, "", "Lookup Organization PutKey"},
		{"ids/k1", gone, "ids/k1", "Keys PutKey"},
		{"ids/k1", "", "k1", "Lookup Key Keys PutKey"},
		{"ids/k1", "other", "other", "Lookup Key Keys PutKey"},
		{"usage/k1", gone, "usage/k1", "Usage"},
		{"usage/k1", "x", "cannot be read", "Usage RecordUsage"},
		{"usage/k1", "null", "null", "Usage RecordUsage"},
		{"usage/k1", `{"secrets":null}`, "null", "Usage RecordUsage"},
		{"usage/k1", `{"secrets":{"a":[1,0,""],"a":[2,0,""]}}`, "occurs twice", "Usage RecordUsage"},
		{"usage/k1", "{}}", "after top-level value", "Usage RecordUsage"},
		{"usage/k1", "{}{}", "after top-level value", "Usage RecordUsage"},
		{"usage/k1", `{"entries":{"192.0.2.1/32":[1]}}`, "want 3", "Usage RecordUsage"},
		{"usage/k1", `{"entries":{"192.0.2.1/32":1}}`, "cannot be read", "Usage RecordUsage"},
		{"usage/k1", `{"entries":{"192.0.2.1/32":["1",0,""]}}`, "cannot be read", "Usage RecordUsage"},
		{"usage/k1", `{"entries":{"192.0.2.1":[1,0,""]}}`, "cannot be read", "Usage RecordUsage"},
		{"layout", "3 2 3", "programs from version 2 on may read the store, and this one has version 1", "Lookup Key Organization Keys Organizations PutKey Usage RecordUsage"},
	} {
		t.Run(c.name+" "+c.value, func(t *testing.T) {
			s, f := opened(t)
			key, err := s.Key(t.Context(), "k1")
			require.NoError(t, err)
			if c.value == gone {
				f.remove(prefix + c.name)
			} else {
				f.put(prefix+c.name, c.value)
			}
			_, _, lookup := s.Lookup(t.Context(), "k1")
			_, read := s.Key(t.Context(), "k1")
			_, organization := s.Organization(t.Context(), "acme")
			_, keys := s.Keys(t.Context(), "acme", store.PageRequest{})
			_, organizations := s.Organizations(t.Context(), store.PageRequest{})
			_, put := s.PutKey(t.Context(), key)
			_, usage := s.Usage(t.Context(), "k1")
			record := s.RecordUsage(t.Context(), adapter.UsageBatch(store.UsageRecord{Key: "k1", Entry: netip.MustParsePrefix("192.0.2.1/32")}))
			fails := strings.Fields(c.fails)
			for name, err := range map[string]error{"Lookup": lookup, "Key": read, "Organization": organization, "Keys": keys,
				"Organizations": organizations, "PutKey": put, "Usage": usage, "RecordUsage": record} {
				failed := false
				for _, fails := range fails {
					failed = failed || fails == name
				}
				switch {
				case !failed && c.name == "ids/k1" && c.value == gone && err != nil:
					require.ErrorIs(t, err, store.ErrNotFound) // nobody knows of the key
				case !failed:
					require.NoError(t, err, name)
				default:
					require.ErrorContains(t, err, c.text, name)
				}
			}
		})
	}
}

// TestDeleteOfDamage deletes what cannot be read.
func TestDeleteOfDamage(t *testing.T) {
	s, f := opened(t)
	f.put(prefix+"keys/acme/k1", "x")
	require.NoError(t, s.DeleteKey(t.Context(), "k1", 0))
	_, err := s.PutKey(t.Context(), newKey("k1"))
	require.NoError(t, err)

	f.put(prefix+"organizations/acme", "x")
	require.NoError(t, s.DeleteKey(t.Context(), "k1", 0))
	require.NoError(t, s.DeleteOrganization(t.Context(), "acme", 0))
	_, err = s.PutOrganization(t.Context(), policy.Organization{ID: "acme"})
	require.NoError(t, err)
}

// TestDeleteOfAKeyThatIsElsewhere has ids/ lead to where the key is not. To delete the
// entry alone would leave the key in force for those who follow the feed.
func TestDeleteOfAKeyThatIsElsewhere(t *testing.T) {
	for _, owner := range []string{"", "other", "acme/k1/../\xff"} {
		t.Run(owner, func(t *testing.T) {
			s, f := opened(t)
			f.put(prefix+"ids/k1", owner, prefix+"keys//k1", "of no organization")
			before, err := latestOf(t.Context(), s)
			require.NoError(t, err)
			key := wantTold(t, s, 0)[1].KeyRecord              // after its organization
			for _, s := range []*Store{s, open(t, s.client)} { // the first knows where the key was
				for _, revision := range []uint64{0, key.Revision} {
					err := s.DeleteKey(t.Context(), "k1", revision)
					require.ErrorContains(t, err, prefix+"ids/k1")
					require.ErrorContains(t, err, "put its organization into "+prefix+"ids/k1 with etcdctl put and delete the key again")
					require.NotErrorIs(t, err, store.ErrNotFound)
				}
			}
			after, err := latestOf(t.Context(), s)
			require.NoError(t, err)
			require.Equal(t, before, after, "something was written")

			f.put(prefix+"ids/k1", "acme") // as the error says
			require.NoError(t, s.DeleteKey(t.Context(), "k1", key.Revision))
			told := wantTold(t, s, key.Revision)
			require.True(t, told[0].Deleted)
			require.EqualValues(t, "k1", told[0].Key)
		})
	}
}

// TestDeleteOfAKeyThatIsGone has the record of a key removed by other means. A write
// that changes no record would not be told, and those who follow the feed would wait for
// it.
func TestDeleteOfAKeyThatIsGone(t *testing.T) {
	s, f := opened(t)
	key, err := s.Key(t.Context(), "k1")
	require.NoError(t, err)
	f.remove(prefix + "keys/acme/k1")
	before, err := latestOf(t.Context(), s)
	require.NoError(t, err)
	for _, revision := range []uint64{0, key.Revision} {
		err := s.DeleteKey(t.Context(), "k1", revision)
		require.ErrorContains(t, err, `names organization "acme", which does not have the key`)
		require.ErrorContains(t, err, "remove "+prefix+"ids/k1 and "+prefix+"usage/k1 with etcdctl del")
		require.NotErrorIs(t, err, store.ErrNotFound)
	}
	after, err := latestOf(t.Context(), s)
	require.NoError(t, err)
	require.Equal(t, before, after, "something was written")

	f.remove(prefix + "ids/k1") // as the error says
	f.remove(prefix + "usage/k1")
	require.ErrorIs(t, s.DeleteKey(t.Context(), "k1", 0), store.ErrNotFound)
	_, err = s.PutKey(t.Context(), newKey("k1"))
	require.NoError(t, err)
}

// TestAnswersThatCannotBe has the cluster refuse a key with nothing to speak against it.
func TestAnswersThatCannotBe(t *testing.T) {
	s, _ := opened(t)
	key, err := s.Key(t.Context(), "k1")
	require.NoError(t, err)
	response, err := s.transact(t.Context(), nil, reads([]string{s.names.id("k1"), s.names.key("acme", "k1"), s.names.organization("acme")}), nil)
	require.NoError(t, err)
	require.ErrorContains(t, s.refusal(response, key, nil), "nothing to speak against it")
}

func TestUsage(t *testing.T) {
	s, f := opened(t)
	at := time.Date(2031, 5, 6, 7, 8, 9, 123456789, time.UTC)
	block, address := netip.MustParsePrefix("198.51.100.0/24"), netip.MustParseAddr("198.51.100.7")
	record := store.UsageRecord{Key: "k1", Entry: block, Secret: "5ec2e700", Usage: accesslist.Usage{Count: 3, Last: at, LastAddress: address}}
	require.NoError(t, s.RecordUsage(t.Context(), nil))
	require.NoError(t, s.RecordUsage(t.Context(), adapter.UsageBatch(record, store.UsageRecord{Key: "gone"})))
	stored, err := s.get(t.Context(), prefix+"usage/k1")
	require.NoError(t, err)
	require.JSONEq(t, `{
		"entries": {"198.51.100.0/24": [3, 1935817689123456, "198.51.100.7"]},
		"secrets": {"5ec2e700": [3, 1935817689123456, "198.51.100.7"]},
		"addresses": {"198.51.100.7": [3, 1935817689123456, 1935817689123456]}
	}`, string(stored[0].Value))

	// When it grows large, what the key does not have goes, unless the key cannot be
	// read.
	large := func() {
		var batch []store.UsageRecord
		for i := range 2000 {
			entry := netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}), 32)
			batch = append(batch, store.UsageRecord{Key: "k1", Entry: entry, Secret: fmt.Sprint(i), Usage: accesslist.Usage{Count: 1}})
		}
		batch = append(batch, store.UsageRecord{Key: "k1", Entry: netip.MustParsePrefix("192.0.2.1/32"), Usage: accesslist.Usage{Count: 1}})
		require.NoError(t, s.RecordUsage(t.Context(), adapter.UsageBatch(batch...)))
	}
	large()
	require.NoError(t, s.RecordUsage(t.Context(), adapter.UsageBatch(record)))
	usage, err := s.Usage(t.Context(), "k1")
	require.NoError(t, err)
	require.Len(t, usage["k1"].Entries, 2)
	require.Len(t, usage["k1"].Secrets, 1)
	require.EqualValues(t, 3, usage["k1"].Entries[block].Count, "what it was before was of an entry that the key does not have")
	require.EqualValues(t, 1, usage["k1"].Entries[netip.MustParsePrefix("192.0.2.1/32")].Count)

	large()
	f.put(prefix+"keys/acme/k1", "x")
	require.NoError(t, s.RecordUsage(t.Context(), adapter.UsageBatch(record)))
	usage, err = s.Usage(t.Context(), "k1")
	require.NoError(t, err)
	require.Len(t, usage["k1"].Entries, 2002)
}

// TestUsageOfAFullBatch is what the stored form is as short as it is for: a full batch,
// of keys whose whole lists of 150 entries are used from as many addresses as are kept, is one
// request.
func TestUsageOfAFullBatch(t *testing.T) {
	at := time.Date(2031, 12, 31, 23, 59, 59, 999999999, time.UTC)
	var usage store.KeyUsage
	for i := range 150 {
		entry := netip.PrefixFrom(netip.AddrFrom4([4]byte{203, 113, 100 + byte(i/100), 100 + byte(i%100)}), 32)
		adapter.CountUsage(&usage, store.UsageRecord{Entry: entry, Usage: accesslist.Usage{Count: 10_000, Last: at, LastAddress: entry.Addr()}})
	}
	for _, secret := range []string{"01234567", "89abcdef"} {
		adapter.CountUsage(&usage, store.UsageRecord{Secret: secret, Usage: accesslist.Usage{Count: 1_000_000, Last: at, LastAddress: netip.MustParseAddr("203.113.255.255")}})
	}
	value, err := adapter.EncodeUsage(usage)
	require.NoError(t, err)
	require.Less(t, store.MaxUsageKeys*(len(value)+200), 1536<<10, "%s...", value[:100])
}

// TestUsageAtAnyTime stores times that are not known, or that a broken clock told.
func TestUsageAtAnyTime(t *testing.T) {
	s, _ := opened(t)
	for i, last := range []time.Time{{}, time.Unix(0, 1000), time.Date(10_000, 1, 1, 0, 0, 0, 0, time.UTC)} {
		require.NoError(t, s.RecordUsage(t.Context(), adapter.UsageBatch(store.UsageRecord{Key: "k1", Secret: "5ec2e700", Usage: accesslist.Usage{Count: 1, Last: last}})))
		usage, err := s.Usage(t.Context(), "k1")
		require.NoError(t, err)
		require.Equal(t, accesslist.Usage{Count: uint64(i) + 1, Last: last.UTC()}, usage["k1"].Secrets["5ec2e700"])
	}
}

// TestOwners fills what is remembered.
func TestOwners(t *testing.T) {
	var o owners
	require.Empty(t, o.guess("k1"))
	o.forget("k1")
	for i := range maxOwners {
		o.remember(apikey.ID(fmt.Sprint(i)), "acme")
	}
	require.Equal(t, "acme", o.guess("0"))
	o.remember("k1", "other")
	require.Equal(t, "other", o.guess("k1"))
	require.LessOrEqual(t, len(o.of), maxOwners)
	o.forget("k1")
	require.Empty(t, o.guess("k1"))
}

// TestFeedEnds ends a watch in the ways in which a server can.
func TestFeedEnds(t *testing.T) {
	s, f := opened(t)
	first := func(after uint64) (ended error) {
		for _, err := range s.Watch(t.Context(), at(s, after)) {
			ended = err
		}
		return ended
	}
	revision, err := latestOf(t.Context(), s)
	require.NoError(t, err)
	watches := func(request any) bool { _, ok := request.(interface{ GetProgressNotify() bool }); return ok }

	f.inject(func(request any) error {
		if watches(request) {
			return rpctypes.ErrGRPCNoLeader
		}
		return nil
	}, nil)
	require.ErrorIs(t, first(revision), rpctypes.ErrNoLeader)
	f.inject(func(request any) error {
		if watches(request) {
			return errCanceled
		}
		return nil
	}, nil)
	require.ErrorContains(t, first(revision), "ended the watch: etcdserver: permission denied")
	f.inject(func(any) error { return rpctypes.ErrGRPCPermissionDenied }, nil)
	require.ErrorIs(t, first(revision), rpctypes.ErrPermissionDenied)
	require.ErrorIs(t, first(0), rpctypes.ErrPermissionDenied)
	scans := 0
	f.inject(func(any) error {
		if scans++; scans == 2 {
			return rpctypes.ErrGRPCPermissionDenied
		}
		return nil
	}, nil)
	require.ErrorIs(t, first(0), rpctypes.ErrPermissionDenied, "after the revision was read")
	f.inject(nil, nil)
	require.NoError(t, s.Close())
	require.ErrorIs(t, first(0), store.ErrClosed)
}
