package adminhttp

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Every route answers for another organization, and for another organization's key, like for
// an absent one: the same to the byte but for the ID itself.
func TestNothingOwnOfAnotherOrganization(t *testing.T) {
	tried := 0
	for _, o := range operations {
		for _, by := range []string{"ann", owner} {
			for name, foreign := range theirs() {
				if !strings.Contains(o.pattern, "{"+name+"}") || name == "entry..." {
					continue
				}
				tried++
				w := newOwnWorld(t, o.id)
				before := w.state()
				var texts [2]string
				for i, id := range []string{foreign, absent} {
					values := ours()
					values["secret"], values[name] = w.stored(worker).Secrets[0].ID(), id
					answer := w.own(by, o.method, ownPrefix+fill(o.pattern, values), ownBodies[o.id])
					require.Contains(t, []int{403, 404}, answer.Code, "%s %s: %s", o.id, by, answer.Body)
					texts[i] = strings.ReplaceAll(answer.Body.String(), id, "ID")
				}
				require.Equal(t, texts[1], texts[0], "%s %s", o.id, by)
				require.Equal(t, before, w.state())
			}
		}
	}
	require.Greater(t, tried, 60)

	// And in a body: a key, a project.
	w := newOwnWorld(t, "")
	before := w.state()
	for _, test := range []struct{ path, body string }{
		{"/keys", `{"like":"KEY"}`},
		{"/changes", `{"changes":[{"kind":"delete_key","key":"KEY"}]}`},
		{"/decisions", `{"key":"KEY","address":"192.0.2.1","time":"2026-03-01T12:00:00Z"}`},
		{"/investigations", `{"key":"KEY","address":"192.0.2.1"}`},
		{"/decisions/batch", `{"calls":[{"key":"KEY","address":"192.0.2.1"}],"time":"2026-03-01T12:00:00Z"}`},
		{"/decisions/batch", `{"calls":[{"key":"` + worker + `","address":"192.0.2.1","project":"PROJECT"}]}`},
		{"/decisions", `{"key":"` + worker + `","address":"192.0.2.1","project":"PROJECT"}`},
	} {
		var texts [2]string
		for i, ids := range [][2]string{{stranger, beta}, {absent, absent}} {
			answer := w.own("ann", "POST", ownOrg+test.path, strings.NewReplacer("KEY", ids[0], "PROJECT", ids[1]).Replace(test.body))
			texts[i] = strings.NewReplacer(ids[0], "ID", ids[1], "ID").Replace(answer.Body.String())
			require.NotEqual(t, 500, answer.Code)
		}
		require.Equal(t, texts[1], texts[0])
	}
	require.Equal(t, before, w.state())
}

// Who may do what: people by Person.May, keys by their roles.
func TestRolesOfOperations(t *testing.T) {
	for _, o := range operations {
		if o.stream != nil && o.id != "getOpenAPI" {
			continue
		}
		status := func(by string) int {
			w := newOwnWorld(t, o.id)
			before := w.state()
			answer := w.own(by, o.method, w.path(o), ownBodies[o.id], headerAccept, "breaks_key", headerReason, "r")
			if answer.Code >= 400 {
				require.Equal(t, before, w.state())
			}
			return answer.Code / 100
		}
		for by, has := range map[string][]access{
			"ann": {anyKey, read, manage}, "bob": {anyKey, read}, "max": {anyKey, manage}, "eve": {anyKey}, "zoe": {anyKey},
			owner: {anyKey, read, manage}, viewer: {anyKey, read}, lead: {anyKey}, stranger: {anyKey},
		} {
			want := 4
			if slices.Contains(has, o.access) {
				want = 2
			}
			if strings.HasSuffix(o.pattern, "/suspension") && by == owner {
				want = 4 // rule M20
			}
			require.Equal(t, want, status(by), "%s by %s", o.id, by)
		}
	}
}

// A key that may change nothing any more changes nothing, also while the guard has an older copy
// of it.
func TestFormerManagersChangeNothingOwn(t *testing.T) {
	tried := 0
	for _, o := range operations {
		if o.access != manage || o.method == "GET" {
			continue
		}
		tried++
		w := newOwnWorld(t, o.id)
		w.outdate(owner)
		before := w.state()
		answer := w.own(owner, o.method, w.path(o), ownBodies[o.id], headerAccept, "breaks_key", headerReason, "r")
		require.Equal(t, 403, answer.Code, "%s: %s", o.id, answer.Body)
		require.Equal(t, before, w.state())
	}
	require.Greater(t, tried, 10)
}

// A page of another site changes nothing, and programs need no header of browsers.
func TestOwnCrossOrigin(t *testing.T) {
	for _, o := range operations {
		if o.method == "GET" {
			continue
		}
		w := newOwnWorld(t, o.id)
		before := w.state()
		for _, headers := range [][]string{{"Sec-Fetch-Site", "cross-site"}, {"Sec-Fetch-Site", "same-site"}, {"Origin", "https://evil.example"}} {
			w.ownRefuses("ann", o.method, w.path(o), ownBodies[o.id], 403, "CROSS_ORIGIN_REQUEST", headers...)
		}
		require.Equal(t, before, w.state())
		require.Less(t, w.own("ann", o.method, w.path(o)+map[bool]string{true: "?preview=true"}[o.change != nil], ownBodies[o.id], "Sec-Fetch-Site", "same-origin").Code, 300)
	}
}
