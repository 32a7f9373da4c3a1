package strictjson_test

import (
	"bytes"
	"encoding/json"
	"math"
	"net/netip"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/internal/strictjson"
)

// A record has a member of every type.
type record struct {
	ID      string
	On      bool
	Count   uint64
	At      time.Time
	Block   netip.Prefix
	Parts   []string
	Nothing bool // a value is there and was not read
}

func read(data string) (r record, err error) {
	v, err := strictjson.Parse([]byte(data))
	if err != nil {
		return record{}, err
	}
	err = v.Object(
		strictjson.Field{Name: "id", Required: true, Read: strictjson.Text(&r.ID)},
		strictjson.Field{Name: "on", Read: strictjson.Bool(&r.On)},
		strictjson.Field{Name: "count", Read: strictjson.Uint(&r.Count)},
		strictjson.Field{Name: "at", Read: strictjson.Time(&r.At)},
		strictjson.Field{Name: "block", Read: strictjson.Unmarshal(&r.Block)},
		strictjson.Field{Name: "parts", Read: strictjson.Slice(&r.Parts, func(v strictjson.Value) (part string, err error) {
			return part, strictjson.Text(&part)(v)
		})},
		strictjson.Field{Name: "any", Read: func(strictjson.Value) error { r.Nothing = true; return nil }},
	)
	return r, err
}

func TestObject(t *testing.T) {
	at := time.Date(2026, 1, 2, 2, 4, 5, 600, time.UTC)
	for data, want := range map[string]record{
		`{"id":"a"}`:                                        {ID: "a"},
		" {\t\"id\" :\r\n\"\"\n } ":                         {},
		`{"on":true,"id":"a"}`:                              {ID: "a", On: true},
		`{"id":"a","on":false,"count":0}`:                   {ID: "a"},
		`{"id":"a","parts":[]}`:                             {ID: "a"},
		`{"\u0069\u0064":"\ud83d\udd12é"}`:                  {ID: "🔒é"},
		`{"id":"\b\f\n\r\t\/\\\"\u0000x"}`:                  {ID: "\b\f\n\r\t/\\\"\x00x"},
		`{"id":"a\ufffd"}`:                                  {ID: "a\ufffd"},
		`{"any":{"a":[1,"}",{"b":[]}],"c":"\"]"},"id":"x"}`: {ID: "x", Nothing: true},
		`{"any":-1.5e9 ,"id":"x"}`:                          {ID: "x", Nothing: true},
		`{"any":[[],{}],"id":"x"}`:                          {ID: "x", Nothing: true},
		`{"id":"a","count":18446744073709551615,"at":"2026-01-02T03:04:05.0000006+01:00","block":"10.0.0.0/8","parts":["b" , "c,]"]}`: {
			ID: "a", Count: math.MaxUint64, At: at, Block: netip.MustParsePrefix("10.0.0.0/8"), Parts: []string{"b", "c,]"}},
	} {
		got, err := read(data)
		require.NoError(t, err, data)
		require.Equal(t, want, got, data)
	}
}

