package admin_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/admin"
)

// An error in JSON has the names of a preview, no null list, and nothing for the operator.
func TestErrorInJSON(t *testing.T) {
	f := newFaulty()
	w := worldOf(t, f, f.Store)
	w.key("boss", "203.0.113.7", "owner")
	f.fail("Key", false)
	refusal := w.refuse(admin.Unavailable, ann, plain, admin.DeleteKey("boss"))
	for _, form := range []any{refusal, *refusal} {
		data, err := json.Marshal(form)
		require.NoError(t, err)
		require.JSONEq(t, `{"class":"unavailable","message":"The records could not be read. Nothing was changed. Try again later.","findings":[]}`, string(data))
	}
	f.before = func(string) error { return nil }
	refusal = w.refuse(admin.Refused, ann, plain, admin.DeleteKey("boss"))
	data, err := json.Marshal(refusal)
	require.NoError(t, err)
	findings, err := json.Marshal(refusal.Findings)
	require.NoError(t, err)
	preview, err := json.Marshal(refusal.Preview)
	require.NoError(t, err)
	require.JSONEq(t, fmt.Sprintf(`{"class":"refused","message":%q,"findings":%s,"preview":%s}`, refusal.Message, findings, preview), string(data))
}

// So has a result, with its secrets redacted.
func TestResultInJSON(t *testing.T) {
	sink := admin.WithEvents(func(context.Context, []store.Event) error { return errFault })
	f := newFaulty()
	w := worldOf(t, bare{f}, f.Store, sink)
	w.key("boss", "203.0.113.7", "owner")
	data, err := json.Marshal(admin.Result{})
	require.NoError(t, err)
	require.Contains(t, string(data), `{"made":0,"organizations":[],"keys":[],"secrets":[],"events":[],"preview":{"token":"","findings":[],"keys":[],`)
	require.NotContains(t, string(data), "null")

	result := w.apply(ann, plain, admin.CreateKey(admin.NewKey{ID: "k", Entries: w.entries("203.0.113.9")}))
	require.ErrorIs(t, result.EventErr, errFault)
	data, err = json.Marshal(result)
	require.NoError(t, err)
	require.Contains(t, string(data), `{"made":1,"organizations":[],"keys":[{"id":"k",`)
	require.Contains(t, string(data), fmt.Sprintf(`"secrets":[{"key":"k","id":%q,"secret":"[redacted]"}]`, result.Secrets[0].ID))
	require.NotContains(t, string(data), "bees")
}

// A client in Go reads a class back.
func TestClassIsReadBack(t *testing.T) {
	for class := admin.Unavailable; class <= admin.Refused; class++ {
		text, err := class.MarshalText()
		require.NoError(t, err)
		read := admin.Class(9)
		require.NoError(t, read.UnmarshalText(text))
		require.Equal(t, class, read)
	}
	for _, text := range []string{"", "Refused", "class(9)"} {
		read := admin.Refused
		require.ErrorContains(t, read.UnmarshalText([]byte(text)), `want one of ["unavailable" "invalid"`)
		require.Equal(t, admin.Refused, read)
	}
}

// A refusal says how to go ahead, where that is possible.
func TestM22WayOut(t *testing.T) {
	w := newWorld(t)
	w.key("boss", "203.0.113.7", "owner")
	message := func(actor admin.Actor, change ...admin.Change) string {
		t.Helper()
		return w.refuse(admin.Refused, actor, plain, change...).Message
	}
	const opens = " To go ahead, add entries first, or accept opens with a reason."
	require.True(t, strings.HasSuffix(message(ann, admin.CreateKey(admin.NewKey{})), opens))
	require.True(t, strings.HasSuffix(message(ann, admin.CreateKey(admin.NewKey{}), admin.CreateKey(admin.NewKey{})), opens))
	require.True(t, strings.HasSuffix(message(ann, admin.DeleteKey("boss")), " To go ahead, accept last_manager and organization_lockout with a reason."))
	require.NotContains(t, message(w.by("boss", "203.0.113.7"), admin.ReplaceEntries("boss", w.entries("192.0.2.1")...)), "To go ahead")
}

// What is wrong about an actor or a token is named.
func TestWhatIsWrongIsNamed(t *testing.T) {
	w := newWorld(t)
	w.key("boss", "203.0.113.7", "owner")
	change := admin.Describe("boss", "x")
	for want, actor := range map[string]admin.Actor{
		"What is given about who asks cannot be kept in an event: the actor: the name \"" + strings.Repeat("a", 80) + "…\" has 300 bytes: want at most 256.": admin.ByPerson("ann", strings.Repeat("a", 300), netip.Addr{}),
		"What is given about who asks cannot be kept in an event: the correlation \"a\\nb\" has the control character U+000A at byte 2: want it without.":    ann.Via(store.ViaAPI, "a\nb"),
		"What is given about who asks cannot be kept in an event: the way in (Via) is \"?\": want 1 to 64 of a-z, 0-9, ., _ and -.":                          ann.Via("?", ""),
	} {
		require.Equal(t, want, w.refuse(admin.Invalid, actor, plain, change).Message)
	}
	for _, token := range []string{"abc", strings.Repeat("x", 32), w.preview(ann, change).Token + " "} {
		require.Equal(t, "The token is not one of a preview. Take that of the preview as it is.", w.refuse(admin.Invalid, ann, admin.ApplyOptions{Token: token}, change).Message)
	}
	w.refuse(admin.Changed, ann, admin.ApplyOptions{Token: strings.Repeat("0", 32)}, change)

	boss := w.by("boss", "203.0.113.7")
	off, err := w.memory.Organization(w.ctx, "acme")
	require.NoError(t, err)
	off.Disabled = true
	_, err = w.memory.PutOrganization(w.ctx, off)
	require.NoError(t, err)
	require.Equal(t, "The key that asks for the change may not do so any more: the organization is switched off.", w.refuse(admin.Forbidden, boss, plain, change).Message)
}
