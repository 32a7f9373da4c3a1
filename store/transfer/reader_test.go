package transfer_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/adapter"
	"github.com/sallyport-go/sallyport/store/memory"
	"github.com/sallyport-go/sallyport/store/transfer"
)

// small returns a small file with something of everything.
func small(t testing.TB) string {
	ctx, s := context.Background(), memory.New()
	for _, id := range []string{"acme", "other"} {
		_, err := s.PutOrganization(ctx, policy.Organization{ID: id, Requirement: policy.Required})
		require.NoError(t, err)
	}
	for _, key := range []apikey.Key{plainKey("a", "acme", "192.0.2.1"), plainKey("b", "acme")} {
		_, err := s.PutKey(ctx, key, store.AllowOpen)
		require.NoError(t, err)
		require.NoError(t, s.RecordUsage(ctx, adapter.UsageBatch(store.UsageRecord{
			Key: key.ID, Secret: key.Secrets[0].ID(), Usage: accesslist.Usage{Count: 3, Last: moment, LastAddress: clientAddress},
		})))
	}
	return export(t, s)
}

// requireRefused checks that a file is refused as damaged, and that nothing of it is
// written.
func requireRefused(t testing.TB, file, what string, args ...any) {
	t.Helper()
	to := memory.New()
	result, err := importInto(to, file)
	if !errors.Is(err, transfer.ErrDamaged) || result != (transfer.Result{}) {
		t.Fatalf(what+" gives %+v and the error %v; want ErrDamaged", append(args, result, err)...)
	}
	if at, err := to.Position(t.Context()); err != nil || at.Revision > 0 {
		t.Fatalf(what+": the store was written to", args...)
	}
}

func TestEveryCorruptionIsRefused(t *testing.T) {
	file := small(t)
	_, err := importInto(memory.New(), file)
	require.NoError(t, err)
	lines := strings.SplitAfter(strings.TrimSuffix(file, "\n"), "\n")
	lines[len(lines)-1] += "\n"
	require.Len(t, lines, 6)
	join := func(lines []string) string { return strings.Join(lines, "") }
	for i := range lines {
		requireRefused(t, join(slices.Delete(slices.Clone(lines), i, i+1)), "without line %d", i+1)
		for j := range len(lines) + 1 {
			requireRefused(t, join(slices.Insert(slices.Clone(lines), j, lines[i])), "line %d again as line %d", i+1, j+1)
		}
		for j := range i {
			swapped := slices.Clone(lines)
			swapped[i], swapped[j] = swapped[j], swapped[i]
			requireRefused(t, join(swapped), "lines %d and %d swapped", i+1, j+1)
		}
		requireRefused(t, join(slices.Insert(slices.Clone(lines), i, "\n")), "an empty line %d", i+1)
	}
	for i := range len(file) {
		requireRefused(t, file[:i], "the first %d bytes", i)
		requireRefused(t, file[:i]+file[i+1:], "without byte %d", i)
		requireRefused(t, file[i+1:], "from byte %d", i+1)
		for bit := range 8 {
			flipped := []byte(file)
			flipped[i] ^= 1 << bit
			requireRefused(t, string(flipped), "byte %d, %q, as %q", i, file[i], flipped[i])
		}
	}
	for _, more := range []string{"\n", " ", "x", "\x00", file, lines[0]} {
		requireRefused(t, file+more, "followed by %q", more)
		requireRefused(t, more+file, "after %q", more)
	}
	requireRefused(t, strings.ReplaceAll(file, "\n", "\r\n"), "with CR LF")
	requireRefused(t, "\ufeff"+file, "with a byte order mark")
}

// requireTold checks that an error has these texts, which .* separates, in this order.
func requireTold(t testing.TB, err error, want string) {
	t.Helper()
	require.Error(t, err)
	rest := err.Error()
	for part := range strings.SplitSeq(want, ".*") {
		_, after, ok := strings.Cut(rest, part)
		require.True(t, ok, "the error %q has not %q", err, part)
		rest = after
	}
}

