// Worker does what a trial orders with the version of the library that it is built with.
// It reads orders from standard input and writes answers to standard output, a line of JSON
// each, and works on many at once. It ends with its input.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"github.com/sallyport-go/sallyport/store/trials/upgrade/orders"
)

// patience bounds each order, so that a trial says what hangs.
const patience = time.Minute

func main() {
	if err := serve(); err != nil {
		fmt.Fprintln(os.Stderr, "worker:", err)
		os.Exit(1)
	}
}

func serve() error {
	w := &worker{}
	var printing sync.Mutex
	answers := json.NewEncoder(os.Stdout)
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 1<<24)
	for lines.Scan() {
		var order orders.Order
		if err := json.Unmarshal(lines.Bytes(), &order); err != nil {
			return err
		}
		go func() {
			ctx, cancel := context.WithTimeout(context.Background(), patience)
			defer cancel()
			var answer orders.Answer
			if err := w.do(ctx, order, &answer); err != nil {
				answer.Kind, answer.Error = kindOf(err), err.Error()
			}
			answer.ID = order.ID
			printing.Lock()
			defer printing.Unlock()
			if err := answers.Encode(answer); err != nil {
				fmt.Fprintln(os.Stderr, "worker:", err)
				os.Exit(1)
			}
		}()
	}
	return lines.Err()
}

// do does one order.
func (w *worker) do(ctx context.Context, o orders.Order, a *orders.Answer) error {
	does := map[string]func(context.Context, orders.Order, *orders.Answer) error{
		"version": version, "open": w.open, "migrate": migrate, "break": w.breakIt,
		"read": w.read, "list": w.list, "put": w.put, "delete": w.delete, "load": w.load,
		"create": w.create, "apply": w.apply, "events": w.events, "follow": w.follow, "followed": w.followed,
		"decide": w.decide, "http": w.http, "replicate": w.replicate, "sync": w.sync, "flush": w.flush, "usage": w.usage,
		"export": w.export, "import": w.importFile, "verify": w.verify, "forget": w.forget,
	}
	do, ok := does[o.Do]
	if !ok {
		return fmt.Errorf("no order is called %q", o.Do)
	}
	return do(ctx, o, a)
}

// version answers with the version of the library: "(devel)" if it is that of the tree.
func version(_ context.Context, _ orders.Order, a *orders.Answer) error {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return fmt.Errorf("the program does not know what it was built with")
	}
	var versions []string
	for _, m := range info.Deps {
		if !strings.HasPrefix(m.Path, "github.com/sallyport-go/sallyport") {
			continue
		}
		v := m.Version
		if m.Replace != nil {
			v = "(devel)"
		}
		versions = append(versions, v)
	}
	for _, v := range versions {
		if v != versions[0] {
			return fmt.Errorf("several versions of the library: %v", versions)
		}
	}
	if len(versions) != 4 {
		return fmt.Errorf("%d modules of the library: want 4", len(versions))
	}
	a.Version = versions[0]
	return nil
}
