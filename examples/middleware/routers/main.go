// Routers is one guard under http.ServeMux, chi, gin and echo.
//
//	cd examples/middleware/routers && go run .
//
// serves the same endpoints with each of them on a free port of the loopback, sends all of
// them the same requests, and prints the statuses. It fails if an answer differs in its
// status, its body or, for a denied call, a header. Then it tries flushing and hijacking:
// both break under middleware with a ResponseWriter of its own.
//
// The adapters are in servemux.go, chi.go, gin.go and echo.go. They put the guard on a
// route, and the path's parameters into Request.PathValue for the policyhttp.Resource.
// service.go has the rest and knows no router.
package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/sallyport-go/sallyport/apikey"
)

func main() {
	if err := run(context.Background(), os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "routers:", err)
		os.Exit(1)
	}
}

// routers are compared with the first of them.
var routers = []struct {
	name string
	make func(*service) http.Handler
}{
	{"ServeMux", newServeMux}, {"chi", newChi}, {"gin", newGin}, {"echo", newEcho},
}

func run(ctx context.Context, out io.Writer) error {
	s, secrets, err := newService(ctx)
	if err != nil {
		return err
	}
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprint(table, "REQUEST")
	var servers []*httptest.Server
	for _, router := range routers {
		server := httptest.NewServer(router.make(s))
		defer server.Close()
		servers = append(servers, server)
		_, _ = fmt.Fprint(table, "\t", router.name)
	}
	_, _ = fmt.Fprintln(table, "\tTHE SAME")

	mistakes := compare(ctx, table, servers, secrets)
	for _, by := range []string{"controller", "interface"} {
		for _, try := range []struct {
			what string
			do   func(ctx context.Context, server *httptest.Server, secret apikey.Secret, by string) (string, error)
		}{{"flush", s.tryStream}, {"hijack", tryHijack}} {
			_, _ = fmt.Fprintf(table, "%s, by the %s", try.what, by)
			for i, server := range servers {
				result, err := try.do(ctx, server, secrets["reader"], by)
				if err != nil {
					result = "fails"
					mistakes = append(mistakes, fmt.Errorf("%s: %s by the %s: %w", routers[i].name, try.what, by, err))
				}
				_, _ = fmt.Fprint(table, "\t", result)
			}
			_, _ = fmt.Fprintln(table, "\t")
		}
	}
	return errors.Join(append(mistakes, table.Flush())...)
}

// An answer has the compared parts of a response.
type answer struct {
	status int
	body   string
	header http.Header // for denied calls, without Date; nil for allowed ones
}

func compare(ctx context.Context, table io.Writer, servers []*httptest.Server, secrets map[apikey.ID]apikey.Secret) (mistakes []error) {
	requests, err := requests(secrets)
	if err != nil {
		return []error{err}
	}
	for _, q := range requests {
		_, _ = fmt.Fprint(table, q.what)
		var first answer
		same := "yes"
		for i, server := range servers {
			a, err := ask(ctx, server, q)
			switch {
			case err != nil:
			case a.status != q.status:
				err = fmt.Errorf("status %d: want %d", a.status, q.status)
			case i == 0:
				first = a
			default:
				err = first.difference(a)
			}
			if err != nil {
				same = "no"
				mistakes = append(mistakes, fmt.Errorf("%s: %s: %w", routers[i].name, q.what, err))
			}
			_, _ = fmt.Fprint(table, "\t", strconv.Itoa(a.status))
		}
		_, _ = fmt.Fprintln(table, "\t"+same)
	}
	return mistakes
}

func ask(ctx context.Context, server *httptest.Server, q request) (answer, error) {
	response, err := q.send(ctx, server.Client(), server.URL)
	if err != nil {
		return answer{}, err
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	a := answer{status: response.StatusCode, body: string(body)}
	if response.StatusCode >= 400 {
		a.header = response.Header
		a.header.Del("Date")
	}
	return a, err
}

func (a answer) difference(other answer) error {
	if a.status == other.status && a.body == other.body && maps.EqualFunc(a.header, other.header, slices.Equal[[]string]) {
		return nil
	}
	return fmt.Errorf("%d %q %v: want %d %q %v", other.status, other.body, other.header, a.status, a.body, a.header)
}

// tryStream reads the first line while the handler waits for that.
func (s *service) tryStream(ctx context.Context, server *httptest.Server, secret apikey.Secret, by string) (string, error) {
	q := request{method: http.MethodGet, path: "/projects/atlas/watch?by=" + by,
		sign: func(h http.Header) { h.Set("Authorization", "Bearer "+secret.Reveal()) }}
	response, err := q.send(ctx, server.Client(), server.URL)
	if err != nil {
		return "", err
	}
	defer func() { _ = response.Body.Close() }()
	lines := bufio.NewReader(response.Body)
	if line, err := lines.ReadString('\n'); line != "first\n" {
		return "", fmt.Errorf("status %d, %q: %w", response.StatusCode, line, err)
	}
	s.proceed <- struct{}{}
	rest, err := io.ReadAll(lines)
	if string(rest) != "second\n" {
		return "", fmt.Errorf("%q: %w", rest, err)
	}
	return "works", nil
}

func tryHijack(ctx context.Context, server *httptest.Server, secret apikey.Secret, by string) (string, error) {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", server.Listener.Addr().String())
	if err != nil {
		return "", err
	}
	defer func() { _ = conn.Close() }()
	if _, err := fmt.Fprintf(conn, "GET /projects/atlas/talk?by=%s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nConnection: Upgrade\r\nUpgrade: repeat\r\n\r\n", by, secret.Reveal()); err != nil {
		return "", err
	}
	lines := bufio.NewReader(conn)
	response, err := http.ReadResponse(lines, nil)
	if err != nil {
		return "", err
	}
	if response.StatusCode != http.StatusSwitchingProtocols {
		return "", fmt.Errorf("status %d: want 101", response.StatusCode)
	}
	if _, err := io.WriteString(conn, "over to you\n"); err != nil {
		return "", err
	}
	said, err := lines.ReadString('\n')
	if strings.TrimSpace(said) != "over to you" {
		return "", fmt.Errorf("%q: %w", said, err)
	}
	return "works", nil
}
