// Load measures the guard's cost to a service over real connections, and checks for leaks
// of memory and goroutines.
//
//	go run ./examples/middleware/load [-n 1000000]
//
// It serves an endpoint of the middleware example twice, with the guard and without. The one
// without reads the project's record itself and gives the same answers. Both get the same
// requests over 16 keep-alive connections of the loopback, in turn, in a hundred rounds of
// n/100 requests. Rounds are short, so that other work of the machine slows both sides alike.
// Then the guarded one gets n more; the program fails if the heap or the number of goroutines
// grew.
//
// Server and client share one process. The work of the client and the kernel is in both
// figures, so the ratio is that of a whole service with a small handler. For the guard
// alone see the benchmarks of package policyhttp. With a small n the figures mean little.
package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"slices"
	"time"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/examples/middleware/backups"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/policy/policyhttp"
	"github.com/sallyport-go/sallyport/store/memory"
)

const (
	connections = 16
	rounds      = 100
	shown       = 10      // every tenth round is printed
	mostGrown   = 1 << 20 // bytes of the heap: one byte a request for a million
)

func main() {
	if err := run(context.Background(), os.Stdout, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "load:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, out io.Writer, args []string) error {
	flags := flag.NewFlagSet("load", flag.ContinueOnError)
	n := flags.Int("n", 200_000, "number of `requests` to each side, and then to the guarded one")
	if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
		return nil
	} else if err != nil {
		return err
	}
	if *n < rounds*connections {
		return fmt.Errorf("-n is %d: want %d or more", *n, rounds*connections)
	}

	guarded, bare, secret, err := handlers(ctx)
	if err != nil {
		return err
	}
	with, err := open(guarded, secret)
	if err != nil {
		return err
	}
	defer with.close()
	without, err := open(bare, secret)
	if err != nil {
		return err
	}
	defer without.close()

	if err := compare(out, without, with, *n/rounds); err != nil {
		return err
	}
	return lookForLeaks(out, with, *n)
}

// handlers returns the example's API behind a guard, its list of backups without one, and
// the secret of a key for the backups of the project atlas. The guard has the example's
// observers; its log has one in a hundred allowed calls.
func handlers(ctx context.Context) (guarded, bare http.Handler, secret apikey.Secret, err error) {
	keys := memory.New()
	if _, err = keys.PutOrganization(ctx, policy.Organization{ID: "acme", Requirement: policy.Required}); err != nil {
		return nil, nil, secret, err
	}
	key, secret, err := apikey.New("acme", apikey.Grant{Role: backups.Operator, Project: "atlas"})
	if err != nil {
		return nil, nil, secret, err
	}
	if key.AccessList, err = accesslist.Parse("127.0.0.1", "198.51.100.0/24"); err != nil {
		return nil, nil, secret, err
	}
	if _, err = keys.PutKey(ctx, key); err != nil {
		return nil, nil, secret, err
	}
	audit := slog.New(slog.NewTextHandler(io.Discard, nil))
	guard, err := policyhttp.New(policyhttp.Config{Engine: policy.New(keys,
		policy.WithObserver(policyhttp.Log(audit, policyhttp.LogOptions{AllowEvery: 100})),
		policy.WithObserver(new(policyhttp.Counters).Observe),
	)})
	if err != nil {
		return nil, nil, secret, err
	}
	project := backups.Project{ID: "atlas", Organization: "acme"}
	api := backups.New(project)
	return api.Handler(guard.Protect), unguarded(api, project), secret, nil
}

// unguarded returns the list of backups as a service without keys has it.
func unguarded(api *backups.Service, projects ...backups.Project) http.Handler {
	records := map[string]*backups.Project{}
	for _, project := range projects {
		records[project.ID] = &project
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /projects/{project}/backups", func(w http.ResponseWriter, r *http.Request) {
		project, ok := records[r.PathValue("project")]
		if !ok {
			http.NotFound(w, r)
			return
		}
		api.WriteBackups(w, project.ID)
	})
	return mux
}

// A side is a server and the client's connections to it.
type side struct {
	server   *httptest.Server
	conns    []net.Conn
	request  []byte
	response int // bytes of each response; the length never changes
}

func open(handler http.Handler, secret apikey.Secret) (*side, error) {
	s := &side{server: httptest.NewServer(handler)}
	address := s.server.Listener.Addr().String()
	s.request = fmt.Appendf(nil, "GET /projects/atlas/backups HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\n\r\n", address, secret.Reveal())
	for range connections {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			s.close()
			return nil, err
		}
		s.conns = append(s.conns, conn)
	}
	if err := s.measure(); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

