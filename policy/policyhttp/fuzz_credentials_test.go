package policyhttp_test

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/policy"
)

var (
	slowControl = regexp.MustCompile(`[\x00-\x1f\x7f]`)
	slowScheme  = regexp.MustCompile("^[-!#$%&'*+.^_`|~0-9A-Za-z]+$")
	slowToken68 = regexp.MustCompile(`^[-._~+/0-9A-Za-z]+=*$`)
)

// slowStatus says the grammar again, as slowly as it is written in RFC 9110, 6750, 7617
// and 4648: the status of a request with this header.
func slowStatus(value, id, secret string) int {
	name, rest, _ := strings.Cut(value, " ")
	for strings.HasPrefix(rest, " ") {
		rest = rest[1:]
	}
	switch {
	case len(value) > 8192, slowControl.MatchString(value), !slowScheme.MatchString(name):
		return http.StatusBadRequest
	case strings.ToLower(name) == "bearer":
		switch {
		case rest == secret:
			return http.StatusOK
		case len(rest) > 120, !slowToken68.MatchString(rest):
			return http.StatusBadRequest
		}
	case strings.ToLower(name) == "basic":
		decoded, err := base64.StdEncoding.DecodeString(rest)
		switch {
		case string(decoded) == id+":"+secret && base64.StdEncoding.EncodeToString(decoded) == rest:
			return http.StatusOK
		case err != nil, len(rest) > 216, !strings.Contains(string(decoded), ":"), !utf8.Valid(decoded),
			slowControl.Match(decoded), base64.StdEncoding.EncodeToString(decoded) != rest:
			return http.StatusBadRequest
		}
	}
	return http.StatusUnauthorized
}

// Of every header: no panic, the answer of the slow grammar, one secret and one form of it
// that is let in, and nothing of the secret in what anybody reads. ID and SECRET in the
// input stand for the key's; encoded is put behind the header in base64.
func FuzzAuthorization(f *testing.F) {
	for _, seed := range []struct{ header, encoded string }{
		{"Bearer SECRET", ""}, {"bEaReR   SECRET", ""}, {"Bearer SECRET=", ""}, {"Bearer ID", ""}, {"SECRET", ""}, {"", ""},
		{"Bearer SECRET, Basic x", ""}, {"Bearer\tSECRET", ""}, {"Bearer " + strings.Repeat("x", 121), ""}, {strings.Repeat("x", 4097), ""},
		{"Basic ", "ID:SECRET"}, {"basic  ", "ID:SECRET"}, {"Basic ", "ID:"}, {"Basic ", ":SECRET"}, {"Basic ", "ID:SECRET\x00"},
		{"Basic ", "SECRET:SECRET"}, {"Basic ", "\xff:x"}, {"Basic eDp5eh==", ""}, {"Basic ====", ""}, {"Basic", "ID:SECRET"},
		{"Basic ", strings.Repeat("x", 120) + ":" + strings.Repeat("y", 40)}, {"Basic ", strings.Repeat("x", 123) + ":" + strings.Repeat("y", 40)},
		{"Digest username=\"ID\"", ""}, {"Ba\u017fic ", "ID:SECRET"}, {"Negotiate ", "SECRET"},
	} {
		f.Add(seed.header, seed.encoded)
	}
	s := newService(f)
	id, secret := string(s.key.ID), s.secret.Reveal()
	fill := strings.NewReplacer("ID", id, "SECRET", secret).Replace
	f.Fuzz(func(t *testing.T, header, encoded string) {
		value := fill(header) + base64.StdEncoding.EncodeToString([]byte(fill(encoded)))
		s.asked = nil
		w, d := s.serve(request(value)), s.route.Check(request(value))

		status := slowStatus(value, id, secret)
		require.Equal(t, status, w.Code, "%q", value)
		require.Equal(t, status == http.StatusOK, d.Allowed())
		require.Equal(t, status == http.StatusOK, w.Body.String() == "served")
		require.Equal(t, status, d.Answer().Status)
		require.Equal(t, status == http.StatusBadRequest || d.Answer().Code == "API_KEY_REQUIRED", d.Reason == policy.InvalidRequest)
		require.Equal(t, d.Reason == policy.InvalidRequest || d.KeyID() == "", len(s.asked) == 0)
		for _, asked := range s.asked {
			require.NoError(t, asked.Validate())
		}
		requireNoSecret(t, s.secret, w.Body.String(), fmt.Sprint(w.Header()), fmt.Sprint(d.Cause), d.String(), d.Explain(), fmt.Sprintf("%+v", d))
		require.Equal(t, status != http.StatusOK, d.Cause != nil)

		for _, two := range [][]string{{value, value}, {value, "Bearer " + secret}, {"Bearer " + secret, value}} {
			require.Equal(t, http.StatusBadRequest, s.serve(request(two...)).Code)
		}
	})
}
