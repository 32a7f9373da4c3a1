package etcd

import (
	"fmt"
	"strings"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/store"
)

// layoutVersion is the version of this program's names and values. It rises with every change
// of them.
const layoutVersion = 1

// A marker is the value of layout: the version of the names and values, and the oldest
// versions of programs that may read and write them, "1 1 1". Each transaction compares it,
// so that an older program notices a change at once, and goes on as far as it may: see
// package store, "Versions side by side".
type marker struct {
	text                       string
	readableFrom, writableFrom int
}

// founding is the marker of a new store.
var founding = marker{fmt.Sprintf("%d 1 1", layoutVersion), 1, 1}

// names are the names under a prefix: the layout described in the package documentation.
// Keys, the marker and organizations are neighbours, so that one range has what a Watch
// delivers, and neither ids nor usage.
type names struct {
	prefix string
}

// layout is the name of the marker. It is among those that a watch delivers.
func (n names) layout() string   { return n.prefix + "layout" }
func (n names) revision() string { return n.prefix + "revision" }

// id is the name with the organization of a key.
func (n names) id(id apikey.ID) string { return n.prefix + "ids/" + string(id) }

func (n names) usage(id apikey.ID) string { return n.prefix + "usage/" + string(id) }

// observation is the name of the observation of usage. No watch delivers it.
func (n names) observation() string { return n.prefix + "usage-observation" }

func (n names) organizations() string { return n.prefix + "organizations/" }

func (n names) organization(id string) string { return n.organizations() + id }

// keys is the common beginning of the names of an organization's keys, and of no others.
func (n names) keys(organization string) string {
	return n.prefix + "keys/" + escape.Replace(organization) + "/"
}

func (n names) key(organization string, id apikey.ID) string {
	return n.keys(organization) + string(id)
}

// records returns the range that has all records.
func (n names) records() (begin, end string) {
	return n.prefix + "keys/", clientv3.GetPrefixRangeEnd(n.organizations())
}

// watched returns the range that has all records, the marker and the latest write, and nothing
// else of this package.
func (n names) watched() (begin, end string) { return n.prefix + "keys/", n.revision() + "\x00" }

// history is a name written by each write in a history.
func (n names) history(history string) string { return n.histories() + history }

func (n names) histories() string { return n.prefix + "histories/" }

// escape keeps the organization "a/b" apart from keys of organization "a". IDs of keys have
// no slash. In organizations/ the name is the whole rest: etcd's order is the order of
// the pages (S20).
var escape = strings.NewReplacer("%", "%25", "/", "%2F")

var unescape = strings.NewReplacer("%25", "%", "%2F", "/")

// record returns the record with a name, ok if a record can have it. key is empty for an
// organization.
func (n names) record(name string) (organization string, key apikey.ID, ok bool) {
	if organization, ok = strings.CutPrefix(name, n.organizations()); ok {
		return organization, "", organization != ""
	}
	rest, _ := strings.CutPrefix(name, n.prefix+"keys/")
	escaped, id, _ := strings.Cut(rest, "/")
	organization, key = unescape.Replace(escaped), apikey.ID(id)
	return organization, key, organization != "" && key != "" && n.key(organization, key) == name
}

// marker returns the marker as stored, nil for none, or why the store cannot be read.
func (n names) marker(stored *mvccpb.KeyValue) (marker, error) {
	if stored == nil {
		return marker{}, fmt.Errorf("store/etcd: there is no %s, which every store has: there is something else under the prefix %s, or the store was deleted", n.layout(), n.prefix)
	}
	m := marker{text: string(stored.Value)}
	var version int
	_, err := fmt.Sscanf(m.text, "%d %d %d", &version, &m.readableFrom, &m.writableFrom)
	if err != nil || m.text != fmt.Sprintf("%d %d %d", version, m.readableFrom, m.writableFrom) ||
		m.readableFrom < 1 || m.readableFrom > m.writableFrom || m.writableFrom > version || version < layoutVersion {
		return marker{}, fmt.Errorf("store/etcd: %s is %.40q: want %q, or that of a later version", n.layout(), m.text, founding.text)
	}
	return m, n.mayNot("read", m.readableFrom, m)
}

// checkWrite returns why the store cannot be written.
func (n names) checkWrite(m marker) error { return n.mayNot("write", m.writableFrom, m) }

func (n names) mayNot(what string, from int, m marker) error {
	if from <= layoutVersion {
		return nil
	}
	return fmt.Errorf("store/etcd: %s is %q: programs from version %d on may %s the store, and this one has version %d: %w", n.layout(), m.text, from, what, layoutVersion, store.ErrNewer)
}
