package main

import (
	"context"
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/admin"
	"github.com/sallyport-go/sallyport/store/memory"
)

// A bounded store notes how its keys are read.
type bounded struct {
	*memory.Store
	reads, unbounded int
}

func (b *bounded) Keys(ctx context.Context, organization string, request store.PageRequest) (store.Page[apikey.Key], error) {
	b.reads++
	if _, ok := ctx.Deadline(); !ok {
		b.unbounded++
	}
	return b.Store.Keys(ctx, organization, request)
}

// Names are completed within a bounded time and number, on a terminal too, and nothing is asked
// or written.
func TestCompletionIsBounded(t *testing.T) {
	s := newScript(t)
	s.width = 80
	keys := &bounded{Store: s.store.(*memory.Store)}
	s.store = keys
	a, err := admin.New(keys, admin.WithPeopleManaging())
	require.NoError(t, err)
	for i := range 7 {
		var changes []admin.Change
		for j := range 100 {
			changes = append(changes, admin.CreateKey(admin.NewKey{ID: apikey.ID(fmt.Sprintf("many-%d-%02d", i, j)), Entries: listOf(t, "203.0.113.7")}))
		}
		_, err = a.Apply(t.Context(), admin.BySystem("set-up"), "acme", admin.ApplyOptions{}, changes...)
		require.NoError(t, err)
	}
	before, err := keys.Position(t.Context())
	require.NoError(t, err)
	keys.reads = 0
	for _, command := range []string{"keys disable ''", "events follow --key ''", "list edit many-0-00 ''", "org show ''"} {
		got := s.run("sallyport __complete "+command, "")
		require.LessOrEqual(t, strings.Count(got, "\n"), maxNames+3)
		require.Contains(t, got, ":4\n2> Completion ended with directive: ShellCompDirectiveNoFileComp\n? 0\n")
	}
	require.Equal(t, maxNames+3, strings.Count(s.run("sallyport __complete keys disable ''", ""), "\n"))
	require.Positive(t, keys.reads)
	require.Zero(t, keys.unbounded)
	after, err := keys.Position(t.Context())
	require.NoError(t, err)
	require.Equal(t, before, after)
}

// What is read of records and files reaches the shell as one line of visible text.
func TestCompletionOfHostileText(t *testing.T) {
	server := httptest.NewServer(answering200("application/json", `{"id":"acme","keys":[{"id":"a\tb\u001b[31m","description":"$(id)\n:0"}]}`))
	defer server.Close()
	_, text := through(t, t.Context(), server.URL, "__complete", "keys", "disable", "--org", "acme", "")
	require.Equal(t, `a\u0009b\u001b[31m`+"\t"+`$(id)\n:0`+"\n:4\nCompletion ended with directive: ShellCompDirectiveNoFileComp\n", text)

	h := newHome(t, "[profiles.\"a\\nb\"]\nstore = \"memory:test\"\n[profiles.prod]\nserver = \"https://gate.example.com\"\norg = \"globex\"\n[profiles.test]\nstore = \"memory:test\"\norg = \"globex\"\n")
	require.Equal(t, "a\\nb\tmemory:test\nprod\thttps://gate.example.com\ntest\tmemory:test\n:4\n2> Completion ended with directive: ShellCompDirectiveNoFileComp\n? 0\n", h.do("sallyport __complete keys list -P ''"))
	require.Contains(t, h.do("sallyport __complete keys disable -P test ''"), "globe\n:4\n")
	require.NotContains(t, h.do("sallyport __complete keys disable -P test ''"), "old")
	require.Contains(t, h.do("sallyport __complete keys disable -P none ''"), ":4\n")
	h.env["SALLYPORT_PROFILE"] = "none"
	require.Contains(t, h.do("sallyport completion bash"), "? 0\n")
	require.Contains(t, h.do("sallyport man DIR/"), "? 0\n")
}

// Through a server names are completed by its API.
func TestServedCompletion(t *testing.T) {
	s := serve(t)
	require.Contains(t, s.remote(personsSecret, "sallyport __complete keys disable --org acme ''", ""), "old\tbefore lists\nowner\tmanages acme\nreport\tnightly report\n:4\n")
	require.Contains(t, s.remote(personsSecret, "sallyport __complete org show ''", ""), "acme\tAcme Ltd\nglobex\n:4\n")
	require.Contains(t, s.remote("wrong", "sallyport __complete org show ''", ""), ":4\n")
}
