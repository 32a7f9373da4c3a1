package apikey_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/apikey"
)

// requireNoLeak fails when output has any 8 bytes in a row of the random part of the secret, as text or as numbers.
func requireNoLeak(t *testing.T, output string, secret apikey.Secret) {
	t.Helper()
	text := secret.Reveal()
	requireNoBytes(t, output, []byte(text[len(text)-38:]), 8)
}

// requireNoBytes is requireNoLeak for runs of n hidden bytes. They must hold 40 bits or more: fewer are now and then
// in an output by chance.
func requireNoBytes(t *testing.T, output string, hidden []byte, n int) {
	t.Helper()
	for i := range len(hidden) - n + 1 {
		run := hidden[i : i+n]
		decimal := strings.Trim(fmt.Sprint(run), "[]")
		for _, form := range []string{
			string(run), hex.EncodeToString(run), strings.ToUpper(hex.EncodeToString(run)), fmt.Sprintf("% x", run),
			decimal, strings.ReplaceAll(decimal, " ", ", "), strings.Trim(fmt.Sprintf("%#v", run), "[]byte{}"),
		} {
			require.NotContains(t, output, form)
		}
	}
}

// failureText is what testify prints, by go-spew, of two values that differ.
type failureText struct{ strings.Builder }

func (f *failureText) Errorf(format string, args ...any) { fmt.Fprintf(f, format, args...) }

// printed returns v as everything that commonly prints a value prints it.
func printed(t *testing.T, v, other any) map[string]string {
	t.Helper()
	outputs := map[string]string{}
	for _, verb := range "vsqxXdTtbcoOUeEfFgGpw" {
		for _, flags := range []string{"%", "%+", "%#", "% ", "%-20", "%020.3"} {
			format := flags + string(verb)
			outputs[format] = fmt.Sprintf(format, v)
		}
	}

	var failure failureText
	require.False(t, assert.Equal(&failure, v, other))
	outputs["testify"] = failure.String()
	outputs["go-cmp"] = cmp.Diff(v, other, cmp.Exporter(func(reflect.Type) bool { return true }))

	for name, handler := range map[string]func(*bytes.Buffer) slog.Handler{
		"slog text": func(b *bytes.Buffer) slog.Handler { return slog.NewTextHandler(b, nil) },
		"slog JSON": func(b *bytes.Buffer) slog.Handler { return slog.NewJSONHandler(b, nil) },
	} {
		var log bytes.Buffer
		slog.New(handler(&log)).Error("message", "value", v, slog.Group("group", "value", v))
		outputs[name] = log.String()
	}

	data, err := json.Marshal(v)
	require.NoError(t, err)
	outputs["json"] = string(data)
	outputs["errors"] = errors.Join(fmt.Errorf("first %v", v), fmt.Errorf("second %+v", v)).Error()
	return outputs
}

func TestK2SecretIsRedactedEverywhere(t *testing.T) {
	type exported struct{ Secret apikey.Secret }
	type unexported struct {
		secret apikey.Secret
		note   string
	}
	type nested struct {
		inner *unexported
		list  []unexported
		named map[string]apikey.Secret
		any   any
	}
	for name, issuer := range map[string]*apikey.Issuer{
		"plain": newIssuer(t, apikey.IssuerConfig{}),
		"keyed": newIssuer(t, apikey.IssuerConfig{ServerKeys: []apikey.ServerKey{serverKey(t, "k1"), serverKey(t, "k2")}}),
	} {
		key, secret := newKey(t, issuer)
		_, other := newKey(t, issuer)
		wrap := func(s apikey.Secret, note string) nested {
			inner := unexported{s, note}
			return nested{&inner, []unexported{inner}, map[string]apikey.Secret{"x": s}, s}
		}
		for kind, v := range map[string][2]any{
			"itself":         {secret, other},
			"pointer":        {&secret, &other},
			"exported":       {exported{secret}, exported{other}},
			"unexported":     {unexported{secret, "a"}, unexported{other, "b"}},
			"pointer to":     {&unexported{secret, "a"}, &unexported{other, "b"}},
			"nested":         {wrap(secret, "a"), wrap(other, "b")},
			"slice":          {[]apikey.Secret{secret}, []apikey.Secret{other}},
			"beside its key": {struct{ k, s any }{key, secret}, struct{ k, s any }{key, other}},
		} {
			for how, output := range printed(t, v[0], v[1]) {
				t.Run(name+"/"+kind+"/"+how, func(t *testing.T) {
					requireNoLeak(t, output, secret)
					requireNoLeak(t, output, other)
					requireNoBytes(t, output, serverKeyBytes("k1"), 6)
				})
			}
		}
	}
}

