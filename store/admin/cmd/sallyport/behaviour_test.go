package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/memory"
)

// do runs a command of a script's session with these streams.
func (s *script) do(stdin io.Reader, stdout, stderr io.Writer, args ...string) int {
	return run(s.t.Context(), args, stdin, stdout, stderr, s.environment())
}

// A broken takes some bytes, and then fails.
type broken struct {
	left int
	err  error
}

func (b *broken) Write(data []byte) (int, error) {
	if len(data) > b.left {
		return 0, b.err
	}
	b.left -= len(data)
	return len(data), nil
}

// Output that cannot be written is no yes, whatever the answer was.
func TestOutputThatCannotBeWritten(t *testing.T) {
	s := newScript(t)
	decide := []string{"decide", "report", "--from", "203.0.113.9", "--org", "acme"}
	var stderr bytes.Buffer
	require.Equal(t, yes, s.do(strings.NewReader(""), io.Discard, &stderr, decide...))
	require.Empty(t, stderr.String())

	require.Equal(t, unknown, s.do(strings.NewReader(""), &broken{0, syscall.ENOSPC}, &stderr, decide...))
	require.Equal(t, "sallyport: no space left on device\n", stderr.String())

	// A reader who went away gets no message.
	stderr.Reset()
	require.Equal(t, unknown, s.do(strings.NewReader(""), &broken{0, syscall.EPIPE}, &stderr, decide...))
	require.Empty(t, stderr.String())

	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip("this needs /dev/full, as on Linux")
	}
	defer func() { require.NoError(t, full.Close()) }()
	require.Equal(t, unknown, s.do(strings.NewReader(""), full, &stderr, "keys", "list", "-o", "json"))
	require.Contains(t, stderr.String(), "no space left on device")
	require.Equal(t, unknown, s.do(strings.NewReader(""), io.Discard, full, "org", "resume", "acme", "--yes")) // its error is lost
}

// A secret that could not be written is lost: the error names its key.
func TestLostSecret(t *testing.T) {
	s := newScript(t)
	var stderr bytes.Buffer
	create := []string{"keys", "create", "--org", "acme", "--id", "lost", "--role", "reader", "--from", "203.0.113.7", "--yes"}
	require.Equal(t, unknown, s.do(strings.NewReader(""), &broken{0, syscall.ENOSPC}, &stderr, create...))
	require.Regexp(t, `The new secret [0-9a-f]{8} of key lost is stored, but could not be written and is lost: rotate or delete the key.`, stderr.String())
	require.Contains(t, stderr.String(), "sallyport: the secret could not be written: no space left on device")
	_, err := s.store.Key(t.Context(), "lost")
	require.NoError(t, err)
}

// A secret is alone on standard output, or in a file for its owner alone, and the file is
// gone if no secret was made.
func TestSecrets(t *testing.T) {
	s := newScript(t)
	var stdout, stderr bytes.Buffer
	create := func(id string, more ...string) int {
		stdout.Reset()
		stderr.Reset()
		return s.do(strings.NewReader(""), &stdout, &stderr, append([]string{"keys", "create", "--org", "acme", "--id", id, "--role", "reader", "--from", "203.0.113.7", "--yes"}, more...)...)
	}
	require.Equal(t, yes, create("a"))
	id, _, err := apikey.Parse(strings.TrimSuffix(stdout.String(), "\n"))
	require.NoError(t, err)
	require.Equal(t, apikey.ID("a"), id)
	secret := stdout.String()

	// It proves its key, and no other.
	decide := []string{"--from", "203.0.113.7", "--org", "acme", "--secret-file", "-", "-o", "name"}
	stdout.Reset()
	require.Equal(t, yes, s.do(strings.NewReader(secret), &stdout, &stderr, append([]string{"decide", "a"}, decide...)...))
	require.Equal(t, unknown, s.do(strings.NewReader(secret), &stdout, &stderr, append([]string{"decide", "owner"}, decide...)...))
	require.Equal(t, no, s.do(strings.NewReader("sp_nonsense"), &stdout, &stderr, append([]string{"decide", "a"}, decide...)...))
	require.Equal(t, "address_listed\nwrong_secret\n", stdout.String())

	path := filepath.Join(s.dir, "secret")
	require.Equal(t, yes, create("b", "--secret-file", path, "-o", "name"))
	require.Equal(t, "b\n", stdout.String())
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode())
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	_, _, err = apikey.Parse(strings.TrimSpace(string(text)))
	require.NoError(t, err)
	require.NotContains(t, stdout.String()+stderr.String(), strings.TrimSpace(string(text)))

	other := filepath.Join(s.dir, "other")
	require.Equal(t, unknown, create("b", "--secret-file", other)) // the ID is taken
	require.NoFileExists(t, other)
	require.Equal(t, unknown, create("c", "--secret-file", filepath.Join(s.dir, "none", "secret")))
	_, err = s.store.Key(t.Context(), "c")
	require.ErrorIs(t, err, store.ErrNotFound, "a key was made whose secret has no place")

	// With another prefix of the service.
	require.Equal(t, yes, create("d", "--prefix", "gate"))
	require.True(t, strings.HasPrefix(stdout.String(), "gate_d_"), stdout.String())
	s.env["SALLYPORT_PREFIX"] = "door"
	require.Equal(t, yes, create("e"))
	require.True(t, strings.HasPrefix(stdout.String(), "door_e_"), stdout.String())
}

