package adminhttp

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/policy"
)

// People switch an organization off and on again. A key cannot: it would end itself, and no key
// could switch it on.
func TestSwitchOrganization(t *testing.T) {
	w := newOwnWorld(t, "")
	accept := []string{headerAccept, "breaks_key,last_manager,organization_lockout", headerReason, "r"}
	before := w.state()
	for _, path := range []string{"PATCH " + ownOrg, "POST " + ownOrg + "/changes"} {
		method, url, _ := strings.Cut(path, " ")
		body := map[string]string{"PATCH": `{"disabled":true}`, "POST": `{"changes":[{"kind":"disable_organization"}]}`}[method]
		for _, kinds := range []string{"breaks_key,organization_lockout", "breaks_key,last_manager,organization_lockout,self_lockout"} {
			p := w.ownRefuses(owner, method, url, body, 409, "CHANGE_REFUSED", headerAccept, kinds, headerReason, "r")
			require.Equal(t, "self_lockout", string(p.Findings[0].Kind))
			require.False(t, p.Findings[0].Acceptable)
		}
		w.ownRefuses("ann", method, url, body, 409, "CHANGE_REFUSED")
	}
	require.Equal(t, before, w.state())

	made := shows[outcome](w, "ann", "PATCH", ownOrg, `{"disabled":true,"name":"Acme, closed"}`, accept...)
	require.True(t, made.Organizations[0].Disabled)
	require.Equal(t, "Acme, closed", made.Organizations[0].Name)
	require.Len(t, made.Events, 2)
	require.Equal(t, policy.KeyDisabled, shows[decisionBody](w, "ann", "POST", ownOrg+"/decisions", ownBodies["decide"]).Reason)
	require.Equal(t, 401, w.own(owner, "PATCH", ownOrg, `{"disabled":false}`).Code)

	made = shows[outcome](w, "ann", "POST", ownOrg+"/changes", `{"changes":[{"kind":"enable_organization"},{"kind":"set_name","name":""}]}`, headerAccept, "opens", headerReason, "r")
	require.False(t, made.Organizations[0].Disabled)
	require.Empty(t, made.Organizations[0].Name)
	require.NotEqual(t, policy.KeyDisabled, shows[decisionBody](w, "ann", "POST", ownOrg+"/decisions", ownBodies["decide"]).Reason)
}

// The order of the members of a body has no meaning: the token is the same.
func TestEditOrganizationTokens(t *testing.T) {
	w := newOwnWorld(t, "")
	a := shows[outcome](w, "ann", "PATCH", ownOrg+"?preview=true", `{"disabled":true,"name":"x"}`)
	b := shows[outcome](w, "ann", "PATCH", ownOrg+"?preview=true", `{"name":"x","disabled":true}`)
	require.Equal(t, a.Preview.Token, b.Preview.Token)
}
