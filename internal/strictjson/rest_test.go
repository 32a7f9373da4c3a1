package strictjson_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/internal/strictjson"
)

// What Open keeps is written again, always in the same form, and json.Marshal leaves that as
// it is.
func TestOpen(t *testing.T) {
	for data, want := range map[string]string{
		`{}`:                               ``,
		`{"id":"x"}`:                       ``,
		`{"z":1, "id":"x" ,"a": [ 1,{}]}`:  `"a":[1,{}],"z":1`,
		`{"a<":"<>&\u2028","\u0061":null}`: `"a":null,"a\u003c":"\u003c\u003e\u0026\u2028"`,
	} {
		v, err := strictjson.Parse([]byte(data))
		require.NoError(t, err)
		var id string
		var rest strictjson.Rest
		require.NoError(t, v.Open(&rest, strictjson.Field{Name: "id", Read: strictjson.Text(&id)}), data)
		require.Equal(t, strictjson.Rest(want), rest)
		for _, known := range []string{`{}`, `{"id":"x"}`} {
			object := rest.Append([]byte(known))
			marshaled, err := json.Marshal(json.RawMessage(object))
			require.NoError(t, err)
			require.Equal(t, string(object), string(marshaled))
			v, err := strictjson.Parse(object)
			require.NoError(t, err)
			var again strictjson.Rest
			require.NoError(t, v.Open(&again, strictjson.Field{Name: "id", Read: strictjson.Text(&id)}))
			require.Equal(t, rest, again)
		}
	}

	for data, want := range map[string]string{
		`[]`:                  `an array: want an object with "id"`,
		`{"id":null}`:         `"id" is null`,
		`{"id":7}`:            `"id": the number 7: want a string`,
		`{"ID":"x"}`:          `unknown name "ID": want "id"`,
		`{"a":1,"\u0061":2}`:  `"a" occurs twice: want it once`,
		`{"id":"x","id":"x"}`: `"id" occurs twice: want it once`,
		`{"\ud800":1}`:        `half of a surrogate pair in a name`,
		`{"a":1}`:             `"id" is missing: want a value`,
	} {
		v, err := strictjson.Parse([]byte(data))
		require.NoError(t, err)
		var id string
		rest := strictjson.Rest("before")
		require.ErrorContains(t, v.Open(&rest, strictjson.Field{Name: "id", Required: true, Read: strictjson.Text(&id)}), want, data)
		require.Equal(t, strictjson.Rest("before"), rest)
	}
}
