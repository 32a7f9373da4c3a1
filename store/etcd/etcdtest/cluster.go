package etcdtest

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"github.com/sallyport-go/sallyport/internal/freeport"
	"github.com/sallyport-go/sallyport/store/internal/faultproxy"
)

// patience is how long a cluster may take for what it must come to by itself.
const patience = time.Minute

// A Cluster is some members of etcd. Its methods are for one goroutine at a time,
// except Client and Endpoints.
type Cluster struct {
	members []*member
}

// A member is one process, with the proxy through which clients reach it.
type member struct {
	config   memberConfig
	proxy    *faultproxy.Proxy
	id       uint64    // zero until it is known
	process  *exec.Cmd // nil if it does not run
	commands io.WriteCloser
	answers  *bufio.Scanner
}

// Start starts a cluster of so many members and returns when it is healthy. It is gone,
// with its processes and files, when the test has ended.
func Start(t testing.TB, members int) *Cluster {
	t.Helper()
	return start(t, members, time.Second)
}

// StartUndisturbed is Start for tests in which no member ends or is cut off. The members wait five
// seconds for a silent leader instead of one: on a busy machine they would else replace a leader
// that only waits for its turn, and writes under way would fail.
func StartUndisturbed(t testing.TB, members int) *Cluster {
	t.Helper()
	return start(t, members, 5*time.Second)
}

func start(t testing.TB, members int, election time.Duration) *Cluster {
	t.Helper()
	c, dir, addresses := &Cluster{}, t.TempDir(), freeAddresses(t, 2*members)
	t.Cleanup(func() { c.end(t) }) // before the directory goes, and the addresses
	var initial []string
	for i := range members {
		client, peer := addresses[2*i], "http://"+addresses[2*i+1]
		proxy := faultproxy.Start(t, client)
		name := fmt.Sprint("member-", i)
		initial = append(initial, name+"="+peer)
		c.members = append(c.members, &member{proxy: proxy, config: memberConfig{
			Name: name, Dir: filepath.Join(dir, name), Client: "http://" + client, Advertise: "http://" + proxy.Address(), Peer: peer, Election: election,
		}})
	}
	for _, m := range c.members {
		m.config.InitialCluster = strings.Join(initial, ",")
		m.start(t)
	}
	c.WaitHealthy(t)
	return c
}

// freeAddresses returns addresses at which nobody listens until the test has ended, not even
// while a member is down.
func freeAddresses(t testing.TB, n int) (addresses []string) {
	t.Helper()
	for range n {
		port, release, err := freeport.Reserve()
		if err != nil {
			t.Fatalf("etcdtest: %v", err)
		}
		t.Cleanup(release)
		addresses = append(addresses, fmt.Sprint("127.0.0.1:", port))
	}
	return addresses
}

// Endpoints returns the URLs of the members, or of those that are given, for a client's
// configuration. Behind each is a proxy, which Cut stops.
func (c *Cluster) Endpoints(members ...int) (endpoints []string) {
	for i, m := range c.members {
		if len(members) == 0 || slices.Contains(members, i) {
			endpoints = append(endpoints, m.config.Advertise)
		}
	}
	return endpoints
}

// Client returns a client of the cluster, or of some members only, that is closed when
// the test has ended.
func (c *Cluster) Client(t testing.TB, members ...int) *clientv3.Client {
	t.Helper()
	client, err := newClient(c.Endpoints(members...)...)
	if err != nil {
		t.Fatalf("etcdtest: %v", err)
	}
	t.Cleanup(func() { _ = client.Close() })
	return client
}

func newClient(endpoints ...string) (*clientv3.Client, error) {
	return clientv3.New(clientv3.Config{
		Endpoints: endpoints, Logger: zap.NewNop(), DialTimeout: patience,
		DialKeepAliveTime: 5 * time.Second, DialKeepAliveTimeout: 2 * time.Second, // the server suffers no shorter time
	})
}

// Leader returns the member that leads. It waits until there is one.
func (c *Cluster) Leader(t testing.TB) int {
	t.Helper()
	return c.LeaderOf(t)
}

// LeaderOf is Leader among some of the members, as when others are cut off.
func (c *Cluster) LeaderOf(t testing.TB, members ...int) (leader int) {
	t.Helper()
	c.eventually(t, "a member to lead", func(ctx context.Context) error {
		for i, m := range c.members {
			if m.process == nil || len(members) > 0 && !slices.Contains(members, i) {
				continue
			}
			leads, err := m.leads(ctx)
			if err == nil && leads {
				leader = i
				return nil
			}
		}
		return fmt.Errorf("none does")
	})
	return leader
}

// leads reports whether the member leads, and can: one that was cut off may take itself
// for the leader yet.
func (m *member) leads(ctx context.Context) (leads bool, err error) {
	err = m.ask(func(client *clientv3.Client) error {
		status, err := client.Status(ctx, m.config.Client)
		if err != nil {
			return err
		}
		leads = status.Leader == status.Header.MemberId
		_, err = client.Get(ctx, "health")
		return err
	})
	return leads, err
}

