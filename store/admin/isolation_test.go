package admin_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"math/rand/v2"
	"net/netip"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/cryptotest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/admin"
)

// Another organization does not exist for a call. Two worlds are alike, but for the names in
// another organization: in the first its key and itself have the IDs that the calls name. The
// calls are the same, and so must be every byte of every answer.

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
	"EndSecret": func(d *decoder) admin.Change { return admin.EndSecret(d.id(), oneOf(d, secretIDs...), d.time()) },

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

// An isolated world is one of the two.
type isolated struct {
	*world
	self   policy.Subject // as the guard saw it
	token  string         // of the last preview
	answer strings.Builder
}

// methods are those of an Admin, called with arguments of the decoder's choice. A program
// vouches for the organization of a person and of a look; a key may name any.
var methods = map[string]func(w *isolated, d *decoder){
	"Preview": func(w *isolated, d *decoder) {
		actor, organization := w.asks(d)
		preview, err := w.admin.Preview(w.ctx, actor, organization, d.changes()...)
		w.token = preview.Token
		w.say(preview, err)
	},
	"Apply": func(w *isolated, d *decoder) {
		actor, organization := w.asks(d)
		options := admin.ApplyOptions{Reason: "a reason"}
		options.Accept = oneOf(d, []admin.Kind(nil), []admin.Kind{admin.SelfLockout, admin.LastManager, admin.OrganizationLockout, admin.BreaksKey, admin.Opens, admin.OverBroad})
		options.Token = oneOf(d, "", w.token)
		result, err := w.admin.Apply(w.ctx, actor, organization, options, d.changes()...)
		w.say(result, err)
		for _, secret := range result.Secrets {
			w.say(secret.Secret.Reveal(), nil)
		}
	},
	"Key": func(w *isolated, d *decoder) {
		key, err := w.admin.Key(w.ctx, oneOf(d, "acme", "nowhere"), d.id())
		w.say(key, err)
	},
	"Keys": func(w *isolated, d *decoder) {
		request := store.PageRequest{Limit: oneOf(d, 100, 1), Cursor: oneOf(d, "", foreignCursor, "\xff")}
		request.Filter.Label = oneOf(d, "", "team", "team=blue")
		request.Filter.ExternalID = oneOf(d, "", "customer-1")
		page, err := w.admin.Keys(w.ctx, oneOf(d, "acme", "nowhere"), request)
		w.say(page, err)
	},
	"Organization": func(w *isolated, d *decoder) {
		organization, err := w.admin.Organization(w.ctx, oneOf(d, "acme", "nowhere"))
		w.say(organization, err)
	},
}

func TestEveryMethodIsIsolated(t *testing.T) {
	var declared []string
	for method := range reflect.TypeFor[*admin.Admin]().Methods() {
		declared = append(declared, method.Name)
	}
	require.Equal(t, declared, slices.Sorted(maps.Keys(methods)))
}

// asks returns who asks, and in which organization.
func (w *isolated) asks(d *decoder) (admin.Actor, string) {
	key, err := admin.ByKey(policy.Evaluate(w.self, w.request("self", "203.0.113.7"), start))
	require.NoError(w.t, err)
	switch oneOf(d, "key", "person", "system") {
	case "person":
		return ann, "acme"
	case "system":
		return admin.BySystem("tool"), "acme"
	}
	return key, oneOf(d, "acme", "target-organization", "nowhere")
}

func (d *decoder) changes() []admin.Change {
	var changes []admin.Change
	names := slices.Sorted(maps.Keys(constructors))
	for range oneOf(d, 1, 2, 3, 0) {
		change := constructors[oneOf(d, names...)](d)
		changes = append(changes, change.At(oneOf[uint64](d, 0, 0, 0, 6, 1)))
	}
	return changes
}

// say keeps an answer, with what the observer got.
func (w *isolated) say(answer any, err error) {
	data, problem := json.Marshal(answer)
	require.NoError(w.t, problem)
	fmt.Fprintf(&w.answer, "%s\n", data)
	if err != nil {
		var failure *admin.Error
		require.ErrorAs(w.t, err, &failure)
		data, problem = json.Marshal(failure)
		require.NoError(w.t, problem)
		fmt.Fprintf(&w.answer, "%s\n%v\n", data, err)
	}
	for _, notice := range w.notices {
		fmt.Fprintf(&w.answer, "%v\n", notice.LogValue())
	}
	w.notices = nil
}

// mark is in every text of the other organization.
const mark = "MARK"

var (
	foreignCursor string   // of a listing of the other organization
	secretIDs     []string // of the key of acme and of the other organization
)

