package apikey

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/accesslist"
)

// checkCanonical holds that what is read fast is read as it otherwise would be.
func checkCanonical(t *testing.T, data []byte) {
	t.Helper()
	var got Key
	err := got.UnmarshalJSON(data)
	want, wantErr := readAny(data)
	if wantErr != nil {
		require.EqualError(t, err, wantErr.Error(), "%q", data)
		return
	}
	require.NoError(t, err, "%q", data)
	require.True(t, want.Equal(got), "%q", data)
	for n := range want.Secrets { // the addresses differ
		want.Secrets[n].Digest, got.Secrets[n].Digest = DigestCredentials{}, DigestCredentials{}
	}
	require.Equal(t, want, got, "%q", data)
}

func canonicalKeys(t testing.TB) (keys []Key) {
	list, err := accesslist.Parser{AllowIPv6: true}.Parse("192.0.2.1", "198.51.100.0/24", "2001:db8::/32")
	require.NoError(t, err)
	entry, err := accesslist.ParseEntry("203.0.113.7")
	require.NoError(t, err)
	entry.Comment, entry.Expires = "the office, é", time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
	full, err := list.With(entry)
	require.NoError(t, err)
	at := time.Date(2026, 1, 2, 3, 4, 5, 123456789, time.UTC)
	both, err := NewDigestCredentials("things", "01"+strings.Repeat("0", 30), "02"+strings.Repeat("0", 62))
	require.NoError(t, err)
	one, err := NewDigestCredentials("api", "", "03"+strings.Repeat("0", 62))
	require.NoError(t, err)
	plain := Key{ID: "k", Organization: "acme", Secrets: []StoredSecret{{Sum: [32]byte{1}}}}
	rich := Key{
		ID: "Key_1-b", Organization: "acme é", AccessList: full, Description: "for the backups", Disabled: true, Revision: 1<<64 - 1,
		Grants:    []Grant{{Role: "reader"}, {Role: "writer", Project: "web"}, {Role: "admin", AllProjects: true}},
		Secrets:   []StoredSecret{{ServerKey: "2026", Sum: [32]byte{1}, Created: at, Expires: at.AddDate(0, 1, 0), Digest: both}, {Sum: [32]byte{2}, FormerID: "5ec2e700", Digest: one}},
		NotBefore: at, Expires: at.AddDate(1, 0, 0), Created: at, TrialList: list,
		Metadata: &Metadata{Labels: map[string]string{"team": "web é", "z": ""}, ExternalID: "cus_1"},
	}
	found := plain
	found.Metadata = &Metadata{ExternalID: "cus_1"}
	labelled := plain
	labelled.Metadata = &Metadata{Labels: map[string]string{"team": "web"}}
	return []Key{plain, rich, found, labelled}
}

func TestCanonicalKeys(t *testing.T) {
	for _, key := range canonicalKeys(t) {
		data, err := json.Marshal(key)
		require.NoError(t, err)
		read, ok := readCanonical(data)
		assert.True(t, ok, "what MarshalJSON writes is read fast: %s", data)
		assert.True(t, key.Equal(read))
		checkCanonical(t, data)
		// And with any byte gone, doubled or another, and cut off anywhere.
		for i := range data {
			checkCanonical(t, data[:i])
			checkCanonical(t, bytes.Join([][]byte{data[:i], data[i+1:]}, nil))
			checkCanonical(t, bytes.Join([][]byte{data[:i+1], data[i:]}, nil))
			for _, b := range []byte{'"', '\\', ' ', ',', '0', 'é', '{', ']'} {
				checkCanonical(t, bytes.Join([][]byte{data[:i], {b}, data[i+1:]}, nil))
			}
		}
		for old, changed := range map[string]string{
			`"created":"2026`: `"created":"","x":"2026`, `"disabled":false`: `"disabled":null`, `"project":"web"`: `"project":""`,
			`"allProjects":true`: `"allProjects":false`, `"accessList":[`: `"accessList":[[]`, `"secrets":[`: `"secrets":[],"secrets":[`,
			`"notBefore":"2026-01-02T03:04:05.123456789Z"`: `"notBefore":"0001-01-01T00:00:00Z"`, `"revision":0`: `"revision":00`,
			`"serverKey":"2026"`: `"serverKey":""`, `"sum":"01`: `"sum":"AB`, `"expires":"2027`: `"expires":""},"z":{"`, `Z","created"`: `+01:00","created"`,
			`"revision":`: `"revision":-`, `"grants":[]`: `"grants":[{"role":"reader"},{"role":"reader"}]`, `"id":"k"`: `"id":7`,
			`"labels":{`: `"labels":{"z":"","z":"",`, `"team":"web"`: `"team":7`, `"labels":{"team":"web"}`: `"labels":{}`, `"externalId":"cus_1"`: `"externalId":""`,
			`"metadata":{`: `"metadata":{"later":1,`, `"cus_1"}`: `"cus_1","later":null}`, `,"revision":`: `,"metadata":{},"revision":`, `"metadata":`: `"metadata":null,"x":`,
			`"team"`: `"te\u0061m"`, `"trialList":[`: `"trialList":[],"x":[`, `"trialList":[{`: `"trialList":[[{`, `,"revision"`: `,"trialList":[],"revision"`,
			`"realm":"things"`: `"realm":"th\u0069ngs"`, `"md5":"01`: `"md5":"0A`, `"sha256":"02`: `"sha256":"0`, `,"md5":`: `,"x":"","md5":`,
			`"digest":{"realm":"api","sha256"`: `"digest":{"sha256":"","realm":"api","md5"`, `"md5":"0100`: `"md5":"`,
			`"description":""`: `"description":"\u003c"`, `"organization":"acme"`: `"organization":"ac` + "\xff" + `me"`, `"192.0.2.1"`: `"192.0.2.1\u002f"`,
		} {
			checkCanonical(t, []byte(strings.Replace(string(data), old, changed, 1)))
		}
	}
}

// FuzzCanonicalJSON looks for JSON that the two ways of reading read differently.
func FuzzCanonicalJSON(f *testing.F) {
	for _, key := range canonicalKeys(f) {
		data, err := json.Marshal(key)
		require.NoError(f, err)
		f.Add(data)
		f.Add(bytes.Replace(data, []byte(`"id":`), []byte(`"id": `), 1))
	}
	f.Fuzz(checkCanonical)
}

// The peer reads JSON in any form.
func BenchmarkCanonicalJSON(b *testing.B) {
	list, err := accesslist.Parse("10.1.2.3")
	require.NoError(b, err)
	data, err := json.Marshal(Key{
		ID: NewID(), Organization: "acme", AccessList: list, Created: time.Unix(1_790_000_000, 0),
		Grants: []Grant{{Role: "reader", AllProjects: true}}, Secrets: []StoredSecret{{Sum: [32]byte{1}}},
	})
	require.NoError(b, err)
	b.Run("canonical", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, ok := readCanonical(data); !ok {
				b.Fatal("not canonical")
			}
		}
	})
	b.Run("any", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := readAny(data); err != nil {
				b.Fatal(err)
			}
		}
	})
}