// ask calls the member, past its proxy.
func (m *member) ask(call func(*clientv3.Client) error) error {
	client, err := newClient(m.config.Client)
	if err != nil {
		return err
	}
	defer client.Close()
	return call(client)
}

// WaitHealthy waits until every member that runs serves linearizable reads.
func (c *Cluster) WaitHealthy(t testing.TB) {
	t.Helper()
	c.eventually(t, "every member to be healthy", func(ctx context.Context) error {
		for _, m := range c.members {
			if m.process == nil {
				continue
			}
			err := m.ask(func(client *clientv3.Client) error {
				response, err := client.Get(ctx, "health")
				if err == nil {
					m.id = response.Header.MemberId
				}
				return err
			})
			if err != nil {
				return fmt.Errorf("%s: %w", m.config.Name, err)
			}
		}
		return nil
	})
}

// eventually tries again until an attempt succeeds.
func (c *Cluster) eventually(t testing.TB, what string, attempt func(context.Context) error) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for {
		ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second)
		err := attempt(ctx)
		cancel()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			c.showLogs(t)
			t.Fatalf("etcdtest: waited %v for %s: %v", patience, what, err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// Kill ends a member with SIGKILL. It loses data not yet given to the system, as in a crash
// of its process.
func (c *Cluster) Kill(t testing.TB, i int) {
	t.Helper()
	m := c.members[i]
	if m.process == nil {
		t.Fatalf("etcdtest: %s does not run", m.config.Name)
	}
	m.kill()
}

// Restart starts a killed member on its files. It does not wait: see WaitHealthy.
func (c *Cluster) Restart(t testing.TB, i int) {
	t.Helper()
	c.members[i].start(t)
}

// Stop kills every member.
func (c *Cluster) Stop(t testing.TB) {
	t.Helper()
	for _, m := range c.members {
		if m.process != nil {
			m.kill()
		}
	}
}

// Cut holds whatever clients and a member send each other, until Heal. No connection
// breaks.
func (c *Cluster) Cut(i int) { c.members[i].proxy.Hold() }

// Isolate has a member and the others lose what they send each other, until Heal, while
// clients reach all of them.
func (c *Cluster) Isolate(t testing.TB, i int) {
	t.Helper()
	c.tellPeers(t, i, "cut")
}

// Heal undoes Cut and Isolate.
func (c *Cluster) Heal(t testing.TB, i int) {
	t.Helper()
	c.members[i].proxy.Heal()
	c.tellPeers(t, i, "mend")
}

func (c *Cluster) tellPeers(t testing.TB, i int, verb string) {
	t.Helper()
	for j, other := range c.members {
		if j != i {
			c.members[i].command(t, verb, other.id)
			other.command(t, verb, c.members[i].id)
		}
	}
}

// command has a member's process do something, if it runs.
func (m *member) command(t testing.TB, verb string, id uint64) {
	t.Helper()
	if m.process == nil {
		return
	}
	if _, err := fmt.Fprintf(m.commands, "%s %x\n", verb, id); err != nil {
		t.Fatalf("etcdtest: %s: %v", m.config.Name, err)
	}
	if !m.answers.Scan() {
		t.Fatalf("etcdtest: %s did not answer: %v", m.config.Name, m.answers.Err())
	}
}

func (m *member) start(t testing.TB) {
	t.Helper()
	if m.process != nil {
		t.Fatalf("etcdtest: %s runs already", m.config.Name)
	}
	text, err := json.Marshal(m.config)
	if err != nil {
		t.Fatalf("etcdtest: %v", err)
	}
	binary := os.Getenv(binaryVariable)
	if binary == "" {
		binary, err = os.Executable()
	}
	if err != nil {
		t.Fatalf("etcdtest: %v", err)
	}
	process := exec.Command(binary)
	process.Env = append(os.Environ(), memberVariable+"="+string(text))
	process.Stderr = os.Stderr
	commands, err := process.StdinPipe()
	if err != nil {
		t.Fatalf("etcdtest: %v", err)
	}
	answers, err := process.StdoutPipe()
	if err != nil {
		t.Fatalf("etcdtest: %v", err)
	}
	if err := process.Start(); err != nil {
		t.Fatalf("etcdtest: %v", err)
	}
	m.process, m.commands, m.answers = process, commands, bufio.NewScanner(answers)
}

func (m *member) kill() {
	_ = m.process.Process.Kill()
	_ = m.process.Wait()
	m.process = nil
}

// end leaves nothing behind.
func (c *Cluster) end(t testing.TB) {
	if t.Failed() {
		c.showLogs(t)
	}
	c.Stop(t)
}

// showLogs puts the end of the members' logs into the test's.
func (c *Cluster) showLogs(t testing.TB) {
	t.Helper()
	for _, m := range c.members {
		text, _ := os.ReadFile(m.config.Dir + ".log")
		t.Logf("etcdtest: the log of %s ends with:\n%s", m.config.Name, text[max(0, len(text)-2000):])
	}
}
