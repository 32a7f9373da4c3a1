package apikey_test

import (
	"encoding/json"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/apikey"
)

const (
	sumA = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
	sumB = "60303ae22b998861bce3b28f33eec1be758a213c86c93c076dbe9f558c11c752"

	storedJSON = `{
		"id": "Key_1-b", "organization": "acme", "description": "nightly <backup>", "disabled": true,
		"accessList": [],
		"grants": [{"role": "admin"}, {"role": "viewer", "project": "p"}, {"role": "viewer", "allProjects": true}],
		"secrets": [
			{"serverKey": "k1", "sum": "` + sumA + `", "created": "2026-05-17T12:00:00Z", "expires": "2026-05-17T13:00:00.000000001Z"},
			{"sum": "` + sumB + `", "formerId": "5ec2e700"}
		],
		"notBefore": "2026-05-17T12:00:00Z", "expires": "2027-01-01T01:00:00+01:00", "created": "2026-05-17T12:00:00.123456789Z",
		"trialList": [{"address": "203.0.113.7"}],
		"metadata": {"labels": {"team": "web", "archived": ""}, "externalId": "cus_1"},
		"revision": 18446744073709551615
	}`
	smallJSON = `{"id":"k","organization":"acme","disabled":false,"accessList":[],"secrets":[{"sum":"` + sumA + `"}]}`
)

func TestJSONReadsTheStoredForm(t *testing.T) {
	var key apikey.Key
	require.NoError(t, json.Unmarshal([]byte(storedJSON), &key))
	day := time.Date(2026, 5, 17, 12, 0, 0, 0, time.UTC)
	require.Equal(t, "9f86d081", key.Secrets[0].ID())
	require.Equal(t, "5ec2e700", key.Secrets[1].ID())
	tried, err := accesslist.Parse("203.0.113.7")
	require.NoError(t, err)
	require.Equal(t, apikey.Key{
		TrialList: tried,
		Metadata:  &apikey.Metadata{Labels: map[string]string{"team": "web", "archived": ""}, ExternalID: "cus_1"},
		ID:        "Key_1-b", Organization: "acme", Description: "nightly <backup>", Disabled: true,
		Grants: []apikey.Grant{{Role: "admin"}, {Role: "viewer", Project: "p"}, {Role: "viewer", AllProjects: true}},
		Secrets: []apikey.StoredSecret{
			{ServerKey: "k1", Sum: key.Secrets[0].Sum, Created: day, Expires: day.Add(time.Hour + 1)},
			{Sum: key.Secrets[1].Sum, FormerID: "5ec2e700"},
		},
		NotBefore: day, Expires: time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC), Created: day.Add(123456789), Revision: 1<<64 - 1,
	}, key)

	written, err := json.Marshal(key)
	require.NoError(t, err)
	want := strings.Replace(storedJSON, "2027-01-01T01:00:00+01:00", "2027-01-01T00:00:00Z", 1)
	require.JSONEq(t, want, string(written))
}

func TestJSONOfASmallKey(t *testing.T) {
	var key apikey.Key
	require.NoError(t, json.Unmarshal([]byte(smallJSON), &key))
	written, err := key.MarshalJSON()
	require.NoError(t, err)
	require.Equal(t, `{"id":"k","organization":"acme","description":"","disabled":false,"accessList":[],"grants":[],`+
		`"secrets":[{"sum":"`+sumA+`"}],"revision":0}`, string(written))
}

func TestJSONRoundTripIsExact(t *testing.T) {
	key := fullKey(t)
	small, _ := newKey(t, nil)
	tried := small.Clone()
	tried.TrialList = key.AccessList
	ipv6 := small.Clone()
	var err error
	ipv6.AccessList, err = accesslist.Parser{AllowIPv6: true}.ParseJSON([]byte(`[{"address":"2001:db8::/32"}]`))
	require.NoError(t, err)
	for _, key := range []apikey.Key{key, small, tried, ipv6} {
		data, err := json.Marshal(key)
		require.NoError(t, err)
		var read apikey.Key
		require.NoError(t, json.Unmarshal(data, &read))
		require.Empty(t, cmp.Diff(key, read))
		require.True(t, key.AccessList.Equal(read.AccessList))
	}
}

