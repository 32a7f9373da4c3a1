package admin_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store/admin"
)

// A decoder makes choices from bytes, the first of each once they have run out.
type decoder struct{ data []byte }

func oneOf[T any](d *decoder, choices ...T) T {
	if len(d.data) == 0 {
		return choices[0]
	}
	choice := choices[int(d.data[0])%len(choices)]
	d.data = d.data[1:]
	return choice
}

func (d *decoder) id() apikey.ID {
	return oneOf[apikey.ID](d, "target", "k", "target", "self", "boss", "absent", "")
}

func (d *decoder) client() netip.Addr {
	return netip.MustParseAddr(oneOf(d, "192.0.2.1", "203.0.113.7", "2001:db8::1"))
}

func (d *decoder) entries() []accesslist.Entry {
	var entries []accesslist.Entry
	for _, text := range oneOf(d, []string{"192.0.2.1"}, []string{"203.0.113.7"}, []string{"10.0.0.0/7", "203.0.113.0/24"}, nil) {
		entry, err := accesslist.Parser{}.ParseEntry(text)
		if err != nil {
			panic(err)
		}
		entry.Comment = oneOf(d, "", "an office")
		entry.Expires = d.time()
		entries = append(entries, entry)
	}
	return entries
}

func (d *decoder) time() time.Time {
	return oneOf(d, time.Time{}, start.Add(30*time.Minute), start.Add(-day), start.Add(90*day))
}

func (d *decoder) grants() []apikey.Grant {
	return oneOf(d, []apikey.Grant{{Role: "reader"}}, []apikey.Grant{{Role: "owner"}}, []apikey.Grant{{Role: "reader", Project: "p"}, {Role: "owner"}}, nil)
}

func (d *decoder) text() string { return oneOf(d, "text", "", "\x00") }

func (d *decoder) requirement() policy.Requirement {
	return oneOf(d, policy.Required, policy.NotRequired, policy.ReportOnly, 9)
}

// constructors are all functions that make a Change, with arguments of the decoder's choice.
var constructors = map[string]func(d *decoder) admin.Change{
	"AddEntries":     func(d *decoder) admin.Change { return admin.AddEntries(d.id(), d.entries()...) },
	"RemoveEntries":  func(d *decoder) admin.Change { return admin.RemoveEntries(d.id(), prefixesOf(d.entries())...) },
	"ReplaceEntries": func(d *decoder) admin.Change { return admin.ReplaceEntries(d.id(), d.entries()...) },
	"EditEntries":    func(d *decoder) admin.Change { return admin.EditEntries(d.id(), d.entries()...) },
	"CreateKey": func(d *decoder) admin.Change { // that an ID is taken is no secret: see TestTakenID
		return admin.CreateKey(admin.NewKey{ID: oneOf[apikey.ID](d, "", "new", "k"), Description: d.text(), Grants: d.grants(), Entries: d.entries()})
	},
	"Describe":      func(d *decoder) admin.Change { return admin.Describe(d.id(), d.text()) },
	"SetValidity":   func(d *decoder) admin.Change { return admin.SetValidity(d.id(), d.time(), d.time()) },
	"DisableKey":    func(d *decoder) admin.Change { return admin.DisableKey(d.id()) },
	"EnableKey":     func(d *decoder) admin.Change { return admin.EnableKey(d.id()) },
	"DeleteKey":     func(d *decoder) admin.Change { return admin.DeleteKey(d.id()) },
	"SetGrants":     func(d *decoder) admin.Change { return admin.SetGrants(d.id(), d.grants()...) },
	"AddGrants":     func(d *decoder) admin.Change { return admin.AddGrants(d.id(), d.grants()...) },
	"RemoveGrants":  func(d *decoder) admin.Change { return admin.RemoveGrants(d.id(), d.grants()...) },
	"SetLabels":     func(d *decoder) admin.Change { return admin.SetLabels(d.id(), map[string]string{"team": d.text()}) },
	"SetExternalID": func(d *decoder) admin.Change { return admin.SetExternalID(d.id(), d.text()) },
	"Rotate": func(d *decoder) admin.Change {
		return admin.Rotate(d.id(), oneOf(d, 0, time.Hour, -1, 100*day))
	},
	"EndSecret":    func(d *decoder) admin.Change { return admin.EndSecret(d.id(), oneOf(d, secretIDs...), d.time()) },
	"SetTrialList": func(d *decoder) admin.Change { return admin.SetTrialList(d.id(), d.entries()...) },
	"EndTrial":     func(d *decoder) admin.Change { return admin.EndTrial(d.id()) },
	"EnforceTrial": func(d *decoder) admin.Change { return admin.EnforceTrial(d.id()) },

	"CreateOrganization":  func(d *decoder) admin.Change { return admin.CreateOrganization(d.requirement()) },
	"SetName":             func(d *decoder) admin.Change { return admin.SetName(d.text()) },
	"SetRequirement":      func(d *decoder) admin.Change { return admin.SetRequirement(d.requirement()) },
	"SuspendRequirement":  func(d *decoder) admin.Change { return admin.SuspendRequirement(d.time()) },
	"ResumeRequirement":   func(*decoder) admin.Change { return admin.ResumeRequirement() },
	"DisableOrganization": func(*decoder) admin.Change { return admin.DisableOrganization() },
	"EnableOrganization":  func(*decoder) admin.Change { return admin.EnableOrganization() },
	"DeleteOrganization":  func(*decoder) admin.Change { return admin.DeleteOrganization() },
}

func prefixesOf(entries []accesslist.Entry) (all []netip.Prefix) {
	for _, entry := range entries {
		all = append(all, entry.Prefix())
	}
	return all
}

// Every function that makes a Change is in the table.
func TestEveryChangeIsIsolated(t *testing.T) {
	names, err := filepath.Glob("*.go")
	require.NoError(t, err)
	var declared []string
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		require.NoError(t, err)
		for _, d := range file.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil && f.Name.IsExported() && makesChange(f) {
				declared = append(declared, f.Name.Name)
			}
		}
	}
	slices.Sort(declared)
	require.Equal(t, declared, slices.Sorted(maps.Keys(constructors)))
}

func makesChange(f *ast.FuncDecl) bool {
	if f.Type.Results == nil {
		return false
	}
	return slices.ContainsFunc(f.Type.Results.List, func(result *ast.Field) bool {
		name, ok := result.Type.(*ast.Ident)
		return ok && name.Name == "Change"
	})
}
