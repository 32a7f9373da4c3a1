package etcdtest_test

import (
	"fmt"
	"iter"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/adapter"
	"github.com/sallyport-go/sallyport/store/etcd"
	"github.com/sallyport-go/sallyport/store/etcd/etcdtest"
)

// TestSpaceIsUsedUp raises the alarm that a member raises when its quota is used up.
func TestSpaceIsUsedUp(t *testing.T) {
	client := etcdtest.Start(t, 1).Client(t)
	s, _ := opened(t, client)
	putOrganization(t, s, "acme")
	key := put(t, s, newKey("k1", "acme"))
	alarm := func(action pb.AlarmRequest_AlarmAction) {
		status, err := client.Status(t.Context(), client.Endpoints()[0])
		require.NoError(t, err)
		_, err = pb.NewMaintenanceClient(client.ActiveConnection()).Alarm(t.Context(), &pb.AlarmRequest{
			Action: action, MemberID: status.Header.MemberId, Alarm: pb.AlarmType_NOSPACE,
		})
		require.NoError(t, err)
	}
	alarm(pb.AlarmRequest_ACTIVATE)
	for _, call := range everyCall(s) {
		if call.writes && call.name != "DeleteOrganization" { // which is refused for its keys first
			err := call.do(t.Context())
			require.ErrorIs(t, err, rpctypes.ErrNoSpace, call.name)
			require.ErrorContains(t, err, "disarm the alarm (etcdctl alarm disarm)")
		}
	}
	subject, found, err := s.Lookup(t.Context(), "k1") // reads go on
	require.NoError(t, err)
	require.True(t, found)
	require.Equal(t, key.Revision, subject.Key().Revision)
	usage, err := s.Usage(t.Context(), "k1")
	require.NoError(t, err)
	require.Empty(t, usage["k1"].Entries)

	alarm(pb.AlarmRequest_DEACTIVATE)
	put(t, s, key)
}

// TestCredentials has the cluster want users, of whom one may do all, one may read, and
// one may do something else.
func TestCredentials(t *testing.T) {
	cluster := etcdtest.Start(t, 1)
	root := cluster.Client(t)
	s, prefix := opened(t, root)
	putOrganization(t, s, "acme")
	put(t, s, newKey("k1", "acme"))
	ctx := t.Context()
	role := func(name, prefix string, permission clientv3.PermissionType) {
		_, err := root.RoleAdd(ctx, name)
		require.NoError(t, err)
		_, err = root.RoleGrantPermission(ctx, name, prefix, clientv3.GetPrefixRangeEnd(prefix), permission)
		require.NoError(t, err)
	}
	role("writer", prefix, clientv3.PermissionType(clientv3.PermReadWrite))
	role("reader", prefix, clientv3.PermissionType(clientv3.PermRead))
	role("other", "/other/", clientv3.PermissionType(clientv3.PermReadWrite))
	_, err := root.RoleAdd(ctx, "root")
	require.NoError(t, err)
	for _, user := range []string{"root", "writer", "reader", "other"} {
		_, err := root.UserAdd(ctx, user, "secret-of-"+user)
		require.NoError(t, err)
		_, err = root.UserGrantRole(ctx, user, user)
		require.NoError(t, err)
	}
	_, err = root.AuthEnable(ctx)
	require.NoError(t, err)
	as := func(user, password string) *clientv3.Client {
		client, err := clientv3.New(clientv3.Config{Endpoints: cluster.Endpoints(), Username: user, Password: password, Logger: zap.NewNop()})
		require.NoError(t, err)
		t.Cleanup(func() { _ = client.Close() })
		return client
	}

	for _, call := range everyCall(s) { // of the client from before, which has no user
		err := call.do(short(t))
		require.ErrorContains(t, err, "user", call.name)
	}
	wantUnavailable(t, s, "k1")

	_, err = etcd.New(ctx, as("other", "secret-of-other"), prefix)
	require.ErrorIs(t, err, rpctypes.ErrPermissionDenied)
	require.ErrorContains(t, err, "grant its role the prefix")
	require.NotContains(t, err.Error(), "secret-of")

	reader := openedAt(t, as("reader", "secret-of-reader"), prefix)
	writer := openedAt(t, as("writer", "secret-of-writer"), prefix)
	key := put(t, writer, newKey("k2", "acme"))
	subject, found, err := reader.Lookup(ctx, "k2")
	require.NoError(t, err)
	require.True(t, found)
	require.Equal(t, key.Revision, subject.Key().Revision)
	for change, err := range reader.Watch(ctx, store.Position{}) {
		require.NoError(t, err)
		if change.Revision == key.Revision && change.IsMark() {
			break
		}
	}
	for _, call := range everyCall(reader) {
		if call.writes && call.name != "DeleteOrganization" { // which is refused for its keys first
			require.ErrorIs(t, call.do(ctx), rpctypes.ErrPermissionDenied, call.name)
		}
	}
	_, err = etcd.New(ctx, as("reader", "secret-of-reader"), "/other/")
	require.ErrorIs(t, err, rpctypes.ErrPermissionDenied)

	// A user whose role is taken away while it is in use.
	_, err = as("root", "secret-of-root").UserRevokeRole(ctx, "writer", "writer")
	require.NoError(t, err)
	for _, call := range everyCall(writer) {
		require.Error(t, call.do(short(t)), call.name)
	}
	wantUnavailable(t, writer, "k1")
}

