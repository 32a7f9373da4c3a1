package admin_test

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/admin"
)

// Every way of asking for changes in another organization fails as for an unknown one.
func TestAnotherOrganizationDoesNotExist(t *testing.T) {
	w := newWorld(t)
	w.organization("other", policy.NotRequired)
	w.key("self", "203.0.113.7", "owner")
	w.keyOf("other", "theirs", "203.0.113.7", "owner")
	actor := w.by("self", "203.0.113.7")
	for _, organization := range []string{"other", "nowhere"} {
		for _, change := range []admin.Change{
			admin.DisableKey("theirs"), admin.DisableKey("self"), admin.SetRequirement(policy.Required), admin.CreateOrganization(policy.NotRequired),
			admin.SetTrialList("theirs", w.entries("203.0.113.8")...), admin.EndTrial("theirs"), admin.EnforceTrial("theirs"),
		} {
			_, err := w.admin.Apply(w.ctx, actor, organization, plain, change)
			require.EqualError(t, err, `store/admin: not_found: There is no organization "`+organization+`".`)
			_, err = w.admin.Preview(w.ctx, actor, organization, change)
			requireClass(t, admin.NotFound, err)
		}
	}
	for _, organization := range []string{"acme", "nowhere"} {
		_, err := w.admin.Key(w.ctx, organization, "theirs")
		require.EqualError(t, err, `store/admin: not_found: There is no key "theirs" in this organization.`)
		_, err = w.admin.Rotation(w.ctx, organization, "theirs", 0)
		require.EqualError(t, err, `store/admin: not_found: There is no key "theirs" in this organization.`)
		_, err = w.admin.Tighten(w.ctx, ann, organization, "theirs", admin.TightenOptions{})
		require.EqualError(t, err, `store/admin: not_found: There is no key "theirs" in this organization.`)
	}
	_, err := w.admin.Tighten(w.ctx, actor, "other", "theirs", admin.TightenOptions{})
	require.EqualError(t, err, `store/admin: not_found: There is no organization "other".`)
	_, err = w.admin.Keys(w.ctx, "nowhere", store.PageRequest{})
	requireClass(t, admin.NotFound, err)
	page, err := w.admin.Keys(w.ctx, "other", store.PageRequest{})
	require.NoError(t, err)
	require.Len(t, page.Items, 1)
	require.EqualValues(t, "theirs", page.Items[0].ID)
}

// Who may ask (rule M2).
func TestM2Actors(t *testing.T) {
	w := newWorld(t)
	w.key("self", "203.0.113.7", "owner")
	change := admin.Describe("self", "x")
	require.Equal(t, "It is not known who asks for the change.", w.refuse(admin.Forbidden, admin.Actor{}, plain, change).Message)
	require.Equal(t, "Whoever asks for the change has no name.", w.refuse(admin.Forbidden, admin.ByPerson("", "", netip.Addr{}), plain, change).Message)
	require.Contains(t, w.refuse(admin.Invalid, admin.BySystem("a\nb"), plain, change).Message, "who asks")
	require.Equal(t, "A key cannot create an organization.",
		w.refuse(admin.Forbidden, w.by("self", "203.0.113.7"), plain, admin.CreateOrganization(policy.Required)).Message)
	// The actor comes before the terms, and these before the records.
	w.refuse(admin.Forbidden, admin.Actor{}, admin.ApplyOptions{Reason: "\n"}, admin.Describe("absent", "x"))
	w.refuse(admin.Invalid, ann, admin.ApplyOptions{Reason: "\n"}, admin.Describe("absent", "x"))
	_, err := admin.ByKey(policy.Decision{})
	requireClass(t, admin.Forbidden, err)

	actor := w.by("self", "203.0.113.7")
	require.Equal(t, store.ActorKey, actor.Kind())
	require.Equal(t, "self", actor.ID())
	require.Equal(t, `key "self"`, actor.String())
	require.Equal(t, "nobody", admin.Actor{}.String())
	data, err := actor.MarshalJSON()
	require.NoError(t, err)
	require.JSONEq(t, `{"kind":"key","id":"self","address":"203.0.113.7"}`, string(data))
}

// A change may take roles that its endpoint does not ask for.
func TestActorWithRoles(t *testing.T) {
	w := newWorld(t)
	w.key("self", "203.0.113.7", "owner")
	w.key("other", "203.0.113.7", "owner")
	request := w.request("self", "203.0.113.7")
	request.Endpoint = &policy.Endpoint{Name: "lists"}
	actor := w.byRequest(request)
	owner, both := actor.WithRoles("owner"), actor.WithRoles("auditor", "owner")
	w.apply(owner, plain, admin.Describe("other", "a"))
	w.apply(both, plain, admin.Describe("other", "b"))
	require.Equal(t, "The key that asks for the change may not do so any more: the key lacks the role.",
		w.refuse(admin.Forbidden, actor.WithRoles("auditor"), plain, admin.Describe("other", "c")).Message)

	w.edit("self", func(k *apikey.Key) { k.Grants = []apikey.Grant{{Role: "viewer"}} })
	for _, a := range []admin.Actor{owner, both} {
		w.refuse(admin.Forbidden, a, plain, admin.Describe("other", "d"))
	}
	w.apply(actor, plain, admin.Describe("self", "its own"))

	require.Equal(t, admin.Actor{}, actor.WithRoles(), "none is not any")
	require.Equal(t, admin.Actor{}, w.byRequest(w.request("other", "203.0.113.7")).WithRoles("viewer"), "nothing replaces the roles of an endpoint")
	require.Equal(t, ann, ann.WithRoles("owner"))
	require.Equal(t, admin.Actor{}, admin.Actor{}.WithRoles("owner"))
}
