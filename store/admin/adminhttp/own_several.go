package adminhttp

import (
	"fmt"
	"maps"
	"slices"

	"github.com/sallyport-go/sallyport/internal/strictjson"
	"github.com/sallyport-go/sallyport/store/admin"
)

// severalChanges are changes of any records of the organization, judged as a whole.
func (h *handler) severalChanges(c *call, b *body) ([]admin.Change, error) {
	parts, err := readParts(b)
	if err != nil {
		return nil, err
	}
	var changes []admin.Change
	for i, value := range parts {
		made, err := h.readPart(c, value)
		if err != nil {
			return nil, inPart("Change", i, err)
		}
		changes = slices.Concat(changes, made)
	}
	return changes, nil
}

// kinds are the changes in a call of several, by their Change.Kind. The fields of each are
// those of its own call, and where that has them in its path these, too.
var kinds = map[string]func(h *handler, c *call, b *body) ([]admin.Change, error){
	createsKey:             (*handler).ownCreateKey,
	"edit_key":             (*handler).editKey,
	"set_validity":         (*handler).setValidity,
	"enable_key":           (*handler).enableKey,
	"disable_key":          (*handler).disableKey,
	"delete_key":           (*handler).ownDeleteKey,
	"add_entries":          (*handler).ownAddEntries,
	"edit_entries":         (*handler).editEntries,
	"remove_entries":       (*handler).removeEntries,
	"replace_entries":      (*handler).replaceList,
	"set_trial_list":       (*handler).setTrial,
	"end_trial":            (*handler).endTrial,
	"enforce_trial":        (*handler).enforceTrial,
	"add_grants":           (*handler).addGrants,
	"remove_grants":        (*handler).removeGrants,
	"rotate":               (*handler).rotate,
	"end_secret":           (*handler).endNamedSecret,
	"set_name":             (*handler).setName,
	"enable_organization":  (*handler).enableOrganization,
	"disable_organization": (*handler).disableOrganization,
	"set_requirement":      (*handler).setRequirement,
	"suspend_requirement":  (*handler).suspend,
	"resume_requirement":   (*handler).resume,
}

func readParts(b *body) (parts []strictjson.Value, err error) {
	err = b.read(strictjson.Field{Name: "changes", Required: true, Read: strictjson.Slice(&parts, func(v strictjson.Value) (strictjson.Value, error) { return v, nil })})
	if err == nil && len(parts) > admin.MaxChanges {
		err = fieldProblem("changes", fmt.Sprintf("has %d changes: want %d at most", len(parts), admin.MaxChanges))
	}
	return parts, err
}

// readPart reads one of several changes: its kind, the key, the revision of the record, and the
// fields of its kind.
func (h *handler) readPart(c *call, value strictjson.Value) ([]admin.Change, error) {
	var kind, key string
	var revision uint64
	b := &body{value: value}
	names, err := namesOf(value)
	if err != nil {
		return nil, badBody(err)
	}
	head := []strictjson.Field{
		{Name: "kind", Required: true, Read: strictjson.Text(&kind)},
		{Name: "key", Read: strictjson.Text(&key)},
		{Name: "revision", Read: strictjson.Uint(&revision)},
	}
	all := slices.Clone(head)
	for name := range names {
		if name != "kind" && name != "key" && name != "revision" {
			all = append(all, strictjson.Field{Name: name, Read: unread})
		}
	}
	if err := badBody(value.Object(all...)); err != nil {
		return nil, err
	}
	change, ok := kinds[kind]
	if !ok {
		return nil, fieldProblem("kind", "is "+quote(kind)+": want one of "+fmt.Sprint(slices.Sorted(maps.Keys(kinds))))
	}
	b.key, b.extra = key, head
	changes, err := change(h, c, b)
	for i := range changes {
		if string(changes[i].Key()) != key {
			return nil, fieldProblem("key", "is "+quote(key)+": a change of "+kind+" has none")
		}
		if revision != 0 {
			changes[i] = changes[i].At(revision)
		}
	}
	return changes, err
}

func namesOf(value strictjson.Value) (names map[string]strictjson.Value, err error) {
	return names, strictjson.Map(&names, func(name string, v strictjson.Value) (string, strictjson.Value, error) { return name, v, nil })(value)
}

// inPart says which part of a body an error is about, such as "Change", counted from 1.
func inPart(part string, i int, err error) error {
	if e, ok := err.(*apiError); ok {
		e.detail = fmt.Sprintf("%s %d: %s", part, i+1, e.detail)
	}
	return err
}
