package adapter

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
)

// checkCanonicalUsage checks that the fast reader reads what the other one does, or nothing.
func checkCanonicalUsage(t *testing.T, document []byte) {
	t.Helper()
	if got, ok := decodeCanonicalUsage(document); ok {
		want, err := decodeAnyUsage(document)
		require.NoError(t, err, "%q", document)
		require.Equal(t, want, got, "%q", document)
	}
}

// usages are documents of EncodeUsage.
func usages(tb testing.TB) (documents []string) {
	at := time.Date(2031, 5, 6, 7, 8, 9, 123456000, time.UTC)
	calls := accesslist.Usage{Count: 3, Last: at, LastAddress: netip.MustParseAddr("203.0.113.7")}
	unknown := accesslist.Usage{Count: 1 << 63}
	for _, usage := range []store.KeyUsage{
		{},
		{Entries: map[netip.Prefix]accesslist.Usage{netip.MustParsePrefix("203.0.113.0/24"): calls, netip.MustParsePrefix("2001:db8::/32"): unknown}},
		{Secrets: map[string]accesslist.Usage{"00ff00ff": calls, "": unknown}},
		{Addresses: map[netip.Addr]store.AddressUsage{netip.MustParseAddr("203.0.113.7"): {Count: 2, First: at.AddDate(0, 0, -1), Last: at}, netip.MustParseAddr("fe80::1%eth0"): {}}},
		{Dropped: calls},
		{Denials: map[policy.Reason]accesslist.Usage{policy.AddressNotListed: calls, policy.KeyDisabled: unknown}},
		{WouldDeny: map[policy.Reason]accesslist.Usage{policy.OrganizationRequiresAccessList: calls}},
		{
			Entries: map[netip.Prefix]accesslist.Usage{netip.MustParsePrefix("203.0.113.0/24"): calls}, Secrets: map[string]accesslist.Usage{"00ff00ff": calls},
			Addresses: map[netip.Addr]store.AddressUsage{netip.MustParseAddr("203.0.113.7"): {Count: 2, First: at, Last: at}}, Dropped: unknown,
			Denials: map[policy.Reason]accesslist.Usage{policy.RoleMissing: calls}, WouldDeny: map[policy.Reason]accesslist.Usage{policy.OrganizationRequiresAccessList: calls},
		},
	} {
		document, err := EncodeUsage(usage)
		require.NoError(tb, err)
		documents = append(documents, string(document))
	}
	return documents
}

func TestCanonicalUsage(t *testing.T) {
	for _, document := range usages(t) {
		_, ok := decodeCanonicalUsage([]byte(document))
		require.True(t, ok, document)
		checkCanonicalUsage(t, []byte(document))

		// With any byte gone, doubled or another, and cut off anywhere.
		for i := range document {
			_, ok := decodeCanonicalUsage([]byte(document[:i]))
			require.False(t, ok, "%q", document[:i])
			checkCanonicalUsage(t, []byte(document[:i]+document[i+1:]))
			checkCanonicalUsage(t, []byte(document[:i+1]+document[i:]))
			for _, b := range []byte{'"', '\\', ' ', ',', '0', '{', ']', '-', 0, 0xff} {
				checkCanonicalUsage(t, slices.Concat([]byte(document[:i]), []byte{b}, []byte(document[i+1:])))
			}
		}
	}
}

// Documents that EncodeUsage does not write are left to the other reader.
func TestCanonicalUsageReadsNothingElse(t *testing.T) {
	all := usages(t)
	whole := all[len(all)-1]
	for _, change := range [][2]string{
		{`{"entries"`, `{ "entries"`}, {`,"secrets"`, `,"Secrets"`}, {`"secrets":{"00ff00ff"`, `"secrets":{"00ff00ff":[1,2,""],"00ff00ff"`},
		{`"203.0.113.0/24"`, `"203.0.113.0/33"`}, {`"role_missing"`, `"allowed"`}, {`"role_missing"`, `"unknown_key"`}, {`"addresses":{"203.0.113.7"`, `"addresses":{""`},
		{`"addresses":{"203.0.113.7"`, `"addresses":{"nowhere"`}, {`"dropped":[`, `"dropped":null,"x":[`}, {`,""]`, `,"nowhere"]`}, {`,""]`, `,null]`},
		{`,""]`, `,"fe80::1%` + strings.Repeat("x", 300) + `"]`}, {`[9223372036854775808,`, `[-1,`},
	} {
		require.Contains(t, whole, change[0])
		_, ok := decodeCanonicalUsage([]byte(strings.Replace(whole, change[0], change[1], 1)))
		require.False(t, ok, "%s", change[1])
	}
}

func FuzzCanonicalUsage(f *testing.F) {
	for _, document := range usages(f) {
		f.Add([]byte(document))
	}
	f.Fuzz(checkCanonicalUsage)
}

func BenchmarkDecodeUsage(b *testing.B) {
	usage := store.KeyUsage{Addresses: map[netip.Addr]store.AddressUsage{}}
	for n := range store.MaxUsageAddresses {
		usage.Addresses[netip.AddrFrom4([4]byte{203, 0, 113, byte(n)})] = store.AddressUsage{Count: 2, First: time.UnixMicro(1e15), Last: time.UnixMicro(2e15)}
	}
	document, err := EncodeUsage(usage)
	require.NoError(b, err)
	for name, decode := range map[string]func([]byte) (store.KeyUsage, error){"canonical": DecodeUsage, "any": decodeAnyUsage} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := decode(document); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
