package apikey_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/apikey"
)

func TestNewIDIsRandomLowercaseAndLong(t *testing.T) {
	seen := map[apikey.ID]bool{}
	letters := map[rune]bool{}
	for range 1000 {
		id := apikey.NewID()
		require.NoError(t, id.Validate())
		require.Len(t, id, 20)
		require.False(t, seen[id], "the same ID twice")
		seen[id] = true
		for _, r := range id {
			letters[r] = true
			require.Contains(t, "abcdefghijklmnopqrstuvwxyz0123456789", string(r))
		}
	}
	require.Len(t, letters, 32, "5 bits in each of 20 characters are the 100 bits of the documentation")
}

func TestIDValidate(t *testing.T) {
	for _, good := range []apikey.ID{"a", "Z", "0", "-", "_", "Key_1-b", apikey.ID(strings.Repeat("x", 40))} {
		require.NoError(t, good.Validate(), good)
	}
	for bad, want := range map[apikey.ID]string{
		"":                                 "apikey: the key ID has 0 bytes: want 1 to 40",
		apikey.ID(strings.Repeat("x", 41)): "apikey: the key ID has 41 bytes: want 1 to 40",
		"a b":                              `apikey: the key ID has the byte ' ' at position 2: want`,
		"ab\x00":                           `apikey: the key ID has the byte '\x00' at position 3: want`,
		"é":                                `apikey: the key ID has the byte 'Ã' at position 1: want`,
	} {
		require.ErrorContains(t, bad.Validate(), want)
	}
}

// Rule K2. Someone who mixes up the two parameters must not find the secret in a log.
func TestK2ErrorOfAnIDDoesNotQuoteIt(t *testing.T) {
	_, secret := newKey(t, newIssuer(t, apikey.IssuerConfig{Prefix: "a_prefix_of_32_bytes_in_all_long"}))
	err := apikey.ID(secret.Reveal()).Validate()
	require.Error(t, err)
	requireNoLeak(t, err.Error(), secret)
}

// Rule K2: a secret that is put where an ID belongs does not reach a log through it.
func TestK2ASecretIsNoIDAndIsNotPrinted(t *testing.T) {
	for _, prefix := range []string{"a", "sp", strings.Repeat("p", 32)} {
		issuer, err := apikey.NewIssuer(apikey.IssuerConfig{Prefix: prefix})
		require.NoError(t, err)
		_, secret, err := issuer.New("acme")
		require.NoError(t, err)
		id := apikey.ID(secret.Reveal())
		require.Error(t, id.Validate())
		require.NotContains(t, fmt.Sprintf("%v %s %q %+v", id, id, id, struct{ ID apikey.ID }{id}), secret.Reveal()[:len(prefix)+3])
	}
	require.Equal(t, "k-1", apikey.ID("k-1").String())
	require.Empty(t, apikey.ID("").String())
}