// A service with a server key takes no secret that is hashed without it, so the command makes
// none.
func TestServerKeys(t *testing.T) {
	s := newScript(t)
	path := filepath.Join(s.dir, "key")
	require.NoError(t, os.WriteFile(path, bytes.Repeat([]byte{7}, 32), 0o600))
	var stdout, stderr bytes.Buffer
	create := func(id string, more ...string) int {
		stderr.Reset()
		return s.do(strings.NewReader(""), &stdout, &stderr, append([]string{"keys", "create", "--org", "globex", "--id", id, "--role", "reader", "--from", "203.0.113.7", "--yes"}, more...)...)
	}
	require.Equal(t, yes, create("a", "--server-key", "k1="+path, "--digest-realm", "gate"))
	key, err := s.store.Key(t.Context(), "a")
	require.NoError(t, err)
	require.Equal(t, "k1", key.Secrets[0].ServerKey)
	require.Equal(t, "gate", key.Secrets[0].Digest.Realm())

	require.Equal(t, unknown, create("b"))
	require.Contains(t, stderr.String(), `is hashed under the server key "k1": want --server-key k1=FILE`)
	require.Equal(t, unknown, create("b", "--server-key", "k1=none"))
	require.Equal(t, unknown, create("b", "--server-key", "k 1="+path))
	rotate := []string{"keys", "rotate", "a", "--overlap", "0s", "--yes"}
	require.Equal(t, unknown, s.do(strings.NewReader(""), &stdout, &stderr, rotate...))
	s.env["SALLYPORT_SERVER_KEY"] = "k1=" + path
	require.Equal(t, yes, s.do(strings.NewReader(""), &stdout, &stderr, rotate...))
	key, err = s.store.Key(t.Context(), "a")
	require.NoError(t, err)
	require.Equal(t, "k1", key.Secrets[0].ServerKey)
	require.Equal(t, "gate", key.Secrets[0].Digest.Realm(), "the Digest credentials were lost by the rotation")
}

// A hostile has texts in its records that no command writes.
type hostile struct{ *memory.Store }

const attack = "\x1b[2J\x9b31m\u202eevil\u200b\nkey\trow\U000e0041"

func (h hostile) Key(ctx context.Context, id apikey.ID) (apikey.Key, error) {
	key, err := h.Store.Key(ctx, id)
	key.Description = attack
	return key, err
}

func (h hostile) Keys(ctx context.Context, organization string, request store.PageRequest) (store.Page[apikey.Key], error) {
	page, err := h.Store.Keys(ctx, organization, request)
	for i := range page.Items {
		page.Items[i].Description = attack
	}
	return page, err
}

