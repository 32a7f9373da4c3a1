package admin_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store/admin"
)

// Two changes, each harmless alone and a lockout together: the second meets a conflict and is
// judged again. Each pair is run in both orders.
func TestM19WriteSkew(t *testing.T) {
	owner := apikey.Grant{Role: "owner"}
	for name, test := range map[string]struct {
		a, b  admin.Change
		finds admin.Kind
	}{
		"two managers delete each other":  {admin.DeleteKey("x"), admin.DeleteKey("y"), admin.LastManager},
		"two managers lose their role":    {admin.RemoveGrants("x", owner), admin.RemoveGrants("y", owner), admin.LastManager},
		"two managers are disabled":       {admin.DisableKey("x"), admin.DisableKey("y"), admin.LastManager},
		"one is deleted, one ended":       {admin.DeleteKey("x"), admin.SetValidity("y", time.Time{}, start), admin.LastManager},
		"a list is required, one emptied": {admin.SetRequirement(policy.Required), admin.RemoveEntries("y", prefixes("203.0.113.2")...), admin.LastManager},
	} {
		for _, order := range [][]admin.Change{{test.a, test.b}, {test.b, test.a}} {
			t.Run(name, func(t *testing.T) {
				f := newFaulty()
				w := worldOf(t, f, f.Store)
				w.key("x", "", "owner")
				w.key("y", "203.0.113.2", "owner")
				if strings.HasPrefix(name, "two") || strings.HasPrefix(name, "one") {
					w.edit("x", func(k *apikey.Key) { k.AccessList = w.list("203.0.113.1") })
				}
				terms := accept(admin.Opens)
				f.overtake(func() { w.apply(ann, terms, order[1]) })
				result, err := w.admin.Apply(w.ctx, ann, "acme", terms, order[0])
				var refusal *admin.Error
				require.ErrorAs(t, err, &refusal)
				require.Equal(t, admin.Refused, refusal.Class)
				require.Contains(t, kinds(refusal.Findings), test.finds)
				require.Zero(t, result.Made)
				require.Len(t, f.writes, 2, "the first write, and the one that overtook it")
			})
		}
	}
}

// The actor's own lockout is judged by its key and its organization, so both are conditions.
func TestM19SelfLockoutSkew(t *testing.T) {
	for name, test := range map[string]struct {
		change   admin.Change
		overtake func(*world)
		class    admin.Class
	}{
		"its entry goes while a list gets required": {admin.SetRequirement(policy.Required), func(w *world) {
			w.edit("self", func(k *apikey.Key) { k.AccessList = w.list("") })
		}, admin.Refused},
		"it is disabled meanwhile": {admin.Describe("k", "x"), func(w *world) {
			w.edit("self", func(k *apikey.Key) { k.Disabled = true })
		}, admin.Forbidden},
		"a list gets required meanwhile": {admin.RemoveEntries("self", prefixes("203.0.113.7")...), requires, admin.Refused},
		"the key is deleted meanwhile": {admin.Describe("k", "x"), func(w *world) {
			require.NoError(w.t, w.memory.DeleteKey(w.ctx, "k", 0))
		}, admin.NotFound},
		"the organization is deleted meanwhile": {admin.CreateKey(admin.NewKey{ID: "new", Entries: nil}), func(w *world) {
			require.NoError(w.t, w.memory.DeleteKey(w.ctx, "k", 0))
			require.NoError(w.t, w.memory.DeleteKey(w.ctx, "boss", 0))
			require.NoError(w.t, w.memory.DeleteKey(w.ctx, "self", 0))
			require.NoError(w.t, w.memory.DeleteOrganization(w.ctx, "acme", 0))
		}, admin.Forbidden},
		"the ID is taken meanwhile": {admin.CreateKey(admin.NewKey{ID: "new"}), func(w *world) { w.key("new", "") }, admin.Conflict},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFaulty()
			w := worldOf(t, f, f.Store)
			w.key("boss", "198.51.100.1", "owner")
			w.key("self", "203.0.113.7", "owner")
			w.key("k", "203.0.113.7", "reader")
			actor := w.by("self", "203.0.113.7")
			f.overtake(func() { test.overtake(w) })
			_, err := w.admin.Apply(w.ctx, actor, "acme", accept(admin.Opens), test.change)
			requireClass(t, test.class, err)
		})
	}
}

