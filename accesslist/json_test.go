package accesslist_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-go/sallyport/accesslist"
)

func jsonRoundTrip(t testing.TB, list accesslist.List) (read accesslist.List) {
	t.Helper()
	if err := json.Unmarshal(must(json.Marshal(list)), &read); err != nil {
		t.Error(err)
	}
	return read
}

func textRoundTrip(t testing.TB, list accesslist.List) (read accesslist.List) {
	t.Helper()
	if err := read.UnmarshalText(must(list.MarshalText())); err != nil {
		t.Error(err)
	}
	return read
}

func TestRoundTripsOfRandomLists(t *testing.T) {
	r := newRand(5)
	for range 300 {
		n := r.IntN(30)
		list := must(accesslist.List{}.With(append(randomEntries(r, n, false), randomEntries(r, r.IntN(n+1), true)...)...))
		wantEqual(t, "JSON", jsonRoundTrip(t, list), list)
		wantEqual(t, "text", textRoundTrip(t, list), list)
		wantEqual(t, "JSON of JSON", string(must(json.Marshal(jsonRoundTrip(t, list)))), string(must(json.Marshal(list))))
		wantEqual(t, "JSON, parsed", must(anyFamily.ParseJSON(must(json.Marshal(list)))), list)
		wantEqual(t, "text, parsed", must(anyFamily.ParseText(must(list.MarshalText()))), list)
		for e := range list.All() {
			var read accesslist.Entry
			if err := json.Unmarshal(must(json.Marshal(e)), &read); err != nil || !read.Equal(e) {
				t.Errorf("%+v was read back as %+v, %v", e, read, err)
			}
		}
	}
}

// A program without the opt-in reads a stored list with IPv6 whole, never shorter. Input
// from people still needs the opt-in.
func TestA5StoredIPv6IsReadAndTypedIPv6NeedsTheOptIn(t *testing.T) {
	list := listOf("203.0.113.7", "2001:db8::/32")
	jsonForm, textForm := must(json.Marshal(list)), must(list.MarshalText())
	wantEqual(t, "JSON", jsonRoundTrip(t, list), list)
	wantEqual(t, "text", textRoundTrip(t, list), list)
	var e accesslist.Entry
	if err := json.Unmarshal([]byte(`{"address":"2001:db8::/32"}`), &e); err != nil || !e.Equal(entry("2001:db8::/32")) {
		t.Errorf("%v, %v", e, err)
	}

	const refusal = `accesslist: "2001:db8::/32" is IPv6: this list takes IPv4 addresses and blocks only`
	got, err := accesslist.Parser{}.ParseJSON(jsonForm)
	wantError(t, "typed JSON", err, "entry 2 of 2: "+refusal)
	wantInvalid(t, "typed JSON", got)
	got, err = accesslist.Parser{}.ParseText(textForm)
	wantError(t, "typed text", err, "line 2: "+refusal)
	wantInvalid(t, "typed text", got)

	// An entry refused by every Parser is refused in a record.
	for _, address := range []string{"::ffff:203.0.113.7", "2001:db8::1/32", "::", "fe80::1%eth0"} {
		for _, err := range []error{
			new(accesslist.List).UnmarshalJSON([]byte(`[{"address":"` + address + `"}]`)),
			new(accesslist.List).UnmarshalText([]byte(address)),
			new(accesslist.Entry).UnmarshalJSON([]byte(`{"address":"` + address + `"}`)),
		} {
			var refused *accesslist.ParseError
			if !errors.As(err, &refused) || refused.Text != address {
				t.Errorf("%s: %v", address, err)
			}
		}
	}
}

// written is a list with every field, and its forms.
func written() (list accesslist.List, jsonForm, textForm string) {
	office := entryUntil("198.51.100.0/24", time.Date(2027, 1, 1, 1, 0, 0, 0, time.FixedZone("", 3600)))
	office.Added, office.Comment = time.Date(2026, 1, 2, 15, 4, 5, 600, time.UTC), `the "office" # 1`
	home := entry("203.0.113.7")
	home.Comment = "home"
	return must(accesslist.New(home, entry("203.0.113.0/24"), office)),
		`[{"address":"198.51.100.0/24","comment":"the \"office\" # 1","added":"2026-01-02T15:04:05.0000006Z","expires":"2027-01-01T00:00:00Z"},` +
			`{"address":"203.0.113.0/24"},{"address":"203.0.113.7","comment":"home"}]`,
		"198.51.100.0/24 added=2026-01-02T15:04:05.0000006Z expires=2027-01-01T00:00:00Z # the \"office\" # 1\n" +
			"203.0.113.0/24\n203.0.113.7 # home\n"
}

