package policyhttp

import (
	"encoding/base64"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/apikey"
)

// An ID that does not fit is kept whole: cut off, it would be another key's.
func TestLongIDIsKeptWhole(t *testing.T) {
	for n := range 100 {
		var memory keyMemory
		id := apikey.ID(strings.Repeat("k", n))
		require.Equal(t, id, memory.keep(id))
	}
}

// Eight bytes at a time or one by one: every byte counts, at every place.
func TestHasControl(t *testing.T) {
	for length := range 20 {
		text := []byte(strings.Repeat("~", length))
		require.False(t, hasControl(string(text)))
		for i := range text {
			for c := range 256 {
				text[i] = byte(c)
				require.Equal(t, c < ' ' || c == 0x7f, hasControl(string(text)), "%q", text)
			}
			text[i] = ' ' // the least that is none
		}
	}
}

// readSecret does not look whether a secret is a token once it is parsed.
func TestSecretsAreTokens(t *testing.T) {
	for _, prefix := range []string{"", "a", "a1_b"} {
		issuer, err := apikey.NewIssuer(apikey.IssuerConfig{Prefix: prefix})
		require.NoError(t, err)
		for c := range 256 {
			for _, id := range []string{"k" + string(rune(c)), string([]byte{'k', byte(c)})} {
				key, secret, err := issuer.Issue(apikey.Key{ID: apikey.ID(id), Organization: "acme"})
				if err != nil {
					continue
				}
				require.Equal(t, apikey.ID(id), key.ID)
				require.True(t, isToken68(secret.Reveal()), "%q", id)
			}
		}
	}
}

// The memory that a secret was decoded into is wiped, whatever became of it.
func TestScratchIsWiped(t *testing.T) {
	for text, wellFormed := range map[string]bool{"user:password": true, "password without a colon": false, "not\x00allowed:x": false} {
		s := new(scratch)
		_, err := s.decode(base64.StdEncoding.EncodeToString([]byte(text)))
		require.Equal(t, wellFormed, err == nil)
		require.NotEqual(t, scratch{}, *s)
		s.release()
		require.Equal(t, scratch{}, *s)
	}
}

// The trusted blocks may change between a denial and the search for signs of a proxy.
func TestNoDoubtWithoutAnAddress(t *testing.T) {
	a := FromHeader("X-Real-IP", block)
	require.NoError(t, a.doubt("10.0.0.1:1", nil))
	require.Error(t, a.doubt("192.0.2.1:1", http.Header{"X-Real-Ip": {"203.0.113.7"}}))
}