// A list is read back whole, whatever families it has, fast or not.
func TestJSONRoundTripsRandomListsOfBothFamilies(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 0x5a11))
	key, _ := newKey(t, nil)
	for range 300 {
		key.AccessList = randomList(t, r)
		data, err := json.Marshal(key)
		require.NoError(t, err)
		for _, form := range []string{string(data), " " + string(data)} {
			var read apikey.Key
			require.NoError(t, json.Unmarshal([]byte(form), &read))
			require.Empty(t, cmp.Diff(key, read))
		}
	}
}

// randomList returns a list of up to 20 blocks of both families.
func randomList(t testing.TB, r *rand.Rand) accesslist.List {
	var list accesslist.List
	for range r.IntN(20) {
		addr := netip.AddrFrom4([4]byte{byte(1 + r.IntN(223)), byte(r.IntN(256)), byte(r.IntN(256)), byte(r.IntN(256))})
		if r.IntN(2) == 0 {
			b := addr.As4()
			addr = netip.AddrFrom16([16]byte{0x20, 1, 0xd, 0xb8, b[0], b[1], 14: b[2], 15: b[3]})
		}
		entry, err := accesslist.Parser{AllowIPv6: true}.NewEntry(netip.PrefixFrom(addr, 1+r.IntN(addr.BitLen())).Masked())
		if err != nil {
			continue // 0.0.0.0 or ::
		}
		if r.IntN(3) == 0 {
			entry.Comment, entry.Expires = "größer <b>", time.Unix(1_800_000_000+r.Int64N(1e6), r.Int64N(1e6)*1000)
		}
		if longer, err := list.With(entry); err == nil { // else it is there already
			list = longer
		}
	}
	require.True(t, list.IsValid())
	return list
}

func TestJSONWritesInvalidKeysAsTheyAre(t *testing.T) {
	data, err := json.Marshal(apikey.Key{Secrets: make([]apikey.StoredSecret, 3)})
	require.NoError(t, err)
	require.Contains(t, string(data), `"organization":""`)
	require.Error(t, json.Unmarshal(data, new(apikey.Key)))
}

func TestJSONRefusesToWriteWhatWouldReadBackDifferent(t *testing.T) {
	for name, change := range map[string]func(*apikey.Key){
		"organization": func(k *apikey.Key) { k.Organization = "a\xff" },
		"description":  func(k *apikey.Key) { k.Description = "a\xff" },
		"id":           func(k *apikey.Key) { k.ID = "a\xff" },
		"role":         func(k *apikey.Key) { k.Grants[0].Role = "a\xff" },
		"project":      func(k *apikey.Key) { k.Grants[0].Project = "a\xff" },
		"server key":   func(k *apikey.Key) { k.Secrets[0].ServerKey = "a\xff" },
		"label":        func(k *apikey.Key) { k.Metadata.Labels["a\xff"] = "" },
		"value":        func(k *apikey.Key) { k.Metadata.Labels["team"] = "a\xff" },
		"external ID":  func(k *apikey.Key) { k.Metadata.ExternalID = "a\xff" },
		"former ID":    func(k *apikey.Key) { k.Secrets[0].FormerID = "a\xff" },
	} {
		key := fullKey(t)
		change(&key)
		_, err := key.MarshalJSON()
		require.EqualError(t, err, `apikey: a key with the text "a\xff" cannot be stored: want UTF-8`, name)
	}
	_, err := apikey.Key{TrialList: invalidList(t)}.MarshalJSON()
	require.ErrorContains(t, err, "apikey: a key cannot be stored: ")
	_, err = apikey.Key{Expires: time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)}.MarshalJSON()
	require.ErrorContains(t, err, "apikey: a key cannot be stored: ")
	require.ErrorContains(t, err, "year")
}

