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
)

// How many records are read at a time: as many as have loadBytes, by what those before
// had. But that says little of those that follow, whose organization may have far longer
// lists. So a page has at most loadGrowth times as many as the one before, and never more
// than maxLoad, which is loadBytes of records of a kilobyte: of two hundred entries each,
// 20 KB, those are some 650 MB, and only of 64 KB each would they be more than the 2 GiB
// that a message can have.
const (
	firstLoad  = 1000
	loadBytes  = 32 << 20
	loadGrowth = 4
	maxLoad    = 1 << 15
)

// A load goes through all records. For each page the member counts what remains of the
// range that it was asked for, a tenth of a second for half a million records: of a million
// keys in one range that would be a third of the time. So the organizations come first,
// and then the keys of some of them at a time.
type load struct {
	names  names
	begin  string   // what is to be read next
	end    string   // of its range
	size   int      // of the page
	starts []string // where the keys of an organization begin, of those that follow
	group  int      // of how many of them the next range is
}

func newLoad(n names) *load {
	return &load{names: n, begin: n.organizations(), end: clientv3.GetPrefixRangeEnd(n.organizations()), size: firstLoad, group: 1}
}

// advance goes on after a page was read, and reports whether there is more.
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

// next returns the end of the next range of keys. Whatever has a name that belongs to no
// organization is in one of the ranges, too.
func (l *load) next() (end string) {
	if l.group >= len(l.starts) {
		return l.names.organizations()
	}
	l.starts = l.starts[l.group:]
	return l.starts[0]
}

// loadSize returns how many records to read after some were.
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

// tellAll tells every record, as of the revision that it returns, and a mark.
func (s *Store) tellAll(ctx context.Context, tell func(store.Change) error) (revision int64, err error) {
	latest, at, err := s.latest(ctx)
	if err != nil {
		return 0, err
	}
	type page struct {
		*pb.RangeResponse
		err error
	}
	l := newLoad(s.names)
	read := func() <-chan page { // while what was read before is told
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
			return 0, page.err
		}
		next = nil
		if l.advance(page.RangeResponse) {
			next = read()
		}
		for _, change := range s.changes(page.Kvs) {
			// What was written by other means may have a later revision than the store,
			// and the mark must not: whoever keeps a copy would take it that the store had
			// gone back, and load it all again, for ever.
			change.Revision = min(change.Revision, latest)
			if err := tell(change); err != nil {
				return 0, err
			}
		}
	}
	return at, tell(store.Change{Revision: latest})
}

// changes returns what is stored as changes, without what no record can be. Reading a
// record's JSON takes longer than reading it from the cluster, so every processor takes
// a part.
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
