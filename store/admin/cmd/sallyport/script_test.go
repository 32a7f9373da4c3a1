package main

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/store"
)

var update = flag.Bool("update", false, "write what the commands print into testdata")

// The scripts in testdata are commands with what they print. A line is
//
//	$ a command      in quotes like a shell's; $TOKEN, $SECRET, $ID, $HEAD and $HISTORY are the last ones printed
//	< a line         of its standard input
//	@ 1h             the clock goes on
//	! term 80        the streams are terminals of this width; 0: they are none
//	! NAME=value     the environment
//
// and all others are golden: standard output, standard error after 2>, the exit status after ?.
// Output that begins like one of these has a \ before it.
func TestScripts(t *testing.T) {
	paths, err := filepath.Glob("testdata/*.script")
	require.NoError(t, err)
	require.Greater(t, len(paths), 3)
	for _, path := range paths {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".script"), func(t *testing.T) {
			t.Parallel()
			golden, err := os.ReadFile(path)
			require.NoError(t, err)
			got := newScript(t).play(string(golden))
			if *update {
				require.NoError(t, os.WriteFile(path, []byte(got), 0o644))
			}
			require.Equal(t, string(golden), got)
		})
	}
}

// A script is the state of a played one.
type script struct {
	t                *testing.T
	store            store.Store
	now              time.Time
	width            int
	env              map[string]string
	token, secret    string
	id               string
	head, history    string
	dir              string
	stdout, stderr   bytes.Buffer
	opened, migrated int
	via              func(command, stdin string) string // runs a command; run unless set
}

func newScript(t *testing.T) *script {
	s := &script{t: t, now: began, env: map[string]string{"SALLYPORT_STORE": "memory:test"}, dir: t.TempDir()}
	s.store, s.via = aStore(t), s.run
	return s
}

func (s *script) environment() environment {
	return environment{
		getenv:   func(name string) string { return s.env[name] },
		now:      func() time.Time { return s.now },
		user:     "olga",
		terminal: func(any) (int, bool) { return s.width, s.width > 0 },
		open: func(_ context.Context, address string, _ func(string) string, migrate bool) (opened, error) {
			if address != "memory:test" {
				return opened{}, fmt.Errorf("there is no store %q", address)
			}
			s.opened++
			if migrate {
				s.migrated++
			}
			return opened{s.store, address, func() error { s.opened--; return nil }}, nil
		},
	}
}

// play runs a script and returns it with what was printed.
func (s *script) play(text string) string {
	var b strings.Builder
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	for i := 0; i < len(lines); i++ {
		word, rest, _ := strings.Cut(lines[i], " ")
		switch word {
		case "@":
			d, err := time.ParseDuration(rest)
			require.NoError(s.t, err)
			s.now = s.now.Add(d)
		case "!":
			if name, value, isEnv := strings.Cut(rest, "="); isEnv {
				s.env[name] = value
				break
			}
			width, err := strconv.Atoi(strings.TrimPrefix(rest, "term "))
			require.NoError(s.t, err)
			s.width = width
		case "$":
			b.WriteString("\n" + lines[i] + "\n")
			stdin := ""
			for i+1 < len(lines) && strings.HasPrefix(lines[i+1], "< ") {
				i++
				b.WriteString(lines[i] + "\n")
				stdin += lines[i][2:] + "\n"
			}
			b.WriteString(s.via(rest, stdin))
			continue
		case "#":
		default:
			continue // golden
		}
		b.WriteString("\n" + lines[i] + "\n")
	}
	return strings.TrimPrefix(b.String(), "\n")
}

func (s *script) run(command, stdin string) string {
	s.stdout.Reset()
	s.stderr.Reset()
	args := s.words(command)
	require.Equal(s.t, "sallyport", args[0])
	status := run(s.t.Context(), args[1:], strings.NewReader(stdin), &s.stdout, &s.stderr, s.environment())
	require.Zero(s.t, s.opened, "the store is still open")
	out := marks.ReplaceAllString(s.stable(s.stdout.String()), `\$0`)
	for line := range strings.Lines(s.stable(s.stderr.String())) {
		out += "2> " + strings.TrimSuffix(line, "\n") + "\n"
	}
	return out + "? " + strconv.Itoa(status) + "\n"
}

var (
	marks       = regexp.MustCompile(`(?m)^[$<@!#] `)
	secretForm  = regexp.MustCompile(`\b[a-z]+_[A-Za-z0-9._-]+_[0-9A-Za-z]{30,}`)
	idForm      = regexp.MustCompile(`\b[0-9a-f]{8}\b`)
	keyForm     = regexp.MustCompile(`\b[a-z2-7]{20}\b`)
	hashForm    = regexp.MustCompile(`\b[0-9a-f]{64}\b`)
	historyForm = regexp.MustCompile(`\b[A-Z2-7]{26}\b`)
	tokenForm   = regexp.MustCompile(`\b[0-9a-f]{32}\b`)
)

// stable replaces what is random, and keeps it for the next commands.
func (s *script) stable(text string) string {
	keep := func(form *regexp.Regexp, name string, into *string) {
		text = form.ReplaceAllStringFunc(text, func(found string) string { *into = found; return name })
	}
	keep(hashForm, "HASH", &s.head)
	keep(historyForm, "HISTORY", &s.history)
	keep(secretForm, "SECRET", &s.secret)
	keep(tokenForm, "TOKEN", &s.token)
	keep(idForm, "ID", &s.id)
	var key string
	keep(keyForm, "KEY", &key)
	text = strings.ReplaceAll(text, s.dir, "DIR")
	return strings.ReplaceAll(text, "\x1b", "␛")
}

// words splits a command like a shell.
func (s *script) words(command string) (words []string) {
	command = strings.NewReplacer("$TOKEN", s.token, "$SECRET", s.secret, "$ID", s.id, "$HEAD", s.head, "$HISTORY", s.history, "DIR/", s.dir+"/").Replace(command)
	var word strings.Builder
	quoted, begun := false, false
	for _, r := range command {
		switch {
		case r == '\'':
			quoted, begun = !quoted, true
		case r == ' ' && !quoted:
			if begun {
				words = append(words, word.String())
			}
			word.Reset()
			begun = false
		default:
			word.WriteRune(r)
			begun = true
		}
	}
	return append(words, word.String())
}
