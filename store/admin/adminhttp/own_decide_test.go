package adminhttp

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store/admin"
)

// Calls are judged in their order, each as by itself, and none is counted.
func TestDecideAll(t *testing.T) {
	w := newOwnWorld(t, "")
	before := w.state()
	list := shows[decisionList](w, "bob", "POST", ownOrg+"/decisions/batch", `{"time":"2026-03-01T12:00:00Z","calls":[
		{"key":"`+worker+`","address":"198.51.100.7","endpoint":"things.list","project":"`+second+`"},
		{"key":"`+worker+`","address":"203.0.113.7"},
		{"key":"`+stranger+`","address":"203.0.113.7"},
		{"key":"`+absent+`","address":"203.0.113.7"}]}`)
	var reasons []policy.Reason
	for _, d := range list.Decisions {
		require.Equal(t, d.Reason.Allows(), d.Allowed)
		require.Equal(t, "2026-03-01T12:00:00Z", d.Time.Format("2006-01-02T15:04:05Z07:00"))
		reasons = append(reasons, d.Reason)
	}
	require.Equal(t, []policy.Reason{policy.AddressListed, policy.AddressNotListed, policy.UnknownKey, policy.UnknownKey}, reasons)
	list.Decisions[2].Explanation = strings.ReplaceAll(list.Decisions[2].Explanation, stranger, absent)
	require.Equal(t, list.Decisions[3], list.Decisions[2])
	require.Equal(t, 401, list.Decisions[2].Status)
	require.Equal(t, before, w.state())

	require.Empty(t, shows[decisionList](w, "bob", "POST", ownOrg+"/decisions/batch", `{"calls":[]}`).Decisions)
}

// A look-up that fails makes its own calls unavailable, and says nothing of the failure.
func TestDecideAllUnavailable(t *testing.T) {
	w := newOwnWorld(t, "", func(w *world) { w.store = unfound{w.memory} })
	answer := w.own("ann", "POST", ownOrg+"/decisions/batch", ownBodies["decideAll"])
	require.Equal(t, 200, answer.Code)
	var list decisionList
	require.NoError(t, json.Unmarshal(answer.Body.Bytes(), &list))
	require.Equal(t, policy.Unavailable, list.Decisions[0].Reason)
	require.Equal(t, 503, list.Decisions[0].Status)
	require.False(t, list.Decisions[0].Allowed)
	require.NotContains(t, answer.Body.String(), "10.0.0.9")
	require.Contains(t, w.logged.String(), "some calls could not be judged")

	w = newOwnWorld(t, "", func(w *world) { w.config.Projects = brokenProjects{} })
	w.ownRefuses("ann", "POST", ownOrg+"/decisions/batch", ownBodies["decideAll"], 503, "SERVICE_UNAVAILABLE")
}

// The findings about a list, in the window asked for.
func TestReviewListOperation(t *testing.T) {
	w := newOwnWorld(t, "")
	review := shows[admin.ListReview](w, "bob", "GET", ownWorker+"/list/findings?windowSeconds=3600&internet=true", "")
	require.Equal(t, w.stored(worker).Revision, review.Revision)
	usage := shows[admin.KeyUsage](w, "bob", "GET", ownWorker+"/usage?windowSeconds=3600", "")
	require.Equal(t, 3600.0, usage.Evidence.Time.Sub(usage.Evidence.Begin).Seconds())
	suggested := shows[admin.Tightening](w, "ann", "GET", ownWorker+"/list/suggestion?windowSeconds=864000", "")
	require.Equal(t, 864000.0, suggested.Preview.Evidence.Time.Sub(suggested.Preview.Evidence.Begin).Seconds())
	for _, path := range []string{"/usage?windowSeconds=0", "/usage?windowSeconds=x", "/usage?windowSeconds=-1", "/usage?windowSeconds=99999999999999999999", "/list/findings?internet=maybe",
		"/list/findings?windowSeconds=", "/list/suggestion?windowSeconds=1.5", "/list/suggestion?allowIPv6=x"} {
		w.ownRefuses("ann", "GET", ownWorker+path, "", 400, "INVALID_QUERY_PARAMETER")
	}
}
