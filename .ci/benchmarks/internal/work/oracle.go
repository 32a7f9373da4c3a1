package work

import (
	"net/netip"
	"time"
)

// Oracle returns the right answer, from the record the request's key was made of: the lines of
// the order one below the other, a scan of the list, and nothing to make it fast. It leaves out
// lines 1, 2 and 13: no request of a World is invalid, goes to the console or names a project.
func (w *World) Oracle(r *Request) bool {
	if r.index < 0 {
		return false // line 4: no such key
	}
	key, now := w.Key(r.index), time.Now()
	if r.Proof != nil && r.Proof.Text != w.proof(r.index).Text {
		return false // line 5
	}
	if key.Disabled {
		return false // line 6
	}
	if !key.Expires.IsZero() && !now.Before(key.Expires) {
		return false // line 8
	}
	if len(key.List) > 0 {
		covered := false
		for _, entry := range key.List {
			// Rule A5: a mapped address is the one it maps; no IPv4 entry covers IPv6.
			if entry.Contains(r.Client.Unmap()) {
				covered = true
			}
		}
		if !covered {
			return false // line 9
		}
	} else {
		if key.Organization.Requirement == Required {
			return false // line 10; rule Q2: report only is as if not required
		}
		if r.Endpoint.RequiresList {
			return false // line 11
		}
	}
	if r.Organization != key.Organization.ID {
		return false // line 12
	}
	hasRole := false
	for _, role := range r.Endpoint.Roles {
		if role == key.Role {
			hasRole = true
		}
	}
	return hasRole // line 14, or 15 and 16
}

// A Scan is slow, obvious membership: for each prefix length, is the block of that length
// around the address on the list?
type Scan map[netip.Prefix]bool

// NewScan returns the Scan of a list of IPv4 blocks.
func NewScan(list []netip.Prefix) Scan {
	s := make(Scan, len(list))
	for _, p := range list {
		s[p] = true
	}
	return s
}

// Contains reports whether a block of the list covers the address.
func (s Scan) Contains(a netip.Addr) bool {
	a = a.Unmap()
	if !a.Is4() {
		return false
	}
	for bits := range 33 {
		if p, err := a.Prefix(bits); err == nil && s[p] {
			return true
		}
	}
	return false
}