// Rule A3: what cannot be read is an error, never a key with less in it.
func TestA3StrictReading(t *testing.T) {
	replaced := func(old, with string) string {
		require.Equal(t, 1, strings.Count(storedJSON, old), old)
		return strings.Replace(storedJSON, old, with, 1)
	}
	for name, test := range map[string]struct{ data, want string }{
		"empty":                    {``, `stored key: unexpected end of JSON input`},
		"null":                     {`null`, `stored key: null: want an object with "id", "organization", `},
		"array":                    {`[]`, `stored key: an array: want an object with "id", `},
		"text":                     {`"k"`, `stored key: a string: want an object with "id", `},
		"no names":                 {`{}`, `stored key: "id" is missing`},
		"not UTF-8":                {replaced("acme", "ac\xffme"), `stored key: not valid UTF-8`},
		"no id":                    {replaced(`"id": "Key_1-b", `, ``), `"id" is missing`},
		"no organization":          {replaced(`"organization": "acme", `, ``), `"organization" is missing`},
		"no disabled":              {replaced(`"disabled": true,`, ``), `"disabled" is missing`},
		"no accessList":            {replaced(`"accessList": [],`, ``), `"accessList" is missing`},
		"no secrets":               {`{"id":"k","organization":"acme","disabled":false,"accessList":[]}`, `"secrets" is missing`},
		"null id":                  {replaced(`"Key_1-b"`, `null`), `"id" is null: want a value`},
		"null organization":        {replaced(`"acme"`, `null`), `"organization" is null`},
		"null accessList":          {replaced(`"accessList": []`, `"accessList": null`), `"accessList" is null`},
		"null secrets":             {`{"id":"k","organization":"acme","disabled":false,"accessList":[],"secrets": null}`, `"secrets" is null`},
		"null expires":             {replaced(`"2027-01-01T01:00:00+01:00"`, ` null `), `"expires" is null`},
		"null secret":              {replaced(`{"sum": "`+sumB+`", "formerId": "5ec2e700"}`, `null`), `"secrets": number 2: null: want an object with "serverKey", "sum", "formerId", "created", "expires", "digest"`},
		"null former ID":           {replaced(`"5ec2e700"`, `null`), `"secrets": number 2: "formerId" is null`},
		"bad former ID":            {replaced(`"5ec2e700"`, `"secret"`), `FormerID "secret" of Secrets[1]`},
		"null expires of a secret": {replaced(`"2026-05-17T13:00:00.000000001Z"`, `null`), `"secrets": number 1: "expires" is null: want a value, or leave it out`},
		"unknown name":             {replaced(`"revision"`, `"version"`), `unknown name "version"`},
		"unknown name of a grant":  {replaced(`{"role": "admin"}`, `{"role": "admin", "scope": 1}`), `"grants": number 1: unknown name "scope"`},
		"unknown name of a secret": {replaced(`{"sum": "`, `{"salt": "", "sum": "`), `"secrets": number 2: unknown name "salt"`},
		"case of a name":           {replaced(`"accessList"`, `"accesslist"`), `unknown name "accesslist": want "accessList"`},
		"case by Unicode":          {replaced(`"disabled"`, `"di`+"\u017f"+`abled"`), `want "disabled"`},
		"case of a secret's name":  {replaced(`"expires": "2026`, `"Expires": "2026`), `unknown name "Expires": want "expires"`},
		"name twice":               {replaced(`"disabled": true,`, `"disabled": true, "disabled": false,`), `"disabled" occurs twice: want it once`},
		"name twice by an escape":  {replaced(`"disabled": true,`, `"disabled": true, "d\u0069sabled": false,`), `"disabled" occurs twice: want it once`},
		"name twice in a secret":   {replaced(`"sum": "`+sumB, `"sum": "`+sumA+`", "sum": "`+sumB), `"sum" occurs twice: want it once`},
		"data behind":              {smallJSON + ` {}`, `stored key: invalid character '{' after top-level value`},
		"rubbish behind":           {smallJSON + `]`, `stored key: invalid character ']' after top-level value`},
		"cut off":                  {smallJSON[:len(smallJSON)-1], `stored key: unexpected end of JSON input`},
		"cut off in a value":       {smallJSON[:len(smallJSON)-3], `stored key: unexpected end of JSON input`},
		"a bracket at the end":     {smallJSON[:len(smallJSON)-1] + `]`, `stored key: invalid character ']'`},
		"a comma at the end":       {smallJSON[:len(smallJSON)-1] + `,}`, `stored key: `},
		"a name that is no text":   {`{1: 2}`, `stored key: `},
		"no colon":                 {`{"id" "k"}`, `stored key: invalid character '"' after object key`},
		"no comma":                 {`{"id":"k" "organization":"acme"}`, `stored key: `},
		"id of another type":       {replaced(`"Key_1-b"`, `7`), `"id": `},
		"disabled of another type": {replaced(`"disabled": true`, `"disabled": "true"`), `"disabled": `},
		"grants of another type":   {replaced(`"grants": [`, `"grants": {}, "x": [`), `"grants": `},
		"negative revision":        {replaced(`18446744073709551615`, `-1`), `"revision": `},
		"revision too large":       {replaced(`18446744073709551615`, `18446744073709551616`), `"revision": `},
		"time of another form":     {replaced(`"2026-05-17T12:00:00.123456789Z"`, `"17 May 2026"`), `"created": `},
		"zero time written out":    {replaced(`"2027-01-01T01:00:00+01:00"`, `"0001-01-01T00:00:00Z"`), `"expires": "0001-01-01T00:00:00Z": want a time such as 2026-01-02T15:04:05Z, or leave it out`},
		"null trialList":           {replaced(`[{"address": "203.0.113.7"}]`, `null`), `"trialList" is null: want a value, or leave it out`},
		"bad trialList":            {replaced(`[{"address": "203.0.113.7"}]`, `["everyone"]`), `"trialList": `},
		"trialList of a text":      {replaced(`[{"address": "203.0.113.7"}]`, `"203.0.113.7"`), `"trialList": `},
		"trialList twice":          {replaced(`"trialList": [`, `"trialList": [], "trialList": [`), `"trialList" occurs twice`},
		"case of trialList":        {replaced(`"trialList"`, `"triallist"`), `unknown name "triallist": want "trialList"`},
		"null labels":              {replaced(`{"team": "web", "archived": ""}`, `null`), `"labels" is null: want a value, or leave it out`},
		"labels of another type":   {replaced(`{"team": "web", "archived": ""}`, `["team"]`), `"labels": an array: want an object`},
		"a label's type":           {replaced(`"team": "web"`, `"team": true`), `"labels": "team": true: want a string`},
		"null label":               {replaced(`"team": "web"`, `"team": null`), `"labels": "team": null: want a string`},
		"label twice":              {replaced(`"team": "web"`, `"team": "web", "team": "web"`), `"labels": "team" occurs twice: want it once`},
		"label twice by an escape": {replaced(`"team": "web"`, `"team": "web", "t\u0065am": "web"`), `"labels": "team" occurs twice: want it once`},
		"bad label":                {replaced(`"team": "web"`, `"team=": "web"`), `the name of a label "team=" contains "="`},
		"null externalId":          {replaced(`"cus_1"`, `null`), `"externalId" is null: want a value, or leave it out`},
		"externalId's type":        {replaced(`"cus_1"`, `1`), `"externalId": the number 1: want a string`},
		"case of externalId":       {replaced(`"externalId"`, `"externalID"`), `unknown name "externalID": want "externalId"`},
		"bad externalId":           {replaced(`"cus_1"`, `" "`), `the external ID " " begins or ends with white space`},
		"no sum":                   {replaced(`"sum": "`+sumB+`", `, ``), `"secrets": number 2: "sum" is missing`},
		"sum of another type":      {replaced(`"`+sumB+`"`, `[1]`), `"secrets": number 2: "sum": `},
		"short sum":                {replaced(sumB, sumB[2:]), `"sum": a string of 62 characters: want 64 hexadecimal digits`},
		"sum of other digits":      {replaced(sumB, "x"+sumB[1:]), `want 64 hexadecimal digits`},
		"bad access list":          {replaced(`"accessList": []`, `"accessList": ["everyone"]`), `"accessList": `},
		"invalid ID":               {replaced(`"Key_1-b"`, `"a b"`), `apikey: stored key: apikey: the key ID has the byte`},
		"no secret in secrets":     {`{"id":"k","organization":"acme","disabled":false,"accessList":[],"secrets":[]}`, `the key has 0 secrets`},
	} {
		t.Run(name, func(t *testing.T) {
			key := fullKey(t)
			before := key.Clone()
			err := key.UnmarshalJSON([]byte(test.data))
			require.ErrorContains(t, err, test.want)
			require.True(t, strings.HasPrefix(err.Error(), "apikey: stored key: "), err)
			require.Equal(t, before, key, "on an error the key is unchanged")
		})
	}
}

