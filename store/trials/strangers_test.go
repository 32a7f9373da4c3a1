package trials_test

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/policy/policyhttp"
	"github.com/sallyport-go/sallyport/store/internal/postgrestest"
	"github.com/sallyport-go/sallyport/store/postgres"
)

// TestStrangers measures what strangers take from honest callers: they send requests with
// well-formed keys that do not exist, as fast as they can, and hang up within a millisecond.
// The service asks PostgreSQL for every key, without a replica. A connection made is one that was
// broken. For comparison, strangers without a key cost no look-up.
func TestStrangers(t *testing.T) {
	server := postgrestest.Start(t)
	for _, connections := range []int{4, 10}[:of(2, 1)] {
		for _, load := range []string{"quiet", "loaded"} {
			for _, strangers := range []string{"0", "2", "8", "2 without a key", "8 without a key"}[:of(5, 2)] {
				t.Run(fmt.Sprintf("%d connections, %s, %s strangers", connections, load, strangers), func(t *testing.T) {
					newService(t, server, connections).run(t, load, strangers)
				})
			}
		}
	}
}

// A guarded is a service behind the guard, with its keys in PostgreSQL.
type guarded struct {
	http     *http.Server
	address  string
	pool     *pgxpool.Pool
	counters *policyhttp.Counters
	secret   apikey.Secret
}

func newService(t *testing.T, server *postgrestest.Server, connections int) *guarded {
	ctx := t.Context()
	pool, err := pgxpool.New(ctx, fmt.Sprintf("%s pool_max_conns=%d pool_min_conns=%[2]d", server.Database(t), connections))
	require.NoError(t, err)
	require.NoError(t, postgres.Migrate(ctx, pool))
	keys, err := postgres.New(ctx, pool)
	require.NoError(t, err)
	_, err = keys.PutOrganization(ctx, policy.Organization{ID: "acme"})
	require.NoError(t, err)
	key, secret, err := apikey.New("acme")
	require.NoError(t, err)
	key.AccessList, err = accesslist.Parse("127.0.0.1")
	require.NoError(t, err)
	_, err = keys.PutKey(ctx, key)
	require.NoError(t, err)

	s := &guarded{pool: pool, counters: new(policyhttp.Counters), secret: secret}
	guard, err := policyhttp.New(policyhttp.Config{
		Engine:  policy.New(keys, policy.WithObserver(s.counters.Observe)),
		Schemes: []policyhttp.Scheme{policyhttp.Bearer()},
	})
	require.NoError(t, err)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	s.address = listener.Addr().String()
	s.http = &http.Server{Handler: guard.Protect(policy.Endpoint{Name: "things"},
		func(*http.Request) (policy.Resource, error) { return policy.Resource{Organization: "acme"}, nil },
		http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "served") }))}
	go func() { _ = s.http.Serve(listener) }()
	t.Cleanup(func() { _ = s.http.Close(); _ = keys.Close(); pool.Close() })
	return s
}

// run measures honest callers while strangers call: 200 requests a second, or as many as
// eight connections can.
func (s *guarded) run(t *testing.T, load, strangers string) {
	honest := s.steadily
	if load == "loaded" {
		honest = s.fast
	}
	honest(100 * time.Millisecond) // to warm up
	stop := s.attack(t, strangers)
	connected := s.pool.Stat().NewConnsCount()
	failed, gone := s.counters.Count(policy.Unavailable), s.counters.CountKind(policy.CallerGone)
	began := time.Now()
	times, errs := honest(time.Duration(of(4000, 400)) * time.Millisecond)
	took := time.Since(began)
	connected = s.pool.Stat().NewConnsCount() - connected
	failed, gone = s.counters.Count(policy.Unavailable)-failed, s.counters.CountKind(policy.CallerGone)-gone
	sent := stop()
	slices.Sort(times)
	t.Logf("%5.0f attempts a second: %5.0f served a second, %d failed, median %.2f ms, p99 %.2f ms; unavailable %d, caller gone %d, connections made %d",
		float64(sent)/took.Seconds(), float64(len(times))/took.Seconds(), errs, milliseconds(times, 50), milliseconds(times, 99), failed, gone, connected)
}

