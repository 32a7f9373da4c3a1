package strictjson_test

import (
	"bytes"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/internal/strictjson"
)

// A written record has a member of every type that a Canonical reads.
type written struct {
	ID, Note string
	At       time.Time
	On       bool
	List     []string
	Words    map[string]string
	Hash     string
	Delta    int64
	Count    uint64
}

func readCanonical(data []byte) (w written, ok bool) {
	c := strictjson.NewCanonical(data)
	w = written{ID: c.Text(`{"id":`), Note: c.OptionalText(`,"note":`), At: c.OptionalTime(`,"at":`), On: c.Bool(`,"on":`)}
	list := strictjson.NewCanonical(c.FlatArray(`,"list":`))
	list.Need(`[`)
	if !list.Skip(`]`) {
		for more := true; more; more = list.Skip(`,`) {
			w.List = append(w.List, list.Text(``))
		}
		list.Need(`]`)
	}
	w.Words = c.OptionalTexts(`,"words":`)
	w.Hash = string(c.Bytes(`,"hash":`))
	if w.Hash == "none" {
		c.Fail()
	}
	w.Delta = c.Int(`,"delta":`)
	w.Count = c.Uint(`,"count":`)
	c.Need(`}`)
	return w, c.Done() && list.Done()
}

func readAny(data []byte) (w written, err error) {
	v, err := strictjson.Parse(data)
	if err != nil {
		return written{}, err
	}
	err = v.Object(
		strictjson.Field{Name: "id", Required: true, Read: strictjson.Text(&w.ID)},
		strictjson.Field{Name: "note", Read: strictjson.Text(&w.Note)},
		strictjson.Field{Name: "at", Read: strictjson.Time(&w.At)},
		strictjson.Field{Name: "on", Required: true, Read: strictjson.Bool(&w.On)},
		strictjson.Field{Name: "list", Required: true, Read: strictjson.Slice(&w.List, func(v strictjson.Value) (text string, err error) {
			return text, strictjson.Text(&text)(v)
		})},
		strictjson.Field{Name: "words", Read: strictjson.Map(&w.Words, func(name string, v strictjson.Value) (_, text string, err error) {
			err = strictjson.Text(&text)(v)
			return name, text, err
		})},
		strictjson.Field{Name: "hash", Required: true, Read: strictjson.Text(&w.Hash)},
		strictjson.Field{Name: "delta", Required: true, Read: strictjson.Int(&w.Delta)},
		strictjson.Field{Name: "count", Required: true, Read: strictjson.Uint(&w.Count)},
	)
	return w, err
}

// checkCanonical checks that what a Canonical reads is what a Value reads.
func checkCanonical(t *testing.T, data []byte) {
	t.Helper()
	if got, ok := readCanonical(data); ok {
		want, err := readAny(data)
		require.NoError(t, err, "%q", data)
		require.Equal(t, want, got, "%q", data)
	}
}

const (
	small = `{"id":"","on":false,"list":[],"hash":"","delta":0,"count":0}`
	large = `{"id":"a é","note":"x","at":"2026-01-02T15:04:05.000000001Z","on":true,"list":["a]",",",""],"words":{"a":"b","c":""},"hash":"00ff","delta":-9223372036854775808,"count":18446744073709551615}`
)

func TestCanonical(t *testing.T) {
	got, ok := readCanonical([]byte(small))
	require.True(t, ok)
	require.Equal(t, written{}, got)
	got, ok = readCanonical([]byte(large))
	require.True(t, ok)
	require.Equal(t, written{"a é", "x", time.Date(2026, 1, 2, 15, 4, 5, 1, time.UTC), true, []string{"a]", ",", ""}, map[string]string{"a": "b", "c": ""}, "00ff", -1 << 63, 1<<64 - 1}, got)
	got, ok = readCanonical(bytes.Replace([]byte(large), []byte("000001Z"), []byte("000001+01:00"), 1))
	require.True(t, ok)
	require.Equal(t, time.UTC, got.At.Location())

	for _, data := range []string{small, large} {
		// With any byte gone, doubled or another, and cut off anywhere.
		for i := range data {
			_, ok := readCanonical([]byte(data[:i]))
			require.False(t, ok, "%q", data[:i])
			checkCanonical(t, []byte(data[:i]+data[i+1:]))
			checkCanonical(t, []byte(data[:i+1]+data[i:]))
			for _, b := range []byte{'"', '\\', ' ', ',', '0', '{', ']', 0, 0xff} {
				checkCanonical(t, slices.Concat([]byte(data[:i]), []byte{b}, []byte(data[i+1:])))
			}
		}
	}
}

// These are left to a Value: JSON in another form, or no JSON.
func TestCanonicalReadsNothingElse(t *testing.T) {
	for _, change := range [][2]string{
		{`{"id"`, ` {"id"`}, {`"id":`, `"id": `}, {`"id"`, `"ID"`}, {`"a é"`, `"a \u00e9"`}, {`"a é"`, "\"a \xff\""}, {`"a é"`, "\"a \n\""},
		{`"a é"`, `null`}, {`"a é"`, `7`}, {`"x"`, `7`}, {`"x"`, `"x`}, {`,"note":"x","at":"2026-01-02T15:04:05.000000001Z"`, `,"at":"2026-01-02T15:04:05.000000001Z","note":"x"`},
		{`2026-01-02T15:04:05.000000001Z`, `0001-01-01T00:00:00Z`}, {`2026`, `year`},
		{`true`, `True`}, {`true`, `null`}, {`"a]"`, `"a\u005d"`}, {`["a]"`, `"a]"`}, {`["a]",",",""]`, `["a]",",",""`}, {`["a]"`, `[["a]"]`},
		{`{"a":"b","c":""}`, `{}`}, {`"c":""`, `"a":"b"`}, {`"c":""`, `"c":1`}, {`"c":""}`, `"c":""`}, {`"c":""`, `"c": ""`}, {`{"a":"b",`, `["a",`},
		{`"00ff"`, `"none"`}, {`:-9223372036854775808`, `:-9223372036854775809`}, {`:-9223372036854775808`, `:-0`}, {`:-9223372036854775808`, `:-07`}, {`:-9223372036854775808`, `:-`},
		{`:-9223372036854775808`, `:1.5`}, {`:-9223372036854775808`, `:1e3`}, {`:-9223372036854775808`, `:+1`}, {`:-9223372036854775808`, `:"1"`}, {`:18446744073709551615`, `:18446744073709551616`}, {`:18446744073709551615`, `:018`}, {`:18446744073709551615`, `:-1`},
		{`:18446744073709551615`, `: 1`}, {`:18446744073709551615`, `:`}, {`5}`, `5}}`}, {`5}`, `5} `}, {`5}`, `5,"count":5}`},
	} {
		require.Contains(t, large, change[0])
		data := bytes.Replace([]byte(large), []byte(change[0]), []byte(change[1]), 1)
		_, ok := readCanonical(data)
		require.False(t, ok, "%s", data)
	}
	_, ok := readCanonical(nil)
	require.False(t, ok)

	// After a mismatch nothing is read.
	c := strictjson.NewCanonical([]byte(`"a","b"`))
	require.Equal(t, "", c.Text(`x`))
	require.Equal(t, "", c.Text(``))
	require.Zero(t, c.OptionalTime(``))
	require.False(t, c.Skip(`"a"`) || c.Next(`"`) || c.Done())
}

func FuzzCanonical(f *testing.F) {
	f.Add([]byte(small))
	f.Add([]byte(large))
	f.Fuzz(checkCanonical)
}
