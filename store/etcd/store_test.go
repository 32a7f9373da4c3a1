package etcd

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/adapter"
	"github.com/sallyport-go/sallyport/store/storetest"
)

const prefix = "/sallyport/"

func open(t testing.TB, client *clientv3.Client) *Store {
	t.Helper()
	s, err := New(t.Context(), client, prefix)
	require.NoError(t, err)
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// opened returns a store in a fake, with organization acme and its key k1.
func opened(t testing.TB) (*Store, *fake) {
	t.Helper()
	f, client := startFake(t)
	s := open(t, client)
	_, err := s.PutOrganization(t.Context(), policy.Organization{ID: "acme"})
	require.NoError(t, err)
	_, err = s.PutKey(t.Context(), newKey("k1"))
	require.NoError(t, err)
	return s, f
}

func newKey(id apikey.ID) apikey.Key {
	list, err := accesslist.Parse("192.0.2.1")
	if err != nil {
		panic(err)
	}
	return apikey.Key{ID: id, Organization: "acme", AccessList: list, Secrets: []apikey.StoredSecret{{Sum: sha256.Sum256([]byte(id))}}}
}

// wantTold returns what a watch tells up to its first mark, which is the last.
func wantTold(t testing.TB, s *Store, after uint64) (told []store.Change) {
	t.Helper()
	for change, err := range s.Watch(t.Context(), at(s, after)) {
		require.NoError(t, err)
		if told = append(told, change); change.IsMark() {
			break
		}
	}
	return told
}

// nameOf returns the name of a key's record.
func nameOf(t testing.TB, s store.Store, id apikey.ID) string {
	t.Helper()
	key, err := s.Key(t.Context(), id)
	require.NoError(t, err)
	return s.(*Store).names.key(key.Organization, id)
}

// TestStore has every watch told in fragments, which etcd sends only of what is large.
func TestStore(t *testing.T) {
	fakes := map[store.Store]*fake{}
	storetest.Run(t, func(t testing.TB) store.Store {
		f, client := startFake(t)
		f.fragments = true
		s := open(t, client)
		fakes[s] = f
		return s
	},
		storetest.Reopen(func(t testing.TB, s store.Store) store.Store {
			require.NoError(t, s.Close())
			again := open(t, s.(*Store).client)
			fakes[again] = fakes[s]
			return again
		}),
		storetest.Damage(storetest.Damages{
			Key: func(t testing.TB, s store.Store, id apikey.ID) {
				fakes[s].put(nameOf(t, s, id), `{"id":`)
			},
			Newer: func(t testing.TB, s store.Store, id apikey.ID) {
				key, err := s.Key(t.Context(), id)
				require.NoError(t, err)
				key.Revision = 0
				record, err := json.Marshal(key)
				require.NoError(t, err)
				fakes[s].put(nameOf(t, s, id), strings.Replace(string(record), `"accessList"`, `"later":1,"accessList"`, 1))
			},
			AccessList: func(t testing.TB, s store.Store, id apikey.ID) {
				key, err := s.Key(t.Context(), id)
				require.NoError(t, err)
				record, err := json.Marshal(key)
				require.NoError(t, err)
				fakes[s].put(nameOf(t, s, id), strings.Replace(string(record), `"accessList"`, `"list"`, 1))
			},
			Organization: func(_ testing.TB, s store.Store, id string) {
				fakes[s].put(s.(*Store).names.organization(id), `{"id":"`+id+`"}`)
			},
			Usage: func(_ testing.TB, s store.Store, id apikey.ID) {
				fakes[s].put(s.(*Store).names.usage(id), `{"entries":`)
			},
			Observation: func(_ testing.TB, s store.Store) { fakes[s].put(s.(*Store).names.observation(), `{"since":`) },
			Events: func(t testing.TB, s store.Store, revision uint64) {
				name, document := documentOf(t, s.(*Store), revision)
				fakes[s].put(name, document[:len(document)/2])
			},
		}),
		storetest.Migrate(func(_ testing.TB, s store.Store, mayRead, mayWrite bool) {
			layout := "2 1 1"
			switch {
			case !mayRead:
				layout = "4 4 4"
			case !mayWrite:
				layout = "3 1 3"
			}
			fakes[s].put(prefix+"layout", layout)
		}),
		storetest.Compact(func(_ testing.TB, s store.Store) { fakes[s].compact() }),
		storetest.Restore(func(_ testing.TB, s store.Store) func(testing.TB, store.Store) store.Store {
			restore, bump := fakes[s].snapshot(), int64(0)
			return func(t testing.TB, s store.Store) store.Store {
				require.NoError(t, s.Close())
				bump += 1_000_000_000
				restore(bump)
				again := open(t, s.(*Store).client)
				fakes[again] = fakes[s]
				return again
			}
		}),
	)
}

// TestWriteIsSentOnce has a write done and its answer lost, in every way there is. It
// must not be sent again: the second answer would be a conflict with itself.
func TestWriteIsSentOnce(t *testing.T) {
	for _, code := range []codes.Code{codes.Unavailable, codes.Canceled, codes.DeadlineExceeded, codes.Unknown, codes.Internal, codes.Aborted} {
		t.Run(code.String(), func(t *testing.T) {
			s, f := opened(t)
			key, err := s.Key(t.Context(), "k1")
			require.NoError(t, err)
			sent := 0
			f.inject(nil, func(request any) error {
				if !readsOnly(request.(*pb.TxnRequest)) {
					sent++
					return status.Error(code, "the answer is lost")
				}
				return nil
			})
			key.Disabled = true
			_, err = s.PutKey(t.Context(), key)
			require.ErrorContains(t, err, "the answer is lost")
			require.NotErrorIs(t, err, store.ErrConflict)
			require.NotErrorIs(t, err, context.Canceled)
			require.Equal(t, 1, sent)
			stored, err := s.Key(t.Context(), "k1")
			require.NoError(t, err)
			require.True(t, stored.Disabled)
		})
	}
}

// TestReadIsSentAgain has a member go away under a read.
func TestReadIsSentAgain(t *testing.T) {
	s, f := opened(t)
	failures := 3
	f.inject(func(any) error {
		if failures--; failures >= 0 {
			return rpctypes.ErrGRPCLeaderChanged
		}
		return nil
	}, nil)
	_, found, err := s.Lookup(t.Context(), "k1")
	require.NoError(t, err)
	require.True(t, found)

	f.inject(func(any) error { return rpctypes.ErrGRPCNoLeader }, nil)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	_, _, err = s.Lookup(ctx, "k1")
	require.ErrorIs(t, err, context.DeadlineExceeded)

	// Without a deadline it is given up.
	_, _, err = s.Lookup(t.Context(), "k1")
	require.ErrorIs(t, err, rpctypes.ErrNoLeader)
	require.ErrorContains(t, err, "has no leader")
}

// TestReadSaysWhatWasInTheWay ends the context of a read that is sent again and again.
func TestReadSaysWhatWasInTheWay(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	_, err := transactor{refusing{cancel: cancel}}.Txn(ctx, &pb.TxnRequest{})
	require.ErrorIs(t, err, context.Canceled)
	require.ErrorContains(t, err, "no leader")
}

// A refusing client is told that there is no leader, and has its context ended then.
type refusing struct {
	pb.KVClient
	cancel context.CancelFunc
}

func (r refusing) Txn(ctx context.Context, _ *pb.TxnRequest, _ ...grpc.CallOption) (*pb.TxnResponse, error) {
	if err := ctx.Err(); err != nil {
		return nil, status.FromContextError(err).Err()
	}
	r.cancel()
	return nil, rpctypes.ErrGRPCNoLeader
}

// TestMemberWithoutLeader asks a member that is cut off from the others, which would
// hold what it is asked if it were not told to refuse it.
func TestMemberWithoutLeader(t *testing.T) {
	s, f := opened(t)
	f.set(func() { f.leaderless = true })
	_, err := s.PutKey(t.Context(), newKey("k2"))
	require.ErrorIs(t, err, rpctypes.ErrNoLeader)
	require.ErrorContains(t, err, "has no leader")
	f.set(func() { f.leaderless = false })
	_, found, err := s.Lookup(t.Context(), "k2")
	require.NoError(t, err)
	require.False(t, found)
}

// TestWriteOutlivesItsContext ends the context of a write that is under way, which is
// waited for.
func TestWriteOutlivesItsContext(t *testing.T) {
	s, f := opened(t)
	key, err := s.Key(t.Context(), "k1")
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	f.inject(func(request any) error {
		cancel()
		return nil
	}, nil)
	key, err = s.PutKey(ctx, key)
	require.NoError(t, err)
	stored, err := s.Key(t.Context(), "k1")
	require.NoError(t, err)
	require.Equal(t, key.Revision, stored.Revision)

	// But not for ever.
	ctx, cancel = context.WithCancel(t.Context())
	released := make(chan struct{})
	f.inject(func(request any) error {
		cancel()
		<-released
		return nil
	}, nil)
	_, err = s.PutKey(ctx, key)
	close(released)
	require.ErrorIs(t, err, context.Canceled)
}

func TestNew(t *testing.T) {
	f, client := startFake(t)
	_, err := New(t.Context(), nil, prefix)
	require.ErrorContains(t, err, "nil")
	_, err = New(t.Context(), clientv3.NewCtxClient(t.Context()), prefix)
	require.ErrorContains(t, err, "no connection")
	for _, prefix := range []string{"", "sallyport", "/sallyport"} {
		_, err := New(t.Context(), client, prefix)
		require.ErrorContains(t, err, "slash")
	}
	f.put("/theirs/a", "b")
	_, err = New(t.Context(), client, "/theirs/")
	require.ErrorContains(t, err, "something else")
	for _, layout := range []string{"", "0", "x", "1", "1 1", "1 1 1 ", "1 1 1 1", " 1 1 1", "01 1 1", "+1 1 1", "1 0 1", "1 1 0", "1 2 2", "2 2 1", "2 1 3", "0 1 1", "1 1 99999999999999999999"} {
		f.put("/strange/layout", layout)
		_, err = New(t.Context(), client, "/strange/")
		require.ErrorContains(t, err, `want "1 1 1", or that of a later version`, layout)
	}
	f.put("/later/layout", "3 2 2")
	_, err = New(t.Context(), client, "/later/")
	require.ErrorIs(t, err, store.ErrNewer)
	f.inject(func(any) error { return rpctypes.ErrGRPCPermissionDenied }, nil)
	_, err = New(t.Context(), client, prefix)
	require.ErrorIs(t, err, rpctypes.ErrPermissionDenied)
	f.inject(func(request any) error {
		if !readsOnly(request.(*pb.TxnRequest)) {
			t.Error("a store that is there is opened with a write")
		}
		return nil
	}, nil)
	f.put(prefix+"layout", "1 1 1")
	_, err = New(t.Context(), client, prefix)
	require.NoError(t, err)
}

// TestForeignNames has names under the prefix that no record has. They are not told.
func TestForeignNames(t *testing.T) {
	s, f := opened(t)
	f.put(prefix+"keys/acme", "x")
	f.put(prefix+"notes", "x")
	told := 0
	for change, err := range s.Watch(t.Context(), store.Position{}) {
		require.NoError(t, err)
		if told++; change.IsMark() {
			if told == 4 {
				break
			}
			require.Equal(t, 3, told)
			f.put(prefix+"keys/a%2fb/k1", "x")
			_, err := s.PutOrganization(t.Context(), policy.Organization{ID: "other"})
			require.NoError(t, err)
			told = 2
		}
	}
}

// TestKeysThatAreListedOnly has a page fail after it was read.
func TestKeysThatAreListedOnly(t *testing.T) {
	s, f := opened(t)
	calls := 0
	f.inject(func(any) error {
		if calls++; calls == 2 {
			return rpctypes.ErrGRPCCompacted
		}
		return nil
	}, nil)
	page, err := s.Keys(t.Context(), "acme", store.PageRequest{})
	require.ErrorIs(t, err, rpctypes.ErrCompacted)
	require.Empty(t, page.Items)
}

// TestEveryCallFails has the cluster refuse everything.
func TestEveryCallFails(t *testing.T) {
	s, f := opened(t)
	f.inject(func(any) error { return rpctypes.ErrGRPCPermissionDenied }, nil)
	ctx := t.Context()
	_, found, lookup := s.Lookup(ctx, "k1")
	require.False(t, found)
	_, key := s.Key(ctx, "k1")
	_, organization := s.Organization(ctx, "acme")
	_, keys := s.Keys(ctx, "acme", store.PageRequest{})
	_, organizations := s.Organizations(ctx, store.PageRequest{})
	_, putKey := s.PutKey(ctx, newKey("k2"))
	_, putOrganization := s.PutOrganization(ctx, policy.Organization{ID: "other"})
	_, revision := latestOf(ctx, s)
	_, usage := s.Usage(ctx, "k1")
	_, observation := s.Observation(ctx)
	for i, err := range []error{lookup, key, organization, keys, organizations, putKey, putOrganization, revision, usage, observation, s.RecordObservation(ctx, report),
		s.DeleteKey(ctx, "k1", 0), s.DeleteOrganization(ctx, "acme", 0), s.RecordUsage(ctx, adapter.UsageBatch(store.UsageRecord{Key: "k1"}))} {
		require.ErrorIs(t, err, rpctypes.ErrPermissionDenied, "call %d", i)
		require.NotErrorIs(t, err, store.ErrNotFound)
	}
}

// TestLeavingAtAMark leaves a watch where it begins.
func TestLeavingAtAMark(t *testing.T) {
	_, client := startFake(t)
	s := open(t, client)
	for range 2 {
		for change, err := range s.Watch(t.Context(), store.Position{}) {
			require.NoError(t, err)
			require.Equal(t, store.Change{History: change.History, Revision: 2}, change, "the mark of a store that was founded")
			require.NotEmpty(t, change.History)
			break
		}
	}
}

// report is one that can be recorded.
var report = func() store.Report {
	at := time.Date(2031, 1, 2, 3, 4, 5, 0, time.UTC)
	return store.Report{Recorder: "one", Since: at, From: at, Until: at, At: at}
}()

// TestContendedObservation has another recorder report with every attempt, until the context
// ends.
func TestContendedObservation(t *testing.T) {
	s, f := opened(t)
	ctx, cancel := context.WithCancel(t.Context())
	attempts := 0
	f.inject(func(request any) error {
		if !readsOnly(request.(*pb.TxnRequest)) {
			f.write(mvccpb.Event_PUT, []byte(prefix+"usage-observation"), []byte(`{"since":0,"until":0}`))
			f.commit()
			if attempts++; attempts == 10 {
				cancel()
			}
		}
		return nil
	}, nil)
	require.ErrorIs(t, s.RecordObservation(ctx, report), context.Canceled)
	require.Equal(t, 10, attempts)
}

// TestContendedUsage has somebody else count with every attempt, until the context ends.
func TestContendedUsage(t *testing.T) {
	s, f := opened(t)
	ctx, cancel := context.WithCancel(t.Context())
	attempts := 0
	f.inject(func(request any) error {
		if !readsOnly(request.(*pb.TxnRequest)) {
			f.write(mvccpb.Event_PUT, []byte(prefix+"usage/k1"), []byte(noUsage))
			f.commit()
			if attempts++; attempts == 10 {
				cancel()
			}
		}
		return nil
	}, nil)
	require.ErrorIs(t, s.RecordUsage(ctx, adapter.UsageBatch(store.UsageRecord{Key: "k1", Secret: "5ec2e700"})), context.Canceled)
	require.Equal(t, 10, attempts)
}

// TestManyRecords tells more than is read at a time, and then not all of it.
func TestManyRecords(t *testing.T) {
	s, f := opened(t)
	const more = 2500
	for i := range more {
		f.put(fmt.Sprintf("%sorganizations/%04d", prefix, i), fmt.Sprintf(`{"id":"%04d","requirement":"required"}`, i))
	}
	told := map[string]bool{}
	for change, err := range s.Watch(t.Context(), store.Position{}) {
		require.NoError(t, err)
		if change.IsMark() {
			break
		}
		require.NoError(t, change.Err)
		told[change.Organization+"/"+string(change.Key)] = true
	}
	require.Len(t, told, more+2)

	var ended error
	f.inject(func(request any) error {
		for _, operation := range request.(*pb.TxnRequest).Success {
			if strings.Contains(string(operation.GetRequestRange().GetKey()), "organizations/0") { // where the second page begins
				return rpctypes.ErrGRPCCompacted
			}
		}
		return nil
	}, nil)
	for change, err := range s.Watch(t.Context(), store.Position{}) {
		require.False(t, change.IsMark() && err == nil, "a mark is told of what was not read whole")
		ended = err
	}
	require.ErrorIs(t, ended, store.ErrCompacted)
}

// TestLimitsOfTheClient has a client that takes and sends little.
func TestLimitsOfTheClient(t *testing.T) {
	_, client := startFakeFor(t, clientv3.Config{MaxCallSendMsgSize: 1024, MaxCallRecvMsgSize: 1024})
	s := open(t, client)
	_, err := s.PutOrganization(t.Context(), policy.Organization{ID: "acme"})
	require.NoError(t, err)
	for i := range 20 {
		_, err := s.PutKey(t.Context(), newKey(apikey.ID(fmt.Sprint("key-", i))))
		require.NoError(t, err)
	}
	require.Len(t, wantTold(t, s, 0), 22, "the keys, their organization and a mark")
	page, err := s.Keys(t.Context(), "acme", store.PageRequest{})
	require.NoError(t, err)
	require.Len(t, page.Items, 20)

	large := newKey("large")
	large.Description = strings.Repeat("x", 1024)
	_, err = s.PutKey(t.Context(), large)
	require.ErrorIs(t, err, store.ErrInvalid)
	require.ErrorContains(t, err, "MaxCallSendMsgSize")
}

// TestRefusalsWithoutAWrite has what a member answers by itself not be asked of all: the
// comparison of a whole range holds up every write.
func TestRefusalsWithoutAWrite(t *testing.T) {
	s, f := opened(t)
	f.put("/theirs/a", "b")
	organization, err := s.Organization(t.Context(), "acme")
	require.NoError(t, err)
	f.inject(func(request any) error {
		if !readsOnly(request.(*pb.TxnRequest)) {
			return errors.New("a write")
		}
		return nil
	}, nil)
	for _, revision := range []uint64{0, organization.Revision} {
		require.ErrorIs(t, s.DeleteOrganization(t.Context(), "acme", revision), store.ErrNotEmpty)
	}
	require.ErrorIs(t, s.DeleteOrganization(t.Context(), "acme", organization.Revision+1), store.ErrConflict)
	require.ErrorIs(t, s.DeleteOrganization(t.Context(), "gone", 0), store.ErrNotFound)
	_, err = New(t.Context(), s.client, "/theirs/")
	require.ErrorContains(t, err, "something else")
}

// TestKeyIsCreatedMeanwhile has a key created, or the organization changed, after it was
// found to have none.
func TestKeyIsCreatedMeanwhile(t *testing.T) {
	for name, want := range map[string]error{"keys/acme/k2": store.ErrNotEmpty, "organizations/acme": store.ErrConflict} {
		t.Run(name, func(t *testing.T) {
			s, f := opened(t)
			organization, err := s.Organization(t.Context(), "acme")
			require.NoError(t, err)
			require.NoError(t, s.DeleteKey(t.Context(), "k1", 0))
			f.inject(func(request any) error {
				if !readsOnly(request.(*pb.TxnRequest)) {
					f.write(mvccpb.Event_PUT, []byte(prefix+name), []byte("x"))
					f.commit()
				}
				return nil
			}, nil)
			require.ErrorIs(t, s.DeleteOrganization(t.Context(), "acme", organization.Revision), want)
		})
	}
}

func TestUsageIsTooLarge(t *testing.T) {
	s, f := opened(t)
	f.inject(func(request any) error {
		if readsOnly(request.(*pb.TxnRequest)) {
			return nil
		}
		return rpctypes.ErrGRPCRequestTooLarge
	}, nil)
	err := s.RecordUsage(t.Context(), adapter.UsageBatch(store.UsageRecord{Key: "k1", Secret: "5ec2e700"}))
	require.ErrorIs(t, err, store.ErrInvalid)
	require.ErrorContains(t, err, "1 keys in one transaction")
}

// at returns the position of a revision in the store's history, and the zero Position for
// zero.
func at(s store.Watcher, revision uint64) store.Position {
	if revision == 0 {
		return store.Position{}
	}
	latest, _ := s.Position(context.Background())
	return store.Position{History: latest.History, Revision: revision}
}

// latestOf returns the latest revision.
func latestOf(ctx context.Context, s store.Watcher) (uint64, error) {
	latest, err := s.Position(ctx)
	return latest.Revision, err
}
