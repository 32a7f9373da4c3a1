package transfer_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/adapter"
	"github.com/sallyport-go/sallyport/store/memory"
	"github.com/sallyport-go/sallyport/store/transfer"
)

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

// moment has all the digits that a store must keep, and is not in UTC.
var clientAddress = netip.MustParseAddr("192.0.2.1")

var moment = time.Date(2031, 5, 6, 7, 8, 9, 123456000, time.FixedZone("", 5*3600+1800))

// plainKey returns the least that can be stored under an ID.
func plainKey(id apikey.ID, organization string, addresses ...string) apikey.Key {
	key := apikey.Key{ID: id, Organization: organization, Secrets: []apikey.StoredSecret{{Sum: sha256.Sum256([]byte(id))}}}
	if len(addresses) > 0 {
		key.AccessList = must(accesslist.Parse(addresses...))
	}
	return key
}

// richKey returns a key that has something to lose in every field.
func richKey(id apikey.ID, organization string) apikey.Key {
	var entries []accesslist.Entry
	for i, text := range []string{
		"0.0.0.0/0", "::/0", "255.255.255.255", "10.0.0.0/8", "10.0.0.0/9", "10.0.0.0", "2001:db8::/32", "2001:db8::1", "fe80::/10",
	} {
		entry := must(accesslist.Parser{AllowIPv6: true}.ParseEntry(text))
		switch i % 3 {
		case 0:
			entry.Comment = fmt.Sprintf(`  entry %d: "x", <y> & 'z' # \ = 🏢 e%c`, i, '\u0301')
		case 1:
			entry.Added, entry.Expires = moment.Add(time.Duration(i)*time.Microsecond), moment.AddDate(1, 0, i)
		case 2:
			entry.Expires = time.Date(1999, 1, 1, 0, 0, i, 1000, time.UTC) // an entry all the same (A2)
		}
		entries = append(entries, entry)
	}
	entries[1].Comment = strings.Repeat("🏢", accesslist.MaxComment/4)
	return apikey.Key{
		ID: id, Organization: organization, Disabled: true,
		Description: `  It's "quoted" \n \ud800 NULL; -- , </script> ` + "`${x}` %s 🔑 e\u0301 \u00e9 \u3000日本  ",
		AccessList:  must(accesslist.New(entries...)),
		TrialList:   must(accesslist.New(entries[3:8]...)),
		Metadata: &apikey.Metadata{
			Labels:     map[string]string{"team": "<b>'x' & \"y\" \\ 日本", "archived": "", "Team": "e\u0301"},
			ExternalID: "cus/1 é",
		},
		Grants: []apikey.Grant{
			{Role: "zeta é'", Project: "project/<1>"}, {Role: "alpha", AllProjects: true}, {Role: "zeta", AllProjects: true}, {Role: "zeta"}, {Role: "alpha", Project: "p"},
		},
		Secrets: []apikey.StoredSecret{
			{ServerKey: "2031-a", Sum: sha256.Sum256([]byte("old")), Created: moment, Expires: moment.Add(90 * time.Minute),
				Digest: must(apikey.NewDigestCredentials(`</script> <&> ' ${x} %s`, strings.Repeat("0a", 16), strings.Repeat("f9", 32)))},
			{Sum: sha256.Sum256([]byte("new" + id)), Created: moment.Add(time.Microsecond),
				Digest: must(apikey.NewDigestCredentials("api", "", strings.Repeat("07", 32)))},
		},
		NotBefore: time.Date(1, 1, 1, 0, 0, 0, 1000, time.UTC),
		Expires:   time.Date(9999, 12, 31, 23, 59, 59, 999999999, time.UTC),
		Created:   moment,
	}
}

