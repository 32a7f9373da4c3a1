package accesslist_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-go/sallyport/accesslist"
)

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
	const noEntries = `accesslist: no entries: an empty access list opens the key to every address: want entries, or List{}, [] in JSON, "empty" in text`
	const two = ` has 2 entries in it: write "203.0.113.7" and "203.0.113.8", each on a line of its own`
	const timed = ": want a time such as 2026-01-02T15:04:05Z, or leave it out"
	for _, test := range []struct{ text, message string }{
		{"", noEntries},
		{"\n\r\n \t\n", noEntries},
		{"# 203.0.113.7\n", noEntries},
		{",", `line 1: accesslist: "," has "," after it, and is empty: ` + wantAny},
		{"203.0.113.7,203.0.113.8", `line 1: accesslist: "203.0.113.7,203.0.113.8"` + two},
		{"Empty", `line 1: accesslist: "Empty" ` + otherNotation},
		{"empty empty", `line 1: accesslist: "empty empty" has white space in it: ` + wantAny},
		{"null", `line 1: accesslist: "null" ` + otherNotation},
		{"empty\n203.0.113.7\n", `accesslist: the text says "empty" and has 1 entries: want one or the other`},
		{"203.0.113.7\n10.0.0.0/8\nempty", `accesslist: the text says "empty" and has 2 entries: want one or the other`},
		{"empty\nx", `line 2: accesslist: "x" ` + otherNotation},
		{"203.0.113.7\n203.0.113.7/32", "line 2: accesslist: 203.0.113.7: duplicate entry: it is on line 1 already"},
		{"# one\r\n\r\nx\r\n203.0.113.7\r\n10.0.0.7/24", `line 3: accesslist: "x" ` + otherNotation + "\n" +
			`line 5: accesslist: "10.0.0.7/24" has host bits set: use "10.0.0.0/24" for the block or "10.0.0.7" for the single address`},
		{"203.0.113.7 203.0.113.8", `line 1: accesslist: "203.0.113.7 203.0.113.8"` + two},
		{"203.0.113.7\r203.0.113.8", `line 1: accesslist: "203.0.113.7 203.0.113.8"` + two},
		{"203.0.113.7 office", `line 1: accesslist: "203.0.113.7 office" has words after the entry: write "203.0.113.7 # office"`},
		{"203.0.113.7 Expires=2027-01-01T00:00:00Z", `line 1: accesslist: "Expires=2027-01-01T00:00:00Z": want expires=TIME`},
		{"203.0.113.7 expires=2026-01-01T00:00:00Z expires=2027-01-01T00:00:00Z", `line 1: accesslist: "expires=2027-01-01T00:00:00Z" a second time: want added=TIME and expires=TIME each at most once`},
		{"203.0.113.7 expires", `line 1: accesslist: "expires" of 203.0.113.7 is ""` + timed},
		{"203.0.113.7 expires=", `line 1: accesslist: "expires" of 203.0.113.7 is ""` + timed},
		{"203.0.113.7 expires= 2027-01-01T00:00:00Z", `line 1: accesslist: "expires" of 203.0.113.7 is ""` + timed},
		{"203.0.113.7 added=2026-01-02", `line 1: accesslist: "added" of 203.0.113.7 is "2026-01-02"` + timed},
		{"203.0.113.7 expires=0001-01-01T00:00:00Z", `line 1: accesslist: "expires" of 203.0.113.7 is "0001-01-01T00:00:00Z"` + timed},
		{"203.0.113.7 expires=0001-01-01T00:00:00+01:00", `line 1: accesslist: "expires" of 203.0.113.7 is in the year 0: want a year from 1 to 9999`},
		{"203.0.113.7 # a\tb", `line 1: accesslist: the comment of 203.0.113.7 has the control character U+0009 at byte 2: want it without`},
		{"203.0.113.7 # a\xff", `line 1: accesslist: the comment of 203.0.113.7 is not valid UTF-8: want UTF-8`},
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
	for lines, and := range map[int]string{1: "", 20: "", 21: "\naccesslist: and 1 more", 22: "\naccesslist: and 2 more", 100_000: "\naccesslist: and 99980 more"} {
		var want []string
		for i := range min(lines, 20) {
			want = append(want, fmt.Sprintf(`line %d: accesslist: "x" %s`, i+2, otherNotation))
		}
		list, err := accesslist.Parser{}.ParseText([]byte("203.0.113.7\n" + strings.Repeat("x\n", lines) + "203.0.113.8\n"))
		wantError(t, fmt.Sprint(lines, " bad lines"), err, strings.Join(want, "\n")+and)
		wantInvalid(t, "the list", list)
	}
}
