package adapter

import (
	"net/netip"
	"time"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/internal/strictjson"
	"github.com/sallyport-go/sallyport/store"
)

// decodeCanonicalUsage reads a document of EncodeUsage several times faster than
// decodeAnyUsage, for the judgement of ten thousand keys. ok is false for any other document:
// decodeAnyUsage reads it or words the refusal.
func decodeCanonicalUsage(document []byte) (u store.KeyUsage, ok bool) {
	r := usageReader{Canonical: strictjson.NewCanonical(document), before: `{"`}
	if r.Skip(`{}`) {
		return u, r.Done()
	}
	u.Entries = readCanonicalCounts(&r, `entries":`, netip.ParsePrefix, (*usageReader).calls)
	u.Secrets = readCanonicalCounts(&r, `secrets":`, sameText, (*usageReader).calls)
	u.Addresses = readCanonicalCounts(&r, `addresses":`, netip.ParseAddr, (*usageReader).address)
	if r.member(`dropped":`) {
		r.Need(`[`)
		u.Dropped = r.calls()
		r.Need(`]`)
	}
	u.Denials = readCanonicalCounts(&r, `denials":`, reasonOf, (*usageReader).calls)
	u.WouldDeny = readCanonicalCounts(&r, `wouldDeny":`, reasonOf, (*usageReader).calls)
	r.Need(`}`)
	return u, r.before == `,"` && r.Done() && checkUsage(u) == nil
}

func sameText(text string) (string, error) { return text, nil }

// A usageReader reads one document.
type usageReader struct {
	strictjson.Canonical
	before string // the next member's name: {" or ,"
}

// member reads the beginning of a member if it is next.
func (r *usageReader) member(name string) bool {
	if !r.Next(r.before + name) {
		return false
	}
	r.Need(r.before + name)
	r.before = `,"`
	return true
}

// readCanonicalCounts reads an object of at least one count, or nil if it is not next.
func readCanonicalCounts[K comparable, V any](r *usageReader, name string, key func(string) (K, error), read func(*usageReader) V) map[K]V {
	if !r.member(name) {
		return nil
	}
	counts := map[K]V{}
	r.Need(`{`)
	for more := true; more; more = r.Skip(`,`) {
		k, err := key(r.Text(``))
		if _, twice := counts[k]; twice || err != nil {
			r.Fail()
			return nil
		}
		r.Need(`:[`)
		counts[k] = read(r)
		r.Need(`]`)
	}
	r.Need(`}`)
	return counts
}

// calls reads what is between the brackets of a count.
func (r *usageReader) calls() accesslist.Usage {
	u := accesslist.Usage{Count: r.Uint(``), Last: r.micro()}
	if text := r.Text(`,`); text != "" {
		address, err := netip.ParseAddr(text)
		if err != nil || len(text) > 100 { // with a very long zone
			r.Fail()
		}
		u.LastAddress = address
	}
	return u
}

func (r *usageReader) address() store.AddressUsage {
	return store.AddressUsage{Count: r.Uint(``), First: r.micro(), Last: r.micro()}
}

func (r *usageReader) micro() time.Time { return time.UnixMicro(r.Int(`,`)).UTC() }