// twin returns a world. In the one of the two the other organization and its key have the IDs
// of the calls.
func twin(t *testing.T, named bool) *isolated {
	cryptotest.SetGlobalRandom(t, 1)
	w := &isolated{world: newWorld(t)}
	organization, target := "elsewhere-organization", "elsewhere"
	if named {
		organization, target = "target-organization", "target"
	}
	w.key("boss", "198.51.100.1", "owner")
	w.key("self", "203.0.113.7 203.0.113.0/24", "owner", "reader")
	w.key("k", "192.0.2.1", "reader")
	labelled := func(k *apikey.Key) {
		k.Metadata = &apikey.Metadata{Labels: map[string]string{"team": "blue"}, ExternalID: "customer-1"}
	}
	w.edit("k", labelled)
	w.used("k", "192.0.2.1", time.Hour, 3)
	subject, _, err := w.memory.Lookup(w.ctx, "self")
	require.NoError(t, err)
	w.self = subject

	_, err = w.memory.PutOrganization(w.ctx, policy.Organization{ID: organization, Name: mark, Requirement: policy.ReportOnly})
	require.NoError(t, err)
	w.keyOf(organization, target, "192.0.2.1 203.0.113.7", mark, "owner", "reader")
	w.keyOf(organization, "other", "", mark)
	w.edit(target, func(k *apikey.Key) {
		labelled(k)
		k.Metadata.Labels[mark], k.Description = mark, mark
		k.Grants = append(k.Grants, apikey.Grant{Role: "reader", Project: mark})
	})
	w.used(target, "192.0.2.1", time.Minute, 7)
	if named {
		page, err := w.memory.Keys(w.ctx, organization, store.PageRequest{Limit: 1})
		require.NoError(t, err)
		require.NotEmpty(t, page.Next)
		foreignCursor = page.Next
		secretIDs = []string{w.stored("target").Secrets[0].ID(), w.stored("k").Secrets[0].ID(), "00000000", "none"}
	}
	return w
}

// foreign returns everything of the other organization.
func (w *isolated) foreign(named bool) string {
	organization, target := "elsewhere-organization", apikey.ID("elsewhere")
	if named {
		organization, target = "target-organization", "target"
	}
	o, err := w.memory.Organization(w.ctx, organization)
	require.NoError(w.t, err)
	page, err := w.memory.Keys(w.ctx, organization, store.PageRequest{})
	require.NoError(w.t, err)
	require.Len(w.t, page.Items, 2)
	usage, err := w.memory.Usage(w.ctx, target, "other")
	require.NoError(w.t, err)
	var events []store.Event
	for event, err := range store.AllEvents(w.ctx, w.memory, store.EventRequest{Organization: organization}) {
		require.NoError(w.t, err)
		events = append(events, event)
	}
	records, err := json.Marshal([]any{o, page.Items, events})
	require.NoError(w.t, err)
	return fmt.Sprintf("%s %+v", records, usage)
}

// isolate runs the calls in one of the two worlds.
func isolate(t *testing.T, named bool, data []byte) string {
	w := twin(t, named)
	before := w.foreign(named)
	require.Contains(t, before, mark)
	d, names := &decoder{data}, slices.Sorted(maps.Keys(methods))
	for range 6 {
		methods[oneOf(d, names...)](w, d)
	}
	require.Equal(t, before, w.foreign(named), "the other organization was changed")
	for _, event := range w.events() {
		require.Equal(t, "acme", event.Organization)
		data, err := json.Marshal(event)
		require.NoError(t, err)
		fmt.Fprintf(&w.answer, "%s\n", data)
	}
	require.NotContains(t, w.answer.String(), mark)
	return w.answer.String()
}

func FuzzIsolation(f *testing.F) {
	for n := range len(constructors) * 4 {
		f.Add([]byte{byte(n), byte(n >> 2), 0, 0, byte(n)})
	}
	random := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		data := make([]byte, 20+random.IntN(100))
		for i := range data {
			data[i] = byte(random.Uint32())
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		require.Equal(t, isolate(t, true, data), isolate(t, false, data))
	})
}

// An ID that is taken is taken by whomever: the answer is the same as for a key of one's own.
func TestTakenID(t *testing.T) {
	w := twin(t, true)
	for _, actor := range []admin.Actor{ann, admin.BySystem("tool"), w.by("self", "203.0.113.7")} {
		var texts []string
		for _, id := range []apikey.ID{"target", "boss"} {
			change := admin.CreateKey(admin.NewKey{ID: id, Entries: w.entries("203.0.113.7")})
			_, err := w.admin.Preview(w.ctx, actor, "acme", change)
			requireClass(t, admin.Conflict, err)
			refusal := w.refuse(admin.Conflict, actor, plain, change)
			require.Equal(t, refusal.Error(), err.Error())
			data, err := json.Marshal(refusal)
			require.NoError(t, err)
			texts = append(texts, strings.ReplaceAll(refusal.Error()+string(data), string(id), "ID"))
			require.NoError(t, errors.Unwrap(refusal))
		}
		require.Equal(t, texts[0], texts[1])
	}
}

// Every change of a key of another organization, right in itself, is NotFound in the words
// for an absent key, whoever asks, and at whatever revision.
func TestForeignKey(t *testing.T) {
	w := twin(t, true)
	changes := 0
	for name, constructor := range constructors {
		change := constructor(&decoder{})
		if change.Key() != "target" {
			continue
		}
		changes++
		for _, actor := range []admin.Actor{ann, admin.BySystem("tool"), w.by("self", "203.0.113.7")} {
			for _, revision := range []uint64{0, 1, w.stored("target").Revision} {
				_, err := w.admin.Preview(w.ctx, actor, "acme", change.At(revision))
				requireClass(t, admin.NotFound, err)
				refusal := w.refuse(admin.NotFound, actor, accept(admin.Opens, admin.BreaksKey), change.At(revision))
				require.Equal(t, `There is no key "target" in this organization.`, refusal.Message, name)
				require.Equal(t, refusal.Error(), err.Error())
			}
		}
	}
	require.Greater(t, changes, 14)
}
