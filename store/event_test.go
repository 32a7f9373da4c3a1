package store_test

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"net/netip"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
)

func TestEventID(t *testing.T) {
	for _, event := range []store.Event{{}, {Revision: 1}, {Revision: 7, Index: 199}, {Revision: math.MaxUint64, Index: math.MaxInt32}} {
		id := event.ID()
		assert.Regexp(t, "^[0-9a-f]{24}$", id)
		revision, index, ok := store.ParseEventID(id)
		assert.True(t, ok, id)
		assert.Equal(t, event, store.Event{Revision: revision, Index: index})
	}
	assert.Less(t, store.Event{Revision: 9, Index: 150}.ID(), store.Event{Revision: 10}.ID(), "IDs sort as events do")
	assert.Less(t, store.Event{Revision: 9, Index: 2}.ID(), store.Event{Revision: 9, Index: 10}.ID())
	for _, text := range []string{"", "7", strings.Repeat("0", 23), strings.Repeat("0", 25), strings.Repeat("g", 24), strings.Repeat("0", 16) + "ffffffff",
		strings.Repeat("A", 24), "+" + strings.Repeat("0", 23), strings.Repeat("0", 16) + "+0000001", strings.Repeat("0", 16) + "0000000x"} {
		_, _, ok := store.ParseEventID(text)
		assert.False(t, ok, text)
	}
}

// Every constant is a word, and none is there twice.
func TestEventTypes(t *testing.T) {
	seen := map[store.EventType]bool{}
	for _, kind := range []store.EventType{
		store.EventKeyCreated, store.EventKeyDeleted, store.EventKeyDescribed, store.EventKeyGrantsChanged, store.EventKeyProjectAdded, store.EventKeyProjectRemoved,
		store.EventEntryAdded, store.EventEntryChanged, store.EventEntryRemoved, store.EventListReplaced, store.EventTrialListChanged, store.EventKeyRotated, store.EventSecretEnded,
		store.EventKeyDisabled, store.EventKeyEnabled, store.EventKeyValidityChanged, store.EventOrganizationCreated, store.EventOrganizationDeleted,
		store.EventOrganizationDisabled, store.EventOrganizationEnabled, store.EventRequirementChanged, store.EventRequirementSuspended, store.EventRequirementResumed, store.EventEventsForgotten,
	} {
		event := smallEvent("acme", "", "x")
		event.Type = kind
		assert.NoError(t, event.Validate())
		assert.False(t, seen[kind], kind)
		seen[kind] = true
	}
}

