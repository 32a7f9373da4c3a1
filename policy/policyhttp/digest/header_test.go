package digest

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/policy"
)

// wellFormed is what curl sends.
const wellFormed = `username="k3vq7zt2mwc5x4hjp6na", realm="api", nonce="bm9uY2U", uri="/v1/groups?pretty=true", ` +
	`cnonce="Y25vbmNl", nc=0000000a, algorithm=MD5, response="8ca523f5e9506fed4657c9700eebdbec", qop=auth`

var wellFormedHeader = header{
	username: "k3vq7zt2mwc5x4hjp6na", realm: "api", nonce: "bm9uY2U", uri: "/v1/groups?pretty=true", cnonce: "Y25vbmNl",
	nc: "0000000a", count: 10, algorithm: "MD5", response: "8ca523f5e9506fed4657c9700eebdbec", qop: "auth",
}

// replaced is the well-formed header with one text in the place of another.
func replaced(t testing.TB, old, with string) string {
	t.Helper()
	require.Equal(t, 1, strings.Count(wellFormed, old), old)
	return strings.Replace(wellFormed, old, with, 1)
}

func TestParseDigestHeader(t *testing.T) {
	for name, text := range map[string]string{
		"as it is":                            wellFormed,
		"no blanks":                           strings.ReplaceAll(wellFormed, ", ", ","),
		"blanks around everything":            "  " + strings.NewReplacer(",", " \t , ", "=\"", " =\t \"", "nc=", "nc = ").Replace(wellFormed) + "\t ",
		"empty elements":                      ", ,," + strings.ReplaceAll(wellFormed, ",", ",,\t,") + ",",
		"names in capitals":                   strings.NewReplacer("username", "UserName", "nc=", "NC=", "qop", "QOP").Replace(wellFormed),
		"Python requests quotes these":        strings.NewReplacer("MD5", `"MD5"`, "auth", `"auth"`).Replace(wellFormed),
		"words without quotes":                strings.NewReplacer(`"api"`, "api", `"Y25vbmNl"`, "Y25vbmNl").Replace(wellFormed),
		"unknown parameters":                  `opaque="", a=b, ` + wellFormed + `, auth-param="x\"y, qop=auth-int\\"`,
		"an unknown parameter twice":          `opaque=a, opaque=b, ` + wellFormed,
		"a known name within a text":          wellFormed + `, x="nc=00000001, nc=00000002"`,
		"userhash=false, as RFC 7616 has it":  wellFormed + ", userhash=false",
		"an empty username* is as good as no": wellFormed + `, username*=""`,
	} {
		h, err := parseHeader(text)
		require.NoError(t, err, name)
		h.userhash = ""
		assert.Equal(t, wellFormedHeader, h, name)
	}

	h, err := parseHeader(replaced(t, "algorithm=MD5, ", ""))
	require.NoError(t, err)
	assert.Empty(t, h.algorithm)
}

func TestParseDigestHeaderRefuses(t *testing.T) {
	const secret = "sp_k3vq7zt2mwc5x4hjp6na_secret"
	for name, test := range map[string]struct{ text, want string }{
		"nothing":                   {"", "username is missing or empty"},
		"commas":                    {", ,,", "username is missing or empty"},
		"a secret":                  {secret, "parameter 1 is not a name and a ="},
		"a secret with an =":        {secret + "=", "parameter 1 has no value"},
		"a secret after a comma":    {wellFormed + ", " + secret, "parameter 10 is not a name and a ="},
		"no name":                   {`="x"`, "parameter 1 is not a name and a ="},
		"a name in quotes":          {`"nc"=00000001`, "parameter 1 is not a name and a ="},
		"no quote at the end":       {wellFormed[:len(wellFormed)-len(`", qop=auth`)], "parameter 8 has no quote at its end"},
		"an escaped quote":          {`username="` + secret + `\"`, "parameter 1 has no quote at its end"},
		"a backslash at the end":    {`username="` + secret + `\`, "parameter 1 has no quote at its end"},
		"text behind the quotes":    {replaced(t, `"api"`, `"api"x`), "parameter 2 goes on after its value"},
		"two quoted texts":          {replaced(t, `"api"`, `"a""pi"`), "parameter 2 goes on after its value"},
		"a quote behind a word":     {replaced(t, "MD5", `MD5"`), "parameter 7 goes on after its value"},
		"semicolons for commas":     {strings.ReplaceAll(wellFormed, ",", ";"), "parameter 1 goes on after its value"},
		"no commas":                 {strings.ReplaceAll(wellFormed, ",", ""), "parameter 1 goes on after its value"},
		"no value":                  {replaced(t, "0000000a", ""), "parameter 6 has no value"},
		"an escape in a known text": {replaced(t, `"api"`, `"a\pi"`), "a backslash in realm"},
		"nc too short":              {replaced(t, "0000000a", "1"), "nc is not a count"},
		"nc too long":               {replaced(t, "0000000a", "000000001"), "nc is not a count"},
		"nc zero":                   {replaced(t, "0000000a", "00000000"), "nc is not a count"},
		"nc with a sign":            {replaced(t, "0000000a", "+0000001"), "nc is not a count"},
		"nc with a prefix":          {replaced(t, "0000000a", `"0x000001"`), "nc is not a count"},
		"nc no number":              {replaced(t, "0000000a", "0000000g"), "nc is not a count"},
		"nc with an underscore":     {replaced(t, "0000000a", "0000_001"), "nc is not a count"},
		"qop auth-int":              {replaced(t, "qop=auth", "qop=auth-int"), "qop is not auth: want auth"},
		"qop a list":                {replaced(t, "qop=auth", `qop="auth,auth-int"`), "qop is not auth: want auth"},
		"qop in capitals":           {replaced(t, "qop=auth", "qop=AUTH"), "qop is not auth: want auth"},
		"userhash":                  {wellFormed + ", userhash=true", "the user name is said to be hashed"},
		"username*":                 {wellFormed + `, username*=UTF-8''k3vq7zt2mwc5x4hjp6na`, "username* is present: want username alone"},
	} {
		h, err := parseHeader(test.text)
		require.ErrorIs(t, err, policy.ErrMalformedCredentials, name)
		assert.Zero(t, h, name)
		assert.ErrorContains(t, err, "digest: malformed credentials: "+test.want, name)
		assert.NotContains(t, err.Error(), secret, name)
	}
}

// Each parameter that is needed, left out, empty, or given twice: even with the same
// value, since another reader might have taken the other one.
func TestParseDigestHeaderNeedsEachOnce(t *testing.T) {
	parts := strings.Split(wellFormed, ", ")
	for i, part := range parts {
		name, _, _ := strings.Cut(part, "=")
		_, err := parseHeader(wellFormed + ", " + part)
		assert.ErrorContains(t, err, fmt.Sprintf("%s occurs twice", name))
		_, err = parseHeader(wellFormed + ", " + strings.ToUpper(part))
		assert.ErrorContains(t, err, fmt.Sprintf("%s occurs twice", name))
		if name == "algorithm" {
			continue
		}
		for _, instead := range []string{"", name + `=""`} {
			parts[i] = instead
			_, err = parseHeader(strings.Join(parts, ", "))
			assert.ErrorContains(t, err, fmt.Sprintf("%s is missing or empty", name))
		}
		parts[i] = part
	}
}
