package main

import (
	"maps"
	"net/netip"
	"time"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/store/admin"
)

// A change is one of package admin, and its values for the API: an admin.Change does not show
// them.
type change struct {
	admin.Change
	values object // nil: no server is asked for it
}

// An object is one of JSON.
type object map[string]any

// sent returns a change that the API has, too, with its values there beside the kind and the
// key.
func sent(made admin.Change, values object) change {
	all := object{"kind": made.Kind()}
	if made.Key() != "" {
		all["key"] = made.Key()
	}
	maps.Copy(all, values)
	return change{made, all}
}

func changesOf(changes []change) (all []admin.Change) {
	for _, c := range changes {
		all = append(all, c.Change)
	}
	return all
}

// with returns the object with a time, unless that is zero.
func (o object) with(name string, t time.Time) object {
	if !t.IsZero() {
		o[name] = t.UTC().Format(time.RFC3339Nano)
	}
	return o
}

func entryObjects(entries []accesslist.Entry) object {
	all := []object{}
	for _, entry := range entries {
		all = append(all, object{"address": entry.String(), "comment": entry.Comment}.with("expires", entry.Expires))
	}
	return object{"entries": all}
}

func prefixObjects(prefixes []netip.Prefix) object {
	all := []string{}
	for _, prefix := range prefixes {
		all = append(all, entryText(prefix))
	}
	return object{"addresses": all}
}

func grantObjects(grants []apikey.Grant) object {
	return object{"grants": append([]admin.GrantView{}, grantViews(grants)...)}
}

func keyObject(key admin.NewKey) object {
	o := grantObjects(key.Grants)
	maps.Copy(o, entryObjects(key.Entries))
	if key.Description != "" {
		o["description"] = key.Description
	}
	if key.ExternalID != "" {
		o["externalId"] = key.ExternalID
	}
	if len(key.Labels) > 0 {
		o["labels"] = key.Labels
	}
	return o.with("notBefore", key.NotBefore).with("expires", key.Expires)
}

// overlapObject has whole seconds. A part of one is one, since none would end the secret at
// once.
func overlapObject(overlap time.Duration) object {
	return object{"overlapSeconds": int64((overlap + time.Second - 1) / time.Second)}
}
