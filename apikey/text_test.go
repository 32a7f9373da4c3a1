package apikey_test

import (
	"errors"
	"fmt"
	"hash/crc32"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/apikey"
)

const base62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

// sealed puts the right checksum behind a text. It is a second computation, by another way than the package's.
func sealed(text string) string {
	rest, digits := uint64(crc32.ChecksumIEEE([]byte(text))), ""
	for range 6 {
		digits = string(base62[rest%62]) + digits
		rest /= 62
	}
	return text + digits
}

func TestK1SecretsAreDistinctAndOfTheFullAlphabet(t *testing.T) {
	const n = 2000
	bodies, letters := map[string]bool{}, map[rune]int{}
	for range n {
		key, secret := newKey(t, nil)
		text := secret.Reveal()
		require.True(t, strings.HasPrefix(text, "sp_"+string(key.ID)+"_"))
		require.Equal(t, sealed(text[:len(text)-6]), text)
		body := text[len(text)-38 : len(text)-6]
		require.False(t, bodies[body], "the same secret twice")
		bodies[body] = true
		for _, r := range body {
			letters[r]++
		}
	}
	// Each of the 62 is expected 32*n/62 = 1032 times, give or take 32. Without the bytes drawn again, the first 8
	// would be expected 1250 times.
	require.Len(t, letters, 62)
	for r, count := range letters {
		require.InDelta(t, 32*n/62, count, 200, "%c", r)
	}
}

func TestParse(t *testing.T) {
	body := strings.Repeat("aB3", 11)[:32]
	custom := newIssuer(t, apikey.IssuerConfig{Prefix: "acme_2"})
	for _, test := range []struct {
		issuer *apikey.Issuer
		id     string
	}{
		{nil, "k"}, {nil, "my_key"}, {nil, "_"}, {nil, "__--__"}, {nil, strings.Repeat("x", 40)}, {&apikey.Issuer{}, "k"},
		{custom, "k"}, {custom, strings.Repeat("_", 40)},
	} {
		prefix := "sp_"
		if test.issuer == custom {
			prefix = "acme_2_"
		}
		text := sealed(prefix + test.id + "_" + body)
		id, secret, err := test.issuer.Parse(text)
		require.NoError(t, err, text)
		require.Equal(t, apikey.ID(test.id), id)
		require.Equal(t, text, secret.Reveal())
	}
}

func TestK2ParseSaysWhatIsWrongAndNotTheText(t *testing.T) {
	key, secret := newKey(t, nil)
	good, id := secret.Reveal(), string(key.ID)
	body := good[len(good)-38 : len(good)-6]
	for _, test := range []struct{ name, text, problem string }{
		{"empty", "", `does not begin as a secret of this service does: want "sp_"`},
		{"another prefix", "xx" + good[2:], `want "sp_"`},
		{"prefix in upper case", "SP" + good[2:], `want "sp_"`},
		{"white space in front", " " + good, `want "sp_"`},
		{"prefix alone", "sp_", "too short, perhaps cut off: want at least 43 characters"},
		{"no ID", sealed("sp__" + body), "too short"},
		{"too long", "sp_" + strings.Repeat("x", 71) + good[len(good)-39:], "at most 112 characters"},
		{"much too long", good + strings.Repeat(good, 1<<14), "at most 112 characters"},
		{"cut off", good[:len(good)-1], "neither a letter nor a digit"},
		{"one too many", good + "0", "there is no _ before the last 38 characters"},
		{"white space behind", good + "\n", "without white space around it"},
		{"character of the body", good[:30] + "é" + good[32:], "neither a letter nor a digit"},
		{"character of the ID", sealed("sp_a.b_" + body), "want 1 to 40 of A-Z"},
		{"white space in the ID", sealed("sp_a b_" + body), "want 1 to 40 of A-Z"},
		{"no separator", sealed("sp_" + id + "-" + body), "there is no _"},
		{"checksum", sealed("sp_" + id + "_" + body)[:len(good)-6] + "000000", "probably a typing error"},
		{"another ID", "sp_" + strings.Repeat("x", 20) + good[23:], "probably a typing error"},
	} {
		t.Run(test.name, func(t *testing.T) {
			gotID, got, err := apikey.Parse(test.text)
			require.Empty(t, gotID)
			require.True(t, got.IsZero())
			require.ErrorIs(t, err, apikey.ErrMalformedSecret)
			require.True(t, strings.HasPrefix(err.Error(), "apikey: malformed secret: "), err.Error())
			require.Contains(t, err.Error(), test.problem)
			requireNoLeak(t, fmt.Sprintf("%v %+v %#v", err, err, err), secret)
			require.NotContains(t, err.Error(), id[:6])
		})
	}
}

// Rule K2: a typing error is refused without a look-up. A CRC-32 catches every single wrong character.
func TestK2EverySingleWrongCharacterIsRefused(t *testing.T) {
	_, secret := newKey(t, newIssuer(t, apikey.IssuerConfig{Prefix: "acme_2"}))
	issuer := newIssuer(t, apikey.IssuerConfig{Prefix: "acme_2"})
	text := []byte(secret.Reveal())
	for i, right := range text {
		for wrong := range 256 {
			if byte(wrong) == right {
				continue
			}
			text[i] = byte(wrong)
			_, _, err := issuer.Parse(string(text))
			require.ErrorIs(t, err, apikey.ErrMalformedSecret, "position %d, byte %q", i, wrong)
		}
		text[i] = right
	}
}

