package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"os/user"
	"strings"
	"syscall"
	"time"

	"golang.org/x/term"

	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/admin"
)

// The exit statuses.
const (
	yes     = 0
	no      = 1
	unknown = 2
	changed = 3
)

func main() {
	signal.Ignore(syscall.SIGPIPE) // a lost secret must be reported: see secretSink
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	os.Exit(run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr, ofProcess()))
}

// An environment is what a run has besides its arguments and streams.
type environment struct {
	getenv   func(name string) string
	now      func() time.Time
	user     string                                    // of the operating system, for the events
	terminal func(stream any) (width int, isTerm bool) // whether a stream is a terminal
	open     opener
}

// ofProcess returns the environment of this process.
func ofProcess() environment {
	name := "unknown"
	if u, err := user.Current(); err == nil {
		name = u.Username
	}
	if before := os.Getenv("SUDO_USER"); before != "" && before != name {
		name = before + " as " + name
	}
	return environment{getenv: os.Getenv, now: time.Now, user: name, terminal: terminal, open: openStore}
}

// terminal reports whether a stream is a terminal, and its width in columns, 0 if unknown.
func terminal(stream any) (width int, isTerm bool) {
	file, ok := stream.(*os.File)
	if !ok || !term.IsTerminal(int(file.Fd())) {
		return 0, false
	}
	width, _, _ = term.GetSize(int(file.Fd()))
	return width, true
}

// run is the command: it returns its exit status.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer, env environment) int {
	s := newSession(stdin, stdout, stderr, env)
	root := s.root()
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	command, err := root.ExecuteContextC(ctx)
	closed, printed := s.close(), s.out.flush()
	if printed != nil && s.made && err == nil {
		printed = fmt.Errorf("the change was made, but could not be shown: %w", printed)
	}
	for _, failed := range []error{closed, printed} {
		if failed != nil {
			err = errors.Join(err, failed)
		}
	}
	status, text := outcome(err)
	if _, ok := errors.AsType[usageError](err); ok || status == unknown && !s.started {
		text += "\nSee '" + command.CommandPath() + " --help'."
	}
	if text != "" && (s.made || !errors.Is(err, syscall.EPIPE)) {
		s.err.failure("sallyport: ", text)
	}
	if s.err.flush() != nil {
		return max(status, unknown)
	}
	return status
}

// errNo is the answer no, which the output has told already.
var errNo = errors.New("no")

// A noError is the answer no, with its reason.
type noError struct{ error }

func (e noError) Unwrap() error { return e.error }

// A usageError is a wrong use of the command.
type usageError struct{ error }

// outcome returns the exit status of an error, and its text.
func outcome(err error) (status int, text string) {
	if err == nil {
		return yes, ""
	}
	if err == errNo {
		return no, ""
	}
	text = strings.TrimPrefix(err.Error(), "sallyport: ")
	refusal, ok := errors.AsType[*admin.Error](err)
	if a, ok := errors.AsType[answered](err); ok {
		return a.exit, strings.Replace(text, refusal.Error(), message(refusal), 1)
	}
	if _, isNo := errors.AsType[noError](err); isNo {
		return no, text
	}
	if !ok {
		return unknown, text
	}
	text = strings.Replace(text, refusal.Error(), message(refusal), 1)
	switch {
	case refusal.Class == admin.Refused:
		return no, text
	case refusal.Class == admin.Changed, isStale(refusal):
		return changed, text
	}
	return unknown, text
}

// message returns an error for an operator, with a cause that says more.
func message(e *admin.Error) string {
	if e.Cause == nil {
		return e.Message
	}
	cause := e.Cause.Error()
	if _, text, ok := strings.Cut(cause, ": "); ok && strings.Contains(e.Message, text) {
		return e.Message
	}
	return e.Message + " (" + cause + ")"
}

// isStale reports whether an error says that the records were changed meanwhile.
func isStale(e *admin.Error) bool {
	return e.Class == admin.Conflict && (e.Preview != nil || errors.Is(e.Cause, store.ErrConflict))
}