func TestLayoutVersion(t *testing.T) {
	client := etcdtest.Start(t, 1).Client(t)
	ctx := t.Context()

	// Any number may found a store at the same time.
	const prefix = "/founded/"
	var all sync.WaitGroup
	for i := range 16 {
		all.Go(func() {
			s, err := etcd.New(ctx, client, prefix)
			if err == nil {
				_, err = s.PutOrganization(ctx, policy.Organization{ID: fmt.Sprint(i)})
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	s := openedAt(t, client, prefix)
	page, err := s.Organizations(ctx, store.PageRequest{})
	require.NoError(t, err)
	require.Len(t, page.Items, 16)
	revision, err := revisionOf(ctx, s)
	require.NoError(t, err)

	// A program of a later version changes the layout under one of this.
	putOrganization(t, s, "acme")
	put(t, s, newKey("k1", "acme"))
	change := func(layout string) {
		_, err := client.Put(ctx, prefix+"layout", layout)
		require.NoError(t, err)
	}
	watching, stop := iter.Pull2(s.Watch(ctx, store.Position{}))
	defer stop()
	next := func() (err error) { // the error, or that of the next mark
		for mark := false; !mark && err == nil; {
			var change store.Change
			change, err, _ = watching()
			mark = change.IsMark()
		}
		return err
	}
	require.NoError(t, next())

	// Expanded: it goes on, and so does one that begins now.
	change("2 1 1")
	for i, s := range []*etcd.Store{s, openedAt(t, client, prefix)} {
		put(t, s, newKey(apikey.ID(fmt.Sprint("new", i)), "acme"))
		require.NoError(t, next())
	}

	// It may not write any more, and decides as before.
	change("3 1 3")
	before, err := s.Position(ctx)
	require.NoError(t, err)
	for _, s := range []*etcd.Store{s, openedAt(t, client, prefix)} {
		for _, call := range everyCall(s) {
			switch {
			case strings.HasPrefix(call.name, "Watch"): // it would go on
			case call.name == "DeleteOrganization": // it has keys
				require.ErrorIs(t, call.do(ctx), store.ErrNotEmpty)
			case call.writes:
				err := call.do(ctx)
				require.ErrorIs(t, err, store.ErrNewer, call.name)
				require.ErrorContains(t, err, `layout is "3 1 3": programs from version 3 on may write the store, and this one has version 1`)
			default:
				require.NoError(t, call.do(ctx), call.name)
			}
		}
		_, found, err := s.Lookup(ctx, "k1")
		require.NoError(t, err)
		require.True(t, found)
	}
	again, err := s.Position(ctx)
	require.NoError(t, err)
	require.Equal(t, before, again, "nothing was written")

	// Allowed again, it notices.
	change("3 1 1")
	put(t, s, newKey("allowed", "acme"))
	require.NoError(t, next())
	position, err := s.Position(ctx)
	require.NoError(t, err)

	change("4 4 4")
	require.ErrorIs(t, next(), store.ErrNewer, "a watch that was waiting")
	for layout, text := range map[string]string{
		"4 4 4":   "programs from version 4 on may read the store",
		"100 2 2": "programs from version 2 on may read the store",
		"":        `is ""`,
		"1":       `is "1"`,
		"0 0 0":   `is "0 0 0"`,
		"v1 1 1":  `is "v1 1 1"`,
		"1 1 1\n": `is "1 1 1\n"`,
	} {
		change(layout)
		_, err = etcd.New(ctx, client, prefix)
		require.ErrorContains(t, err, text)
		for _, call := range everyCall(s) {
			require.ErrorContains(t, call.do(ctx), text, call.name)
		}
		wantUnavailable(t, s, "k1")
		wantUnavailable(t, s, "gone")
	}
	_, err = client.Delete(ctx, prefix+"layout")
	require.NoError(t, err)
	for _, call := range everyCall(s) {
		require.ErrorContains(t, call.do(ctx), "there is no "+prefix+"layout", call.name)
	}
	wantUnavailable(t, s, "gone")
	_, err = etcd.New(ctx, client, prefix)
	require.ErrorContains(t, err, "there is no "+prefix+"layout")

	_, err = client.Put(ctx, prefix+"layout", "1 1 1")
	require.NoError(t, err)
	after, err := revisionOf(ctx, s)
	require.NoError(t, err)
	require.Greater(t, after, revision)

	// A watcher that was away does not go on over what it might not have been able to read.
	put(t, s, newKey("since", "acme"))
	for _, err := range s.Watch(ctx, position) {
		require.ErrorIs(t, err, store.ErrCompacted)
		require.NotErrorIs(t, err, store.ErrNewer)
	}

	for _, prefix := range []string{"", "/sallyport", "sallyport"} {
		_, err := etcd.New(ctx, client, prefix)
		require.ErrorContains(t, err, "slash")
	}
	_, err = etcd.New(ctx, nil, prefix)
	require.ErrorContains(t, err, "nil")

	// What is somebody else's stays as it is.
	_, err = client.Put(ctx, "/theirs/keys/a", "b")
	require.NoError(t, err)
	_, err = etcd.New(ctx, client, "/theirs/")
	require.ErrorContains(t, err, "something else")
	all2, err := client.Get(ctx, "/theirs/", clientv3.WithPrefix())
	require.NoError(t, err)
	require.Len(t, all2.Kvs, 1)
}

// TestForeignValues has somebody change values by other means. Whatever they are, they
// are an error and never less than the record was.
func TestForeignValues(t *testing.T) {
	client := etcdtest.Start(t, 1).Client(t)
	ctx := t.Context()
	valueOf := func(t *testing.T, name string) string {
		response, err := client.Get(ctx, name)
		require.NoError(t, err)
		require.Len(t, response.Kvs, 1)
		return string(response.Kvs[0].Value)
	}
	replaced := func(old, new string) func(string) string {
		return func(value string) string {
			if !strings.Contains(value, old) {
				panic(old)
			}
			return strings.Replace(value, old, new, 1)
		}
	}
	always := func(value string) func(string) string { return func(string) string { return value } }
	const gone = "\x00gone"
	for name, c := range map[string]struct {
		name   string // in the layout
		change func(string) string
		lookup bool // still finds the key
		keys   bool // still lists it
	}{
		"a key that is empty":                     {name: "keys/acme/k1", change: always("")},
		"a key that is not JSON":                  {name: "keys/acme/k1", change: always("key")},
		"a key that is null":                      {name: "keys/acme/k1", change: always("null")},
		"a key that is cut short":                 {name: "keys/acme/k1", change: func(value string) string { return value[:len(value)/2] }},
		"a key without its list":                  {name: "keys/acme/k1", change: replaced(`"accessList"`, `"list"`)},
		"a key whose list is null":                {name: "keys/acme/k1", change: replaced(`[{"address":"192.0.2.1"}]`, `null`)},
		"a key whose list is of text":             {name: "keys/acme/k1", change: replaced(`[{"address":"192.0.2.1"}]`, `"192.0.2.1"`)},
		"a key whose list has a bad entry":        {name: "keys/acme/k1", change: replaced(`192.0.2.1`, `192.0.2.01`)},
		"another key":                             {name: "keys/acme/k1", change: replaced(`"k1"`, `"k2"`)},
		"a key of another organization":           {name: "keys/acme/k1", change: replaced(`"acme"`, `"other"`)},
		"a key with a revision":                   {name: "keys/acme/k1", change: replaced(`"revision":0`, `"revision":7`)},
		"a key with something after":              {name: "keys/acme/k1", change: func(value string) string { return value + "{}" }},
		"a key that is gone":                      {name: "keys/acme/k1", change: always(gone), keys: true}, // k2 is listed
		"an organization that is empty":           {name: "organizations/acme", change: always(""), keys: true},
		"an organization without a requirement":   {name: "organizations/acme", change: always(`{"id":"acme"}`), keys: true},
		"an organization with an unknown one":     {name: "organizations/acme", change: always(`{"id":"acme","requirement":"whatever"}`), keys: true},
		"another organization":                    {name: "organizations/acme", change: always(`{"id":"other","requirement":"required"}`), keys: true},
		"an organization with a revision":         {name: "organizations/acme", change: always(`{"id":"acme","requirement":"required","revision":7}`), keys: true},
		"an organization that is gone":            {name: "organizations/acme", change: always(gone), keys: true},
		"an ID that names no organization":        {name: "ids/k1", change: always("")},
		"an ID that names another":                {name: "ids/k1", change: always("other")},
		"an ID that names something else":         {name: "ids/k1", change: always("acme/k1/../\xff")},
		"usage that is not JSON":                  {name: "usage/k1", change: always("x"), lookup: true, keys: true},
		"usage of an unknown form":                {name: "usage/k1", change: always(`{"total":1}`), lookup: true, keys: true},
		"usage with something after":              {name: "usage/k1", change: always(`{}{}`), lookup: true, keys: true},
		"usage that is null":                      {name: "usage/k1", change: always(`null`), lookup: true, keys: true},
		"usage with null for its entries":         {name: "usage/k1", change: always(`{"entries":null}`), lookup: true, keys: true},
		"usage that is gone":                      {name: "usage/k1", change: always(gone), lookup: true, keys: true},
		"a name that is nobody's under keys":      {name: "keys/acme", change: always("x"), lookup: true, keys: true},
		"a name that is nobody's beside the rest": {name: "notes", change: always("x"), lookup: true, keys: true},
	} {
		t.Run(name, func(t *testing.T) {
			s, prefix := opened(t, client)
			putOrganization(t, s, "acme")
			putOrganization(t, s, "other")
			key := put(t, s, newKey("k1", "acme"))
			put(t, s, newKey("k2", "acme"))
			value := ""
			if c.name != "keys/acme" && c.name != "notes" {
				value = valueOf(t, prefix+c.name)
			}
			if changed := c.change(value); changed == gone {
				_, err := client.Delete(ctx, prefix+c.name)
				require.NoError(t, err)
			} else {
				_, err := client.Put(ctx, prefix+c.name, changed)
				require.NoError(t, err)
			}
			for _, s := range []*etcd.Store{s, openedAt(t, client, prefix)} { // the first knows where the key was
				subject, found, err := s.Lookup(ctx, "k1")
				if c.lookup {
					require.NoError(t, err)
					require.True(t, found)
					require.True(t, subject.Key().Equal(key))
				} else {
					require.Error(t, err)
					require.NotErrorIs(t, err, store.ErrNotFound)
					require.Contains(t, err.Error(), prefix)
					wantUnavailable(t, s, "k1")
				}
			}
			page, err := s.Keys(ctx, "acme", store.PageRequest{})
			if c.keys {
				require.NoError(t, err)
				require.NotEmpty(t, page.Items)
			} else {
				require.Error(t, err)
				require.Empty(t, page.Items)
			}
			_, found, err := s.Lookup(ctx, "k2") // whose organization is the same
			require.True(t, found || err != nil)
			wantToldAsRead(t, s)
			if strings.HasPrefix(c.name, "usage/") {
				_, err := s.Usage(ctx, "k1")
				require.ErrorContains(t, err, prefix+c.name)
			}

			// A record can be deleted whatever it is, and then put again. If it is not where
			// ids/ says it cannot, and those who follow the feed go on as before.
			deleted := s.DeleteKey(ctx, "k1", 0)
			if strings.HasPrefix(c.name, "ids/") || name == "a key that is gone" {
				require.ErrorContains(t, deleted, prefix+"ids/k1")
				require.ErrorContains(t, deleted, "etcdctl")
				require.NotErrorIs(t, deleted, store.ErrNotFound)
				require.Equal(t, c.name != "keys/acme/k1", isTold(t, s, "k1"))
				return
			}
			require.NoError(t, deleted)
			require.False(t, isTold(t, s, "k1"))
			if !strings.HasPrefix(c.name, "organizations/") {
				put(t, s, newKey("k1", "acme"))
				_, found, err = s.Lookup(ctx, "k1")
				require.NoError(t, err)
				require.True(t, found)
			}
		})
	}

	t.Run("a key that ids does not have", func(t *testing.T) {
		s, prefix := opened(t, client)
		putOrganization(t, s, "acme")
		key := put(t, s, newKey("k1", "acme"))
		_, err := client.Delete(ctx, prefix+"ids/k1")
		require.NoError(t, err)
		_, err = s.Keys(ctx, "acme", store.PageRequest{})
		require.ErrorContains(t, err, "ids/k1")
		_, err = s.PutKey(ctx, key)
		require.ErrorContains(t, err, "without the other")
		_, err = s.PutKey(ctx, newKey("k1", "acme"))
		require.ErrorContains(t, err, "without the other")
		require.ErrorIs(t, s.DeleteOrganization(ctx, "acme", 0), store.ErrNotEmpty)
		require.ErrorIs(t, s.DeleteKey(ctx, "k1", 0), store.ErrNotFound)
	})
	t.Run("an ID whose key is gone, with a revision", func(t *testing.T) {
		s, prefix := opened(t, client)
		putOrganization(t, s, "acme")
		key := put(t, s, newKey("k1", "acme"))
		_, err := client.Delete(ctx, prefix+"keys/acme/k1")
		require.NoError(t, err)
		err = s.DeleteKey(ctx, "k1", key.Revision)
		require.ErrorContains(t, err, "ids/k1")
		require.NotErrorIs(t, err, store.ErrNotFound)
		_, err = s.PutKey(ctx, key)
		require.ErrorContains(t, err, "without the other")
		_, err = client.Delete(ctx, prefix+"ids/k1") // as the error says
		require.NoError(t, err)
		put(t, s, newKey("k1", "acme"))
	})
	t.Run("an ID that names another, put right", func(t *testing.T) {
		s, prefix := opened(t, client)
		putOrganization(t, s, "acme")
		key := put(t, s, newKey("k1", "acme"))
		_, err := client.Put(ctx, prefix+"ids/k1", "other")
		require.NoError(t, err)
		require.ErrorContains(t, s.DeleteKey(ctx, "k1", key.Revision), `names organization "other", which does not have the key`)
		_, err = client.Put(ctx, prefix+"ids/k1", "acme") // as the error says
		require.NoError(t, err)
		require.NoError(t, s.DeleteKey(ctx, "k1", key.Revision))
		require.False(t, isTold(t, s, "k1"))
	})
	t.Run("usage that cannot be read is not counted on", func(t *testing.T) {
		s, prefix := opened(t, client)
		putOrganization(t, s, "acme")
		put(t, s, newKey("k1", "acme"))
		put(t, s, newKey("k2", "acme"))
		_, err := client.Put(ctx, prefix+"usage/k1", "x")
		require.NoError(t, err)
		require.ErrorContains(t, s.RecordUsage(ctx, adapter.UsageBatch(used("k2", 1), used("k1", 1))), "usage/k1")
		_, err = s.Usage(ctx, "k1")
		require.ErrorContains(t, err, "usage/k1")
		usage, err := s.Usage(ctx, "k2")
		require.NoError(t, err)
		require.Empty(t, usage["k2"].Entries, "nothing of a batch that failed (U4)")
	})
}

// wantToldAsRead checks that a watch from zero tells of each record what reading it
// would say.
func wantToldAsRead(t *testing.T, s *etcd.Store) {
	t.Helper()
	for change, err := range s.Watch(t.Context(), store.Position{}) {
		require.NoError(t, err)
		if change.IsMark() {
			return
		}
		var read error
		if change.Key == "" {
			_, read = s.Organization(t.Context(), change.Organization)
		} else if _, read = s.Key(t.Context(), change.Key); read != nil && change.Err == nil {
			continue // its ID leads elsewhere
		}
		require.Equal(t, read == nil, change.Err == nil, "%+v; read: %v", change, read)
		require.Equal(t, change.Err == nil, change.KeyRecord != nil || change.OrganizationRecord != nil)
	}
}

// isTold reports whether a watch from zero tells of a key, and checks that its mark is what
// Revision returns.
func isTold(t *testing.T, s *etcd.Store, id apikey.ID) (told bool) {
	t.Helper()
	revision, err := revisionOf(t.Context(), s)
	require.NoError(t, err)
	for change, err := range s.Watch(t.Context(), store.Position{}) {
		require.NoError(t, err)
		if change.IsMark() {
			require.Equal(t, revision, change.Revision)
			break
		}
		told = told || change.Key == id
	}
	return told
}

func TestRecordIsTooLarge(t *testing.T) {
	client := etcdtest.Start(t, 1).Client(t)
	s, _ := opened(t, client)
	putOrganization(t, s, "acme")
	key := put(t, s, newKey("k1", "acme"))
	large := key
	large.AccessList = listOf(t, apikey.MaxEntries, strings.Repeat("<", apikey.MaxText/apikey.MaxEntries)) // six bytes of JSON each
	_, err := s.PutKey(t.Context(), large, store.AllowManyEntries)
	require.ErrorIs(t, err, store.ErrInvalid)
	require.ErrorContains(t, err, "with 10000 entries")
	require.ErrorContains(t, err, "--max-request-bytes")
	stored, err := s.Key(t.Context(), "k1")
	require.NoError(t, err)
	require.True(t, stored.Equal(key))

	key.AccessList = listOf(t, apikey.MaxEntries, strings.Repeat("x", apikey.MaxText/apikey.MaxEntries))
	key, err = s.PutKey(t.Context(), key, store.AllowManyEntries)
	require.NoError(t, err)
	stored, err = s.Key(t.Context(), "k1")
	require.NoError(t, err)
	require.True(t, stored.Equal(key))

	// The same of usage: each entry was used, of too many keys at a time.
	key.AccessList = listOf(t, 1000, "")
	var batch []store.UsageRecord
	const keys = 50
	for i := range keys {
		id := apikey.ID(fmt.Sprint("used-", i))
		put(t, s, newKey(id, "acme"))
		for entry := range key.AccessList.All() {
			record := used(id, 1)
			record.Entry = entry.Prefix()
			batch = append(batch, record)
		}
	}
	err = s.RecordUsage(t.Context(), adapter.UsageBatch(batch...))
	require.ErrorIs(t, err, store.ErrInvalid)
	require.ErrorContains(t, err, "50 keys")
	usage, err := s.Usage(t.Context(), "used-0")
	require.NoError(t, err)
	require.Empty(t, usage["used-0"].Entries)
	require.NoError(t, s.RecordUsage(t.Context(), adapter.UsageBatch(batch[:len(batch)/keys]...)))
	usage, err = s.Usage(t.Context(), "used-0")
	require.NoError(t, err)
	require.Len(t, usage["used-0"].Entries, 1000)
}

func listOf(t testing.TB, entries int, comment string) accesslist.List {
	t.Helper()
	var all []accesslist.Entry
	for i := range entries {
		entry, err := accesslist.ParseEntry(fmt.Sprintf("10.0.%d.%d", i/256, i%256))
		require.NoError(t, err)
		entry.Comment, entry.Expires = comment, time.Date(2100, 1, 2, 3, 4, 5, 123456789, time.UTC)
		all = append(all, entry)
	}
	list, err := accesslist.New(all...)
	require.NoError(t, err)
	return list
}