// Lines that are wrong are refused for what they are, in a file that is whole otherwise.
func TestWrongLines(t *testing.T) {
	const (
		header       = `{"sallyport":{"format":1}}`
		organization = `{"organization":{"id":"acme","requirement":"required","revision":1}}`
		sum          = "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb"
		plain        = `{"id":"a","organization":"acme","disabled":false,"accessList":[{"address":"10.0.0.0/8"},{"address":"192.0.2.1"}],"secrets":[{"sum":"` + sum + `"}],"revision":2}`
		key          = `{"key":` + plain + `}`
		used         = `{"entry":"10.0.0.0/8","count":1}`
	)
	withUsage := func(usage string) string { return `{"key":` + plain + `,"usage":` + usage + `}` }
	for _, good := range [][]string{
		{header}, {header, organization}, {header, organization, key},
		{header, organization, withUsage(`{"entries":[` + used + `]}`)},
		{header, organization, withUsage(`{"entries":[` + used + `,{"entry":"192.0.2.1/32","count":2,"last":"2031-05-06T07:08:09Z","lastAddress":"192.0.2.1"}],"secrets":[{"secret":"ca978112","count":1}]}`)},
		{header, `{"organization" : {"requirement":"required","id":"acme"} } `, key},
	} {
		_, err := importInto(memory.New(), sealed(good...))
		require.NoError(t, err)
	}
	for _, test := range []struct {
		want  string // of which .* is anything
		lines []string
	}{
		{`line 1: not a whole and unaltered export: it begins with "{\"organization\":{\"id\":\"acme\",\"requiremen": want {"sallyport":{"format":1}}`, []string{organization}},
		{`line 1: .*want {"sallyport":{"format":1}}`, []string{`{"sallyport":{"format":1},"organization":{"id":"acme","requirement":"required"}}`}},
		{`line 1: .*it begins with "\n": want`, []string{``}},
		{`line 1: .*format 2: want format 1, or a later version`, []string{`{"sallyport":{"format":2}}`}},
		{`line 1: .*format 3: want format 1, or a later version`, []string{`{"sallyport":{"format":3,"by":"whom"}}`}},
		{`line 1: .*want {"sallyport":{"format":1}}`, []string{`{"sallyport":{}}`}},
		{`line 1: .*want {"sallyport":{"format":1}}`, []string{`{"sallyport":{"format":1,"more":1}}`}},
		{`line 1: .*want {"sallyport":{"format":1}}`, []string{`{"sallyport":{"format":"1"}}`}},
		{`line 1: .*want {"sallyport":{"format":1}}`, []string{`{"sallyport":[1]}`}},
		{`line 1: .*it begins with "0000000000000000000000000000000000000000": want`, []string{strings.Repeat("0", 1<<20)}},
		{`line 2: .*unknown name "sallyport", perhaps of a later version: want one of "organization", "key", "usage"`, []string{header, header}},
		{`line 2: .*an array: want an object with "organization", "key", "usage"`, []string{header, `[]`}},
		{`line 2: .*want an organization, or a key with its`, []string{header, `{}`}},
		{`line 2: .*unknown name "Organization": want "organization"`, []string{header, strings.Replace(organization, "organization", "Organization", 1)}},
		{`line 2: .*"organization": policy: an organization in JSON: unknown name "ID": want "id"`, []string{header, strings.Replace(organization, "id", "ID", 1)}},
		{`line 2: .*"requirement" occurs twice: want it once`, []string{header, strings.Replace(organization, `"revision"`, `"requirement":"not_required","revision"`, 1)}},
		{`line 2: .*"revision" is null`, []string{header, strings.Replace(organization, `1}`, `null}`, 1)}},
		{`line 2: .*"organization" is null`, []string{header, `{"organization":null}`}},
		{`line 2: .*"organization": policy: an organization in JSON: "requirement" is missing: want a value`, []string{header, `{"organization":{"id":"acme"}}`}},
		{`line 2: .*"organization": policy: an organization in JSON: apikey: the orga`, []string{header, `{"organization":{"id":"","requirement":"required"}}`}},
		{`line 2: .*not valid UTF-8: want JSON in UTF-8`, []string{header, strings.Replace(organization, "acme", "\xff", 1)}},
		{`line 2: .*invalid character '{' after top-level value`, []string{header, organization + organization}},
		{`line 2: .*key "a" of organization "acme" after another organization`, []string{header, key}},
		{`line 3: .*want an organization, or a key with its usage or without, or the end`, []string{header, organization, `{"key":` + plain + `,"organization":{"id":"b","requirement":"required"}}`}},
		{`line 3: .*want an organization, or a key with `, []string{header, organization, `{"usage":{"entries":[` + used + `]}}`}},
		{`line 3: .*want an organization, or`, []string{header, organization, `{"organization":{"id":"b","requirement":"required"},"usage":{"entries":[` + used + `]}}`}},
		{`line 3: .*unknown name "sallyport", perhaps of a later version: want one of "organization", "key", "usage"`, []string{header, organization, `{"key":` + plain + `,"sallyport":{"format":1}}`}},
		{`line 3: .*organization "acme" after organization "acme": want them in order, each once`, []string{header, organization, organization}},
		{`line 3: .*organization "Acme" after organization "acme"`, []string{header, organization, strings.Replace(organization, "acme", "Acme", 1)}},
		{`line 4: .*key "a" after key "a" of organization "acme": want them in order, each once`, []string{header, organization, key, key}},
		{`line 4: .*key "A" after key "a" of organization "acme"`, []string{header, organization, key, strings.Replace(key, `"a"`, `"A"`, 1)}},
		{`line 5: .*key "a" of organization "b" is of another organization as well`, []string{header, organization, key, strings.Replace(organization, "acme", "b", 1), strings.Replace(key, "acme", "b", 1)}},
		{`line 3: .*"key": apikey: stored key: "secrets" is missing`, []string{header, organization, `{"key":{"id":"a","organization":"acme","disabled":false,"accessList":[]}}`}},
		{`line 3: .*"key": apikey: stored key: "accessList" is null`, []string{header, organization, `{"key":{"id":"a","organization":"acme","disabled":false,"accessList":null,"secrets":[]}}`}},
		{`line 3: .*"key" occurs twice: want it once`, []string{header, organization, `{"key":` + plain + `,"key":` + plain + `}`}},
		{`line 3: .*unknown name "end", perhaps of a later version: want one of "organization", "key", "usage"`, []string{header, organization, ` {"end":{}}`}},
		{`line 3: .*the usage of key "a" of organization "acme": want used entries and secrets of the key only, in its order, each once`, []string{header, organization, withUsage(`{}`)}},
		{`line 3: .*the usage of key "a" of organization "acme": want used entries and secrets of the key only, in its order, each once`, []string{header, organization, withUsage(`{"entries":[` + used + `,` + used + `]}`)}},
		{`line 3: .*the usage of key "a" of organization "acme": want used entries and secrets of the key only, in its order, each once`, []string{header, organization, withUsage(`{"entries":[{"entry":"192.0.2.1/32","count":1},` + used + `]}`)}},
		{`line 3: .*the usage of key "a" of organization "acme": want used entries and secrets of the key only, in its order, each once`, []string{header, organization, withUsage(`{"entries":[{"entry":"10.1.0.0/16","count":1}]}`)}},
		{`line 3: .*the usage of key "a" of organization "acme": want used entries and secrets of the key only, in its order, each once`, []string{header, organization, withUsage(`{"secrets":[{"secret":"5ec2e700","count":1}]}`)}},
		{`line 3: .*the usage of key "a" of organization "acme": want used entries and secrets of the key only, in its order, each once`, []string{header, organization, withUsage(`{"entries":[{"entry":"10.0.0.0/8","secret":"ca978112","count":1}]}`)}},
		{`line 3: .*the usage of key "a" of organization "acme": want used entries and secrets of the key only, in its order, each once`, []string{header, organization, withUsage(`{"secrets":[{"entry":"10.0.0.0/8","secret":"ca978112","count":1}]}`)}},
		{`line 3: .*the usage of key "a" of organization "acme": want used entries and secrets of the key only, in its order, each once`, []string{header, organization, withUsage(`{"entries":[{"entry":"10.0.0.0/8","count":0}]}`)}},
		{`line 3: .*the usage of key "a" of organization "acme": want used entries and secrets of the key only, in its order, each once`, []string{header, organization, withUsage(`{"entries":[{"entry":"10.0.0.1/8","count":1}]}`)}},
		{`line 3: .*"usage": "entries": an object: want an array`, []string{header, organization, withUsage(`{"entries":{}}`)}},
		{`line 3: .*"usage": "entries": number 1: "count": the number -1: want a whole number`, []string{header, organization, withUsage(`{"entries":[{"entry":"10.0.0.0/8","count":-1}]}`)}},
		{`line 3: .*"usage": "secrets": number 1: "count" is missing: want a value`, []string{header, organization, withUsage(`{"secrets":[{"secret":"ca978112"}]}`)}},
		{`line 3: .*"usage": "entries": number 2: "lastAddress": ParseAddr`, []string{header, organization, withUsage(`{"entries":[` + used + `,{"lastAddress":"x"}]}`)}},
		{`line 3: .*"usage": "secrets": number 1: unknown name "Count": want "count"`, []string{header, organization, withUsage(`{"secrets":[{"secret":"ca978112","Count":1}]}`)}},
		{`line 3: .*want used entries and secrets of the key only, in its order, each once, and addresses and reasons in ascending order`, []string{header, organization, withUsage(`{"addresses":[{"address":"::2","count":1},{"address":"::1","count":1}]}`)}},
		{`line 3: .*and addresses and reasons in ascending order`, []string{header, organization, withUsage(`{"denials":[{"reason":"key_expired","count":1},{"reason":"key_expired","count":1}]}`)}},
		{`line 3: .*and addresses and reasons in ascending order`, []string{header, organization, withUsage(`{"dropped":{"address":"::1","count":1}}`)}},
		{`line 3: .*denials by wrong_secret: want a reason after the proof`, []string{header, organization, withUsage(`{"denials":[{"reason":"wrong_secret","count":1}]}`)}},
		{`line 3: .*calls from the zero address`, []string{header, organization, withUsage(`{"addresses":[{"count":1}]}`)}},
		{`line 3: .*"usage": "entries": number 1: a string: want an object with "entry", "secret", "address", "reason", "count", "first", "last", "lastAddress"`, []string{header, organization, withUsage(`{"entries":["10.0.0.0/8"]}`)}},
		{`line 3: .*"usage": unknown name "key", perhaps of a later version: want one of "entries", "secrets"`, []string{header, organization, withUsage(`{"key":"a"}`)}},
		{`line 3: .*"usage": "secrets": number 1: "last": the number 1: want a string`, []string{header, organization, withUsage(`{"secrets":[{"secret":"ca978112","count":1,"last":1}]}`)}},
	} {
		file := sealed(test.lines...)
		requireRefused(t, file, "%q", test.lines)
		_, err := transfer.Verify(t.Context(), memory.New(), strings.NewReader(file))
		requireTold(t, err, "store/transfer: verify: "+test.want)
	}
	for want, file := range map[string]string{
		"the file was cut short: want its last line":                    header + "\n",
		"line 1: .*the file was cut short":                              "",
		"line 3: .*bytes after the last line: want the end of the file": sealed(header) + "x",
		`the last line is .*; for what comes before it want .*`:         strings.Replace(sealed(header), `"keys":0`, `"keys":1`, 1),
		`the last line is .*\"keys\":0 ,.*; for what comes before it want {"end":{"organizations":0,"keys":0,"usage":0,"sha256":"`: strings.Replace(sealed(header), `"keys":0`, `"keys":0 `, 1),
	} {
		requireRefused(t, file, "%q", file)
		_, err := importInto(memory.New(), file)
		requireTold(t, err, want)
	}
}