func TestK2ServerKeyIsRedactedEverywhere(t *testing.T) {
	type unexported struct {
		key    apikey.ServerKey
		issuer *apikey.Issuer
		note   string
	}
	key := serverKey(t, "k1")
	issuer := newIssuer(t, apikey.IssuerConfig{ServerKeys: []apikey.ServerKey{key}})
	newKey(t, issuer) // so that its pool has a state
	for kind, v := range map[string][2]any{
		"itself":     {key, serverKey(t, "k2")},
		"unexported": {unexported{key, issuer, "a"}, unexported{key, issuer, "b"}},
		"pointer to": {&unexported{key, issuer, "a"}, &unexported{key, issuer, "b"}},
		"config":     {&struct{ c apikey.ServerKey }{key}, 1},
		"issuer":     {issuer, 1},
	} {
		for how, output := range printed(t, v[0], v[1]) {
			t.Run(kind+"/"+how, func(t *testing.T) { requireNoBytes(t, output, serverKeyBytes("k1"), 6) })
		}
	}
}

func TestK2RedactedTextIsTheSameForZero(t *testing.T) {
	key, secret := newKey(t, digestIssuer(t, "things"))
	type redacting interface {
		fmt.Stringer
		fmt.GoStringer
		slog.LogValuer
		json.Marshaler
		MarshalText() ([]byte, error)
	}
	for _, v := range []redacting{secret, apikey.Secret{}, serverKey(t, "k1"), apikey.ServerKey{}, key.Secrets[0].Digest, apikey.DigestCredentials{}} {
		require.Equal(t, "[redacted]", v.String())
		require.Equal(t, "[redacted]", v.GoString())
		require.Equal(t, "[redacted]", v.LogValue().String())
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%20s"} {
			require.Equal(t, "[redacted]", fmt.Sprintf(verb, v), verb)
		}
		data, err := v.MarshalJSON()
		require.NoError(t, err)
		require.Equal(t, `"[redacted]"`, string(data))
		data, err = v.MarshalText()
		require.NoError(t, err)
		require.Equal(t, `[redacted]`, string(data))
		data, err = xml.Marshal(v)
		require.NoError(t, err)
		require.Contains(t, string(data), "[redacted]")
	}
}

func TestSecretRevealAndIsZero(t *testing.T) {
	require.True(t, apikey.Secret{}.IsZero())
	require.Empty(t, apikey.Secret{}.Reveal())

	_, secret := newKey(t, nil)
	require.False(t, secret.IsZero())
	_, parsed, err := apikey.Parse(secret.Reveal())
	require.NoError(t, err)
	require.Equal(t, secret.Reveal(), parsed.Reveal())
}

// The zero-size field is what makes == a compile error; reflection can tell.
func TestSecretIsNotComparableAndNeverDeeplyEqualByChance(t *testing.T) {
	require.False(t, reflect.TypeFor[apikey.Secret]().Comparable())
	require.False(t, reflect.TypeFor[apikey.ServerKey]().Comparable())

	_, a := newKey(t, nil)
	_, b := newKey(t, nil)
	require.False(t, reflect.DeepEqual(a, b))
	require.True(t, reflect.DeepEqual(a, a))
}

// A Secret is read by Parse only, so that no decoder can put one together.
func TestSecretCannotBeDecoded(t *testing.T) {
	_, secret := newKey(t, nil)
	var decoded struct{ Secret apikey.Secret }
	err := json.Unmarshal([]byte(`{"Secret":"`+secret.Reveal()+`"}`), &decoded)
	require.Error(t, err)
	requireNoLeak(t, err.Error(), secret)
	require.True(t, decoded.Secret.IsZero())
}
