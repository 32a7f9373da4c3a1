package transfer_test

import (
	"bytes"
	"fmt"
	"io"
	"math"
	"net/netip"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/memory"
	"github.com/sallyport-go/sallyport/store/transfer"
)

// greatestKey returns a key at every bound, its usage, and the text that JSON escapes.
func greatestKey(organization string) (apikey.Key, store.KeyUsage) {
	key := plainKey(apikey.ID(strings.Repeat("k", apikey.MaxID)), organization)
	key.Description = strings.Repeat("<", apikey.MaxDescription)
	key.NotBefore, key.Expires, key.Created = moment, moment.AddDate(1, 0, 0), moment
	room := apikey.MaxText - apikey.MaxDescription
	for i := range apikey.MaxGrants {
		grant := apikey.Grant{Role: fmt.Sprintf("<%x", i), AllProjects: true}
		room -= len(grant.Role)
		key.Grants = append(key.Grants, grant)
	}
	used := accesslist.Usage{Count: math.MaxUint64, Last: moment, LastAddress: netip.MustParseAddr("2001:db8:ffff:ffff:ffff:ffff:ffff:ffff")}
	usage := store.KeyUsage{Entries: map[netip.Prefix]accesslist.Usage{}, Secrets: map[string]accesslist.Usage{key.Secrets[0].ID(): used}}
	var entries []accesslist.Entry
	for i := range apikey.MaxEntries {
		addr := netip.AddrFrom16([16]byte{0x20, 1, 0xd, 0xb8, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, byte(i>>8) | 0x80, byte(i)})
		entry := must(accesslist.Parser{AllowIPv6: true}.NewEntry(netip.PrefixFrom(addr, 128)))
		entry.Comment = strings.Repeat("&", min(room, accesslist.MaxComment))
		entry.Added, entry.Expires = moment, moment.AddDate(1, 0, 0)
		room -= len(entry.Comment)
		entries = append(entries, entry)
		usage.Entries[entry.Prefix()] = used
	}
	key.AccessList = must(accesslist.New(entries...))
	return key, usage
}

func TestA12TheGreatestKeyFitsALine(t *testing.T) {
	organization := strings.Repeat("&", apikey.MaxName)
	key, usage := greatestKey(organization)
	s := memory.New()
	_, err := s.PutOrganization(t.Context(), policy.Organization{ID: organization})
	require.NoError(t, err)
	_, err = s.PutKey(t.Context(), key, store.AllowManyEntries)
	require.NoError(t, err)
	file := export(t, counting{s, &usage})
	longest := 0
	for line := range strings.Lines(file) {
		longest = max(longest, len(line))
	}
	require.Greater(t, longest, 3<<20)
	require.Less(t, longest, transfer.MaxLine)

	to := memory.New()
	result, err := importInto(to, file)
	require.NoError(t, err)
	require.Equal(t, transfer.Counts{Organizations: 1, Keys: 1, Usage: 1}, result.Written)
	requireSameContent(t, s, to)
}

// An endless reader has one line without an end, and notes how much of it was read.
type endless struct {
	begin io.Reader
	read  int
}

func (e *endless) Read(p []byte) (int, error) {
	n, err := e.begin.Read(p)
	if err == io.EOF {
		n, err = copy(p, bytes.Repeat([]byte("x"), len(p))), nil
	}
	e.read += n
	return n, err
}

func (e *endless) Seek(int64, int) (int64, error) { return 0, nil }

func TestA12ALongLineIsRefusedAndNotReadToItsEnd(t *testing.T) {
	const header = `{"sallyport":{"format":1}}` + "\n"
	for _, test := range []struct {
		begin string
		line  int
	}{{header, 2}, {header + `{"organization":{"id":"acme","requirement":"required","revision":1}}` + "\n", 3}, {header + `{"end":`, 2}} {
		in := &endless{begin: strings.NewReader(test.begin)}
		_, err := transfer.Import(t.Context(), memory.New(), in)
		require.ErrorIs(t, err, transfer.ErrDamaged)
		require.ErrorContains(t, err, fmt.Sprintf("line %d: ", test.line))
		require.ErrorContains(t, err, "it has more than 8388608 bytes: want at most that")
		require.Less(t, in.read, transfer.MaxLine+1<<18)
	}
	// To the byte: with its line feed a line may have MaxLine.
	for _, more := range []int{0, 1} {
		space := strings.Repeat(" ", transfer.MaxLine-len("{}\n")+more)
		_, err := transfer.Import(t.Context(), memory.New(), strings.NewReader(header+"{"+space+"}\n"))
		require.ErrorIs(t, err, transfer.ErrDamaged)
		if more == 0 {
			require.ErrorContains(t, err, "line 2: not a whole and unaltered export: want an organization")
		} else {
			require.ErrorContains(t, err, "it has more than 8388608 bytes")
		}
	}
	in := &endless{begin: strings.NewReader("")}
	_, err := transfer.Import(t.Context(), memory.New(), in)
	require.ErrorContains(t, err, `line 1: not a whole and unaltered export: it begins with "xxxx`)
	require.Less(t, len(err.Error()), 300)
	require.Less(t, in.read, 1<<18)
}

// A line that a reader would refuse is not written.
func TestA12NoLongLineIsWritten(t *testing.T) {
	s := rich(t)
	used := accesslist.Usage{Count: 1, LastAddress: netip.MustParseAddr("fe80::1").WithZone(strings.Repeat("z", transfer.MaxLine))}
	usage := store.KeyUsage{Entries: map[netip.Prefix]accesslist.Usage{netip.MustParsePrefix("192.0.2.1/32"): used}}
	_, err := transfer.Export(t.Context(), counting{s, &usage}, io.Discard)
	require.ErrorContains(t, err, `cannot be written: it has more than 8388608 bytes`)
	require.Less(t, len(err.Error()), 1000)
}

func TestA12ErrorsDoNotGrowWithTheFile(t *testing.T) {
	const header = `{"sallyport":{"format":1}}` + "\n"
	long := strings.Repeat("9", transfer.MaxLine/2)
	for _, line := range []string{
		`{"organization":{"id":"acme","requirement":"required","revision":` + long + `}}`,
		`{"organization":{"id":"acme","requirement":"` + long + `"}}`,
		`{"organization":{"id":"` + long + `","requirement":"required"}}`,
		`{"key":{"id":"` + long + `"}}`,
		`{"key":{"accessList":[{"address":"` + long + `"}]}}`,
		`{"key":{"accessList":[{"address":"10.0.0.1","expires":"` + long + `"}]}}`,
		`{"usage":{"entries":[{"entry":"` + long + `"}]}}`,
		`{"usage":{"entries":[{"secret":"` + long + `","count":1}]}}`,
		`{"usage":{"entries":[{"entry":"10.0.0.0/8","count":` + long + `}]}}`,
		`{"usage":{"entries":[{"entry":"10.0.0.0/8","count":1,"lastAddress":"` + long + `"}]}}`,
		`{"` + long + `":1}`,
		`{"end":` + long,
		long,
		strings.Repeat("[", len(long)),
	} {
		_, err := transfer.Import(t.Context(), memory.New(), strings.NewReader(header+line+"\n"))
		require.ErrorIs(t, err, transfer.ErrDamaged)
		require.Less(t, len(err.Error()), 2000, "%.80s", line)
	}
}
