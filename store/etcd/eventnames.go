package etcd

import (
	"fmt"
	"strconv"
	"strings"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/sallyport-go/sallyport/apikey"
)

// A range of etcd is read from its beginning, and sorting another way reads all of it. So
// the events of a write have a name in each direction, for all organizations and for their
// own: the document has the first, and the others are empty.

// keptEvents are the events of one write, by their name.
type keptEvents struct {
	place        uint64 // a revision before that of the write, and not before those of earlier ones
	revision     uint64 // of the write
	organization string // empty if events were forgotten
	key          apikey.ID
}

// An eventOrder is a range of names.
type eventOrder struct {
	prefix       string
	newest       bool
	organization string // empty: the names have it
}

// journal is the name of the head: see beside.
func (n names) journal() string { return n.prefix + "journal" }

// oldest returns the writes of an organization, or all of them, the oldest first.
func (n names) oldest(organization string) eventOrder {
	return eventOrder{prefix: n.events(organization) + "oldest/", organization: organization}
}

// newest is oldest in the other direction.
func (n names) newest(organization string) eventOrder {
	return eventOrder{prefix: n.events(organization) + "newest/", newest: true, organization: organization}
}

func (n names) events(organization string) string {
	if organization == "" {
		return n.prefix + "events/all/"
	}
	return n.prefix + "events/of/" + escape.Replace(organization) + "/"
}

// begin returns the first possible name at a place or after it; with newest, at it or
// before it.
func (o eventOrder) begin(place uint64) string {
	if o.newest {
		place = ^place
	}
	return fmt.Sprintf("%s%016x/", o.prefix, place)
}

// after returns the first possible name after those at a place.
func (o eventOrder) after(place uint64) string { return clientv3.GetPrefixRangeEnd(o.begin(place)) }

func (o eventOrder) end() string { return clientv3.GetPrefixRangeEnd(o.prefix) }

func (o eventOrder) has(name []byte) bool { return strings.HasPrefix(string(name), o.prefix) }

func (o eventOrder) name(k keptEvents) string {
	if o.organization != "" {
		return o.begin(k.place) + string(k.key)
	}
	return o.begin(k.place) + escape.Replace(k.organization) + "/" + string(k.key)
}

// parse returns the write with a name in the order. The name is written once, by the write.
func (o eventOrder) parse(stored *mvccpb.KeyValue) (k keptEvents, err error) {
	place, rest, _ := strings.Cut(strings.TrimPrefix(string(stored.Key), o.prefix), "/")
	k = keptEvents{revision: uint64(stored.CreateRevision), organization: o.organization, key: apikey.ID(rest)}
	if o.organization == "" {
		organization, key, _ := strings.Cut(rest, "/")
		k.organization, k.key = unescape.Replace(organization), apikey.ID(key)
	}
	if k.place, err = strconv.ParseUint(place, 16, 64); o.newest {
		k.place = ^k.place
	}
	if err != nil || o.name(k) != string(stored.Key) || k.place >= k.revision {
		return k, inconsistent(fmt.Sprintf("%.400q", stored.Key), fmt.Sprintf("of revision %d is no name of events", stored.CreateRevision))
	}
	return k, nil
}
