package transfer_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/memory"
	"github.com/sallyport-go/sallyport/store/storetest/faulty"
	"github.com/sallyport-go/sallyport/store/transfer"
)

func TestImportIntoAFailingStore(t *testing.T) {
	file := export(t, rich(t))
	for _, test := range []struct {
		method faulty.Method
		loads  bool
		want   string
	}{
		{faulty.Organization, false, `store/transfer: import: reading organization "\"<&>\"\\": broken on demand`},
		{faulty.Key, false, `store/transfer: import: reading key "a" of organization "Acme": broken on demand`},
		{faulty.PutOrganization, false, `store/transfer: import: writing organization "\"<&>\"\\": broken on demand`},
		{faulty.PutKey, false, `store/transfer: import: writing key "a" of organization "Acme": broken on demand`},
		{faulty.RecordUsage, false, `store/transfer: import: writing the usage of 2 keys: broken on demand`},
		{faulty.Usage, false, `store/transfer: import: reading key "a" of organization "Acme": broken on demand`},
		{faulty.Load, true, `store/transfer: import: loading 8 organizations and 7 keys: broken on demand`},
	} {
		var to store.Store = memory.New()
		if test.loads {
			to = &loading{Store: memory.New()}
		}
		f := faulty.New(to)
		f.Break(faulty.Fail(errBroken), test.method)
		_, err := importInto(f, file)
		require.ErrorIs(t, err, errBroken)
		require.EqualError(t, err, test.want)
		_, err = transfer.Verify(t.Context(), f, strings.NewReader(file))
		require.Error(t, err)

		f.Break(faulty.Panic("out of order"), test.method)
		_, err = importInto(f, file)
		require.ErrorContains(t, err, "panic: out of order")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := transfer.Import(ctx, memory.New(), strings.NewReader(file))
	require.ErrorIs(t, err, context.Canceled)
	_, err = transfer.Verify(ctx, memory.New(), strings.NewReader(file))
	require.ErrorIs(t, err, context.Canceled)
}

// A call that never returns to Import was not a success.
func TestAStoreThatEndsTheGoroutine(t *testing.T) {
	s := rich(t)
	file := export(t, s)
	_, err := transfer.Verify(t.Context(), other{Store: s, key: func(*apikey.Key) { runtime.Goexit() }}, strings.NewReader(file))
	require.ErrorContains(t, err, "the store ended the goroutine that called it")
}

// A seeker is a file that is another each time it is read.
type seeker struct {
	io.Reader
	readers []io.Reader
	err     error
}

func (s *seeker) Seek(offset int64, whence int) (int64, error) {
	if offset != 0 || whence != io.SeekStart {
		return 0, errors.New("not to the beginning")
	}
	if len(s.readers) == 0 {
		return 0, s.err
	}
	s.Reader, s.readers = s.readers[0], s.readers[1:]
	return 0, nil
}

// failing is a reader that fails when it has been read.
func failing(text string) io.Reader {
	return io.MultiReader(strings.NewReader(text), iotestErr{errBroken})
}

type iotestErr struct{ err error }

func (r iotestErr) Read([]byte) (int, error) { return 0, r.err }

// A file that cannot be read is not a damaged one. One that changes under the import's
// hands is.
func TestFilesThatFail(t *testing.T) {
	one, two := memory.New(), memory.New()
	for n, s := range []*memory.Store{one, two} {
		_, err := s.PutOrganization(t.Context(), policy.Organization{ID: fmt.Sprint("organization ", n)})
		require.NoError(t, err)
	}
	more := memory.New()
	for n := range 2 {
		_, err := more.PutOrganization(t.Context(), policy.Organization{ID: fmt.Sprint("organization ", n)})
		require.NoError(t, err)
	}
	good, another, longer, shorter := export(t, one), export(t, two), export(t, more), export(t, memory.New())
	text := func(text string) io.Reader { return strings.NewReader(text) }
	for name, test := range map[string]struct {
		readers []io.Reader
		want    string
		is      error
	}{
		"seek":                     {nil, "store/transfer: import: broken on demand", errBroken},
		"the second seek":          {[]io.Reader{text(good)}, "store/transfer: import: broken on demand", errBroken},
		"the third seek":           {[]io.Reader{text(good), text(good)}, "store/transfer: import: broken on demand", errBroken},
		"read":                     {[]io.Reader{failing("")}, "store/transfer: import: broken on demand", errBroken},
		"read in a line":           {[]io.Reader{failing(good[:40])}, "store/transfer: import: broken on demand", errBroken},
		"read at the end":          {[]io.Reader{failing(good)}, "store/transfer: import: broken on demand", errBroken},
		"the second read":          {[]io.Reader{text(good), failing("")}, "store/transfer: import: broken on demand", errBroken},
		"the third read":           {[]io.Reader{text(good), text(good), failing("")}, "store/transfer: import: broken on demand", errBroken},
		"another before writing":   {[]io.Reader{text(good), text(another)}, "it changed during the import: want a file that nobody writes", transfer.ErrDamaged},
		"longer before writing":    {[]io.Reader{text(good), text(longer)}, "it changed during the import: want a file that nobody writes", transfer.ErrDamaged},
		"shorter before writing":   {[]io.Reader{text(good), text(shorter)}, "it changed during the import: want a file that nobody writes", transfer.ErrDamaged},
		"another to read back":     {[]io.Reader{text(good), text(good), text(another)}, "it changed during the import: want a file that nobody writes", transfer.ErrDamaged},
		"shorter to read back":     {[]io.Reader{text(good), text(good), text(shorter)}, "it changed during the import: want a file that nobody writes", transfer.ErrDamaged},
		"cut short before writing": {[]io.Reader{text(good), text(good[:len(good)-1])}, "the file was cut short", transfer.ErrDamaged},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := transfer.Import(t.Context(), memory.New(), &seeker{readers: test.readers, err: errBroken})
			require.ErrorIs(t, err, test.is)
			require.ErrorContains(t, err, test.want)
			assert.Equal(t, test.is == transfer.ErrDamaged, errors.Is(err, transfer.ErrDamaged))
		})
	}
	_, err := transfer.Import(t.Context(), memory.New(), &seeker{readers: []io.Reader{text(good), text(good), text(good)}})
	require.NoError(t, err)
}
