package adminhttp

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/store/admin"
)

// A secret is shown once, where it is made.
func TestSecretsAreShownOnce(t *testing.T) {
	w := newOwnWorld(t, "")
	answer := w.own("ann", "POST", ownOrg+"/keys", `{"id":"new","grants":[],"entries":[{"address":"192.0.2.1"}]}`)
	require.Equal(t, 201, answer.Code)
	require.Equal(t, "no-store", answer.Header().Get("Cache-Control"))
	var made outcome
	require.NoError(t, json.Unmarshal(answer.Body.Bytes(), &made))
	require.Len(t, made.Secrets, 1)
	id, _, err := w.issuer.Parse(made.Secrets[0].Secret)
	require.NoError(t, err)
	require.Equal(t, apikey.ID("new"), id)

	w.ownRefuses("ann", "POST", ownOrg+"/keys", `{"id":"new","grants":[],"entries":[{"address":"192.0.2.1"}]}`, 409, "CONFLICT")
	rotated := shows[outcome](w, "ann", "POST", ownOrg+"/keys/new/secrets", `{"overlapSeconds":3600}`)
	require.NotEqual(t, made.Secrets[0].Secret, rotated.Secrets[0].Secret)
	for _, path := range []string{"/keys/new", "/keys/new/secrets", "/keys", "/events", "/keys/new/usage"} {
		text := w.own("ann", "GET", ownOrg+path, "").Body.String()
		require.NotContains(t, text, made.Secrets[0].Secret)
		require.NotContains(t, text, rotated.Secrets[0].Secret)
	}
	random := shows[outcome](w, "ann", "POST", ownOrg+"/keys", `{"grants":[],"entries":[{"address":"192.0.2.1"}]}`)
	require.NotEmpty(t, random.Keys[0].ID)
}

// The bound of keys holds here, too, for all creations of a call together.
func TestOwnMaxKeys(t *testing.T) {
	w := newOwnWorld(t, "", func(w *world) { w.config.MaxKeys = 5 })
	two := `{"changes":[{"kind":"create_key","key":"a","like":"` + worker + `"},{"kind":"create_key","key":"b","like":"` + worker + `"}]}`
	w.ownRefuses("ann", "POST", ownOrg+"/changes?preview=true", two, 400, "MAX_API_KEYS_PER_ORG_EXCEEDED")
	shows[outcome](w, "ann", "POST", ownOrg+"/keys", `{"like":"`+worker+`"}`)
	w.ownRefuses("ann", "POST", ownOrg+"/keys", `{"like":"`+worker+`"}`, 400, "MAX_API_KEYS_PER_ORG_EXCEEDED")
}

// A key like another one has its grants, its list, its words and its end, and is not switched
// off.
func TestLike(t *testing.T) {
	w := newOwnWorld(t, "")
	w.edit(worker, func(k *apikey.Key) {
		k.Disabled, k.Expires, k.Metadata = true, start.Add(time.Hour), &apikey.Metadata{Labels: map[string]string{"team": "a"}, ExternalID: "x"}
	})
	old := shows[admin.KeyView](w, "ann", "GET", ownWorker, "")
	made := shows[outcome](w, "ann", "POST", ownOrg+"/keys", `{"id":"new","like":"`+worker+`","description":"instead"}`).Keys[0]
	require.Equal(t, old.Grants, made.Grants)
	require.Equal(t, old.Entries[0].Address, made.Entries[0].Address)
	require.Len(t, made.Entries, len(old.Entries))
	require.Empty(t, made.TrialEntries)
	require.Equal(t, []any{"instead", "active", false, old.Expires, old.Labels, "x"}, []any{made.Description, made.Status, made.Disabled, made.Expires, made.Labels, made.ExternalID})
	w.ownRefuses("ann", "POST", ownOrg+"/keys", `{"like":"`+absent+`"}`, 404, "NOT_FOUND")
	w.ownRefuses("ann", "POST", ownOrg+"/keys", `{"like":"`+worker+`","labels":1}`, 400, "INVALID_BODY")

	inPart := shows[outcome](w, "ann", "POST", ownOrg+"/changes", `{"changes":[{"kind":"create_key","key":"two","like":"`+worker+`"}]}`)
	require.Equal(t, apikey.ID("two"), inPart.Keys[0].ID)
}

// The flow of C.5: a leaked key is disabled at once, with nothing in the way, replaced and
// deleted.
func TestLeakedKey(t *testing.T) {
	w := newOwnWorld(t, "")
	shows[outcome](w, "ann", "PATCH", ownWorker, `{"disabled":true}`, headerReason, "it%20leaked")
	require.Equal(t, "disabled", shows[admin.KeyView](w, "ann", "GET", ownWorker, "").Status)
	shows[outcome](w, "ann", "POST", ownOrg+"/keys", `{"like":"`+worker+`"}`)
	shows[outcome](w, "ann", "DELETE", ownWorker, "")
	w.ownRefuses("ann", "GET", ownWorker, "", 404, "NOT_FOUND")
}

// A key that would end its own call is refused, and ends itself only by name.
func TestOwnLockout(t *testing.T) {
	w := newOwnWorld(t, "")
	p := w.ownRefuses(owner, "PUT", ownOrg+"/keys/"+owner+"/list", `{"entries":[{"address":"203.0.113.7"}]}`, 409, "CHANGE_REFUSED")
	require.Equal(t, admin.SelfLockout, p.Findings[0].Kind)
	accept := []string{headerAccept, "self_lockout, last_manager,organization_lockout ,breaks_key,opens", headerReason, "r"}
	w.ownRefuses(owner, "PATCH", ownOrg+"/keys/"+owner, `{"grants":[]}`, 409, "CHANGE_REFUSED", accept...)
	w.put(created, acme, []string{client}, apikey.Grant{Role: manages})
	shows[outcome](w, owner, "DELETE", ownOrg+"/keys/"+owner, "", accept...)
}

// Replicas that do not answer are said: the change is stored.
func TestNotInForce(t *testing.T) {
	w := newOwnWorld(t, "", func(w *world) { w.config.Replicas = []admin.Replica{nil} })
	made := shows[outcome](w, "ann", "PATCH", ownWorker, `{"description":"x"}`)
	require.False(t, made.InForce)
	require.Equal(t, 1, made.Made)
}

// A list that was read can be written back as it is, and a change without an effect has no
// event.
func TestWritingBack(t *testing.T) {
	w := newOwnWorld(t, "")
	read := shows[map[string]json.RawMessage](w, "ann", "GET", ownWorker+"/list", "")
	before := w.state()
	made := shows[outcome](w, "ann", "PUT", ownWorker+"/list", `{"entries":`+string(read["entries"])+`}`)
	require.Empty(t, made.Events)
	require.Equal(t, before, w.state())
}