// rich returns a store that has something of everything.
func rich(t testing.TB) *memory.Store {
	ctx, s := context.Background(), memory.New()
	names := []string{"acme", "Acme", "acme ltd", "é", "e\u0301", `"<&>"\`, "日本", strings.Repeat("x", 256)}
	for i, name := range names {
		organization := policy.Organization{ID: name, Requirement: policy.Requirement(i % 3), Disabled: i == 2}
		if i == 1 {
			organization.Name = "Acme <&> é"
		}
		if i == 2 || i == 4 {
			organization.SuspendedUntil = moment
		}
		_, err := s.PutOrganization(ctx, organization)
		require.NoError(t, err)
	}
	for i, id := range []apikey.ID{"b", "a", "B", "-", "_", "0", apikey.ID(strings.Repeat("z", 40))} {
		key := plainKey(id, "acme")
		switch i % 3 {
		case 0:
			key = richKey(id, "acme")
		case 1:
			key = plainKey(id, names[i], "192.0.2.1", "198.51.100.0/24")
		}
		_, err := s.PutKey(ctx, key, store.AllowOpen)
		require.NoError(t, err)
	}
	// A revision that is not the first.
	changed := must(s.Key(ctx, "a"))
	changed.Description = "changed"
	_, err := s.PutKey(ctx, changed, store.AllowOpen)
	require.NoError(t, err)
	used := func(id apikey.ID, entry, secret string, count uint64, last time.Time, from string) {
		record := store.UsageRecord{Key: id, Secret: secret, Usage: accesslist.Usage{Count: count, Last: last}}
		if entry != "" {
			record.Entry = netip.MustParsePrefix(entry)
		}
		if from != "" {
			record.LastAddress = netip.MustParseAddr(from)
		}
		require.NoError(t, s.RecordUsage(ctx, adapter.UsageBatch(record)))
	}
	b := must(s.Key(ctx, "b"))
	used("b", "10.0.0.0/9", b.Secrets[0].ID(), 3, moment, "10.0.0.7")
	used("b", "2001:db8::/32", b.Secrets[1].ID(), 1<<63, moment.Add(time.Hour), "2001:db8::9")
	used("b", "10.0.0.0/32", "", 1, time.Time{}, "") // at no known time
	used("b", "203.0.113.0/24", "", 1, moment, "")   // which the key no longer has
	used("a", "198.51.100.0/24", "", 7, moment, "198.51.100.1")
	require.NoError(t, s.RecordUsage(ctx, map[apikey.ID]store.KeyUsage{
		"B": {Secrets: map[string]accesslist.Usage{changed.Secrets[0].ID(): {Count: 9, Last: moment}}}, // likewise
		"b": {
			Addresses: map[netip.Addr]store.AddressUsage{clientAddress: {Count: 2, First: moment, Last: moment.Add(time.Hour)}},
			Denials:   map[policy.Reason]accesslist.Usage{policy.AddressNotListed: {Count: 2, Last: moment, LastAddress: clientAddress}, policy.KeyExpired: {Count: 1}},
			WouldDeny: map[policy.Reason]accesslist.Usage{policy.OrganizationRequiresAccessList: {Count: 2, Last: moment, LastAddress: clientAddress}},
		},
	}))
	return s
}

// bare hides what a store is beside a store.Store.
type bare struct{ store.Store }

// A feedless has no feed.
type feedless struct {
	store.Store
	store.UsageRecorder
}

// A loading store is a store.Loader as well.
type loading struct {
	*memory.Store
	loads  int
	refuse error
}

func (l *loading) Load(ctx context.Context, organizations []policy.Organization, keys []apikey.Key, options ...store.PutOption) error {
	l.loads++
	if len(organizations)+len(keys) > store.MaxLoad {
		return store.ErrInvalid
	}
	if l.refuse != nil {
		return l.refuse
	}
	for _, organization := range organizations {
		if _, err := l.PutOrganization(ctx, organization); err != nil {
			return err
		}
	}
	for _, key := range keys {
		if _, err := l.PutKey(ctx, key, options...); err != nil {
			return err
		}
	}
	return nil
}

func export(t testing.TB, s store.Store) string {
	t.Helper()
	var out bytes.Buffer
	_, err := transfer.Export(context.Background(), s, &out)
	require.NoError(t, err)
	return out.String()
}

func importInto(s store.Store, file string) (transfer.Result, error) {
	return transfer.Import(context.Background(), s, strings.NewReader(file))
}

// content is all that a store has, without revisions.
type content struct {
	Organizations []policy.Organization
	Keys          []apikey.Key
}

func contentOf(t testing.TB, s store.Store) (c content) {
	t.Helper()
	for organization, err := range store.AllOrganizations(context.Background(), s) {
		require.NoError(t, err)
		for key, err := range store.AllKeys(context.Background(), s, organization.ID) {
			require.NoError(t, err)
			key.Revision = 0
			c.Keys = append(c.Keys, key)
		}
		organization.Revision = 0
		c.Organizations = append(c.Organizations, organization)
	}
	return c
}

func requireSameContent(t testing.TB, want, got store.Store) {
	t.Helper()
	require.Empty(t, cmp.Diff(contentOf(t, want), contentOf(t, got)))
}

// withoutRevisions takes the revisions from a file, and the sum with them.
func withoutRevisions(file string) string {
	lines := strings.Split(file, "\n")
	for i, line := range lines {
		if before, after, ok := strings.Cut(line, `"revision":`); ok {
			lines[i] = before + strings.TrimLeft(after, "0123456789")
		}
	}
	return strings.Join(lines[:len(lines)-2], "\n")
}

// sealed returns a file of these lines, with the last line that is right for them.
func sealed(lines ...string) string {
	var counts transfer.Counts
	for _, line := range lines {
		switch {
		case strings.HasPrefix(line, `{"organization"`):
			counts.Organizations++
		case strings.HasPrefix(line, `{"key"`):
			counts.Keys++
		}
		if strings.Contains(line, `,"usage":{`) {
			counts.Usage++
		}
	}
	text := strings.Join(lines, "\n") + "\n"
	sum := sha256.Sum256([]byte(text))
	return text + fmt.Sprintf(`{"end":{"organizations":%d,"keys":%d,"usage":%d,"sha256":"%s"}}`,
		counts.Organizations, counts.Keys, counts.Usage, hex.EncodeToString(sum[:])) + "\n"
}
