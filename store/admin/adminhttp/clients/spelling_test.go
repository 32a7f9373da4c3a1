package clients_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/accesslist"
)

// spellings are paths of entries by their spelling, with the entry that they name; empty: none.
var spellings = map[string]string{
	"203.0.113.0%2F24":              "203.0.113.0/24",
	"203.0.113.0%2f24":              "203.0.113.0/24",
	"203.0.113.0/24":                "203.0.113.0/24",
	"203.0.113.0%2F24/":             "203.0.113.0/24",
	"203.0.113.0/24/":               "203.0.113.0/24",
	"203.0.113.0%2F24?pretty=true":  "203.0.113.0/24",
	"203.0.113.0/24/?pretty=true":   "203.0.113.0/24",
	"%32%30%33.0.113.0%2F24":        "203.0.113.0/24",
	"198.51.100.7":                  "198.51.100.7/32",
	"198.51.100.7/":                 "198.51.100.7/32",
	"198.51.100.7%2F32":             "198.51.100.7/32",
	"198.51.100.7/32":               "198.51.100.7/32",
	"2001:db8::%2F32":               "2001:db8::/32",
	"2001:db8::/32":                 "2001:db8::/32",
	"2001:DB8::%2f32":               "2001:db8::/32",
	"2001%3Adb8%3A%3A%2F32":         "2001:db8::/32",
	"2001%3adb8%3a%3a/32":           "2001:db8::/32",
	"2001:0db8:0:0::/32":            "2001:db8::/32",
	"2001%3Adb8%3A%3A/32/?pretty=1": "2001:db8::/32",
	"2001:db8::1":                   "2001:db8::1/128",
	"2001%3Adb8%3A%3A1":             "2001:db8::1/128",
	"2001%3Adb8%3A%3A1%2F128":       "2001:db8::1/128",

	"203.0.113.0%252F24":        "", // escaped twice, as a Terraform provider once did
	"203.0.113.0%252f24":        "",
	"2001%253Adb8%253A%253A1":   "",
	"203.0.113.0%2F24%2F":       "", // no trailing slash: a part of the name
	"203.0.113.0//24":           "",
	"203.0.113.0":               "", // another entry than its block
	"203.0.113.0%2F25":          "",
	"203.0.113.7":               "", // within the block
	"203.0.113.7%2F24":          "",
	"::ffff:198.51.100.7":       "", // refused as an entry, too
	"%3A%3Affff%3A198.51.100.7": "",
}

// list sets the owner's list in the store, where IPv6 is taken.
func (s service) list(t *testing.T, texts ...string) {
	t.Helper()
	list, err := accesslist.Parser{AllowIPv6: true}.Parse(texts...)
	require.NoError(t, err)
	key := s.Key(t, owner)
	key.AccessList = list
	_, err = s.Store.PutKey(t.Context(), key)
	require.NoError(t, err)
}

var listed = []string{"127.0.0.1", "203.0.113.0/24", "198.51.100.7", "2001:db8::/32", "2001:db8::1"}

// Every spelling by curl.
func TestSpellingsByCurl(t *testing.T) {
	s := newService(t)
	s.list(t, listed...)
	for spelling, block := range spellings {
		status, body := s.curl(t, s.URL+"/api/public/v1.0/orgs/"+org+"/apiKeys/"+owner+"/accessList/"+spelling)
		if block == "" {
			require.Equal(t, "404", status, spelling)
			require.Contains(t, body, `"errorCode":`, spelling)
			continue
		}
		require.Equal(t, "200", status, "%s %s", spelling, body)
		require.Contains(t, strings.ReplaceAll(body, " ", ""), `"cidrBlock":"`+block+`"`, spelling)
		require.Equal(t, strings.Contains(spelling, "pretty"), strings.Contains(body, "\n"), spelling)
	}
	for _, call := range s.Calls() {
		spelling := call.Target[strings.Index(call.Target, "/accessList/")+len("/accessList/"):]
		require.Contains(t, spellings, spelling, "curl sends it unchanged")
	}
}

// Every spelling by the vendor's client: read, removed, and gone when it is removed again.
func TestSpellingsByAtlas(t *testing.T) {
	s := newService(t)
	c, ctx := s.sdk(t), t.Context()
	for spelling, block := range spellings {
		s.list(t, listed...)
		entry, _, err := c.AccessListAPIKeys.Get(ctx, org, owner, spelling)
		if block == "" {
			status, _ := code(t, err)
			require.Equal(t, http.StatusNotFound, status, spelling)
			_, err = c.AccessListAPIKeys.Delete(ctx, org, owner, spelling)
			status, _ = code(t, err)
			require.Equal(t, http.StatusNotFound, status, spelling)
			require.Equal(t, len(listed), s.Key(t, owner).AccessList.Len(), spelling)
			continue
		}
		require.NoError(t, err, spelling)
		require.Equal(t, block, entry.CidrBlock, spelling)
		_, err = c.AccessListAPIKeys.Delete(ctx, org, owner, spelling)
		require.NoError(t, err, spelling)
		left := s.Key(t, owner).AccessList
		require.Equal(t, len(listed)-1, left.Len(), spelling)
		for entry := range left.All() {
			require.NotEqual(t, block, entry.Prefix().String(), spelling)
		}
		_, err = c.AccessListAPIKeys.Delete(ctx, org, owner, spelling)
		status, name := code(t, err)
		require.Equal(t, http.StatusNotFound, status, spelling)
		require.Equal(t, "API_KEY_ACCESS_LIST_NOT_FOUND", name, spelling)
	}
}
