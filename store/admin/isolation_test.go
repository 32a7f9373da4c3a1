package admin_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/cryptotest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/admin"
)

// Another organization does not exist for a call. Two worlds are alike, but for the names in
// another organization: in the first its key and itself have the IDs that the calls name. The
// calls are the same, and so must be every byte of every answer.

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
	"May": func(w *isolated, d *decoder) {
		endpoints := []policy.Endpoint{manage, {Name: "read", RequiresAccessList: oneOf(d, false, true)}}
		may, err := w.admin.May(w.ctx, oneOf(d, "acme", "nowhere"), d.id(), endpoints, d.client())
		w.say(may, err)
	},
	"Investigate": func(w *isolated, d *decoder) {
		actor, organization := w.asks(d)
		call := admin.Call{Key: d.id(), Client: d.client(), Endpoint: oneOf(d, manage, policy.Endpoint{Name: "read"}), Time: d.time()}
		call.Resource.Organization = oneOf(d, "acme", "target-organization", "", "nowhere")
		call.Resource.Project = oneOf(d, "", "p")
		call.Secret, call.Unproven = oneOf(d, append([]string{""}, secretIDs...)...), oneOf(d, false, true)
		call.WithoutPreviews = oneOf(d, false, true)
		investigation, err := w.admin.Investigate(w.ctx, actor, organization, call)
		w.say(investigation, err)
	},
	"Rotation": func(w *isolated, d *decoder) {
		rotation, err := w.admin.Rotation(w.ctx, oneOf(d, "acme", "nowhere"), d.id(), oneOf(d, time.Hour, 0, -1))
		w.say(rotation, err)
	},
	"Usage": func(w *isolated, d *decoder) {
		usage, err := w.admin.Usage(w.ctx, oneOf(d, "acme", "nowhere"), d.id())
		w.say(usage, err)
	},
	"ReviewList": func(w *isolated, d *decoder) {
		review, err := w.admin.ReviewList(w.ctx, oneOf(d, "acme", "nowhere"), d.id(), oneOf(d, false, true))
		w.say(review, err)
	},
	"Within": func(w *isolated, _ *decoder) { w.say(w.admin.Within(time.Hour).Window(), nil) },
	"View":   func(w *isolated, _ *decoder) { w.say(w.admin.View(policy.Organization{ID: "acme"}), nil) },
	"Window": func(w *isolated, _ *decoder) { w.say(w.admin.Window(), nil) },
	"Tighten": func(w *isolated, d *decoder) {
		actor, organization := w.asks(d)
		options := admin.TightenOptions{Budget: oneOf(d, 0, 1, 5, -1), AllowIPv6: oneOf(d, false, true)}
		tightening, err := w.admin.Tighten(w.ctx, actor, organization, d.id(), options)
		w.say(tightening, err)
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
	_, parts := answer.(admin.Result) // made before the error
	if err == nil || parts {
		data, problem := json.Marshal(answer)
		require.NoError(w.t, problem)
		fmt.Fprintf(&w.answer, "%s\n", data)
	} else {
		require.Zero(w.t, answer)
	}
	if err != nil {
		var failure *admin.Error
		require.ErrorAs(w.t, err, &failure)
		data, problem := json.Marshal(failure)
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