func TestWrittenForms(t *testing.T) {
	list, jsonForm, textForm := written()
	wantEqual(t, "JSON", string(must(json.Marshal(list))), jsonForm)
	wantEqual(t, "text", string(must(list.MarshalText())), textForm)
	wantEqual(t, "JSON without entries", string(must(json.Marshal(accesslist.List{}))), "[]")
	wantEqual(t, "text without entries", string(must(accesslist.List{}.MarshalText())), "empty\n")

	var fromJSON, fromText accesslist.List
	if err := json.Unmarshal([]byte(jsonForm), &fromJSON); err != nil || !fromJSON.Equal(list) {
		t.Errorf("%v, %v", texts(fromJSON), err)
	}
	if err := fromText.UnmarshalText([]byte(textForm)); err != nil || !fromText.Equal(list) {
		t.Errorf("%v, %v", texts(fromText), err)
	}
	for _, e := range []error{json.Unmarshal([]byte("[]"), &fromJSON), fromText.UnmarshalText([]byte("empty"))} {
		if e != nil {
			t.Error(e)
		}
	}
	wantEqual(t, "JSON without entries", fromJSON, accesslist.List{})
	wantEqual(t, "text without entries", fromText, accesslist.List{})
}

// The clock's monotonic reading is not part of an entry, or an entry that was
// added just now would not print as it does after a restart.
func TestTimesLoseTheirMonotonicReading(t *testing.T) {
	e := entryUntil("203.0.113.7", time.Now().Add(time.Hour))
	e.Added = time.Now()
	for got := range must(accesslist.New(e)).All() {
		if !got.Equal(e) || got.Added != got.Added.Round(0) || got.Expires != got.Expires.Round(0) {
			t.Errorf("%v, %v", got.Added, got.Expires)
		}
	}
}

const entryForm = `: want an object with "address", "comment", "added", "expires"`

func TestA3JSONOfAnEntryIsStrict(t *testing.T) {
	for _, test := range []struct{ text, message string }{
		{`null`, "an entry in JSON: null" + entryForm},
		{`[]`, "an entry in JSON: an array" + entryForm},
		{`"203.0.113.7"`, "an entry in JSON: a string" + entryForm},
		{`7`, "an entry in JSON: the number 7" + entryForm},
		{`{}`, `an entry in JSON: "address" is missing: want a value`},
		{`{"comment":"office"}`, `an entry in JSON: "address" is missing: want a value`},
		{`{"address":null}`, `an entry in JSON: "address" is null: want a value`},
		{`{"address":1e999}`, `an entry in JSON: "address": the number 1e999: want a string`},
		{`{"address":["203.0.113.7"]}`, `an entry in JSON: "address": an array: want a string`},
		{`{"address":3405803783}`, `an entry in JSON: "address": the number 3405803783: want a string`},
		{`{"address":"203.0.113.7","expires":null}`, `an entry in JSON: "expires" is null: want a value, or leave it out`},
		{`{"address":"203.0.113.7","comment":null}`, `an entry in JSON: "comment" is null: want a value, or leave it out`},
		{`{"address":"203.0.113.7","expired":"2027-01-01T00:00:00Z"}`, `an entry in JSON: unknown name "expired", perhaps of a later version: want one of "address", "comment", "added", "expires"`},
		{`{"address":"203.0.113.7","Expires":"2027-01-01T00:00:00Z"}`, `an entry in JSON: unknown name "Expires": want "expires"`},
		{`{"address":"203.0.113.7","comment":"a","comment":"b"}`, `an entry in JSON: "comment" occurs twice: want it once`},
		{`{"address":"203.0.113.7","comment":"a","\u0063omment":"b"}`, `an entry in JSON: "comment" occurs twice: want it once`},
		{`{"address":""}`, `"" is empty: ` + wantAny},
		{`{"address":"10.0.0.7/24"}`, `"10.0.0.7/24" has host bits set: use "10.0.0.0/24" for the block or "10.0.0.7" for the single address`},
		{"{\"address\":\"203.0.113.7\",\"comment\":\"a\xff\"}", `an entry in JSON: not valid UTF-8: want JSON in UTF-8`},
		{`{"address":"203.0.113.7","comment":"\ud83d"}`, `an entry in JSON: "comment": half of a surrogate pair in a string: want both halves`},
		{`{"address":"203.0.113.7","comment":"a\nb"}`, `the comment of 203.0.113.7 has the control character U+000A at byte 2: want it without`},
		{`{"address":"203.0.113.7","expires":""}`, `"expires" of 203.0.113.7 is "": want a time such as 2026-01-02T15:04:05Z, or leave it out`},
		{`{"address":"203.0.113.7","added":"2026-01-02"}`, `"added" of 203.0.113.7 is "2026-01-02": want a time such as 2026-01-02T15:04:05Z, or leave it out`},
		{`{"address":"203.0.113.7","expires":"0001-01-01T00:00:00Z"}`, `"expires" of 203.0.113.7 is "0001-01-01T00:00:00Z": want a time such as 2026-01-02T15:04:05Z, or leave it out`},
		{`{"address":"203.0.113.7","expires":"0001-01-01T00:00:00+01:00"}`, `"expires" of 203.0.113.7 is in the year 0: want a year from 1 to 9999`},
		{`{"address":"203.0.113.7","expires":"9999-12-31T23:59:59-01:00"}`, `"expires" of 203.0.113.7 is in the year 10000: want a year from 1 to 9999`},
	} {
		e := entry("192.0.2.1")
		err := e.UnmarshalJSON([]byte(test.text))
		wantError(t, test.text, err, "accesslist: "+test.message)
		wantEqual(t, "the receiver after "+test.text, e, entry("192.0.2.1"))
	}
	// Here the middle of the message is encoding/json's.
	for _, text := range []string{``, `{`, `{"address"`, `{"address":`, `{"address":"203.0.113.7"`, `{"address":"203.0.113.7",}`, `{"address":"203.0.113.7"}}`,
		`{"address":"203.0.113.7"} x`, `{"address":"203.0.113.7"}{}`, `{"address":x}`, `{address:"203.0.113.7"}`, `{7:"203.0.113.7"}`, `{null:"203.0.113.7"}`} {
		e := entry("192.0.2.1")
		err := e.UnmarshalJSON([]byte(text))
		if err == nil || !strings.HasPrefix(err.Error(), "accesslist: an entry in JSON: ") || !strings.HasSuffix(err.Error(), ": want one JSON value") {
			t.Errorf("%s: %v", text, err)
		}
		wantEqual(t, "the receiver after "+text, e, entry("192.0.2.1"))
	}
	for _, text := range []string{`{"address":"203.0.113.7"}`, " {\n\"\\u0061ddress\" : \"203.0.113.7\" , \"comment\":\"\" } \n"} {
		var e accesslist.Entry
		if err := e.UnmarshalJSON([]byte(text)); err != nil || !e.Equal(entry("203.0.113.7")) {
			t.Errorf("%s: %v, %v", text, e, err)
		}
	}
}