// invalidEvents are changes that make an event invalid, and what the error says.
var invalidEvents = map[string]func(*store.Event){
	"the time is zero or in the year 1: want the time":         func(e *store.Event) { e.Time = time.Time{} },
	"in the year 10000: want":                                  func(e *store.Event) { e.Time = time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC) },
	"in the year 0: want":                                      func(e *store.Event) { e.Time = time.Date(0, 1, 1, 0, 0, 0, 0, time.UTC) },
	`the type is "": want 1 to 64 of a-z`:                      func(e *store.Event) { e.Type = "" },
	`the type is "Key.created": want`:                          func(e *store.Event) { e.Type = "Key.created" },
	`the type is "aaaaaaaa`:                                    func(e *store.Event) { e.Type = store.EventType(strings.Repeat("a", 65)) },
	`key "key" without an organization: want both`:             func(e *store.Event) { e.Organization = "" },
	"the organization":                                         func(e *store.Event) { e.Organization = " acme" },
	"the key ID has the byte":                                  func(e *store.Event) { e.Key = "a key" },
	"the project":                                              func(e *store.Event) { e.Project = "a\n" },
	`the actor: the kind is "": want 1 to 64 of a-z`:           func(e *store.Event) { e.Actor = store.Actor{} },
	`the actor: the kind is "Robot": want 1 to 64 of a-z`:      func(e *store.Event) { e.Actor.Kind = "Robot" },
	"the actor: apikey: the key ID has 0 bytes":                func(e *store.Event) { e.Actor.ID = "" },
	"the actor: apikey: the actor's ID is empty":               func(e *store.Event) { e.Actor = store.Actor{Kind: store.ActorPerson} },
	"the actor: apikey: the actor's ID \"\\n\"":                func(e *store.Event) { e.Actor = store.Actor{Kind: store.ActorSystem, ID: "\n"} },
	"the actor: the secret has 64 bytes: want the ID":          func(e *store.Event) { e.Actor.Secret = strings.Repeat("ab", 32) },
	"the actor: the secret has 8 bytes: want the ID":           func(e *store.Event) { e.Actor.Secret = "not hexa" },
	"and only of a key":                                        func(e *store.Event) { e.Actor = store.Actor{Kind: store.ActorSystem, Secret: "5ec2e700"} },
	"the actor: the name":                                      func(e *store.Event) { e.Actor.Name = "a\x00" },
	"the address \"fe80::1%eth0\" has a zone: want it without": func(e *store.Event) { e.Address = netip.MustParseAddr("fe80::1%eth0") },
	"the origin is origin(9): want one of policy's":            func(e *store.Event) { e.Origin = 9 },
	"the entry \"203.0.113.7/24\" has host bits":               func(e *store.Event) { e.Entry = netip.MustParsePrefix("203.0.113.7/24") },
	"the entry \"invalid Prefix\" has host bits or no length":  func(e *store.Event) { e.Entry = netip.PrefixFrom(netip.MustParseAddr("203.0.113.7"), 99) },
	"the way in (Via) is \"\": want":                           func(e *store.Event) { e.Via = "" },
	"the correlation":                                          func(e *store.Event) { e.Correlation = strings.Repeat("a", store.MaxCorrelation+1) },
	"has 2001 bytes: want at most 2000":                        func(e *store.Event) { e.Reason = strings.Repeat("a", store.MaxReason+1) },
	"the reason \"\\xff\" is not valid UTF-8":                  func(e *store.Event) { e.Reason = "\xff" },
	"33 accepted findings: want at most 32":                    func(e *store.Event) { e.Accepted = make([]string, store.MaxAccepted+1) },
	`the accepted finding is "a b": want`:                      func(e *store.Event) { e.Accepted = []string{"a", "a b"} },
	"Before has 16385 bytes: want at most 16384":               func(e *store.Event) { e.Before = json.RawMessage(strings.Repeat(" ", store.MaxEventBytes+1)) },
	"Before: ":                        func(e *store.Event) { e.Before = json.RawMessage(`{`) },
	"After: an array: want an object": func(e *store.Event) { e.After = json.RawMessage(`[]`) },
	`After: "a" occurs twice`:         func(e *store.Event) { e.After = json.RawMessage(`{"a":1,"a":2}`) },
	"After: not valid UTF-8":          func(e *store.Event) { e.After = json.RawMessage("{\"a\":\"\xff\"}") },
}

func TestEventValidate(t *testing.T) {
	assert.NoError(t, richEvent("acme", "key").Validate())
	assert.NoError(t, smallEvent("", "", "").Validate())
	for want, change := range invalidEvents {
		event := richEvent("acme", "key")
		change(&event)
		err := event.Validate()
		require.ErrorContains(t, err, want)
		assert.True(t, strings.HasPrefix(err.Error(), "store: event: "), err)
		_, err = event.MarshalJSON()
		assert.ErrorContains(t, err, want)
		assert.False(t, event.Equal(event), "an invalid event equals none")
	}
	// A secret in the place of its ID is not quoted (rule K2).
	event := richEvent("acme", "key")
	event.Actor.Secret = "sp_secret"
	assert.NotContains(t, event.Validate().Error(), event.Actor.Secret)
}

