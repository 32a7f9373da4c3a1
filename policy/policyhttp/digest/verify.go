package digest

import (
	"crypto/md5"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy/policyhttp"
)

// Why a response proves nothing. The errors are made in advance: neither takes longer.
var (
	errNoDigest = errors.New("digest: no live secret of the key has credentials for the realm and the algorithm: " +
		"want a key made or rotated by an issuer with IssuerConfig.DigestAlgorithms and this DigestRealm")
	errWrongResponse = errors.New("digest: the response was not made with a live secret of the key, or not for this request")
)

// response is the response of one request, as a policy.Verifier.
type response struct {
	nonces    *nonces
	header    header
	method    string
	algorithm apikey.DigestAlgorithm
}

// Format shows nothing of the response, whatever prints the verifier (rule K2).
func (p *response) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "digest:[redacted]") }

// Verify compares the response with the expected one for each live secret of the key with
// credentials for the realm and the algorithm, and takes the count of the nonce if one is
// right. For an unknown key, and for one without credentials, it does the same work (rule
// K3): a key has at most two live secrets, and a dummy stands in for a missing one.
func (p *response) Verify(key apikey.Key, now time.Time) (secret int, err error) {
	hashes, secrets, live := [maxSecrets]string{noHash, noHash}, [maxSecrets]int{}, 0
	for slot := range max(len(key.Secrets), maxSecrets) {
		stored := &dummy
		if slot < len(key.Secrets) {
			stored = &key.Secrets[slot]
		}
		hash := stored.Digest.Hash(p.algorithm)
		usable := hash != "" && stored.Digest.Realm() == p.header.realm && (stored.Expires.IsZero() || now.Before(stored.Expires))
		if usable && slot < len(key.Secrets) && live < maxSecrets {
			hashes[live], secrets[live] = hash, slot
			live++
		}
	}

	digits := digitsOf(p.algorithm)
	var textRoom [512]byte
	text := p.appendRest(textRoom[:digits]) // the hash of each secret goes before the rest
	var shown, expected [2 * sha256.Size]byte
	copy(shown[:], p.header.response)
	secret = -1
	for i, hash := range hashes {
		copy(text[:digits], hash)
		appendHash(expected[:0], text, p.algorithm)
		match := subtle.ConstantTimeCompare(shown[:digits], expected[:digits])
		secret = subtle.ConstantTimeSelect(match&subtle.ConstantTimeLessOrEq(i+1, live), secrets[i], secret)
	}
	switch {
	case live == 0:
		return -1, errNoDigest
	case secret < 0 || key.ID != apikey.ID(p.header.username):
		return -1, errWrongResponse
	}
	// Only now, so that nobody else can use up the counts of a nonce. The ID is the record's:
	// the header's would keep the whole header in memory.
	if err := p.nonces.use(p.header.nonce, p.algorithm, p.header.realm, key.ID, p.header.count); err != nil {
		return -1, err
	}
	return secret, nil
}

// appendRest appends the text to hash behind the hash of a secret (RFC 7616 section 3.4.1,
// with qop auth).
func (p *response) appendRest(to []byte) []byte {
	var room [512]byte
	request := append(room[:0], p.method...)
	request = append(request, ':')
	request = append(request, p.header.uri...)
	for _, part := range []string{p.header.nonce, p.header.nc, p.header.cnonce, p.header.qop} {
		to = append(to, ':')
		to = append(to, part...)
	}
	to = append(to, ':')
	return appendHash(to, request, p.algorithm)
}

// maxSecrets is how many live secrets a valid key has at most (rule K4).
const maxSecrets = 2

// noHash stands for missing credentials, and dummy for a missing secret. It has something to
// read, like a stored one.
var (
	noHash      = strings.Repeat("0", 2*sha256.Size)
	noDigest, _ = apikey.NewDigestCredentials(policyhttp.DefaultRealm, noHash[:2*md5.Size], noHash)
	dummy       = apikey.StoredSecret{Digest: noDigest}
)