// The conditions are the records that the guard judged by, and no others: a busy neighbour
// causes no conflict.
func TestM19Conditions(t *testing.T) {
	f := newFaulty()
	w := worldOf(t, f, f.Store)
	w.key("boss", "198.51.100.1", "owner")
	w.key("self", "203.0.113.7", "owner")
	w.key("k", "203.0.113.7", "reader")
	actor := w.by("self", "203.0.113.7")
	conditions := func(actor admin.Actor, change admin.Change) []string {
		t.Helper()
		w.apply(actor, accept(admin.LastManager), change)
		var names []string
		for _, condition := range f.writes[len(f.writes)-1].If {
			name := "acme"
			if condition.Key != "" {
				name = string(condition.Key)
			}
			names = append(names, name)
			require.Equal(t, "acme", condition.Organization)
			require.NotZero(t, condition.Revision)
		}
		return names
	}
	require.Equal(t, []string{"acme", "self"}, conditions(actor, admin.Describe("k", "x")))
	require.Empty(t, f.writes[len(f.writes)-1].Options, "it has no permission to empty a list")
	w.edit("k", func(k *apikey.Key) { k.Grants, k.Secrets[0].Expires = []apikey.Grant{{Role: "owner"}}, start })
	request := w.request("k", "203.0.113.7")
	request.Secret, request.Verifier = apikey.Secret{}, policy.AlreadyVerified{}
	require.Equal(t, []string{"acme", "k"}, conditions(w.byRequest(request), admin.Describe("self", "y"))[:2], "proven otherwise, and not usable by itself")
	w.edit("k", func(k *apikey.Key) { k.Grants, k.Secrets[0].Expires = nil, time.Time{} })
	require.Equal(t, []string{"acme"}, conditions(actor, admin.Describe("self", "x")))
	require.Equal(t, []string{"acme"}, conditions(ann, admin.Describe("k", "y")))
	require.Equal(t, []string{"acme", "boss"}, conditions(ann, admin.DisableKey("self")), "boss is left as a manager, and as usable")
	require.Equal(t, []string{"boss"}, conditions(ann, admin.SetRequirement(policy.Required)))
	require.Equal(t, []string{"acme", "k"}, conditions(ann, admin.DeleteKey("boss")), "k is left as usable")
	organization, err := w.memory.Organization(w.ctx, "acme")
	require.NoError(t, err)
	organization.Disabled = true
	_, err = w.memory.PutOrganization(w.ctx, organization)
	require.NoError(t, err)
	require.Equal(t, []string{"k"}, conditions(ann, admin.EnableOrganization()), "k is left as usable, once it is switched on")
}

// Witnesses are conditions where their loss is a finding, also one that is only reported. In
// an emergency, and where nothing could be lost, there are none.
func TestM19Witnesses(t *testing.T) {
	requirement := admin.SetRequirement(policy.NotRequired)
	for name, test := range map[string]struct {
		people    bool
		roles     map[string]string
		required  bool
		change    admin.Change
		witnesses []apikey.ID
	}{
		"keys manage":                        {false, map[string]string{"a": "reader", "boss": "owner", "second": "owner"}, false, admin.DeleteKey("boss"), []apikey.ID{"second", "a"}},
		"keys manage, in an emergency":       {false, map[string]string{"a": "reader", "boss": "owner", "second": "owner"}, false, admin.DisableKey("boss"), []apikey.ID{"second"}},
		"people manage":                      {true, map[string]string{"a": "reader", "boss": "owner", "second": "owner"}, false, admin.DeleteKey("boss"), []apikey.ID{"second", "a"}},
		"people manage, in an emergency":     {true, map[string]string{"a": "reader", "boss": "owner", "second": "owner"}, false, admin.DisableKey("boss"), nil},
		"there was no manager, and none now": {false, map[string]string{"a": "reader", "boss": "reader"}, false, admin.DeleteKey("boss"), []apikey.ID{"a"}},
		"there was no usable key":            {false, map[string]string{"boss": "owner"}, true, requirement, nil},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFaulty()
			var options []admin.Option
			if test.people {
				options = append(options, admin.WithPeopleManaging())
			}
			w := worldOf(t, f, f.Store, options...)
			for id, role := range test.roles {
				w.key(id, map[bool]string{true: "", false: "203.0.113.7"}[test.required], role)
			}
			if test.required {
				requires(w)
			}
			w.apply(ann, accept(admin.Opens), test.change)
			var witnesses []apikey.ID
			for _, condition := range f.writes[0].If {
				if condition.Key != "" {
					witnesses = append(witnesses, condition.Key)
				}
			}
			require.Equal(t, test.witnesses, witnesses)
		})
	}
}

// Usage that cannot be read for a step alone is told of the whole (rules M16, M26).
func TestM16UnreadStep(t *testing.T) {
	f := newFaulty()
	w := worldOf(t, f, f.Store)
	w.observed(365 * day)
	w.key("boss", "198.51.100.1", "owner")
	w.key("k", "203.0.113.7", "reader")
	f.fail("Usage", false)
	preview := w.preview(ann, admin.DisableKey("k"), admin.Describe("boss", "x"), admin.EnableKey("k"))
	require.Empty(t, preview.Keys)
	require.True(t, preview.Evidence.Unread)
}
