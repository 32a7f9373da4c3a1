package main

import (
	"net/netip"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/store/admin"
)

// entryText returns an address or a block as lists have it.
func entryText(p netip.Prefix) string {
	if p.IsSingleIP() {
		return p.Addr().String()
	}
	return p.String()
}

// entryDetail returns an entry with its end and its comment.
func entryDetail(e accesslist.Entry) string {
	text := e.String()
	if !e.Expires.IsZero() {
		text += ", until " + when(e.Expires)
	}
	if e.Comment != "" {
		text += "  # " + oneLine(e.Comment)
	}
	return text
}

// viewDetail is entryDetail for an entry that was read.
func viewDetail(e admin.EntryView) string {
	text := e.Address
	switch {
	case e.Expired:
		text += ", expired " + when(e.Expires)
	case !e.Expires.IsZero():
		text += ", until " + when(e.Expires)
	}
	if e.Comment != "" {
		text += "  # " + oneLine(e.Comment)
	}
	return text
}
