package etcd

import (
	"context"
	"runtime"
	"slices"
	"strings"
	"sync"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/adapter"
)

// snapshot delivers every record at the position it returns, and returns the revision of
// the cluster then. The caller delivers the mark.
func (s *Store) snapshot(ctx context.Context, deliver adapter.Deliver) (latest store.Position, at int64, err error) {
	if latest, at, err = s.latest(ctx); err != nil {
		return latest, at, err
	}
	type page struct {
		*pb.RangeResponse
		err error
	}
	l := newLoad(s.names)
	read := func() <-chan page { // while the page before is delivered
		begin, end, size, pages := l.begin, l.end, l.size, make(chan page, 1)
		go func() {
			response, err := s.scan(ctx, begin, end, size, at)
			pages <- page{response, err}
		}()
		return pages
	}
	for next := read(); next != nil; {
		page := <-next
		if page.err != nil {
			return latest, at, page.err
		}
		next = nil
		if l.advance(page.RangeResponse) {
			next = read()
		}
		for _, change := range s.changes(page.Kvs) {
			// A value written by other means may have a later revision than the store. With
			// such a mark a replica would take it that the store has gone back, and reload
			// forever.
			change.Revision = min(change.Revision, latest.Revision)
			if err := deliver(change); err != nil {
				return latest, at, err
			}
		}
	}
	return latest, at, nil
}

// changes returns stored values as changes, without those that are no records. Decoding a
// record takes longer than reading it from the cluster, so every processor takes a part.
func (s *Store) changes(stored []*mvccpb.KeyValue) []store.Change {
	changes := make([]store.Change, len(stored))
	part := len(stored)/runtime.GOMAXPROCS(0) + 1
	var parts sync.WaitGroup
	for begin := 0; begin < len(stored); begin += part {
		parts.Go(func() {
			for i := begin; i < min(begin+part, len(stored)); i++ {
				changes[i] = s.change(stored[i], false)
			}
		})
	}
	parts.Wait()
	return slices.DeleteFunc(changes, store.Change.IsMark)
}

// A page has as many records as make loadBytes, by the size of those before. The next
// organization may have far longer lists, so a page has at most loadGrowth times as many
// records as the page before, and at most maxLoad. With
// records of a kilobyte that is loadBytes. With two hundred entries each, 20 KB, it is some 650 MB; only 64 KB each would
// exceed the 2 GiB of a message.
const (
	firstLoad  = 1000
	loadBytes  = 32 << 20
	loadGrowth = 4
	maxLoad    = 1 << 15
)

// A load goes through all records. For each page the member counts the rest of the range
// asked for, a tenth of a second for half a million records. With a million keys in one
// range that would be a third of the time. So the organizations are read first, and then
// the keys of some of them at a time.
type load struct {
	names  names
	begin  string   // first name of the next page
	end    string   // end of its range
	size   int      // records on the page
	starts []string // first names of the keys of the organizations that follow
	group  int      // organizations in the next range
}

func newLoad(n names) *load {
	return &load{names: n, begin: n.organizations(), end: clientv3.GetPrefixRangeEnd(n.organizations()), size: firstLoad, group: 1}
}

// advance moves past a page and reports whether there are more.
func (l *load) advance(page *pb.RangeResponse) bool {
	first, end := l.names.records() // keys come before organizations
	if l.end == end {
		for _, stored := range page.Kvs {
			l.starts = append(l.starts, l.names.keys(strings.TrimPrefix(string(stored.Key), l.names.organizations())))
		}
	}
	switch few := len(page.Kvs) < l.size/2; {
	case page.More:
		l.begin = string(page.Kvs[len(page.Kvs)-1].Key) + "\x00"
		l.group = max(1, l.group/2)
	case l.end == l.names.organizations():
		return false
	case l.end == end:
		slices.Sort(l.starts)
		l.begin, l.end = first, l.next()
	default:
		if few {
			l.group *= 2
		}
		l.begin, l.end = l.end, l.next()
	}
	l.size = loadSize(page.Kvs, l.size)
	return true
}

// next returns the end of the next range of keys. Names of no organization are in one of
// the ranges, too.
func (l *load) next() (end string) {
	if l.group >= len(l.starts) {
		return l.names.organizations()
	}
	l.starts = l.starts[l.group:]
	return l.starts[0]
}

// loadSize returns the size of the page after one that was read.
func loadSize(read []*mvccpb.KeyValue, before int) int {
	if len(read) == 0 {
		return before
	}
	size := 0
	for _, stored := range read {
		size += len(stored.Key) + len(stored.Value)
	}
	return max(1, min(len(read)*loadBytes/size, before*loadGrowth, maxLoad))
}