// Each error names the member and the repair.
func TestErrors(t *testing.T) {
	const (
		all     = `"id", "on", "count", "at", "block", "parts", "any"`
		wantOne = `want one JSON value`
		whole   = `want a whole number from 0 to 18446744073709551615`
		moment  = `want a time such as 2026-01-02T15:04:05Z, or leave it out`
	)
	for data, want := range map[string]string{
		``:                                       `unexpected end of JSON input: ` + wantOne,
		` `:                                      `unexpected end of JSON input: ` + wantOne,
		`{"id":"a"`:                              `unexpected end of JSON input: ` + wantOne,
		`{"id":"a"} {}`:                          `invalid character '{' after top-level value: ` + wantOne,
		`{"id":"a",}`:                            `invalid character '}' looking for beginning of object key string: ` + wantOne,
		"{\"id\":\"\xff\"}":                      `not valid UTF-8: want JSON in UTF-8`,
		`[]`:                                     `an array: want an object with ` + all,
		`null`:                                   `null: want an object with ` + all,
		` "id" `:                                 `a string: want an object with ` + all,
		`1e5`:                                    `the number 1e5: want an object with ` + all,
		`true`:                                   `true: want an object with ` + all,
		`{}`:                                     `"id" is missing: want a value`,
		`{"id":null}`:                            `"id" is null: want a value`,
		`{"id":"a","any":null}`:                  `"any" is null: want a value, or leave it out`,
		`{"id":"a","ID":"b"}`:                    `unknown name "ID": want "id"`,
		`{"id":"a","Any":1}`:                     `unknown name "Any": want "any"`,
		`{"id":"a","part` + "\u017f" + `":[]}`:   `unknown name "partſ": want "parts"`,
		`{"id":"a","other":1}`:                   `unknown name "other", perhaps of a later version: want one of ` + all,
		`{"` + strings.Repeat("x", 999) + `":1}`: `unknown name "` + strings.Repeat("x", 80) + `", perhaps of a later version: want one of ` + all,
		`{"id":"a","id":"a"}`:                    `"id" occurs twice: want it once`,
		`{"id":"a","\u0069d":"b"}`:               `"id" occurs twice: want it once`,
		`{"id":"a","any":1,"any":null}`:          `"any" occurs twice: want it once`,
		`{"\ud800":1}`:                           `half of a surrogate pair in a name: want one of ` + all,
		`{"id":"\ud800"}`:                        `"id": half of a surrogate pair in a string: want both halves`,
		`{"id":"\ud800x"}`:                       `"id": half of a surrogate pair in a string: want both halves`,
		`{"id":"\ud800\n"}`:                      `"id": half of a surrogate pair in a string: want both halves`,
		`{"id":"\udc00\ud800"}`:                  `"id": half of a surrogate pair in a string: want both halves`,
		`{"id":"\ud800\u0041"}`:                  `"id": half of a surrogate pair in a string: want both halves`,
		`{"id":7}`:                               `"id": the number 7: want a string`,
		`{"id":{}}`:                              `"id": an object: want a string`,
		`{"id":"a","on":"true"}`:                 `"on": a string: want true or false`,
		`{"id":"a","on":0}`:                      `"on": the number 0: want true or false`,
		`{"id":"a","count":-1}`:                  `"count": the number -1: ` + whole,
		`{"id":"a","count":1.0}`:                 `"count": the number 1.0: ` + whole,
		`{"id":"a","count":1e3}`:                 `"count": the number 1e3: ` + whole,
		`{"id":"a","count":"1"}`:                 `"count": a string: ` + whole,
		`{"id":"a","count":18446744073709551616}`:               `"count": the number 18446744073709551616: ` + whole,
		`{"id":"a","count":1` + strings.Repeat("0", 99) + `}`:   `"count": the number 1` + strings.Repeat("0", 39) + `: ` + whole,
		`{"id":"a","at":1}`:                                     `"at": the number 1: want a string`,
		`{"id":"a","at":""}`:                                    `"at": "": ` + moment,
		`{"id":"a","at":"0001-01-01T00:00:00Z"}`:                `"at": "0001-01-01T00:00:00Z": ` + moment,
		`{"id":"a","at":"2026-01-02 03:04:05Z"}`:                `"at": "2026-01-02 03:04:05Z": ` + moment,
		`{"id":"a","block":"x"}`:                                `"block": netip.ParsePrefix("x"): no '/'`,
		`{"id":"a","block":[]}`:                                 `"block": an array: want a string`,
		`{"id":"a","block":"` + strings.Repeat("1", 256) + `"}`: `"block": netip.ParsePrefix("` + strings.Repeat("1", 256) + `"): no '/'`,
		`{"id":"a","block":"` + strings.Repeat("1", 257) + `"}`: `"block": "` + strings.Repeat("1", 80) + `"… has 257 bytes: want at most 256`,
		`{"id":"a","parts":{}}`:                                 `"parts": an object: want an array`,
		`{"id":"a","parts":"a"}`:                                `"parts": a string: want an array`,
		`{"id":"a","parts":["a",false]}`:                        `"parts": number 2: false: want a string`,
		`{"id":"a","parts":[null]}`:                             `"parts": number 1: null: want a string`,
	} {
		_, err := read(data)
		require.EqualError(t, err, want, data)
	}
}

// Rule A12: an error does not grow with the document.
func TestErrorsAreBounded(t *testing.T) {
	long := strings.Repeat("9", 1<<20)
	for _, data := range []string{
		long, `"` + long + `"`, `{"` + long + `":1}`, `{"ID` + long + `":1}`, `{"id":` + long + `}`, `{"on":` + long + `}`,
		`{"id":"a","count":` + long + `}`, `{"id":"a","count":"` + long + `"}`, `{"id":"a","at":"` + long + `"}`, `{"id":"a","block":"` + long + `"}`,
		`{"id":"a","parts":[` + long + `]}`, strings.Repeat("[", len(long)), strings.Repeat(`{"a":`, len(long)/5),
	} {
		_, err := read(data)
		require.Error(t, err, "%.40s", data)
		require.Less(t, len(err.Error()), 600, "%.40s", data)
	}
}