func TestA3JSONOfAListIsStrict(t *testing.T) {
	const array = `: want an array of entries, such as [{"address":"203.0.113.7"}]`
	for _, test := range []struct{ text, message string }{
		{`{}`, "accesslist: a list in JSON: an object" + array},
		{`"empty"`, "accesslist: a list in JSON: a string" + array},
		{` null `, "accesslist: a list in JSON: null: want an array of entries, [] for a list without any"},
		{`[null]`, "entry 1 of 1: accesslist: an entry in JSON: null" + entryForm},
		{`["203.0.113.7"]`, "entry 1 of 1: accesslist: an entry in JSON: a string" + entryForm},
		{`[{"address":"203.0.113.7"},{"address":"x"}]`, `entry 2 of 2: accesslist: "x" ` + otherNotation},
		{`[{"address":"203.0.113.7"},{"address":"203.0.113.7/32","comment":"again"}]`,
			"accesslist: 203.0.113.7: duplicate entry: it is given twice; nothing was added"},
	} {
		list := listOf("192.0.2.1")
		err := list.UnmarshalJSON([]byte(test.text))
		wantError(t, test.text, err, test.message)
		wantEqual(t, "the receiver after "+test.text, texts(list), []string{"192.0.2.1"})
	}
	for _, text := range []string{``, `[`, `[{"address":"203.0.113.7"}`, `[{"address":"203.0.113.7"},]`, `[]]`, `[] []`, `nul`} {
		list := listOf("192.0.2.1")
		err := list.UnmarshalJSON([]byte(text))
		if err == nil || !strings.HasPrefix(err.Error(), "accesslist: a list in JSON: ") || !strings.HasSuffix(err.Error(), ": want one JSON value") {
			t.Errorf("%s: %v", text, err)
		}
		wantEqual(t, "the receiver after "+text, texts(list), []string{"192.0.2.1"})
	}
	_, err := accesslist.Parser{}.ParseJSON([]byte(`[{"address":"203.0.113.7"},{"address":"203.0.113.7"}]`))
	if !errors.Is(err, accesslist.ErrDuplicate) {
		t.Errorf("%v is not ErrDuplicate", err)
	}
	// A null or truncated field, in a struct around the list.
	for _, text := range []string{`{"list":null}`, `{"list":[}`, `{"list":""}`} {
		within := struct {
			List accesslist.List `json:"list"`
		}{listOf("192.0.2.1")}
		if err := json.Unmarshal([]byte(text), &within); err == nil || within.List.Len() != 1 {
			t.Errorf("%s: %v, %v", text, texts(within.List), err)
		}
	}
}