func TestEventJSON(t *testing.T) {
	event := richEvent("acme", "key")
	event.Revision, event.Index, event.Before = 7, 2, json.RawMessage(`{ "disabled": false }`)
	text, err := json.Marshal(event)
	require.NoError(t, err)
	assert.Equal(t, `{"revision":7,"index":2,"time":"2031-05-06T01:38:09.123456Z","type":"own.type_of-a.program","organization":"acme","key":"key","project":"project/é'1",`+
		`"actor":{"kind":"key","id":"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa","name":"Jo \"the admin\" O'Brien \\ 🔑","secret":"5ec2e700"},"address":"2001:db8::1","origin":"x_forwarded_for","via":"console",`+
		`"correlation":"req-1/é","reason":"it's \u003cleaked\u003e \u0026 \"gone\"; -- NULL %s $1 日本","accepted":["opens_key","cuts-off.actor","opens_key"],"entry":"203.0.113.0/24",`+
		`"before":{"disabled":false},"after":{}}`, string(text))
	var read store.Event
	require.NoError(t, json.Unmarshal(text, &read))
	assert.True(t, read.Equal(event))
	assert.Empty(t, cmp.Diff(event, read))

	least := store.Event{Time: moment, Type: store.EventEventsForgotten, Actor: store.Actor{Kind: store.ActorSystem}, Via: store.ViaCLI}
	text, err = json.Marshal(least)
	require.NoError(t, err)
	assert.Equal(t, `{"time":"2031-05-06T01:38:09.123456Z","type":"events.forgotten","actor":{"kind":"system"},"via":"cli"}`, string(text))
	read = store.Event{}
	require.NoError(t, json.Unmarshal(text, &read))
	assert.True(t, read.Equal(least))
	for origin := policy.OriginUnknown; origin <= policy.OriginHeader; origin++ {
		least.Origin = origin
		text, err = json.Marshal(least)
		require.NoError(t, err)
		require.NoError(t, json.Unmarshal(text, &read))
		assert.Equal(t, origin, read.Origin)
	}
}

func TestEventJSONIsStrict(t *testing.T) {
	const sound = `{"time":"2031-05-06T01:38:09Z","type":"key.created","organization":"acme","actor":{"kind":"system"},"origin":"peer","via":"cli","accepted":["a"],"before":{"a":1}}`
	require.NoError(t, json.Unmarshal([]byte(sound), new(store.Event)))
	for _, change := range [][3]string{
		{`"type"`, `"kind"`, `"type" is missing`}, {`"via"`, `"later":1,"later":1,"via"`, `"later" occurs twice`}, {`"type"`, `"Type"`, `unknown name "Type": want "type"`}, {`"via":"cli"`, `"via":null`, `"via" is null`},
		{`,"via":"cli"`, ``, `"via" is missing`}, {`"time":"2031-05-06T01:38:09Z",`, ``, `"time" is missing`}, {`"actor":{"kind":"system"},`, ``, `"actor" is missing`},
		{`{"kind":"system"}`, `{"kind":"Robot"}`, `the kind is "Robot"`}, {`{"kind":"system"}`, `{"kind":"system","later":1}`, `"actor": unknown name "later"`}, {`{"kind":"system"}`, `{}`, `"kind" is missing`},
		{`"peer"`, `"a peer"`, `"origin": the text of the origin is "a peer"`}, {`"peer"`, `7`, `want a string`}, {`["a"]`, `[7]`, `number 1`}, {`{"a":1}`, `1`, `want an object`},
		{`"time":"2031-05-06T01:38:09Z"`, `"time":"0001-01-01T00:00:00Z"`, `"time"`}, {`"via"`, `"index":-1,"via"`, `"index"`}, {`"via"`, `"index":2147483648,"via"`, `want at most 2147483647`}, {`}}`, `}} x`, `after top-level value`},
		{`"via"`, `"address":"203.0.113.256","via"`, `"address"`}, {`"via"`, `"entry":"203.0.113.0","via"`, `"entry"`},
	} {
		require.Contains(t, sound, change[0])
		read := store.Event{Reason: "unchanged"}
		err := read.UnmarshalJSON([]byte(strings.Replace(sound, change[0], change[1], 1)))
		require.ErrorContains(t, err, change[2])
		assert.True(t, strings.HasPrefix(err.Error(), "store: an event in JSON: "), err)
		assert.Equal(t, store.Event{Reason: "unchanged"}, read)
	}
}

// An event of a later version is read, shown as far as it is known, and written whole.
func TestEventJSONOfALaterVersion(t *testing.T) {
	const later = `{"time":"2031-05-06T01:38:09Z","type":"team.created","organization":"acme","actor":{"kind":"robot","id":"r2","secret":"5ec2e700"},` +
		`"origin":"passkey","via":"chat","after":{"a":1},"ticket":{"id":7,"text":"\u003ca\u003e"},"zone":null}`
	var event store.Event
	require.NoError(t, json.Unmarshal([]byte(strings.Replace(later, `"ticket":{"id":7,`, `"ticket": { "id" : 7 , `, 1)), &event))
	assert.Equal(t, policy.OriginUnknown, event.Origin)
	assert.Equal(t, store.Actor{Kind: "robot", ID: "r2", Secret: "5ec2e700"}, event.Actor)
	for _, event := range []store.Event{event, event.Clone()} {
		text, err := json.Marshal(event)
		require.NoError(t, err)
		assert.Equal(t, later, string(text))
	}
	assert.True(t, event.Equal(event.Clone()))
	known := event
	require.NoError(t, json.Unmarshal([]byte(strings.Replace(later, `,"zone":null`, ``, 1)), &known))
	assert.False(t, event.Equal(known))

	write := store.Write{PutOrganization: &policy.Organization{ID: "acme"}, Events: []store.Event{event}}
	require.ErrorContains(t, write.Validate(), `event 0: the actor: the kind is "robot": want "key", "person" or "system"`)
	write.Events[0].Actor = store.Actor{Kind: store.ActorSystem}
	require.NoError(t, write.Validate())
}

