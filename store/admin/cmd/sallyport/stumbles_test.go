package main

import (
	"bytes"
	"io"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/store/memory"
)

// A change whose output is lost was made all the same, and the error says so.
func TestMadeAndNotShown(t *testing.T) {
	for _, failure := range []error{syscall.ENOSPC, syscall.EPIPE} {
		s := newScript(t)
		var stderr bytes.Buffer
		require.Equal(t, unknown, s.do(strings.NewReader(""), &broken{0, failure}, &stderr, "keys", "disable", "report", "--yes"))
		require.Equal(t, "Done: key.disabled of key report at revision 8.\nsallyport: the change was made, but could not be shown: "+failure.Error()+"\n", stderr.String())
		key, err := s.store.Key(t.Context(), "report")
		require.NoError(t, err)
		require.True(t, key.Disabled)

		// A preview made nothing.
		stderr.Reset()
		require.Equal(t, unknown, s.do(strings.NewReader(""), &broken{0, failure}, &stderr, "keys", "delete", "report", "--preview"))
		require.NotContains(t, stderr.String(), "was made")
	}
}

// Without any evidence of use a preview and a question say first what would be refused, and a
// preview is no yes.
func TestNothingWasObserved(t *testing.T) {
	s := newScript(t)
	s.store = memory.New()
	require.Equal(t, `
$ sallyport org create acme --require not-required --yes -o name
acme
2> Done: organization.created of organization acme at revision 1.
? 0

$ sallyport keys create --org acme --id listed --role owner --from 203.0.113.7 --yes --secret-file DIR/1 -o name
listed
2> Done: key.created of key listed at revision 2.
2> Done: key.entry_added of key listed 203.0.113.7 at revision 2.
? 0

$ sallyport keys create --org acme --id open --role reader --yes --accept opens --reason trial --secret-file DIR/2 -o name
open
2> Done: key.created of key open at revision 3.
? 0

$ sallyport org require acme required --preview
change  access lists of organization acme: required
effect  nothing was observed: 1 key without a list would be refused from every address
        key open: unknown, open_list then organization_requires_access_list, for calls from every address, for example 192.0.2.1
        usage was never observed, so keys may be in use without being named
token   TOKEN
? 1

$ sallyport keys disable listed --preview
change  organization acme: switch key listed off
effect  nothing was observed: calls of 1 key would be refused
        key listed: unknown, address_listed then key_disabled, for calls from listed addresses, for example 203.0.113.7
        usage was never observed, so keys may be in use without being named
token   TOKEN
? 1

! term 60

$ sallyport org require acme required
< no
2> ␛[1mstore␛[0m   memory:test (SALLYPORT_STORE)
2> ␛[1mas␛[0m      system olga
2> ␛[1mchange␛[0m  access lists of organization acme: required
2> ␛[1meffect␛[0m  nothing was observed: 1 key without a list would be
2>         refused from every address
2>         key open: unknown, open_list then
2>         organization_requires_access_list, for calls from
2>         every address, for example 192.0.2.1
2>         usage was never observed, so keys may be in use
2>         without being named
2> ␛[1mGo ahead? [y/N] ␛[0m␛[1msallyport: ␛[0mnothing was changed: the question was not
2>            answered with yes
? 2

! term 0

$ sallyport org require acme required --yes -o name
acme
2> Mind: nothing was observed: 1 key without a list will be refused from every address.
2> Done: organization.requirement_changed of organization acme at revision 4.
? 0
`, "\n"+s.play(`
$ sallyport org create acme --require not-required --yes -o name
$ sallyport keys create --org acme --id listed --role owner --from 203.0.113.7 --yes --secret-file DIR/1 -o name
$ sallyport keys create --org acme --id open --role reader --yes --accept opens --reason trial --secret-file DIR/2 -o name
$ sallyport org require acme required --preview
$ sallyport keys disable listed --preview
! term 60
$ sallyport org require acme required
< no
! term 0
$ sallyport org require acme required --yes -o name
`))
}

// Usage that cannot be read is another thing than usage that was not observed.
func TestUsageThatCannotBeRead(t *testing.T) {
	s := newScript(t)
	s.store = unobserved{s.store.(*memory.Store)}
	require.Contains(t, s.run("sallyport keys disable owner --preview", ""), "effect  usage could not be read: calls of 1 key would be refused\n")
}

// An import reads its file twice, also from standard input, and leaves nothing behind.
func TestImportFromStandardInput(t *testing.T) {
	s := newScript(t)
	t.Setenv("TMPDIR", t.TempDir())
	var file, stderr bytes.Buffer
	require.Equal(t, yes, s.do(strings.NewReader(""), &file, io.Discard, "export", "-f", "-"))
	exported := file.String()
	to := newScript(t)
	to.store = memory.New()
	require.Equal(t, yes, to.do(strings.NewReader(exported), io.Discard, &stderr, "import", "-f", "-", "--yes"), stderr.String())
	require.Contains(t, stderr.String(), "Written: 2 organizations, 4 keys")
	require.Equal(t, yes, to.do(strings.NewReader(exported), io.Discard, &stderr, "verify", "-f", "-"))

	stderr.Reset()
	require.Equal(t, unknown, to.do(failingReader{}, io.Discard, &stderr, "import", "-f", "-", "--yes"))
	require.Contains(t, stderr.String(), "standard input cannot be kept to be read twice: the line is down")
	t.Setenv("TMPDIR", "/nowhere")
	require.Equal(t, unknown, to.do(strings.NewReader(exported), io.Discard, &stderr, "import", "-f", "-", "--yes"))
	require.Contains(t, stderr.String(), "/nowhere")
}

func TestDidYouMean(t *testing.T) {
	known := []string{"list", "disable", "enable", "organization_lockout"}
	for word, want := range map[string]string{
		"lsit": "list", "lst": "list", "LIST": "list", "list": "", "diable": "disable", "dsiabel": "disable", "org": "organization_lockout", "or": "", "x": "", "": "",
		"enables": "enable", "nothing": "", strings.Repeat("list", 100): "", "ünable": "enable",
	} {
		if want != "" {
			want = ": did you mean " + want + "?"
		}
		require.Equal(t, want, didYouMean(word, known), word)
	}
	require.Equal(t, 0, distance("", ""))
	require.Equal(t, 3, distance("", "abc"))
	require.Equal(t, 1, distance("abc", "acb"))
	require.Equal(t, 3, distance("kitten", "sitting"))
}
