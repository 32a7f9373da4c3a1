package accesslist_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-go/sallyport/accesslist"
)

func jsonRoundTrip(t testing.TB, list accesslist.List) accesslist.List {
	t.Helper()
	return must(anyFamily.ParseJSON(must(json.Marshal(list))))
}

func textRoundTrip(t testing.TB, list accesslist.List) accesslist.List {
	t.Helper()
	return must(anyFamily.ParseText(must(list.MarshalText())))
}

func TestRoundTripsOfRandomLists(t *testing.T) {
	r := newRand(5)
	for range 300 {
		n := r.IntN(30)
		list := must(accesslist.List{}.With(append(randomEntries(r, n, false), randomEntries(r, r.IntN(n+1), true)...)...))
		wantEqual(t, "JSON", jsonRoundTrip(t, list), list)
		wantEqual(t, "text", textRoundTrip(t, list), list)
		wantEqual(t, "JSON of JSON", string(must(json.Marshal(jsonRoundTrip(t, list)))), string(must(json.Marshal(list))))
		for e := range list.All() {
			if e.Prefix().Addr().Is6() {
				continue
			}
			var read accesslist.Entry
			if err := json.Unmarshal(must(json.Marshal(e)), &read); err != nil || !read.Equal(e) {
				t.Errorf("%+v was read back as %+v, %v", e, read, err)
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

const entryForm = `: want {"address":"203.0.113.7"} and optionally "comment", "added", "expires"`

func TestA3JSONOfAnEntryIsStrict(t *testing.T) {
	for _, test := range []struct{ text, message string }{
		{`null`, "an entry in JSON: not an object" + entryForm},
		{`[]`, "an entry in JSON: not an object" + entryForm},
		{`"203.0.113.7"`, "an entry in JSON: not an object" + entryForm},
		{`7`, "an entry in JSON: not an object" + entryForm},
		{`{}`, `an entry in JSON: no field "address"` + entryForm},
		{`{"comment":"office"}`, `an entry in JSON: no field "address"` + entryForm},
		{`{"address":null}`, `an entry in JSON: the field "address" is not a string` + entryForm},
		{`{"address":1e999}`, `an entry in JSON: the field "address" is not a string` + entryForm},
		{`{"address":["203.0.113.7"]}`, `an entry in JSON: the field "address" is not a string` + entryForm},
		{`{"address":3405803783}`, `an entry in JSON: the field "address" is not a string` + entryForm},
		{`{"address":"203.0.113.7","expires":null}`, `an entry in JSON: the field "expires" is not a string` + entryForm},
		{`{"address":"203.0.113.7","comment":null}`, `an entry in JSON: the field "comment" is not a string` + entryForm},
		{`{"address":"203.0.113.7","expired":"2027-01-01T00:00:00Z"}`, `an entry in JSON: unknown field "expired"` + entryForm},
		{`{"address":"203.0.113.7","Expires":"2027-01-01T00:00:00Z"}`, `an entry in JSON: unknown field "Expires"` + entryForm},
		{`{"address":"203.0.113.7","comment":"a","comment":"b"}`, `an entry in JSON: the field "comment" twice` + entryForm},
		{`{"address":"203.0.113.7","comment":"a","\u0063omment":"b"}`, `an entry in JSON: the field "comment" twice` + entryForm},
		{`{"address":""}`, `"" is empty: ` + wantAny},
		{`{"address":"10.0.0.7/24"}`, `"10.0.0.7/24" has host bits set: use "10.0.0.0/24" for the block or "10.0.0.7" for the single address`},
		{`{"address":"::1"}`, `"::1" is IPv6: this list takes IPv4 addresses and blocks only`},
		{`{"address":"203.0.113.7","comment":"a\nb"}`, `comment of 203.0.113.7: control character U+000A at byte 1: write it without`},
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
		if err == nil || !strings.HasPrefix(err.Error(), "accesslist: an entry in JSON: ") || !strings.HasSuffix(err.Error(), entryForm) {
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
	const array = ": want an array of entries"
	for _, test := range []struct{ text, message string }{
		{`{}`, "accesslist: a list in JSON has the type object" + array + `, such as [{"address":"203.0.113.7"}]`},
		{`"empty"`, "accesslist: a list in JSON has the type string" + array + `, such as [{"address":"203.0.113.7"}]`},
		{` null `, "accesslist: a list in JSON is null" + array + ", [] for a list without any"},
		{`[null]`, "entry 1 of 1: accesslist: an entry in JSON: not an object" + entryForm},
		{`["203.0.113.7"]`, "entry 1 of 1: accesslist: an entry in JSON: not an object" + entryForm},
		{`[{"address":"203.0.113.7"},{"address":"x"}]`, `entry 2 of 2: accesslist: "x" ` + otherNotation},
		{`[{"address":"203.0.113.7"},{"address":"203.0.113.7/32","comment":"again"}]`,
			"accesslist: 203.0.113.7: duplicate entry: it is on the list already or given twice; nothing was added"},
	} {
		list := listOf("192.0.2.1")
		err := list.UnmarshalJSON([]byte(test.text))
		wantError(t, test.text, err, test.message)
		wantEqual(t, "the receiver after "+test.text, texts(list), []string{"192.0.2.1"})
	}
	for _, text := range []string{``, `[`, `[{"address":"203.0.113.7"}`, `[{"address":"203.0.113.7"},]`, `[]]`, `[] []`, `nul`} {
		list := listOf("192.0.2.1")
		err := list.UnmarshalJSON([]byte(text))
		if err == nil || !strings.HasPrefix(err.Error(), "accesslist: a list in JSON: ") || !strings.HasSuffix(err.Error(), array) {
			t.Errorf("%s: %v", text, err)
		}
		wantEqual(t, "the receiver after "+text, texts(list), []string{"192.0.2.1"})
	}
	_, err := accesslist.Parser{}.ParseJSON([]byte(`[{"address":"203.0.113.7"},{"address":"203.0.113.7"}]`))
	if !errors.Is(err, accesslist.ErrDuplicate) {
		t.Errorf("%v is not ErrDuplicate", err)
	}
	// A field that is null, or that was cut off, in a struct around the list.
	for _, text := range []string{`{"list":null}`, `{"list":[}`, `{"list":""}`} {
		within := struct {
			List accesslist.List `json:"list"`
		}{listOf("192.0.2.1")}
		if err := json.Unmarshal([]byte(text), &within); err == nil || within.List.Len() != 1 {
			t.Errorf("%s: %v, %v", text, texts(within.List), err)
		}
	}
}

func TestTextThatPeopleWrite(t *testing.T) {
	for name, test := range map[string]struct {
		text string
		want []string
	}{
		"no line end":         {"203.0.113.7", []string{"203.0.113.7"}},
		"CRLF":                {"203.0.113.7\r\n10.0.0.0/8\r\n", []string{"10.0.0.0/8", "203.0.113.7"}},
		"CRLF and no line":    {"203.0.113.7\r\n\r\n\r\n", []string{"203.0.113.7"}},
		"comments":            {"# offices\n\n  # more\n\t203.0.113.7\t# Rome\n10.0.0.0/8# Oslo\n", []string{"10.0.0.0/8", "203.0.113.7"}},
		"empty":               {"empty", nil},
		"empty and a comment": {"# so that anyone may call\r\n\r\n  empty  # yes\r\n", nil},
		"fields in any order": {" 203.0.113.7   expires=2027-01-01T00:00:00+01:00\tadded=2026-01-01T00:00:00.5Z ", []string{"203.0.113.7"}},
	} {
		list, err := accesslist.Parser{}.ParseText([]byte(test.text))
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		wantEqual(t, name, texts(list), append([]string{}, test.want...))
	}

	list := must(accesslist.Parser{}.ParseText([]byte("203.0.113.7 #office\n203.0.113.8 #  two spaces \n203.0.113.9 #\n203.0.113.10 # a # b\r\n203.0.113.11 expires=2027-01-01T00:00:00+01:00 added=2026-01-01T00:00:00.5Z")))
	var comments []string
	for e := range list.All() {
		comments = append(comments, e.Comment)
	}
	wantEqual(t, "comments", comments, []string{"office", " two spaces ", "", "a # b", ""})
	timed, _ := list.Find(entry("203.0.113.11").Prefix())
	if !timed.Expires.Equal(time.Date(2026, 12, 31, 23, 0, 0, 0, time.UTC)) || !timed.Added.Equal(time.Date(2026, 1, 1, 0, 0, 0, 5e8, time.UTC)) {
		t.Errorf("added %v, expires %v", timed.Added, timed.Expires)
	}
}

func TestA3TextIsStrict(t *testing.T) {
	const noEntries = `accesslist: no entries, and a list without entries admits every address: say so with List{}, [] in JSON, or "empty" in text`
	const fields = ": want added=TIME or expires=TIME, each at most once, or a comment after #"
	const timed = ": want a time such as 2026-01-02T15:04:05Z, or leave it out"
	for _, test := range []struct{ text, message string }{
		{"", noEntries},
		{"\n\r\n \t\n", noEntries},
		{"# 203.0.113.7\n", noEntries},
		{",", `line 1: accesslist: "," has a comma or semicolon in it: give each entry by itself`},
		{"203.0.113.7,203.0.113.8", `line 1: accesslist: "203.0.113.7,203.0.113.8" has a comma or semicolon in it: give each entry by itself`},
		{"Empty", `line 1: accesslist: "Empty" ` + otherNotation},
		{"empty empty", `line 1: accesslist: "empty" ` + otherNotation},
		{"null", `line 1: accesslist: "null" ` + otherNotation},
		{"empty\n203.0.113.7\n", `accesslist: the text says "empty" and has 1 entries: want one or the other`},
		{"203.0.113.7\n10.0.0.0/8\nempty", `accesslist: the text says "empty" and has 2 entries: want one or the other`},
		{"empty\nx", `line 2: accesslist: "x" ` + otherNotation},
		{"203.0.113.7\n203.0.113.7/32", "line 2: accesslist: 203.0.113.7: duplicate entry: it is on line 1 already"},
		{"# one\r\n\r\nx\r\n203.0.113.7\r\n10.0.0.7/24", `line 3: accesslist: "x" ` + otherNotation + "\n" +
			`line 5: accesslist: "10.0.0.7/24" has host bits set: use "10.0.0.0/24" for the block or "10.0.0.7" for the single address`},
		{"203.0.113.7 203.0.113.8", `line 1: accesslist: "203.0.113.8" after 203.0.113.7` + fields},
		{"203.0.113.7\r203.0.113.8", `line 1: accesslist: "203.0.113.8" after 203.0.113.7` + fields},
		{"203.0.113.7 office", `line 1: accesslist: "office" after 203.0.113.7` + fields},
		{"203.0.113.7 Expires=2027-01-01T00:00:00Z", `line 1: accesslist: "Expires=2027-01-01T00:00:00Z" after 203.0.113.7` + fields},
		{"203.0.113.7 expires=2026-01-01T00:00:00Z expires=2027-01-01T00:00:00Z", `line 1: accesslist: "expires=2027-01-01T00:00:00Z" after 203.0.113.7` + fields},
		{"203.0.113.7 expires", `line 1: accesslist: "expires" of 203.0.113.7 is ""` + timed},
		{"203.0.113.7 expires=", `line 1: accesslist: "expires" of 203.0.113.7 is ""` + timed},
		{"203.0.113.7 expires= 2027-01-01T00:00:00Z", `line 1: accesslist: "expires" of 203.0.113.7 is ""` + timed},
		{"203.0.113.7 added=2026-01-02", `line 1: accesslist: "added" of 203.0.113.7 is "2026-01-02"` + timed},
		{"203.0.113.7 expires=0001-01-01T00:00:00Z", `line 1: accesslist: "expires" of 203.0.113.7 is "0001-01-01T00:00:00Z"` + timed},
		{"203.0.113.7 expires=0001-01-01T00:00:00+01:00", `line 1: accesslist: "expires" of 203.0.113.7 is in the year 0: want a year from 1 to 9999`},
		{"203.0.113.7 # a\tb", `line 1: accesslist: comment of 203.0.113.7: control character U+0009 at byte 1: write it without`},
		{"203.0.113.7 # a\xff", `line 1: accesslist: comment of 203.0.113.7: not valid UTF-8`},
		{"::1", `line 1: accesslist: "::1" is IPv6: this list takes IPv4 addresses and blocks only`},
	} {
		list := listOf("192.0.2.1")
		err := list.UnmarshalText([]byte(test.text))
		wantError(t, fmt.Sprintf("%q", test.text), err, test.message)
		wantEqual(t, "the receiver after "+test.text, texts(list), []string{"192.0.2.1"})
	}
	for text, want := range map[string]error{"": accesslist.ErrNoEntries, "#": accesslist.ErrNoEntries, "1.2.3.4\n1.2.3.4": accesslist.ErrDuplicate} {
		if _, err := (accesslist.Parser{}).ParseText([]byte(text)); !errors.Is(err, want) {
			t.Errorf("%q: %v is not %v", text, err, want)
		}
	}
}

func TestTextTellsOfAtMostTwentyLines(t *testing.T) {
	for lines, and := range map[int]string{1: "", 20: "", 21: "\naccesslist: and more", 22: "\naccesslist: and more", 100_000: "\naccesslist: and more"} {
		var want []string
		for i := range min(lines, 20) {
			want = append(want, fmt.Sprintf(`line %d: accesslist: "x" %s`, i+2, otherNotation))
		}
		list, err := accesslist.Parser{}.ParseText([]byte("203.0.113.7\n" + strings.Repeat("x\n", lines) + "203.0.113.8\n"))
		wantError(t, fmt.Sprint(lines, " bad lines"), err, strings.Join(want, "\n")+and)
		wantInvalid(t, "the list", list)
	}
}
