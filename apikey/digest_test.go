package apikey_test

import (
	"crypto/md5"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/apikey"
)

// digestIssuer makes credentials for both algorithms in a realm.
func digestIssuer(t testing.TB, realm string) *apikey.Issuer {
	return newIssuer(t, apikey.IssuerConfig{DigestRealm: realm, DigestAlgorithms: []apikey.DigestAlgorithm{apikey.DigestMD5, apikey.DigestSHA256}})
}

// requireDigest computes the credentials as RFC 7616 defines them.
func requireDigest(t *testing.T, stored apikey.StoredSecret, realm string, key apikey.ID, secret apikey.Secret) {
	t.Helper()
	text := []byte(fmt.Sprintf("%s:%s:%s", string(key), realm, secret.Reveal()))
	require.Equal(t, realm, stored.Digest.Realm())
	require.Equal(t, fmt.Sprintf("%x", md5.Sum(text)), stored.Digest.Hash(apikey.DigestMD5))
	require.Equal(t, fmt.Sprintf("%x", sha256.Sum256(text)), stored.Digest.Hash(apikey.DigestSHA256))
	require.False(t, stored.Digest.IsZero())
	require.Empty(t, stored.Digest.Hash("MD5-sess"))
}

func TestIssuerMakesDigestCredentials(t *testing.T) {
	issuer := digestIssuer(t, "things")
	key, secret := newKey(t, issuer)
	requireDigest(t, key.Secrets[0], "things", key.ID, secret)
	issued, second, err := issuer.Issue(key)
	require.NoError(t, err)
	requireDigest(t, issued.Secrets[1], "things", key.ID, second)
	rotated, third := rotate(t, issuer, key, time.Hour)
	requireDigest(t, rotated.Secrets[0], "things", key.ID, secret) // for the overlap the key has both (rule K4)
	requireDigest(t, rotated.Secrets[1], "things", key.ID, third)

	named, secret, err := issuer.Issue(apikey.Key{ID: "my-own", Organization: "acme"})
	require.NoError(t, err)
	requireDigest(t, named.Secrets[0], "things", "my-own", secret)

	require.Equal(t, "things", issuer.DigestRealm())
	require.Empty(t, (*apikey.Issuer)(nil).DigestRealm())

	// An issuer makes what it is configured to, whatever the earlier secrets have.
	without, _ := rotate(t, nil, rotated, 0)
	require.Equal(t, apikey.DigestCredentials{}, without.Secrets[0].Digest)
	require.True(t, without.Secrets[0].Digest.IsZero())
	require.Empty(t, without.Secrets[0].Digest.Realm())
	require.Empty(t, without.Secrets[0].Digest.Hash(apikey.DigestMD5))
	one, _ := rotate(t, newIssuer(t, apikey.IssuerConfig{DigestRealm: "new", DigestAlgorithms: []apikey.DigestAlgorithm{apikey.DigestSHA256}}), without, 0)
	require.Equal(t, "new", one.Secrets[0].Digest.Realm())
	require.Empty(t, one.Secrets[0].Digest.Hash(apikey.DigestMD5))
	require.Len(t, one.Secrets[0].Digest.Hash(apikey.DigestSHA256), 64)
}

func TestNewDigestCredentials(t *testing.T) {
	md5, sha256 := strings.Repeat("ab", 16), strings.Repeat("cd", 32)
	both, err := apikey.NewDigestCredentials("things", md5, sha256)
	require.NoError(t, err)
	require.Equal(t, []string{"things", md5, sha256}, []string{both.Realm(), both.Hash(apikey.DigestMD5), both.Hash(apikey.DigestSHA256)})
	again, err := apikey.NewDigestCredentials("things", md5, sha256)
	require.NoError(t, err)
	require.True(t, both.Equal(again))
	for _, other := range [][3]string{{"Things", md5, sha256}, {"things", "", sha256}, {"things", md5, ""}} {
		c, err := apikey.NewDigestCredentials(other[0], other[1], other[2])
		require.NoError(t, err)
		require.False(t, both.Equal(c))
	}
	require.False(t, both.Equal(apikey.DigestCredentials{}))

	for want, bad := range map[string][3]string{
		`the realm "": want 1 to 128 characters of ASCII`:                 {"", md5, ""},
		`the realm "a\"b": want`:                                          {`a"b`, md5, ""},
		`no hash: want one of MD5 or SHA-256`:                             {"things", "", ""},
		`the hash of MD5 has 64 bytes: want 32 digits of 0-9 and a-f`:     {"things", sha256, ""},
		`the hash of MD5 has 32 bytes: want 32 digits of 0-9 and a-f`:     {"things", strings.ToUpper(md5), ""},
		`the hash of SHA-256 has 32 bytes: want 64 digits of 0-9 and a-f`: {"things", md5, md5},
		`the hash of SHA-256 has 64 bytes: want 64 digits of 0-9 and a-f`: {"things", "", "x" + sha256[1:]},
	} {
		c, err := apikey.NewDigestCredentials(bad[0], bad[1], bad[2])
		require.ErrorContains(t, err, "apikey: Digest credentials: "+want)
		require.NotContains(t, strings.ToLower(err.Error()), "abab")
		require.NotContains(t, err.Error(), "cdcd")
		require.True(t, c.IsZero())
	}
}