// What is read from a file, whatever it may hold, is either refused, and then nothing is
// written, or is in the store afterwards and can be exported again to the same content.
// The last line is made to fit, since nothing would get by it otherwise.
func FuzzImport(f *testing.F) {
	f.Add(small(f))
	f.Add(strings.TrimSuffix(must2(os.ReadFile(filepath.Join("testdata", "format1.jsonl"))), "\n"))
	f.Add(`{"sallyport":{"format":1}}`)
	f.Add(`{"sallyport":{"format":1}}` + "\n" + `{"organization":{"id":"a","requirement":"required"}}` + "\n" +
		`{"key":{"id":"a","organization":"a","disabled":false,"accessList":[{"address":"::/0"}],"secrets":[{"sum":"` + strings.Repeat("0a", 32) + `"}]},"usage":{"entries":[{"entry":"::/0","count":1}]}}`)
	f.Fuzz(func(t *testing.T, text string) {
		lines := strings.Split(text, "\n")
		if strings.HasPrefix(lines[len(lines)-1], `{"end"`) {
			lines = lines[:len(lines)-1]
		}
		for _, file := range []string{text, sealed(lines...)} {
			to := memory.New()
			result, err := importInto(to, file)
			if err != nil {
				if !errors.Is(err, transfer.ErrDamaged) {
					t.Fatalf("the error is %v; want ErrDamaged", err)
				}
				if at, _ := to.Position(t.Context()); at.Revision != 0 {
					t.Fatal("a file that was refused was written")
				}
				continue
			}
			if result.File != result.Written {
				t.Fatalf("of %+v there were %+v written to an empty store", result.File, result.Written)
			}
			again := memory.New()
			if _, err := importInto(again, export(t, to)); err != nil {
				t.Fatalf("what was imported and exported cannot be imported: %v", err)
			}
			if _, err := transfer.Verify(t.Context(), again, strings.NewReader(file)); err != nil {
				t.Fatalf("the copy of the copy is another: %v", err)
			}
		}
	})
}

func must2(text []byte, err error) string { return string(must(text, err)) }
