package apikey_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/apikey"
)

// BenchmarkVerify has the least that any check must do beside it. For rule K3 right, wrong and no record are to take the
// same time; the second secret of a rotation too.
func BenchmarkVerify(b *testing.B) {
	plain := newIssuer(b, apikey.IssuerConfig{})
	for name, issuer := range map[string]*apikey.Issuer{
		"sha256":   plain,
		"hmac":     newIssuer(b, apikey.IssuerConfig{ServerKeys: []apikey.ServerKey{serverKey(b, "k1")}}),
		"two keys": newIssuer(b, apikey.IssuerConfig{ServerKeys: []apikey.ServerKey{serverKey(b, "k1"), serverKey(b, "k2")}}),
	} {
		key, right := newKey(b, issuer)
		_, wrong := newKey(b, issuer)
		rotated, _ := rotate(b, issuer, key, 1)
		for _, bench := range []struct {
			name   string
			secret apikey.Secret
			stored []apikey.StoredSecret
		}{
			{"right secret", right, key.Secrets},
			{"wrong secret", wrong, key.Secrets},
			{"wrong of two", wrong, rotated.Secrets},
			{"unknown key", right, nil},
		} {
			b.Run(name+"/"+bench.name, func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					_, _ = bench.secret.Verify(bench.stored, noon)
				}
			})
		}
	}

	key, secret := newKey(b, plain)
	text := []byte(secret.Reveal())
	b.Run("sha256+compare alone", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			sum := sha256.Sum256(text)
			if subtle.ConstantTimeCompare(sum[:], key.Secrets[0].Sum[:]) != 1 {
				b.Fatal("differs")
			}
		}
	})
	b.Run("hmac+compare alone, not pooled", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			mac := hmac.New(sha256.New, serverKeyBytes("k1"))
			mac.Write(text)
			if subtle.ConstantTimeCompare(mac.Sum(nil), key.Secrets[0].Sum[:]) == 1 {
				b.Fatal("does not differ")
			}
		}
	})
}

func BenchmarkParse(b *testing.B) {
	_, secret := newKey(b, nil)
	text := secret.Reveal()
	for name, text := range map[string]string{
		"good": text, "typing error": text[:len(text)-1] + "~", "wrong checksum": text[:len(text)-6] + "000000",
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_, _, _ = apikey.Parse(text)
			}
		})
	}
}

func BenchmarkNew(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		_, _, _ = apikey.New("acme")
	}
}

func BenchmarkKeyJSON(b *testing.B) {
	key := fullKey(b)
	data, err := json.Marshal(key)
	require.NoError(b, err)
	b.Run("write", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			_, _ = key.MarshalJSON()
		}
	})
	b.Run("read", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			var key apikey.Key
			_ = key.UnmarshalJSON(data)
		}
	})
}
