package etcd

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"

	"github.com/sallyport-go/sallyport/apikey"
)

// TestLoadSize: a page has what fits, by the records before, and is not much larger than
// that page was.
func TestLoadSize(t *testing.T) {
	for _, c := range []struct{ before, read, bytes, want int }{
		{firstLoad, firstLoad, 300, loadGrowth * firstLoad},
		{loadGrowth * firstLoad, loadGrowth * firstLoad, 300, loadGrowth * loadGrowth * firstLoad},
		{loadGrowth * firstLoad, loadGrowth * firstLoad, 32 << 10, 1 << 10},
		{maxLoad, maxLoad, 300, maxLoad},
		{maxLoad, maxLoad, 2 << 10, 1 << 14},
		{maxLoad, 1, 300, maxLoad},
		{maxLoad, 1, loadBytes, 1},
		{maxLoad, 1, 2 * loadBytes, 1},
		{firstLoad, 0, 0, firstLoad},
	} {
		var read []*mvccpb.KeyValue
		for range c.read {
			read = append(read, &mvccpb.KeyValue{Key: make([]byte, 20), Value: make([]byte, c.bytes-20)})
		}
		require.Equal(t, c.want, loadSize(read, c.before), "after %d records of %d bytes, of %d that were asked for", c.read, c.bytes, c.before)
	}
	require.LessOrEqual(t, maxLoad*(64<<10), 1<<31, "a page of records of 64 KiB is more than a message can have")
}

// TestLoadIsOfEverythingOnce goes through stores of every shape. Each name is read once,
// and the members count not much more than there is.
func TestLoadIsOfEverythingOnce(t *testing.T) {
	n := names{prefix}
	for name, c := range map[string]struct {
		organizations, keys, counted int
	}{
		"nothing":                   {0, 0, 0},
		"an organization":           {1, 0, 1},
		"one with all keys":         {1, 100_000, 400_000},
		"many, of a hundred keys":   {1000, 100, 150_000},
		"few, of many":              {3, 50_000, 500_000},
		"very many, of a key or so": {100_000, 1, 500_000},
	} {
		t.Run(name, func(t *testing.T) {
			var all []string
			for i := range c.organizations {
				organization := fmt.Sprintf("%d-%s", i, []string{"a", "a/b", "a%2Fb", "a%", "é", "\x7f"}[i%6])
				all = append(all, n.organization(organization))
				for k := range c.keys {
					all = append(all, n.key(organization, apikey.ID(fmt.Sprint("k", k))))
				}
			}
			// What is nobody's is in the way of nothing.
			all = append(all, prefix+"keys/", prefix+"keys/gone/k1", prefix+"keys/\xff/k1", prefix+"keys0", prefix+"nothing", prefix+"organizations/")
			slices.Sort(all)

			var read []string
			counted := 0
			for l, more := newLoad(n), true; more; {
				from, _ := slices.BinarySearch(all, l.begin)
				to, _ := slices.BinarySearch(all, l.end)
				counted += to - from
				last := min(to, from+l.size)
				page := &pb.RangeResponse{More: last < to}
				for _, name := range all[from:last] {
					page.Kvs = append(page.Kvs, &mvccpb.KeyValue{Key: []byte(name), Value: make([]byte, 300)})
				}
				read = append(read, all[from:last]...)
				more = l.advance(page)
			}
			slices.Sort(read)
			// Those before keys/ and after organizations/ are no records.
			want := slices.DeleteFunc(slices.Clone(all), func(name string) bool { return strings.Compare(name, prefix+"keys/") < 0 })
			require.Equal(t, len(want), len(read))
			require.True(t, slices.Equal(want, read))
			assert.LessOrEqual(t, counted, c.counted+len(all)+10)
		})
	}
}