func (s *side) close() {
	for _, conn := range s.conns {
		_ = conn.Close()
	}
	s.server.Close()
}

// measure sends a first request and parses the answer, to learn its length.
func (s *side) measure() error {
	if _, err := s.conns[0].Write(s.request); err != nil {
		return err
	}
	var whole bytes.Buffer
	response, err := http.ReadResponse(bufio.NewReader(io.TeeReader(s.conns[0], &whole)), nil)
	if err != nil {
		return err
	}
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("the server answered %s: %s", response.Status, body)
	}
	s.response = whole.Len()
	return response.Body.Close()
}

// send sends at least n requests, the same number over each connection, and returns the
// rate of answers.
func (s *side) send(n int) (perSecond float64, err error) {
	each := (n + connections - 1) / connections
	ended := make(chan error, connections)
	began := time.Now()
	for _, conn := range s.conns {
		go func() { ended <- s.sendOver(conn, each) }()
	}
	for range s.conns {
		err = errors.Join(err, <-ended)
	}
	return float64(each*connections) / time.Since(began).Seconds(), err
}

func (s *side) sendOver(conn net.Conn, n int) error {
	answer, ok := make([]byte, s.response), []byte("HTTP/1.1 200 OK\r\n")
	for range n {
		if _, err := conn.Write(s.request); err != nil {
			return err
		}
		if _, err := io.ReadFull(conn, answer); err != nil {
			return err
		}
		if !bytes.HasPrefix(answer, ok) {
			return fmt.Errorf("the server answered %q: want a 200", answer)
		}
	}
	return nil
}

// compare runs the two sides in turn, and changes their order with each round.
func compare(out io.Writer, without, with *side, n int) error {
	if _, err := fmt.Fprintf(out, "%d connections, %d rounds of %d requests, in requests a second:\n\n%8s%10s%8s%8s\n",
		connections, rounds, n, "round", "without", "with", "ratio"); err != nil {
		return err
	}
	for _, s := range []*side{without, with} { // warm-up
		if _, err := s.send(n / 2); err != nil {
			return err
		}
	}
	var ratios []float64
	for round := range rounds {
		sides, rates := []*side{without, with}, map[*side]float64{}
		if round%2 > 0 {
			slices.Reverse(sides)
		}
		for _, s := range sides {
			rate, err := s.send(n)
			if err != nil {
				return err
			}
			rates[s] = rate
		}
		ratios = append(ratios, rates[with]/rates[without])
		if (round+1)%shown > 0 {
			continue
		}
		if _, err := fmt.Fprintf(out, "%8d%10.0f%8.0f%8.3f\n", round+1, rates[without], rates[with], ratios[round]); err != nil {
			return err
		}
	}
	slices.Sort(ratios)
	_, err := fmt.Fprintf(out, "\nWith the guard the rate is %.3f times that without (median of all rounds; half of them from %.3f to %.3f).\n",
		(ratios[rounds/2-1]+ratios[rounds/2])/2, ratios[rounds/4], ratios[rounds*3/4])
	return err
}

// lookForLeaks measures before and after, with the same connections open.
func lookForLeaks(out io.Writer, s *side, n int) error {
	heapBefore, goroutinesBefore := inUse()
	perSecond, err := s.send(n)
	if err != nil {
		return err
	}
	heapAfter, goroutinesAfter := inUse()
	// A goroutine of the client may need a moment to end after its last message.
	for wait := 0; goroutinesAfter > goroutinesBefore && wait < 100; wait++ {
		time.Sleep(10 * time.Millisecond)
		goroutinesAfter = runtime.NumGoroutine()
	}
	if _, err := fmt.Fprintf(out, "\n%d guarded requests more, %.0f a second: heap %d kB before, %d kB after; goroutines %d before, %d after.\n",
		n, perSecond, heapBefore>>10, heapAfter>>10, goroutinesBefore, goroutinesAfter); err != nil {
		return err
	}
	if grown := heapAfter - heapBefore; grown > mostGrown {
		return fmt.Errorf("the heap grew by %d bytes: want %d at most", grown, mostGrown)
	}
	if goroutinesAfter > goroutinesBefore {
		return fmt.Errorf("%d goroutines more than before: want none", goroutinesAfter-goroutinesBefore)
	}
	return nil
}

// inUse returns the reachable bytes of the heap and the number of goroutines. sync.Pools
// keep their objects over the first collection, so there are two.
func inUse() (heap int64, goroutines int) {
	runtime.GC()
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return int64(stats.HeapAlloc), runtime.NumGoroutine()
}
