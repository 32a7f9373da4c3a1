package digest

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/sallyport-go/sallyport/apikey"
)

// Why a response proves nothing. The errors are made in advance: neither takes longer.
var (
	errNoDigest      = errors.New("digest: the key has no credential of a live secret: want one that NewCredential made of it")
	errWrongResponse = errors.New("digest: the response was not made with a live secret of the key, or not for this request")
)

// response is the response of one request, as a policy.Verifier.
type response struct {
	nonces    *nonces
	header    header
	method    string
	algorithm Algorithm
	stored    []Credential
}

// Format shows nothing of the response and the stored hashes, whatever prints the verifier
// (rule K2).
func (p *response) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "digest:[redacted]") }

// Verify compares the response with the expected one for each credential of a live secret
// of the key, and takes the count of the nonce if one is right. For an unknown key, and for
// one without credentials, it does the same work (rule K3): a key has at most two live
// secrets, and a dummy stands in for a missing one.
func (p *response) Verify(key apikey.Key, now time.Time) error {
	hashes, live := [maxSecrets]string{noHash, noHash}, 0
	for slot := range max(len(p.stored), maxSecrets) {
		var credential Credential
		if slot < len(p.stored) {
			credential = p.stored[slot]
		}
		if isLive(key.Secrets, credential.SecretID, now) && live < maxSecrets {
			hashes[live] = credential.Hash
			live++
		}
	}

	digits := p.algorithm.digits()
	var textRoom [512]byte
	text := p.appendRest(textRoom[:digits]) // the hash of each credential goes before the rest
	var shown, expected [2 * sha256.Size]byte
	copy(shown[:], p.header.response)
	right := 0
	for i, hash := range hashes {
		copy(text[:digits], hash)
		p.algorithm.appendHash(expected[:0], text)
		match := subtle.ConstantTimeCompare(shown[:digits], expected[:digits])
		right |= match & subtle.ConstantTimeLessOrEq(i+1, live)
	}
	switch {
	case live == 0:
		return errNoDigest
	case right == 0 || key.ID != apikey.ID(p.header.username):
		return errWrongResponse
	}
	// Only now, so that nobody else can use up the counts of a nonce. The ID is the record's:
	// the header's would keep the whole header in memory.
	return p.nonces.use(p.header.nonce, p.algorithm, p.header.realm, key.ID, p.header.count)
}

// appendRest appends the text to hash behind a credential's hash (RFC 7616 section 3.4.1,
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
	return p.algorithm.appendHash(to, request)
}

// isLive reports whether a secret with this ID is stored and live now, by the rule of
// [apikey.Secret.Verify]. It looks at a dummy for a missing one.
func isLive(secrets []apikey.StoredSecret, id string, now time.Time) bool {
	found := false
	for slot := range max(len(secrets), maxSecrets) {
		var secret apikey.StoredSecret
		if slot < len(secrets) {
			secret = secrets[slot]
		}
		live := secret.ID() == id && (secret.Expires.IsZero() || now.Before(secret.Expires))
		found = found || live && slot < len(secrets)
	}
	return found
}

// maxSecrets is how many live secrets a valid key has at most (rule K4).
const maxSecrets = 2

// noHash stands for a missing credential.
var noHash = strings.Repeat("0", 2*sha256.Size)