// What is read is what is written, again.
func FuzzEventJSON(f *testing.F) {
	for _, event := range []store.Event{richEvent("acme", "key"), smallEvent("", "", "tag")} {
		text, err := json.Marshal(event)
		require.NoError(f, err)
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		var read, again store.Event
		if read.UnmarshalJSON(text) != nil {
			return
		}
		written, err := read.MarshalJSON()
		require.NoError(t, err)
		require.NoError(t, again.UnmarshalJSON(written))
		require.True(t, again.Equal(read))
	})
}

func TestEventEqual(t *testing.T) {
	rich := richEvent("acme", "key")
	same := rich.Clone()
	same.Time, same.Before = same.Time.UTC(), json.RawMessage(" "+string(same.Before)+"\n")
	assert.True(t, rich.Equal(same))
	for i, change := range []func(*store.Event){
		func(e *store.Event) { e.Revision++ }, func(e *store.Event) { e.Index++ }, func(e *store.Event) { e.Time = e.Time.Add(1) }, func(e *store.Event) { e.Type = "other" },
		func(e *store.Event) { e.Organization = "other" }, func(e *store.Event) { e.Key = "other" }, func(e *store.Event) { e.Project = "" }, func(e *store.Event) { e.Actor.Name = "" },
		func(e *store.Event) { e.Address = netip.Addr{} }, func(e *store.Event) { e.Origin = 0 }, func(e *store.Event) { e.Via = "other" }, func(e *store.Event) { e.Correlation = "" },
		func(e *store.Event) { e.Reason = "" }, func(e *store.Event) { e.Accepted = e.Accepted[:1] }, func(e *store.Event) { e.Entry = netip.Prefix{} },
		func(e *store.Event) { e.Before = nil }, func(e *store.Event) { e.After = nil },
	} {
		other := rich.Clone()
		change(&other)
		assert.False(t, rich.Equal(other), i)
	}
}

