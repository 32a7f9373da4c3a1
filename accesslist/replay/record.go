package replay

import (
	"net/netip"
	"time"
)

// A Record is one request of a log. Its texts are parts of the line as it was written, with
// the escapes of its format, and nil if the line does not have them. They are valid until
// the next call of [Reader.Read].
type Record struct {
	Client netip.Addr // as chosen by Reader.Client; it may have a zone, and may be IPv4-mapped
	Time   time.Time  // in UTC; times without a zone are read as UTC
	Status int        // of the answer; 0 if the log has none

	Method, Path []byte // Path is the target of the request, a whole URL in some logs
	User, Agent  []byte

	// Of the guard's own log only.
	Key     []byte // the ID of the key
	Entry   []byte // the entry that covered the client
	Reason  []byte // of the decision
	LeftOut uint64 // calls that were not logged before this one

	allowed verdict // of the guard

	// Addresses as written. The names of their fields are for messages.
	peer, resolved, forwarded, named []byte
	withPort                         bool          // peer always ends in a port
	first                            clientAddress // peer, if it was parsed already
	second                           bool          // peer is the second field, after a virtual host
	noStatus                         bool          // the format has no status

	from       clientAddress // where Client was read from
	lastHop    netip.Addr    // the last address of the forwarded list; zero: no list
	clientIsIn bool          // Client is in that list
}

// A verdict is what the guard's log says of a call.
type verdict uint8

const (
	noVerdict verdict = iota
	denied
	allowed
)

// Refused reports whether the call was already refused by the server: the status is 401 or
// 403, or the guard denied it. Such a call is no use of a key, and a list that refuses it
// breaks nothing.
func (r *Record) Refused() bool {
	return r.Status == 401 || r.Status == 403 || r.allowed == denied
}

// Succeeded reports whether the call was answered with success: a status of 2xx, 3xx or
// 101, or the guard allowed it. Without any status, as in the log of a network load
// balancer, each call counts as one.
func (r *Record) Succeeded() bool {
	return 200 <= r.Status && r.Status <= 399 || r.Status == 101 || r.allowed == allowed || r.noStatus
}