func TestNewIssuerDigest(t *testing.T) {
	md5, both := []apikey.DigestAlgorithm{apikey.DigestMD5}, []apikey.DigestAlgorithm{apikey.DigestMD5, apikey.DigestSHA256}
	for name, test := range map[string]struct {
		realm      string
		algorithms []apikey.DigestAlgorithm
		want       string
	}{
		"no realm":      {"", md5, `apikey: DigestRealm "": want 1 to 128 characters of ASCII without control characters, " and \`},
		"bad realm":     {`a"b`, md5, `apikey: DigestRealm "a\"b": want 1 to 128`},
		"long realm":    {strings.Repeat("x", 129), md5, `x…": want 1 to 128 characters`},
		"no algorithms": {"things", nil, `apikey: DigestRealm without DigestAlgorithms: want both, or neither`},
		"unknown":       {"things", []apikey.DigestAlgorithm{"MD5-sess"}, `apikey: DigestAlgorithms[0]: apikey: the Digest algorithm "MD5-sess" is unknown: want "MD5" or "SHA-256"`},
		"twice":         {"things", append(both, apikey.DigestMD5), `apikey: DigestAlgorithms[2] is MD5 for the second time: want once`},
	} {
		issuer, err := apikey.NewIssuer(apikey.IssuerConfig{DigestRealm: test.realm, DigestAlgorithms: test.algorithms})
		require.Nil(t, issuer, name)
		require.ErrorContains(t, err, test.want, name)
	}

	given := []apikey.DigestAlgorithm{apikey.DigestSHA256}
	issuer := newIssuer(t, apikey.IssuerConfig{DigestRealm: "things", DigestAlgorithms: given})
	given[0] = apikey.DigestMD5
	key, _ := newKey(t, issuer)
	require.Empty(t, key.Secrets[0].Digest.Hash(apikey.DigestMD5), "the caller's slice is not shared")
}

func TestValidateRealm(t *testing.T) {
	for _, good := range []string{"api", "http-auth@example.org", "a, b", strings.Repeat("x", 128)} {
		require.NoError(t, apikey.ValidateRealm(good))
	}
	for _, bad := range []string{"", `a"`, `a\`, "a\n", "a\x7f", "é", strings.Repeat("x", 129)} {
		require.ErrorContains(t, apikey.ValidateRealm(bad), "apikey: the realm ")
	}
	require.Less(t, len(apikey.ValidateRealm(strings.Repeat("x", 1<<20)).Error()), 500)
}

// Rule K2: a reader of the credentials can sign in with them.
func TestK2DigestCredentialsAreRedactedEverywhere(t *testing.T) {
	key, _ := newKey(t, digestIssuer(t, "things"))
	credentials := key.Secrets[0].Digest
	type unexported struct {
		key         apikey.Key
		secret      apikey.StoredSecret
		credentials apikey.DigestCredentials
		pointer     *apikey.DigestCredentials
	}
	hidden := unexported{key, key.Secrets[0], credentials, &credentials}
	other := unexported{}
	for kind, v := range map[string][2]any{
		"itself":         {credentials, apikey.DigestCredentials{}},
		"pointer":        {&credentials, &apikey.DigestCredentials{}},
		"secret":         {key.Secrets[0], apikey.StoredSecret{}},
		"unexported":     {hidden, other},
		"pointer to":     {&hidden, &other},
		"nested":         {map[string]any{"a": []any{hidden, key.Secrets}}, map[string]any{"a": []any{other}}},
		"beside its key": {struct{ k any }{key}, struct{ k any }{apikey.Key{}}},
	} {
		for how, output := range printed(t, v[0], v[1]) {
			for _, hash := range []string{credentials.Hash(apikey.DigestMD5), credentials.Hash(apikey.DigestSHA256)} {
				require.NotContains(t, output, hash[:8], "%s/%s", kind, how)
				requireNoBytes(t, output, []byte(hash), 12)
			}
		}
	}
	require.NotContains(t, fmt.Sprintf("%v %+v %#v", key, key, key), credentials.Hash(apikey.DigestMD5)[:8])
	require.Contains(t, fmt.Sprintf("%+v", key), "Digest:[redacted]")
}

func TestRehashKeepsDigestCredentials(t *testing.T) {
	config := apikey.IssuerConfig{DigestRealm: "things", DigestAlgorithms: []apikey.DigestAlgorithm{apikey.DigestMD5}}
	key, secret := newKey(t, newIssuer(t, config))
	keyed := newIssuer(t, apikey.IssuerConfig{ServerKeys: []apikey.ServerKey{serverKey(t, "k1"), apikey.Unkeyed()}})
	rehashed, ok := parsed(t, keyed, secret).Rehash(key.Secrets[0])
	require.True(t, ok)
	require.Equal(t, key.Secrets[0].Digest, rehashed.Digest)
}

// The stored form has each hash by its name, and only those that are there.
func TestJSONOfDigestCredentials(t *testing.T) {
	md5, sha256 := "000102030405060708090a0b0c0d0e0f", sumB
	for form, want := range map[string][3]string{
		``: {},
		`,"digest":{"realm":"things","md5":"` + md5 + `"}`:                           {"things", md5, ""},
		`,"digest":{"realm":"a, b","sha256":"` + sha256 + `"}`:                       {"a, b", "", sha256},
		`,"digest":{"realm":"\u003c","md5":"` + md5 + `","sha256":"` + sha256 + `"}`: {"<", md5, sha256},
	} {
		var key apikey.Key
		require.NoError(t, json.Unmarshal([]byte(strings.Replace(smallJSON, sumA+`"`, sumA+`"`+form, 1)), &key), form)
		read := key.Secrets[0].Digest
		require.Equal(t, want, [3]string{read.Realm(), read.Hash(apikey.DigestMD5), read.Hash(apikey.DigestSHA256)})
		written, err := json.Marshal(key)
		require.NoError(t, err)
		require.Contains(t, string(written), `"sum":"`+sumA+`"`+form+`}`)
	}
}

// Rule A3: damaged credentials are an error, never a key without.
func TestA3StrictReadingOfDigestCredentials(t *testing.T) {
	hash := strings.Repeat("ab", 16)
	for digest, want := range map[string]string{
		`null`:                                    `"secrets": number 1: "digest" is null: want a value, or leave it out`,
		`{}`:                                      `"digest": "realm" is missing`,
		`[]`:                                      `"digest": an array: want an object with "realm", "md5", "sha256"`,
		`"[redacted]"`:                            `"digest": a string: want an object`,
		`{"realm":"r"}`:                           `"digest": apikey: Digest credentials: no hash: want one of MD5 or SHA-256`,
		`{"realm":"r","md5":""}`:                  `no hash`,
		`{"md5":"` + hash + `"}`:                  `"digest": "realm" is missing`,
		`{"realm":"","md5":"` + hash + `"}`:       `the realm "": want 1 to 128`,
		`{"realm":"a\"b","md5":"` + hash + `"}`:   `the realm "a\"b"`,
		`{"realm":7,"md5":"` + hash + `"}`:        `"realm": the number 7: want a string`,
		`{"realm":null,"md5":"` + hash + `"}`:     `"realm" is null`,
		`{"realm":"r","md5":"` + hash + `0"}`:     `the hash of MD5 has 33 bytes: want 32 digits of 0-9 and a-f`,
		`{"realm":"r","md5":"` + hash[1:] + `B"}`: `the hash of MD5 has 32 bytes: want 32 digits`,
		`{"realm":"r","sha256":"` + hash + `"}`:   `the hash of SHA-256 has 32 bytes: want 64 digits`,
		`{"realm":"r","sha256":7}`:                `"sha256": the number 7: want a string`,
		`{"realm":"r","md5":"` + hash + `","md5":"` + hash + `"}`: `"md5" occurs twice`,
		`{"realm":"r","md5":"` + hash + `","x":1}`:                `"digest": unknown name "x"`,
		`{"realm":"r","MD5":"` + hash + `"}`:                      `unknown name "MD5": want "md5"`,
	} {
		data := strings.Replace(smallJSON, sumA+`"`, sumA+`","digest":`+digest, 1)
		for _, form := range []string{data, " " + data} {
			key := fullKey(t)
			before := key.Clone()
			err := key.UnmarshalJSON([]byte(form))
			require.ErrorContains(t, err, want, digest)
			require.NotContains(t, err.Error(), "abab")
			require.Equal(t, before, key, "on an error the key is unchanged")
		}
	}
}

// What is redacted is not read as none.
func TestDigestCredentialsCannotBeDecoded(t *testing.T) {
	key, _ := newKey(t, digestIssuer(t, "things"))
	data, err := json.Marshal(key.Secrets[0])
	require.NoError(t, err)
	require.Contains(t, string(data), `"Digest":"[redacted]"`)
	require.Error(t, json.Unmarshal(data, new(apikey.StoredSecret)))
}