func TestWriteValidate(t *testing.T) {
	key := newKey(t, "key", "acme", "192.0.2.1")
	sound := func() store.Write {
		return store.Write{PutKey: &key, Events: []store.Event{richEvent("acme", "key"), smallEvent("acme", "key", "x")}, If: []store.Condition{{Organization: "acme"}, {Organization: "acme", Key: "other", Revision: 7}}}
	}
	require.NoError(t, sound().Validate())
	for _, w := range []store.Write{
		{PutOrganization: &policy.Organization{ID: "acme"}, Events: []store.Event{smallEvent("acme", "", "")}},
		{Delete: &store.Condition{Organization: "acme", Key: "key", Revision: 1}, Events: []store.Event{smallEvent("acme", "key", "")}},
		{Delete: &store.Condition{Organization: "acme", Revision: 1}},
		{Forget: &store.Position{History: "h"}, Events: []store.Event{smallEvent("", "", "")}},
	} {
		assert.NoError(t, w.Validate())
	}
	large := func(bytes int) store.Event {
		event := smallEvent("acme", "key", "")
		event.After = json.RawMessage(fmt.Sprintf(`{"a":%q}`, strings.Repeat("a", bytes)))
		return event
	}
	for want, change := range map[string]func(*store.Write){
		"0 changes: want exactly one of PutOrganization, PutKey, Delete and Forget": func(w *store.Write) { w.PutKey = nil },
		"4 changes: want exactly one": func(w *store.Write) {
			w.PutOrganization, w.Delete, w.Forget = &policy.Organization{}, &store.Condition{}, &store.Position{}
		},
		"it deletes at revision 0: want the revision":                                            func(w *store.Write) { *w = store.Write{Delete: &store.Condition{Organization: "acme"}} },
		"the organization is empty":                                                              func(w *store.Write) { *w = store.Write{Delete: &store.Condition{Revision: 1}} },
		"it forgets up to revision 7 of no history":                                              func(w *store.Write) { *w = store.Write{Forget: &store.Position{Revision: 7}} },
		"51 conditions: want at most 50":                                                         func(w *store.Write) { w.If = make([]store.Condition, store.MaxConditions+1) },
		"condition 1: apikey: the organization":                                                  func(w *store.Write) { w.If[1].Organization = "" },
		"condition 1: apikey: the key ID":                                                        func(w *store.Write) { w.If[1].Key = "a key" },
		"201 events: want at most 200":                                                           func(w *store.Write) { w.Events = make([]store.Event, store.MaxEvents+1) },
		"event 1: revision 7 and index 0: want zero":                                             func(w *store.Write) { w.Events[1].Revision = 7 },
		"event 1: revision 0 and index 7: want zero":                                             func(w *store.Write) { w.Events[1].Index = 7 },
		`event 1: organization "other" and key "key": want those of the Write, "acme" and "key"`: func(w *store.Write) { w.Events[1].Organization = "other" },
		`event 1: organization "acme" and key ""`:                                                func(w *store.Write) { w.Events[1].Key = "" },
		"event 1: store: event: the type":                                                        func(w *store.Write) { w.Events[1].Type = "" },
		"bytes in JSON: want at most 16384":                                                      func(w *store.Write) { w.Events[1] = large(store.MaxEventBytes - 8) },
		"bytes in JSON: want at most 262144": func(w *store.Write) {
			for range 17 {
				w.Events = append(w.Events, large(store.MaxEventBytes-500))
			}
		},
		"event 1: it has the hash of secret " + key.Secrets[0].ID() + ": want the ID alone (rule M27)": func(w *store.Write) {
			w.Events[1].Reason = "it was " + strings.ToUpper(hex.EncodeToString(key.Secrets[0].Sum[:]))
		},
	} {
		w := sound()
		change(&w)
		err := w.Validate()
		require.ErrorContains(t, err, want)
		assert.True(t, strings.HasPrefix(err.Error(), "store: Write: "), err)
		assert.Less(t, len(err.Error()), 1000)
	}
	md5, sha256 := strings.Repeat("0a", 16), strings.Repeat("0b", 32)
	digest, err := apikey.NewDigestCredentials("api", md5, sha256)
	require.NoError(t, err)
	key.Secrets[0].Digest = digest
	require.NoError(t, sound().Validate())
	for _, hash := range []string{md5, sha256} {
		w := sound()
		w.Events[1].Reason = "it was " + strings.ToUpper(hash)
		require.ErrorContains(t, w.Validate(), "it has the hash of secret "+key.Secrets[0].ID())
	}
	hash := hex.EncodeToString(key.Secrets[0].Sum[:])
	for name, text := range map[string]string{
		"one escape":      fmt.Sprintf(`\u%04x`, hash[0]) + hash[1:],
		"escapes":         regexp.MustCompile(`.`).ReplaceAllStringFunc(hash, func(c string) string { return fmt.Sprintf(`\u%04X`, c[0]) }),
		"upper case":      regexp.MustCompile(`.`).ReplaceAllStringFunc(strings.ToUpper(hash), func(c string) string { return fmt.Sprintf(`\u%04x`, c[0]) }),
		"others before":   `\\u00 \u00e9 \u003c \\u00` + fmt.Sprintf(`\u%04x`, hash[0]) + hash[1:],
		"others up to it": `\\u00\u003c` + hash,
	} {
		for _, document := range []string{`{"a":"%s"}`, `{"%s":1}`, `{"a":[{"b":"%s"}],"c":"\\u00"}`} {
			w := sound()
			w.Events[1].After = json.RawMessage(fmt.Sprintf(document, text))
			assert.ErrorContains(t, w.Validate(), "it has the hash of secret "+key.Secrets[0].ID(), "%s in %s", name, document)
		}
	}
	w := sound()
	w.Events[1].After = json.RawMessage(`{"a":"\\u00","b":"\u003c` + hash[1:] + `"}`)
	assert.NoError(t, w.Validate())
	w.Events[1].Reason = "secret " + key.Secrets[0].ID() + " was rotated"
	assert.NoError(t, w.Validate(), "an ID is no hash")
}