// A Value is split as encoding/json splits it, except for what is refused.
func FuzzValue(f *testing.F) {
	for _, data := range []string{``, `null`, ` [1, "a" ,{"b" : [ ] } , true]`, `{"a":{"b":"\"}"},"a\u0062":-1.5e-9,"c":[[],[{}]]}`, `{"a":1,"a":2}`, `{"\ud800":1}`, `"\ud83d\udd12\\\u00e9"`, "\"\xff\"", `[]]`} {
		f.Add([]byte(data))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		v, err := strictjson.Parse(data)
		require.Equal(t, utf8.Valid(data) && json.Valid(data), err == nil, "%q: %v", data, err)
		if err == nil {
			require.Equal(t, string(bytes.Trim(data, " \t\r\n")), string(v))
			compare(t, v, 0)
		}
	})
}

func compare(t *testing.T, v strictjson.Value, depth int) {
	require.Equal(t, string(v) == "null", v.IsNull())
	items, err := v.Items()
	var array []json.RawMessage
	require.Equal(t, v[0] == '[', err == nil)
	if err == nil {
		require.NoError(t, json.Unmarshal(v, &array))
		require.Len(t, items, len(array))
	}
	for i, item := range items {
		require.Equal(t, string(array[i]), string(item))
		if depth < 10 {
			compare(t, item, depth+1)
		}
	}

	var text, want string
	if err := strictjson.Text(&text)(v); err == nil {
		require.NoError(t, json.Unmarshal(v, &want))
		require.Equal(t, want, text)
	} else if v[0] == '"' {
		require.NoError(t, json.Unmarshal(v, &want))
		require.Contains(t, want, "\ufffd", "half of a surrogate pair: %s", v)
	}

	var members map[string]json.RawMessage
	if v[0] != '{' || json.Unmarshal(v, &members) != nil {
		require.Error(t, v.Object())
		return
	}
	read := map[string]strictjson.Value{}
	var fields []strictjson.Field
	for name := range members {
		fields = append(fields, strictjson.Field{Name: name, Required: true, Read: func(v strictjson.Value) error {
			read[name] = v
			return nil
		}})
	}
	if err := v.Object(fields...); err != nil {
		require.Regexp(t, `occurs twice|is null|half of a surrogate pair`, err.Error())
		return
	}
	for name, member := range members {
		require.Equal(t, string(member), string(read[name]))
		if depth < 10 {
			compare(t, read[name], depth+1)
		}
	}
}

// An object whose names are data is read whole or not at all.
func TestMap(t *testing.T) {
	read := func(data string) (map[netip.Prefix]int64, error) {
		before := map[netip.Prefix]int64{netip.MustParsePrefix("192.0.2.0/24"): 7}
		counts := before
		v, err := strictjson.Parse([]byte(data))
		require.NoError(t, err)
		err = strictjson.Map(&counts, func(name string, v strictjson.Value) (block netip.Prefix, count int64, err error) {
			if err = block.UnmarshalText([]byte(name)); err == nil {
				err = strictjson.Int(&count)(v)
			}
			return block, count, err
		})(v)
		if err != nil {
			require.Equal(t, before, counts, "with an error the map is not changed")
		}
		return counts, err
	}
	got, err := read(`{"203.0.113.0/24" : -5, "198.51.100.7/32":9223372036854775807}`)
	require.NoError(t, err)
	require.Equal(t, map[netip.Prefix]int64{
		netip.MustParsePrefix("203.0.113.0/24"): -5, netip.MustParsePrefix("198.51.100.7/32"): math.MaxInt64,
	}, got)
	got, err = read(`{}`)
	require.NoError(t, err)
	require.Empty(t, got)
	for data, want := range map[string]string{
		`[]`:                              "an array: want an object",
		`null`:                            "null: want an object",
		`{"10.0.0.0/8":1,"10.0.0.0/8":2}`: `"10.0.0.0/8" occurs twice: want it once`,
		`{"10.0.0.0/33":1}`:               `"10.0.0.0/33": `,
		`{"10.0.0.0/8":null}`:             `"10.0.0.0/8": null: want a whole number`,
		`{"10.0.0.0/8":1.5}`:              "want a whole number from -9223372036854775808",
		`{"\ud83d":1}`:                    "half of a surrogate pair in a name: want a name",
	} {
		_, err := read(data)
		require.ErrorContains(t, err, want, data)
	}
}

// An object without any member says so.
func TestErrorsWithoutFields(t *testing.T) {
	for data, want := range map[string]string{`{"id":1}`: `unknown name "id": want an object with no names`, `[]`: `an array: want an object with no names`} {
		v, err := strictjson.Parse([]byte(data))
		require.NoError(t, err)
		require.EqualError(t, v.Object(), want)
	}
}