// Nothing from a record reaches a terminal as a command, in any format.
func TestHostileText(t *testing.T) {
	s := newScript(t)
	s.store = hostile{s.store.(*memory.Store)}
	s.width, s.env["NO_COLOR"] = 500, "1"
	for _, command := range [][]string{{"keys", "list"}, {"keys", "show", "report"}, {"keys", "disable", "report", "--preview"}, {"keys", "show", attack}, {attack}, {"keys", "list", "-o", attack}} {
		for _, format := range []string{"table", "json", "jsonl"} {
			var stdout, stderr bytes.Buffer
			s.do(strings.NewReader(""), &stdout, &stderr, append(command, "-o", format)...)
			printed := stdout.String() + stderr.String()
			require.NotEmpty(t, printed)
			for _, r := range printed {
				require.False(t, isUnseen(r), "%q in %q", r, printed)
			}
			if format == "table" && len(command) == 2 {
				require.Equal(t, 5, strings.Count(stdout.String(), "\n"), "a description made a row")
			}
		}
	}
}

// An interrupted question is not answered with yes.
func TestInterruptedQuestion(t *testing.T) {
	s := newScript(t)
	s.width = 80
	stdin, typing := io.Pipe()
	defer func() { require.NoError(t, typing.Close()) }()
	ctx, cancel := context.WithCancel(t.Context())
	asked := &watched{on: "name, opens:", then: cancel}
	require.Equal(t, unknown, run(ctx, []string{"org", "suspend", "acme"}, stdin, io.Discard, asked, s.environment()))
	require.Contains(t, asked.String(), "nothing was changed")
	o, err := s.store.Organization(t.Context(), "acme")
	require.NoError(t, err)
	require.True(t, o.SuspendedUntil.IsZero())
}

// A watched keeps what is written, and calls a function as soon as that has a text.
type watched struct {
	mu   sync.Mutex
	b    bytes.Buffer
	on   string
	then func()
}

func (w *watched) Write(data []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	n, err := w.b.Write(data)
	if w.then != nil && strings.Contains(w.b.String(), w.on) {
		w.then()
		w.then = nil
	}
	return n, err
}

func (w *watched) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.b.String()
}

// Following prints events as they happen, and says where to go on.
func TestFollow(t *testing.T) {
	for _, format := range []string{"table", "json", "name"} {
		s := newScript(t)
		ctx, cancel := context.WithCancel(t.Context())
		var stderr bytes.Buffer
		want := map[string]string{"table": "key.disabled of key report", "json": `"type":"key.disabled"`, "name": "000000000000000800000000"}[format]
		printed := &watched{on: want, then: cancel}
		done := make(chan int)
		go func() {
			done <- run(ctx, []string{"events", "follow", "--after", "6", "-o", format}, strings.NewReader(""), printed, &stderr, s.environment())
		}()
		other := newScript(t)
		other.store = s.store
		require.Equal(t, yes, other.do(strings.NewReader(""), io.Discard, io.Discard, "keys", "disable", "report", "--yes"))
		require.Equal(t, yes, <-done)
		require.Contains(t, printed.String(), want)
		require.Regexp(t, `^Go on with: --after [678]@[A-Z2-7]{26}\n$`, stderr.String())
	}
}

// Every altered, moved, missing or added line breaks the chain.
func TestBrokenChains(t *testing.T) {
	s := newScript(t)
	var sound bytes.Buffer
	require.Equal(t, yes, s.do(strings.NewReader(""), &sound, io.Discard, "events", "export"))
	lines := strings.SplitAfter(strings.TrimSuffix(sound.String(), "\n"), "\n")
	lines[len(lines)-1] += "\n"
	verify := func(text string) int {
		return s.do(strings.NewReader(text), io.Discard, io.Discard, "events", "verify", "-f", "-")
	}
	require.Equal(t, yes, verify(sound.String()))
	for i := range lines {
		for name, other := range map[string][]string{
			"without": append(append([]string{}, lines[:i]...), lines[i+1:]...),
			"twice":   append(append([]string{}, lines[:i+1]...), lines[i:]...),
			"altered": append(append(append([]string{}, lines[:i]...), strings.Replace(lines[i], "2031", "2032", 1)+" "), lines[i+1:]...),
			"cut":     lines[:i],
			"long":    append(append(append([]string{}, lines[:i]...), strings.Repeat("a", maxChainLine)+"\n"), lines[i:]...),
		} {
			require.Equal(t, no, verify(strings.Join(other, "")), "line %d %s", i+1, name)
		}
	}
	require.Equal(t, no, verify(strings.TrimSuffix(sound.String(), "\n")))
}

