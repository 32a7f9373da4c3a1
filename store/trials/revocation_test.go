package trials_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/replica"
)

// TestRevocation measures the time from an acknowledged write to the first decision of
// another process that denies for it. Half of the keys are deleted, half switched off.
func TestRevocation(t *testing.T) {
	eachSystem(t, func(t *testing.T, s system) {
		ctx, keys := t.Context(), s.open(t)
		_, err := keys.PutOrganization(ctx, policy.Organization{ID: "acme"})
		require.NoError(t, err)
		var all []apikey.Key
		for range of(1000, 50) {
			key, _, err := apikey.New("acme")
			require.NoError(t, err)
			key, err = keys.PutKey(ctx, key, store.AllowOpen)
			require.NoError(t, err)
			all = append(all, key)
		}
		other := startDecider(t, s.address)
		var latencies []time.Duration
		for i, key := range all {
			other.watch(t, key.ID)
			if i%2 == 0 {
				err = keys.DeleteKey(ctx, key.ID, key.Revision)
			} else {
				key.Disabled = true
				_, err = keys.PutKey(ctx, key)
			}
			acknowledged := time.Now()
			require.NoError(t, err)
			latencies = append(latencies, max(0, other.denied(t).Sub(acknowledged)))
		}
		slices.Sort(latencies)
		t.Logf("%s: %d revocations: median %v, 99th percentile %v, 99.9th %v, latest %v", s.name, len(latencies),
			percentile(latencies, 50), percentile(latencies, 99), percentile(latencies, 99.9), latencies[len(latencies)-1])
	})
}

// percentile returns the smallest value that so many of a hundred are not above.
func percentile(sorted []time.Duration, p float64) time.Duration {
	i := int(float64(len(sorted))*p/100+0.999999) - 1
	return sorted[max(0, min(i, len(sorted)-1))].Round(time.Microsecond)
}

// A decider is another process that decides by a replica.
type decider struct {
	to   *bufio.Writer
	from *bufio.Scanner
}

func startDecider(t *testing.T, address string) *decider {
	t.Helper()
	process := exec.CommandContext(t.Context(), os.Args[0])
	process.Env = append(os.Environ(), childVariable+"=decider", "ADDRESS="+address)
	process.Stderr = os.Stderr
	in, err := process.StdinPipe()
	require.NoError(t, err)
	out, err := process.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, process.Start())
	t.Cleanup(func() {
		_ = in.Close()
		_ = process.Wait()
	})
	d := &decider{bufio.NewWriter(in), bufio.NewScanner(out)}
	require.Equal(t, "ready", d.line(t))
	return d
}

func (d *decider) line(t *testing.T) string {
	t.Helper()
	require.True(t, d.from.Scan(), "the other process ended")
	return d.from.Text()
}

// watch has the other process decide about a key again and again until it denies.
func (d *decider) watch(t *testing.T, id apikey.ID) {
	t.Helper()
	_, _ = fmt.Fprintln(d.to, id)
	require.NoError(t, d.to.Flush())
	require.Equal(t, "allowed", d.line(t))
}

// denied returns when it denied, by the clock that both processes have.
func (d *decider) denied(t *testing.T) time.Time {
	t.Helper()
	text, found := strings.CutPrefix(d.line(t), "denied ")
	require.True(t, found)
	nanoseconds, err := strconv.ParseInt(text, 10, 64)
	require.NoError(t, err)
	return time.Unix(0, nanoseconds)
}

func init() { children["decider"] = decide }

// decide is the other process: it reads the IDs of keys, and of each says when it is
// allowed and when it no longer is.
func decide() error {
	ctx := context.Background()
	keys, err := open(ctx, os.Getenv("ADDRESS"))
	if err != nil {
		return err
	}
	defer keys.Close()
	copied, err := replica.New(keys, replica.WithErrorHandler(func(err error) { fmt.Fprintln(os.Stderr, "decider:", err) }))
	if err != nil {
		return err
	}
	defer copied.Close()
	if err := copied.Ready(ctx); err != nil {
		return err
	}
	fmt.Println("ready")
	for ids := bufio.NewScanner(os.Stdin); ids.Scan(); {
		id := apikey.ID(ids.Text())
		if err := untilDenied(copied, id); err != nil {
			return err
		}
	}
	return nil
}

func untilDenied(source policy.Source, id apikey.ID) error {
	engine := policy.New(source)
	request := policy.Request{Key: id, Verifier: policy.AlreadyVerified{}, Client: someAddress, Organization: "acme"}
	if d := engine.Decide(context.Background(), request); !d.Allowed() {
		return fmt.Errorf("key %q before it is revoked: %v", id, d)
	}
	fmt.Println("allowed")
	for {
		d := engine.Decide(context.Background(), request)
		switch d.Reason {
		case policy.OpenList:
			time.Sleep(50 * time.Microsecond)
		case policy.UnknownKey, policy.KeyDisabled:
			fmt.Println("denied", time.Now().UnixNano())
			return nil
		default:
			return fmt.Errorf("key %q while it is revoked: %v", id, d)
		}
	}
}

var _ store.Store = opened{}
