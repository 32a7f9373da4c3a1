package policy

import (
	"slices"

	"github.com/sallyport-go/sallyport/apikey"
)

// Rehashed returns the decision's key with the verified secret hashed again, under the first
// of its issuer's server keys (see [apikey.Secret.Rehash]). It is false for a denial, for
// another proof than a secret, and for a secret hashed under that server key already.
//
// A server key comes out of use by it: an observer or a handler puts the key, and the next
// call is verified under the new server key. The key has the revision of the judged one, so
// a Put after any other change is a conflict. A Put may fail: the next call offers the key
// again. See the example of store.CountServerKeys.
func (d Decision) Rehashed() (apikey.Key, bool) {
	if d.rehashed == nil {
		return apikey.Key{}, false
	}
	key := d.subject.Key()
	key.Secrets[d.secret] = *d.rehashed
	return key, true
}

// rehash is for an allowed call with the proof of a secret. Without the text of one, as with
// HTTP Digest, there is nothing to hash. Hashing again takes time, and only callers with a proven
// secret can measure it (rule K3).
func (d *Decision) rehash(r *Request) {
	if rehashed, ok := r.Secret.Rehash(d.subject.key.Secrets[d.secret]); ok {
		kept := rehashed // allocated for these calls only
		d.rehashed = &kept
	}
}

// serverKeysOf returns the server keys of a key's secrets, each once.
func serverKeysOf(key *apikey.Key) []string {
	var ids []string
	for _, secret := range key.Secrets {
		if !slices.Contains(ids, secret.ServerKey) {
			ids = append(ids, secret.ServerKey)
		}
	}
	return ids
}
