package accesslist

import (
	"bytes"
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Every way to be not quite canonical, and some that are.
var nearlyCanonical = []string{
	``, `[`, `[]`, `[],`, `[]]`, ` []`, `[ ]`, `null`, `{}`, `[{}]`, `[null]`,
	`[{"address":"192.0.2.1"}]`, `[{"address":"192.0.2.1"}`, `[{"address":"192.0.2.1"},]`, `[{"address":"192.0.2.1"}{"address":"192.0.2.2"}]`,
	`[{"address":"192.0.2.1"},{"address":"192.0.2.0/24","comment":"the office","added":"2026-01-02T03:04:05.123456789Z","expires":"2027-01-02T03:04:05Z"}]`,
	`[{"address":"192.0.2.1","comment":""}]`, `[{"address":"192.0.2.1","comment":"\u00e9"}]`, `[{"address":"192.0.2.1","comment":"é"}]`,
	"[{\"address\":\"192.0.2.1\",\"comment\":\"\xff\"}]", `[{"address":"192.0.2.1","comment":"\ud83d\udd12"}]`, `[{"address":"192.0.2.1","comment":"\udd12"}]`, "[{\"address\":\"192.0.2.1\",\"comment\":\"a\nb\"}]", "[{\"address\":\"192.0.2.1\",\"comment\":\"a\x7fb\"}]",
	`[{"address":"192.0.2.1","comment":"x`, `[{"address":"192.0.2.1","comment":1}]`, `[{"address":"192.0.2.1","comment":null}]`,
	`[{"address":"192.0.2.1","expires":"2027-01-02T03:04:05Z","added":"2026-01-02T03:04:05Z"}]`, `[{"comment":"x","address":"192.0.2.1"}]`,
	`[{"address":"192.0.2.1","added":"0001-01-01T00:00:00Z"}]`, `[{"address":"192.0.2.1","expires":"tomorrow"}]`, `[{"address":"192.0.2.1","expires":1}]`,
	`[{"address":"192.0.2.1","expires":"2027-01-02T03:04:05+01:00"}]`, `[{"address":"192.0.2.1","added":"2026-01-02T03:04:05Z","added":"2026-01-02T03:04:05Z"}]`,
	`[{"address":"192.0.2.1","Comment":"x"}]`, `[{"address":"192.0.2.1","other":"x"}]`, `[{"address":"192.0.2.1","address":"192.0.2.2"}]`,
	`[{"address":"192.0.2.01"}]`, `[{"address":"2001:db8::1"}]`, `[{"address":192}]`, `[{"address":"192.0.2.1"},{"address":"192.0.2.1/32"}]`,
	`[{"address":"192.0.2.1"}] `, `[{"address":"192.0.2.1"}]x`,
}

// checkCanonical holds that what is read fast is read as it otherwise would be.
func checkCanonical(t *testing.T, data []byte) {
	t.Helper()
	for _, p := range []Parser{{}, {AllowIPv6: true}} {
		got, err := p.ParseJSON(data)
		want, wantErr := p.parseAnyJSON(data)
		require.Equal(t, wantErr == nil, err == nil, "%q: %v; want %v", data, err, wantErr)
		if err != nil {
			require.Equal(t, wantErr.Error(), err.Error())
			continue
		}
		require.True(t, got.Equal(want), "%q", data)
	}
}

func TestCanonicalLists(t *testing.T) {
	for _, text := range nearlyCanonical {
		checkCanonical(t, []byte(text))
	}
	// The output of MarshalJSON is read fast.
	list, err := Parse("192.0.2.1", "198.51.100.0/24")
	require.NoError(t, err)
	first, err := ParseEntry("203.0.113.7")
	require.NoError(t, err)
	first.Comment, first.Added, first.Expires = "the office, é", time.Unix(1_790_000_000, 1), time.Unix(1_800_000_000, 0)
	list, err = list.With(first)
	require.NoError(t, err)
	for _, list := range []List{{}, list} {
		data, err := json.Marshal(list)
		require.NoError(t, err)
		_, ok := Parser{}.parseCanonical(data)
		assert.True(t, ok, "%s", data)
		checkCanonical(t, data)
		for i := range data { // and with any byte gone, doubled or another
			checkCanonical(t, bytes.Join([][]byte{data[:i], data[i+1:]}, nil))
			checkCanonical(t, bytes.Join([][]byte{data[:i+1], data[i:]}, nil))
			for _, b := range []byte{'"', '\\', ' ', ',', '0', 0xff} {
				checkCanonical(t, bytes.Join([][]byte{data[:i], {b}, data[i+1:]}, nil))
			}
		}
	}
}

// FuzzCanonicalJSON looks for JSON that the two ways of reading read differently.
func FuzzCanonicalJSON(f *testing.F) {
	for _, text := range nearlyCanonical {
		f.Add([]byte(text))
	}
	f.Fuzz(checkCanonical)
}
