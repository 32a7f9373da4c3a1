package transfer

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io/fs"
	"reflect"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
)

// tell is a feed of one organization, told many times, and a mark.
func tell(times int) func(yield func(store.Change, error) bool) {
	return func(yield func(store.Change, error) bool) {
		id := strings.Repeat("x", 256)
		for range times {
			if !yield(store.Change{Revision: 1, Organization: id, OrganizationRecord: &policy.Organization{ID: id}}, nil) {
				return
			}
		}
		yield(store.Change{Revision: 1}, nil)
	}
}

// A temporary file that cannot be written or read, as on a disk that is full or broken, is
// an error.
func TestASpoolThatFails(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	for _, times := range []int{1, 1000} { // in the buffer, and more than fits
		s, err := newSpool()
		require.NoError(t, err)
		require.NoError(t, s.file.Close())
		require.ErrorIs(t, s.fill(tell(times)), fs.ErrClosed)
		require.ErrorIs(t, s.remove(), fs.ErrClosed)
	}

	s, err := newSpool()
	require.NoError(t, err)
	if runtime.GOOS == "linux" {
		require.NoFileExists(t, s.file.Name(), "a process that is killed must not leave it")
	}
	require.NoError(t, s.fill(tell(2)))
	require.NoError(t, s.file.Truncate(s.size-1))
	var errs []error
	for _, err := range s.items {
		errs = append(errs, err)
	}
	require.Len(t, errs, 2)
	require.NoError(t, errs[0])
	require.Error(t, errs[1], "less was read than was written")
	require.NoError(t, s.remove())
	require.ErrorIs(t, s.remove(), fs.ErrClosed)
}

// A line that came back from the temporary file as none is an error.
func TestALineThatIsNone(t *testing.T) {
	e := &exporter{out: bufio.NewWriter(&bytes.Buffer{}), sum: sha256.New(), recorder: usedAlways{}}
	require.Error(t, e.addUsage(context.Background(), []item{{organization: "acme", key: "a", text: []byte(`{"key":{`)}}))
}

type usedAlways struct{ store.UsageRecorder }

func (usedAlways) Usage(_ context.Context, ids ...apikey.ID) (map[apikey.ID]store.KeyUsage, error) {
	return map[apikey.ID]store.KeyUsage{ids[0]: {Secrets: map[string]accesslist.Usage{"5ec2e700": {Count: 1}}}}, nil
}

// A store that fails is not asked for all the rest.
func TestParallelEndsWithTheFirstError(t *testing.T) {
	const all = 10000
	var calls atomic.Int64
	err := parallel(all, func(i int) error {
		calls.Add(1)
		time.Sleep(time.Millisecond)
		if i >= 3 {
			return fmt.Errorf("call %d", i)
		}
		return nil
	})
	require.EqualError(t, err, "call 3")
	require.Less(t, calls.Load(), int64(all))
}

// Every field of a record counts when it is read back, a later one included: a field that
// is not compared could be lost without a word.
func TestEveryFieldMakesADifference(t *testing.T) {
	organization := policy.Organization{}
	for field := range fieldsButRevision(t, &organization) {
		require.NotEmpty(t, organizationDifference(policy.Organization{}, organization), field)
	}
	key := apikey.Key{}
	for field := range fieldsButRevision(t, &key) {
		require.NotEmpty(t, keyDifference(apikey.Key{}, key), field)
	}
	metadata := apikey.Metadata{}
	for field := range fieldsButRevision(t, &metadata) {
		require.NotEmpty(t, keyDifference(apikey.Key{}, apikey.Key{Metadata: &metadata}), field)
	}
	later := must(decode([]byte(`{"organization":{"id":"acme","requirement":"required","metadata":{"later":1}}}`))).Organization
	require.Equal(t, "other metadata", organizationDifference(policy.Organization{ID: "acme", Requirement: policy.Required, Revision: 7}, *later))
	laterKey := must(decode([]byte(`{"key":{"id":"k","organization":"acme","disabled":false,"accessList":[],"secrets":[{"sum":"` + strings.Repeat("a", 64) + `"}],"metadata":{"later":1}}}`))).Key
	without := laterKey.Clone()
	without.Metadata = nil
	require.Equal(t, "other metadata", keyDifference(without, *laterKey))
	secret := apikey.StoredSecret{}
	for field := range fieldsButRevision(t, &secret) {
		require.False(t, sameSecret(apikey.StoredSecret{}, secret), field)
	}
}

// fieldsButRevision sets one field after the other, and clears it again.
func fieldsButRevision(t *testing.T, record any) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		all := reflect.ValueOf(record).Elem()
		for i := range all.NumField() {
			name, field := all.Type().Field(i).Name, all.Field(i)
			if name == "Revision" || !all.Type().Field(i).IsExported() {
				continue
			}
			field.Set(someOf(t, field.Type()))
			if !yield(name) {
				return
			}
			field.SetZero()
		}
	}
}

func someOf(t *testing.T, of reflect.Type) reflect.Value {
	for _, some := range []any{
		time.Unix(1, 0), must(accesslist.Parse("192.0.2.1")), [sha256.Size]byte{1},
		&apikey.Metadata{ExternalID: "x"}, map[string]string{"a": ""},
		[]apikey.Grant{{Role: "reader"}}, []apikey.StoredSecret{{ServerKey: "a"}},
		must(apikey.NewDigestCredentials("api", strings.Repeat("a", 32), "")),
	} {
		if value := reflect.ValueOf(some); value.Type() == of {
			return value
		}
	}
	value := reflect.New(of).Elem()
	switch of.Kind() {
	case reflect.String:
		value.SetString("x")
	case reflect.Bool:
		value.SetBool(true)
	case reflect.Uint8:
		value.SetUint(1)
	default:
		t.Fatalf("a field of type %v: want a value for it here", of)
	}
	return value
}

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}
