package apikey_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/apikey"
)

// listOf returns a list of n entries with comments of so many bytes together.
func listOf(t testing.TB, n, text int) accesslist.List {
	entries := make([]accesslist.Entry, n)
	for i := range entries {
		entry, err := accesslist.ParseEntry(fmt.Sprintf("10.%d.%d.%d", i>>16, i>>8&0xff, i&0xff))
		require.NoError(t, err)
		entry.Comment = strings.Repeat("x", min(text, accesslist.MaxComment))
		text -= len(entry.Comment)
		entries[i] = entry
	}
	require.Zero(t, text)
	list, err := accesslist.List{}.With(entries...)
	require.NoError(t, err)
	return list
}

func grants(n int) (grants []apikey.Grant) {
	for i := range n {
		grants = append(grants, apikey.Grant{Role: fmt.Sprintf("role%04d", i)})
	}
	return grants
}

// labels returns n labels with names of 8 bytes and values of size bytes.
func labels(n, size int) map[string]string {
	all := map[string]string{}
	for i := range n {
		all[fmt.Sprintf("name%04d", i)] = strings.Repeat("v", size)
	}
	return all
}

func TestA12TheNumbersOfAKeyAreBounded(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*apikey.Key)
		want   string // "": it is valid
	}{
		"entries":          {func(k *apikey.Key) { k.AccessList = listOf(t, 10_000, 0) }, ""},
		"more entries":     {func(k *apikey.Key) { k.AccessList = listOf(t, 10_001, 0) }, "apikey: the access list has 10001 entries and the one on trial 0: want at most 10000 together"},
		"entries on trial": {func(k *apikey.Key) { k.AccessList, k.TrialList = listOf(t, 4_000, 0), listOf(t, 6_000, 0) }, ""},
		"more entries on trial": {func(k *apikey.Key) { k.AccessList, k.TrialList = listOf(t, 4_000, 0), listOf(t, 6_001, 0) },
			"apikey: the access list has 4000 entries and the one on trial 6001: want at most 10000 together"},
		"text on trial": {func(k *apikey.Key) { k.AccessList, k.TrialList = listOf(t, 500, 64<<10), listOf(t, 500, 64<<10-1) }, ""},
		"more text on trial": {func(k *apikey.Key) { k.AccessList, k.TrialList = listOf(t, 500, 64<<10), listOf(t, 500, 64<<10) },
			"have 131073 bytes together: want at most 131072"},
		"grants":      {func(k *apikey.Key) { k.Grants = grants(1_000) }, ""},
		"more grants": {func(k *apikey.Key) { k.Grants = grants(1_001) }, "apikey: the key has 1001 grants: want at most 1000, or one for all projects"},
		"text":        {func(k *apikey.Key) { k.AccessList = listOf(t, 1_000, 128<<10-1) }, ""},
		"more text": {func(k *apikey.Key) { k.AccessList = listOf(t, 1_000, 128<<10) },
			"apikey: the description, the comments of entries, the grants and the labels have 131073 bytes together: want at most 131072"},
		"text of the grants": {func(k *apikey.Key) {
			k.Grants = grants(1_000)
			k.AccessList = listOf(t, 200, 128<<10-8_000-1)
		}, ""},
		"more text with the grants": {func(k *apikey.Key) {
			k.Grants = append(grants(999), apikey.Grant{Role: "a", Project: "12345678"})
			k.AccessList = listOf(t, 200, 128<<10-8_000-1)
		}, "have 131073 bytes together"},
		"labels":      {func(k *apikey.Key) { k.Metadata = &apikey.Metadata{Labels: labels(32, 256)} }, ""},
		"more labels": {func(k *apikey.Key) { k.Metadata = &apikey.Metadata{Labels: labels(33, 1)} }, "apikey: the key has 33 labels: want at most 32"},
		"many labels": {func(k *apikey.Key) { k.Metadata = &apikey.Metadata{Labels: labels(1_000, 256)} }, "apikey: the key has 1000 labels: want at most 32"},
		"text of labels": {func(k *apikey.Key) {
			k.Metadata, k.AccessList = &apikey.Metadata{Labels: labels(2, 100), ExternalID: "12345"}, listOf(t, 1_000, 128<<10-206-16)
		}, ""},
		"more text of labels": {func(k *apikey.Key) {
			k.Metadata, k.AccessList = &apikey.Metadata{Labels: labels(2, 100), ExternalID: "123456"}, listOf(t, 1_000, 128<<10-206-16)
		},
			"have 131073 bytes together"},
		"a thousand secrets": {func(k *apikey.Key) { k.Secrets = make([]apikey.StoredSecret, 1_000) }, "apikey: the key has 1000 secrets: want one, or two during a rotation"},
	} {
		t.Run(name, func(t *testing.T) {
			key, _ := newKey(t, nil)
			key.Grants, key.Description = nil, "d"
			test.change(&key)
			err := key.Validate()
			data, notJSON := json.Marshal(key)
			require.NoError(t, notJSON)
			var read apikey.Key
			readErr := json.Unmarshal(data, &read)
			if test.want == "" {
				require.NoError(t, err)
				require.NoError(t, readErr)
				require.True(t, read.Equal(key))
				return
			}
			require.ErrorContains(t, err, test.want)
			require.NotContains(t, err.Error(), "\n", "one mistake, one line")
			require.ErrorContains(t, readErr, test.want, "a stored key is held to the same bounds")
		})
	}
}

func TestA12ErrorsDoNotGrowWithTheKey(t *testing.T) {
	long := strings.Repeat("\x01", 1<<20)
	key, _ := newKey(t, nil)
	key.ID, key.Organization, key.Description = apikey.ID(long), long, long
	key.Grants = nil
	for range 1_000_000 {
		key.Grants = append(key.Grants, apikey.Grant{Role: long, Project: long, AllProjects: true})
	}
	key.Secrets[0].ServerKey = long
	err := key.Validate()
	require.Less(t, len(err.Error()), 12_000)
	require.Regexp(t, `\napikey: and 3\d\d\d more$`, err.Error(), "a thousand grants are read, each with four mistakes")

	_, err = json.Marshal(apikey.Key{Description: "\xff" + long})
	require.ErrorContains(t, err, "want UTF-8")
	require.Less(t, len(err.Error()), 1_000)
	for _, data := range []string{
		`{"revision":` + strings.Repeat("9", 1<<20) + `}`,
		`{"id":"` + strings.Repeat("a", 1<<20) + `"}`,
		`{"expires":"` + strings.Repeat("a", 1<<20) + `"}`,
		`{"` + strings.Repeat("a", 1<<20) + `":1}`,
		strings.Repeat("[", 1<<20),
		`{"grants":[` + strings.Repeat(`{"role":1},`, 1<<16) + `{}]}`,
	} {
		err := json.Unmarshal([]byte(data), new(apikey.Key))
		require.Error(t, err)
		require.Less(t, len(err.Error()), 1_000, "%.20s", data)
		require.Less(t, len(new(apikey.Key).UnmarshalJSON([]byte(data)).Error()), 1_000, "%.20s", data)
	}
	_, err = apikey.NewIssuer(apikey.IssuerConfig{Prefix: long})
	require.Less(t, len(err.Error()), 1_000)
	_, err = apikey.NewServerKey("a", []byte(long)[:1])
	require.Less(t, len(err.Error()), 1_000)
}