// A failed export leaves no file behind.
func TestFailedExport(t *testing.T) {
	s := newScript(t)
	path := filepath.Join(s.dir, "all")
	require.NoError(t, s.store.Close())
	require.Equal(t, unknown, s.do(strings.NewReader(""), io.Discard, io.Discard, "export", "-f", path))
	require.NoFileExists(t, path)
}

// No command's text has the password of the store's address, and none is taken as an argument
// of the URL.
func TestPasswords(t *testing.T) {
	env := ofProcess()
	const address = "postgres://app:hunter2@127.0.0.1:1/gate"
	env.getenv = func(name string) string { return map[string]string{"SALLYPORT_STORE": address}[name] }
	env.terminal = func(any) (int, bool) { return 80, true }
	for _, args := range [][]string{{"--help"}, {"org", "--help"}, {"org", "list"}, {"migrate"}, {"migrate", "--preview"}, {"org", "list", "--store", "postgres://app:hunter2@%zz/"},
		{"org", "list", "--store", "postgres://127.0.0.1:1/gate?password=hunter2"}, {"org", "list", "--store", "etcd://app:hunter2@h1/p"}, {"org", "list", "--store", "mysql://hunter2"}} {
		var stdout, stderr bytes.Buffer
		run(t.Context(), args, strings.NewReader(""), &stdout, &stderr, env)
		require.NotContains(t, stdout.String()+stderr.String(), "hunter2", "%q", args)
		require.NotEmpty(t, stdout.String()+stderr.String())
	}
}

// Calls of a long file are decided in parts, and each has its line.
func TestManyCalls(t *testing.T) {
	s := newScript(t)
	const n = 2*maxCalls + 500
	allowed := strings.Repeat(`{"key":"report","from":"203.0.113.9","organization":"acme"}`+"\n", n-1)
	denied := `{"key":"report","from":"192.0.2.99","organization":"acme"}`
	var stdout bytes.Buffer
	require.Equal(t, no, s.do(strings.NewReader(allowed+denied), &stdout, io.Discard, "decide", "-f", "-", "-o", "jsonl"))
	lines := strings.Split(strings.TrimSuffix(stdout.String(), "\n"), "\n")
	require.Len(t, lines, n)
	for i, line := range lines {
		require.True(t, strings.HasPrefix(line, fmt.Sprintf(`{"line":%d,`, i+1)), line)
		require.Equal(t, i < n-1, strings.Contains(line, `"allowed":true`), line)
	}
	require.Equal(t, unknown, s.do(strings.NewReader(strings.Repeat(" ", maxCall+1)), io.Discard, io.Discard, "decide", "-f", "-"))
}

// A shell reads a quoted word back.
func TestQuoted(t *testing.T) {
	for _, word := range []string{"acme", "", "it's", "-rf", "a b", "$(id)", "`id`", "a;b", "*", "\\", `"`, "ünï", "!!", "~", "a=b"} {
		out, err := exec.CommandContext(t.Context(), "sh", "-c", "printf %s "+quoted(word)).Output()
		require.NoError(t, err)
		require.Equal(t, word, string(out))
	}
	require.Equal(t, "acme", quoted("acme"))
}

// What takes long shows how far it is, on a terminal only, and leaves nothing of it there.
func TestProgress(t *testing.T) {
	s := newScript(t)
	for range 25_000 {
		key, _, err := apikey.New("globex")
		require.NoError(t, err)
		_, err = s.store.PutKey(t.Context(), key, store.AllowOpen)
		require.NoError(t, err)
	}
	path := filepath.Join(s.dir, "all")
	var quiet, shown bytes.Buffer
	require.Equal(t, yes, s.do(strings.NewReader(""), io.Discard, &quiet, "export", "-f", path))
	require.NotContains(t, quiet.String(), "\r")
	s.width = 80
	require.Equal(t, yes, s.do(strings.NewReader(""), io.Discard, &shown, "export", "-f", path+"2"))
	require.Regexp(t, `^\r1\d{4} records\r2\d{4} records\r\x1b\[K2 organizations, 25004 keys, 2 of them with usage\n$`, shown.String())
	shown.Reset()
	require.Equal(t, yes, s.do(strings.NewReader(""), io.Discard, &shown, "import", "--yes", "-f", path))
	require.Equal(t, yes, s.do(strings.NewReader(""), io.Discard, &shown, "verify", "-f", path))
	require.Contains(t, shown.String(), " records\r\x1b[K")
}