// withMetadata returns a key with this metadata.
func withMetadata(t testing.TB, metadata string) (key apikey.Key) {
	require.NoError(t, json.Unmarshal([]byte(smallJSON[:len(smallJSON)-1]+`,"metadata":`+metadata+`}`), &key))
	return key
}

// Metadata of a later version stays with a key: no decision depends on it.
func TestJSONKeepsUnknownMetadata(t *testing.T) {
	for given, want := range map[string]string{
		`{"zone":"eu","externalId":"cus_1","Later":{ "b" : [1, null], "a": "<&>\u0041" },"é":null}`: `{"externalId":"cus_1","Later":{"b":[1,null],"a":"\u003c\u0026\u003e\u0041"},"zone":"eu","é":null}`,
		`{"later":1}`:                            `{"later":1}`,
		`{"labels":{"team":"web"},"later":1.50}`: `{"labels":{"team":"web"},"later":1.50}`,
		`{"":1,"labels":{}}`:                     `{"":1}`,
	} {
		key := withMetadata(t, given)
		for _, key := range []apikey.Key{key, key.Clone()} {
			data, err := json.Marshal(key)
			require.NoError(t, err)
			require.Contains(t, string(data), `"metadata":`+want+`,"revision":0}`)
			var again apikey.Key
			require.NoError(t, json.Unmarshal(data, &again))
			require.True(t, key.Equal(again))
		}
		if key.Labels() == nil {
			key.Metadata.Labels = map[string]string{"team": "web"} // the rest stays
		}
		data, err := json.Marshal(key)
		require.NoError(t, err)
		require.Contains(t, string(data), `"labels":{"team":"web"}`)
		require.Contains(t, string(data), want[max(1, strings.Index(want, `"Later"`)):])
	}
	require.Nil(t, withMetadata(t, `{}`).Metadata)

	var key apikey.Key
	for metadata, want := range map[string]string{
		`null`: `"metadata" is null`, `[]`: `"metadata": an array: want an object`, `{"Labels":{}}`: `"metadata": unknown name "Labels": want "labels"`,
		`{"later":1,"later":1}`: `"metadata": "later" occurs twice: want it once`, `{"later":"` + strings.Repeat("a", apikey.MaxText) + `"}`: "have 131082 bytes together: want at most 131072",
	} {
		require.ErrorContains(t, key.UnmarshalJSON([]byte(smallJSON[:len(smallJSON)-1]+`,"metadata":`+metadata+`}`)), want)
	}
}

