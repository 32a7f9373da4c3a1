// Middleware is a small but real API behind a guard: organizations, projects and their
// backups on http.ServeMux, with roles, and with one endpoint that requires an access
// list by itself.
//
//	go run ./examples/middleware
//
// starts it on a free port of the loopback, sends it some requests as clients do, prints
// the answers and the operator's audit log, and ends. With
//
//	go run ./examples/middleware -listen 127.0.0.1:8080
//
// it stays, prints its keys and some lines to try with curl, and writes the audit log to
// standard error until it is interrupted. It speaks plain HTTP, and Bearer and Basic send
// the secret itself: keep it on the loopback. For a real set-up see examples/service.
//
//   - service.go puts the guard in front of the API: read it first.
//   - backups/backups.go has the endpoints, their conditions on a key, and their Resource.
//   - admin.go has the operators' switch, and why it is not behind the guard.
//   - routers/, a module of its own, has the same guard under other routers.
//   - load/ is a load test.
package main

import (
	"bytes"
	"context"
	"errors"
	"expvar"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"time"

	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/policy/policyhttp"
)

func main() {
	counters := new(policyhttp.Counters)
	expvar.Publish("access", counters)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Stdout, os.Stderr, counters, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "middleware:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, out, errOut io.Writer, counters *policyhttp.Counters, args []string) error {
	flags := flag.NewFlagSet("middleware", flag.ContinueOnError)
	flags.SetOutput(errOut)
	listen := flags.String("listen", "", "stay and serve at this `address`, such as 127.0.0.1:8080")
	if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
		return nil
	} else if err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("unknown argument %q: want none but -listen", flags.Arg(0))
	}
	if *listen != "" {
		return stay(ctx, out, errOut, counters, *listen)
	}
	return showTour(ctx, out, counters)
}

// stay serves until ctx ends.
func stay(ctx context.Context, out, audit io.Writer, counters *policyhttp.Counters, address string) error {
	s, err := newService(ctx, slog.New(slog.NewTextHandler(audit, nil)), counters)
	if err != nil {
		return err
	}
	url, stop, err := serve(s.handler, address)
	if err != nil {
		return err
	}
	if err := printKeys(out, s.credentials); err != nil {
		return errors.Join(err, stop())
	}
	ci, restore := s.credential("ci").secret.Reveal(), url+"/projects/atlas/backups/b1/restore"
	_, err = fmt.Fprintf(out, `
Operator's token, shown once: %[1]s

Serving at %[2]s. To try:

  curl -H 'Authorization: Bearer %[3]s' %[2]s/projects/atlas/backups
  curl -u ci:%[3]s -X POST %[2]s/projects/atlas/backups
  curl -u ci:%[3]s -X POST %[4]s
  curl -u admin:%[5]s -X POST %[4]s
  curl -H '%[6]s: %[1]s' -X PUT -d '{"requirement": "required"}' %[2]s/admin/organizations/acme/requirement
  curl -H '%[6]s: %[1]s' %[2]s/admin/vars

`, s.token, url, ci, restore, s.credential("admin").secret.Reveal(), operatorHeader)
	if err == nil {
		<-ctx.Done()
	}
	return errors.Join(err, stop())
}

// showTour serves for as long as the tour takes.
func showTour(ctx context.Context, out io.Writer, counters *policyhttp.Counters) error {
	var audit bytes.Buffer // slog's handlers write one line at a time
	s, err := newService(ctx, slog.New(slog.NewTextHandler(&audit, &slog.HandlerOptions{ReplaceAttr: withoutTime})), counters)
	if err != nil {
		return err
	}
	url, stop, err := serve(s.handler, "127.0.0.1:0")
	if err != nil {
		return err
	}
	if err := printKeys(out, s.credentials); err != nil {
		return errors.Join(err, stop())
	}
	lines, err := tour(ctx, s, url)
	// After stop nothing writes to the audit log any more.
	if err := errors.Join(err, stop()); err != nil {
		return err
	}
	if _, err := fmt.Fprintf(out, "\nThe callers' answers:\n\n"); err != nil {
		return err
	}
	if err := printTour(out, lines); err != nil {
		return err
	}
	if _, err := fmt.Fprintf(out, "\nThe operator's audit log:\n\n%s\nAnd the counters:\n\n", &audit); err != nil {
		return err
	}
	return printCounters(out, counters)
}

// withoutTime leaves the time out of the audit log: here it is read at once.
func withoutTime(groups []string, a slog.Attr) slog.Attr {
	if len(groups) == 0 && a.Key == slog.TimeKey {
		return slog.Attr{}
	}
	return a
}

func printCounters(out io.Writer, counters *policyhttp.Counters) error {
	var text bytes.Buffer
	for reason := policy.InvalidRequest; reason <= policy.OpenList; reason++ {
		if count := counters.Count(reason); count > 0 {
			_, _ = fmt.Fprintf(&text, "%4d %v\n", count, reason)
		}
	}
	for kind := policy.Kind(1); kind < policy.EndOfKinds; kind++ {
		if count := counters.CountKind(kind); count > 0 {
			_, _ = fmt.Fprintf(&text, "%4d %v\n", count, kind)
		}
	}
	_, _ = fmt.Fprintf(&text, "%4d would be denied if their organization required a list\n", counters.WouldDeny())
	_, err := out.Write(text.Bytes())
	return err
}

// serve listens and serves until stop is called. stop waits for requests under way.
func serve(handler http.Handler, address string) (url string, stop func() error, err error) {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return "", nil, err
	}
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: time.Minute}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	stop = func() error {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		err := server.Shutdown(ctx)
		if served := <-ended; !errors.Is(served, http.ErrServerClosed) {
			err = errors.Join(err, served)
		}
		return err
	}
	return "http://" + listener.Addr().String(), stop, nil
}