func milliseconds(times []time.Duration, percent int) float64 {
	if len(times) == 0 {
		return 0
	}
	return float64(times[(len(times)-1)*percent/100].Microseconds()) / 1000
}

// steadily sends 200 requests a second, whether or not those before were answered.
func (s *guarded) steadily(period time.Duration) ([]time.Duration, int) {
	return s.honest(period, func(until time.Time, one func()) {
		var wait sync.WaitGroup
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for time.Now().Before(until) {
			<-tick.C
			wait.Go(one)
		}
		wait.Wait()
	})
}

// fast sends requests one after the other on each of eight connections.
func (s *guarded) fast(period time.Duration) ([]time.Duration, int) {
	return s.honest(period, func(until time.Time, one func()) {
		var wait sync.WaitGroup
		for range 8 {
			wait.Go(func() {
				for time.Now().Before(until) {
					one()
				}
			})
		}
		wait.Wait()
	})
}

// honest returns how long served requests took, and how many were not served.
func (s *guarded) honest(period time.Duration, send func(until time.Time, one func())) (times []time.Duration, failed int) {
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 100}}
	defer client.CloseIdleConnections()
	var mu sync.Mutex
	send(time.Now().Add(period), func() {
		r, _ := http.NewRequest("GET", "http://"+s.address+"/", nil)
		r.Header.Set("Authorization", "Bearer "+s.secret.Reveal())
		began := time.Now()
		response, err := client.Do(r)
		took := time.Since(began)
		served := err == nil && response.StatusCode == http.StatusOK
		if err == nil {
			_, _ = io.Copy(io.Discard, response.Body)
			_ = response.Body.Close()
		}
		mu.Lock()
		defer mu.Unlock()
		if served {
			times = append(times, took)
		} else {
			failed++
		}
	})
	return times, failed
}

// attack starts a process with these strangers. stop ends it and returns how many requests
// they have sent.
func (s *guarded) attack(t *testing.T, strangers string) (stop func() int) {
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), childVariable+"=strangers", "ADDRESS="+s.address, "STRANGERS="+strangers)
	child.Stderr = os.Stderr
	in, err := child.StdinPipe()
	require.NoError(t, err)
	out, err := child.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, child.Start())
	var line string
	_, err = fmt.Fscanln(out, &line)
	require.NoError(t, err, "the strangers are ready")
	return func() (sent int) {
		require.NoError(t, in.Close())
		_, err := fmt.Fscanln(out, &sent)
		require.NoError(t, err)
		require.NoError(t, child.Wait())
		return sent
	}
}

func init() { children["strangers"] = attackService }

// attackService is the process of the strangers, until its input ends.
func attackService() error {
	number, keyless, _ := strings.Cut(os.Getenv("STRANGERS"), " ")
	strangers, err := strconv.Atoi(number)
	if err != nil {
		return err
	}
	var requests [][]byte
	for range 2000 {
		_, secret, err := apikey.New("acme")
		if err != nil {
			return err
		}
		authorization := "Authorization: Bearer " + secret.Reveal() + "\r\n"
		if keyless != "" {
			authorization = ""
		}
		requests = append(requests, []byte("GET / HTTP/1.1\r\nHost: service\r\n"+authorization+"\r\n"))
	}
	ctx, cancel := context.WithCancel(context.Background())
	var sent atomic.Int64
	var wait sync.WaitGroup
	for range strangers {
		wait.Go(func() {
			for ctx.Err() == nil {
				connection, err := net.Dial("tcp", os.Getenv("ADDRESS"))
				if err != nil {
					continue
				}
				_, _ = connection.Write(requests[rand.IntN(len(requests))])
				time.Sleep(rand.N(time.Millisecond))
				_ = connection.(*net.TCPConn).SetLinger(0) // no port is kept
				_ = connection.Close()
				sent.Add(1)
			}
		})
	}
	fmt.Println("ready")
	_, err = io.Copy(io.Discard, os.Stdin)
	cancel()
	wait.Wait()
	fmt.Println(sent.Load())
	return err
}