func TestA3WhatIsReadReplacesEverything(t *testing.T) {
	key := fullKey(t)
	require.NoError(t, json.Unmarshal([]byte(smallJSON), &key))
	require.Equal(t, apikey.Key{ID: "k", Organization: "acme", Secrets: []apikey.StoredSecret{{Sum: key.Secrets[0].Sum}}}, key)
}

// Escapes are another way to write the same text, and U+FFFD is a character like any other.
func TestJSONReadsEscapes(t *testing.T) {
	for written, want := range map[string]string{
		`a\ud83d\udd12`: "a\U0001F512", `a\ufffd`: "a\ufffd", `a\uFFFD`: "a\ufffd", "a\ufffd": "a\ufffd", `a\u00e9`: "aé",
		`a\"b`: `a"b`, `a\",\"b\":[{`: `a","b":[{`, `a,b:c{[`: `a,b:c{[`, `a\\`: `a\`, `a\\\"]}`: `a\"]}`,
	} {
		var key apikey.Key
		require.NoError(t, json.Unmarshal([]byte(strings.Replace(smallJSON, "acme", written, 1)), &key), written)
		require.Equal(t, want, key.Organization)
	}
}

func FuzzKeyJSON(f *testing.F) {
	f.Add([]byte(storedJSON))
	f.Add([]byte(smallJSON))
	f.Add([]byte(strings.Replace(smallJSON, "acme", `\ud83d\udd12`, 1)))
	f.Add([]byte(strings.Replace(smallJSON, "[]", `[{"address":"203.0.113.7","comment":"x"}]`, 1)))
	f.Add([]byte(strings.Replace(smallJSON, "[]", `[],"trialList":[],"metadata":{"labels":{},"externalId":""}`, 1)))
	f.Add([]byte(strings.Replace(smallJSON, "[]", `[],"metadata":{"labels":{"a":"b","A":""},"externalId":"c","later":{"a":[1,"<"]}}`, 1)))
	data, err := json.Marshal(fullKey(f))
	require.NoError(f, err)
	f.Add(data)
	for _, bad := range []string{``, `null`, `{`, `{"id"`, `{"id":`, `{"id":1,}`, `{"secrets":[null]}`, `{1:2}`} {
		f.Add([]byte(bad))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var key apikey.Key
		if err := key.UnmarshalJSON(data); err != nil {
			require.True(t, key.Equal(apikey.Key{}), "on an error the key is unchanged")
			return
		}
		require.True(t, json.Valid(data))
		require.NoError(t, key.Validate())
		require.True(t, key.Equal(key.Clone()))
		written, err := key.MarshalJSON()
		require.NoError(t, err)
		var again apikey.Key
		require.NoError(t, again.UnmarshalJSON(written))
		require.True(t, key.Equal(again))
		writtenAgain, err := again.MarshalJSON()
		require.NoError(t, err)
		require.Equal(t, string(written), string(writtenAgain))
	})
}
