package etcd

import (
	"fmt"
	"strconv"
	"strings"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/sallyport-go/sallyport/apikey"
)

// layoutVersion is the value of the marker. It rises with every change of names or values.
const layoutVersion = "1"

// names are the names under a prefix: the layout described in the package documentation.
// Keys and organizations are neighbours, so that one range has what a Watch delivers, and
// neither ids nor usage.
type names struct {
	prefix string
}

func (n names) version() string  { return n.prefix + "version" }
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

// watched returns the range that has all records and the latest write, and nothing else of
// this package.
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

// checkVersion returns why the store cannot be used with the marker read, or nil.
func (n names) checkVersion(marker *pb.RangeResponse) error {
	if len(marker.GetKvs()) == 0 {
		return fmt.Errorf("store/etcd: there is no %s, which every store has: there is something else under the prefix %s, or the store was deleted", n.version(), n.prefix)
	}
	version := string(marker.Kvs[0].Value)
	if version == layoutVersion {
		return nil
	}
	if number, err := strconv.ParseUint(version, 10, 32); err == nil && number > 1 {
		return fmt.Errorf("store/etcd: %s is %s: the store has the layout of a later version of this package, which knows version %s: use that one", n.version(), version, layoutVersion)
	}
	return fmt.Errorf("store/etcd: %s is %.20q: want %s", n.version(), version, layoutVersion)
}