func TestParseAcceptsTheOtherPrefixes(t *testing.T) {
	was := newIssuer(t, apikey.IssuerConfig{Prefix: "acme_live"})
	issuer := newIssuer(t, apikey.IssuerConfig{Prefix: "acme", AcceptPrefixes: []string{"beta", "acmelive"}})
	both := newIssuer(t, apikey.IssuerConfig{Prefix: "new", AcceptPrefixes: []string{"acme_live"}})

	key, secret := newKey(t, was)
	id, shown, err := both.Parse(secret.Reveal())
	require.NoError(t, err)
	require.Equal(t, key.ID, id)
	requireVerifies(t, shown, key.Secrets, noon, 0)
	require.Regexp(t, "^"+both.Pattern()+"$", secret.Reveal())
	key, secret = newKey(t, both)
	require.True(t, strings.HasPrefix(secret.Reveal(), "new_"), "new secrets begin with Prefix")
	require.Regexp(t, "^"+both.Pattern()+"$", secret.Reveal())

	_, _, err = issuer.Parse("other_" + string(key.ID) + "_")
	require.ErrorIs(t, err, apikey.ErrMalformedSecret)
	require.ErrorContains(t, err, `want "acme_" or "beta_" or "acmelive_"`)

	for _, alike := range [][]string{{"acme"}, {"beta", "beta"}, {"acme_live"}, {"beta_1", "beta"}} {
		_, err := apikey.NewIssuer(apikey.IssuerConfig{Prefix: "acme", AcceptPrefixes: alike})
		require.ErrorContains(t, err, "begin alike: want no prefix to begin with another", alike)
	}
	_, err = apikey.NewIssuer(apikey.IssuerConfig{AcceptPrefixes: []string{"", "A"}})
	require.ErrorContains(t, err, `the prefix "": want`)
	require.ErrorContains(t, err, `the prefix "A": want`)
}

func TestK2PatternFindsSecretsAndNoLookalikes(t *testing.T) {
	for _, prefix := range []string{"", "acme_2"} {
		issuer := newIssuer(t, apikey.IssuerConfig{Prefix: prefix})
		pattern := regexp.MustCompile(issuer.Pattern())
		_, a := newKey(t, issuer)
		_, b := newKey(t, issuer)
		key, _ := newKey(t, issuer)
		key.ID = "id_with__underscores-"
		_, c, err := issuer.Rotate(key, 0)
		require.NoError(t, err)

		page := fmt.Sprintf(`package main

// sp_ and acme_2_ begin the secrets, sp_id_body is their shape; wasp_colony_count is none
const token = %q
var header = http.Header{"Authorization": {"Bearer %s"}}
curl https://api.example.com/?key=%s&verbose=1
sha256: sp_9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
const SP_TEST_KEY_ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEFGHIJKLMNOPQRSTUVWXYZ = 1
`, a.Reveal(), b.Reveal(), c.Reveal())
		found := pattern.FindAllString(page, -1)
		require.Equal(t, []string{a.Reveal(), b.Reveal(), c.Reveal()}, found)
	}
	require.Equal(t, (*apikey.Issuer)(nil).Pattern(), newIssuer(t, apikey.IssuerConfig{}).Pattern())
}

func FuzzParse(f *testing.F) {
	_, secret := newKey(f, nil)
	good := secret.Reveal()
	for _, seed := range []string{
		"", "sp_", good, good[:20], good + "x", sealed("sp_a_b_" + strings.Repeat("0", 32)),
		sealed("sp_\xff_" + strings.Repeat("0", 32)), strings.Repeat("sp_", 100),
	} {
		f.Add(seed, uint16(len(seed)/2), byte('x'))
	}
	issuer := newIssuer(f, apikey.IssuerConfig{})
	whole := regexp.MustCompile(`^(?:` + issuer.Pattern() + `)$`)
	// All that an error of this issuer can say. That it is one of these is how it says nothing of the input.
	errorTexts := map[string]bool{}
	for _, text := range []string{
		"", "sp_", strings.Repeat("x", 200), strings.Repeat("sp_", 20) + "-", strings.Repeat("sp_", 20) + good[len(good)-38:],
		good + "0", sealed("sp_a.b_" + strings.Repeat("0", 32)), good[:len(good)-6] + "zzzzzz",
	} {
		_, _, err := issuer.Parse(text)
		errorTexts[fmt.Sprint(err)] = true
	}
	require.Len(f, errorTexts, 7)

	f.Fuzz(func(t *testing.T, input string, at uint16, to byte) {
		// Most inputs are no secrets, so each is also made one, in the place of an ID.
		for _, text := range []string{input, sealed("sp_" + input + "_" + strings.Repeat("0aZ9", 8))} {
			id, secret, err := issuer.Parse(text)
			if err != nil {
				require.Empty(t, id)
				require.True(t, secret.IsZero())
				require.True(t, errors.Is(err, apikey.ErrMalformedSecret))
				require.True(t, errorTexts[err.Error()], "%q", err)
				continue
			}
			require.NoError(t, id.Validate())
			require.Equal(t, text, secret.Reveal())
			require.Regexp(t, whole, text)
			require.Equal(t, text, regexp.MustCompile(issuer.Pattern()).FindString(text))

			typo := []byte(text)
			if i := int(at) % len(typo); typo[i] != to {
				typo[i] = to
				_, _, err := issuer.Parse(string(typo))
				require.ErrorIs(t, err, apikey.ErrMalformedSecret)
			}
		}
	})
}
