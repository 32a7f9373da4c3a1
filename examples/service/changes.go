package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store/admin"
)

// fields are those of all changes in JSON.
type fields struct {
	Kind     string    `json:"kind"`
	Key      apikey.ID `json:"key"`      // none: the organization, or a new key with a random ID
	Revision uint64    `json:"revision"` // shown to the asker; another one is a conflict. 0: any

	Description string             `json:"description"`
	ExternalID  string             `json:"externalId"`
	Labels      map[string]string  `json:"labels"`
	Grants      []admin.GrantView  `json:"grants"`
	Entries     entries            `json:"entries"`
	Requirement policy.Requirement `json:"requirement"`
	Secret      string             `json:"secret"`  // the ID of one
	Overlap     duration           `json:"overlap"` // such as "24h"; "0s", after a leak, ends earlier secrets at once
	Expires     time.Time          `json:"expires"` // of a key; none: never
	At          time.Time          `json:"at"`      // none: now
	Until       time.Time          `json:"until"`   // none: in an hour
}

// kinds are the changes on offer. Each needs its fields, those with a question mark are
// optional, and others are refused: a rotation without an overlap would end the old secret at
// once, and a key with a misspelt "expires" would never end.
var kinds = map[string]struct {
	fields string
	change func(f fields) admin.Change
}{
	"create_key": {"grants entries ?description ?labels ?externalId ?expires", func(f fields) admin.Change {
		return admin.CreateKey(admin.NewKey{ID: f.Key, Description: f.Description, Grants: f.grants(), Entries: f.Entries,
			Expires: f.Expires, Labels: f.Labels, ExternalID: f.ExternalID})
	}},
	"describe":            {"description", func(f fields) admin.Change { return admin.Describe(f.Key, f.Description) }},
	"set_labels":          {"labels", func(f fields) admin.Change { return admin.SetLabels(f.Key, f.Labels) }},
	"add_grants":          {"grants", func(f fields) admin.Change { return admin.AddGrants(f.Key, f.grants()...) }},
	"remove_grants":       {"grants", func(f fields) admin.Change { return admin.RemoveGrants(f.Key, f.grants()...) }},
	"add_entries":         {"entries", func(f fields) admin.Change { return admin.AddEntries(f.Key, f.Entries...) }},
	"edit_entries":        {"entries", func(f fields) admin.Change { return admin.EditEntries(f.Key, f.Entries...) }},
	"remove_entries":      {"entries", func(f fields) admin.Change { return admin.RemoveEntries(f.Key, f.Entries.prefixes()...) }},
	"replace_entries":     {"entries", func(f fields) admin.Change { return admin.ReplaceEntries(f.Key, f.Entries...) }},
	"rotate":              {"overlap", func(f fields) admin.Change { return admin.Rotate(f.Key, time.Duration(f.Overlap)) }},
	"end_secret":          {"secret ?at", func(f fields) admin.Change { return admin.EndSecret(f.Key, f.Secret, f.At) }},
	"disable_key":         {"", func(f fields) admin.Change { return admin.DisableKey(f.Key) }},
	"enable_key":          {"", func(f fields) admin.Change { return admin.EnableKey(f.Key) }},
	"delete_key":          {"", func(f fields) admin.Change { return admin.DeleteKey(f.Key) }},
	"set_requirement":     {"requirement", func(f fields) admin.Change { return admin.SetRequirement(f.Requirement) }},
	"suspend_requirement": {"?until", func(f fields) admin.Change { return admin.SuspendRequirement(f.Until) }},
	"resume_requirement":  {"", func(fields) admin.Change { return admin.ResumeRequirement() }},
}

// readChange reads a change of an organization.
func readChange(organization string, data json.RawMessage) (admin.Change, error) {
	var f fields
	var given map[string]json.RawMessage
	if err := json.Unmarshal(data, &given); err != nil {
		return admin.Change{}, err
	}
	if err := decode(bytes.NewReader(data), &f); err != nil { // a grant with a misspelt "project" would hold at the organization
		return admin.Change{}, err
	}
	kind, ok := kinds[f.Kind]
	if !ok {
		return admin.Change{}, fmt.Errorf("there is no kind %.40q", f.Kind)
	}
	for name := range strings.FieldsSeq("?kind ?key ?revision " + kind.fields) {
		name, optional := strings.CutPrefix(name, "?")
		if text := given[name]; !optional && (text == nil || string(text) == "null") {
			return admin.Change{}, fmt.Errorf("%s needs %q", f.Kind, name)
		}
		delete(given, name)
	}
	for name := range given {
		return admin.Change{}, fmt.Errorf("%s has no %.40q", f.Kind, name)
	}
	for _, grant := range f.Grants { // rule K5: nobody else knows roles and projects
		known := slices.Contains(roles, grant.Role) && (grant.Project == "" || hasProject(organization, grant.Project))
		if !known && f.Kind != "remove_grants" { // of a closed project
			return admin.Change{}, fmt.Errorf("there is no role %.40q, or no project %.40q", grant.Role, grant.Project)
		}
	}
	change := kind.change(f)
	if change.Key() != f.Key { // it is of the organization, and so of all keys
		return admin.Change{}, fmt.Errorf("%s has no %q", f.Kind, "key")
	}
	return change.At(f.Revision), nil
}

func (f fields) grants() (grants []apikey.Grant) {
	for _, grant := range f.Grants {
		grants = append(grants, apikey.Grant(grant))
	}
	return grants
}

// entries are IPv4: accesslist.AllowIPv6 would admit others.
type entries []accesslist.Entry

func (e *entries) UnmarshalJSON(data []byte) error {
	list, err := accesslist.Parser{}.ParseJSON(data)
	*e = slices.Collect(list.All())
	return err
}

func (e entries) prefixes() (prefixes []netip.Prefix) {
	for _, entry := range e {
		prefixes = append(prefixes, entry.Prefix())
	}
	return prefixes
}

type duration time.Duration

func (d *duration) UnmarshalText(text []byte) error {
	parsed, err := time.ParseDuration(string(text))
	*d = duration(parsed)
	return err
}

// decode reads one JSON value with known names, and nothing after it.
func decode(from io.Reader, into any) error {
	decoder := json.NewDecoder(from)
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(into); err != nil {
		return err
	}
	if _, err := decoder.Token(); err != io.EOF {
		return errors.New("it goes on after its JSON")
	}
	return nil
}
