package apikey

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// TestDigestInFIPSMode of policyhttp/digest runs a program in that mode.
func TestDigestAlgorithmInFIPSMode(t *testing.T) {
	require.NoError(t, DigestMD5.validateIn(false))
	require.NoError(t, DigestSHA256.validateIn(true))
	require.EqualError(t, DigestMD5.validateIn(true), "apikey: the Digest algorithm MD5 is not allowed in FIPS 140-only mode: want SHA-256")
}
