package upgrade_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/store/trials/upgrade/kept"
	"github.com/sallyport-go/sallyport/store/trials/upgrade/orders"
)

// A process is a running worker.
type process struct {
	name string

	mu      sync.Mutex
	stdin   io.Writer
	next    int
	waiting map[int]chan orders.Answer
	ended   error // not nil: it takes no orders
}

// start starts a worker for one test.
func start(t *testing.T, name, program string) *process {
	t.Helper()
	command := exec.Command(program)
	command.Stderr = os.Stderr
	stdin, err := command.StdinPipe()
	require.NoError(t, err)
	stdout, err := command.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, command.Start())
	p := &process{name: name, stdin: stdin, waiting: map[int]chan orders.Answer{}}
	read := make(chan struct{})
	go func() {
		defer close(read)
		p.read(stdout)
	}()
	t.Cleanup(func() {
		_ = stdin.Close()
		<-read
		require.NoError(t, command.Wait(), name)
	})
	return p
}

// read hands on the answers, until there are no more.
func (p *process) read(from io.Reader) {
	lines := bufio.NewScanner(from)
	lines.Buffer(nil, 1<<26)
	for lines.Scan() {
		var answer orders.Answer
		err := json.Unmarshal(lines.Bytes(), &answer)
		p.mu.Lock()
		if err != nil {
			p.ended = err
		} else {
			p.waiting[answer.ID] <- answer
			delete(p.waiting, answer.ID)
		}
		p.mu.Unlock()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ended = fmt.Errorf("the worker %s has ended: %v %v", p.name, p.ended, lines.Err())
	for id, waits := range p.waiting {
		waits <- orders.Answer{ID: id, Kind: orders.Failed, Error: p.ended.Error()}
	}
}

// ask has an order done.
func (p *process) ask(order orders.Order) orders.Answer {
	answer := make(chan orders.Answer, 1)
	p.mu.Lock()
	err := p.ended
	if p.next++; err == nil {
		order.ID = p.next
		p.waiting[order.ID] = answer
		var line []byte
		line, err = json.Marshal(order)
		if err == nil {
			_, err = p.stdin.Write(append(line, '\n'))
		}
	}
	p.mu.Unlock()
	if err != nil {
		return orders.Answer{Kind: orders.Failed, Error: err.Error()}
	}
	return <-answer
}

// do has an order done that must not fail.
func (p *process) do(t require.TestingT, order orders.Order) orders.Answer {
	answer := p.ask(order)
	require.Empty(t, answer.Error, "%s: %+v", p.name, order)
	return answer
}

// Sides are an older and a newer worker with one store open.
type sides struct{ older, newer *process }

// both starts the two workers, and opens a new store with them. The older one makes it, and
// the newer one migrates it.
func both(t *testing.T, s system) sides {
	t.Helper()
	b := sides{startOlder(t, "older"), startNewer(t, "newer")}
	for _, p := range b.each() {
		p.do(t, orders.Order{Do: "migrate", Address: s.address})
		p.do(t, orders.Order{Do: "open", Address: s.address})
	}
	return b
}

func (b sides) each() []*process { return []*process{b.older, b.newer} }

// TestVersions: the workers are what the trials take them for.
func TestVersions(t *testing.T) {
	zips, err := filepath.Glob(filepath.Join(kept.Proxy, kept.Module, "@v", "*.zip"))
	require.NoError(t, err)
	require.Len(t, zips, 1, "one release is kept")
	size := int64(0)
	require.NoError(t, filepath.WalkDir(kept.Proxy, func(_ string, entry os.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			info, _ := entry.Info()
			size += info.Size()
		}
		return err
	}))
	require.Less(t, size, int64(1_500_000), "the kept release has too many bytes")
	version := strings.TrimSuffix(filepath.Base(zips[0]), ".zip")
	require.Equal(t, version, startOlder(t, "older").do(t, orders.Order{Do: "version"}).Version)
	require.Equal(t, "(devel)", startNewer(t, "newer").do(t, orders.Order{Do: "version"}).Version)
	t.Logf("the older version is %s, of %d bytes", version, size)
}
