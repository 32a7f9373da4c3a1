package storetest

import (
	"bytes"
	"context"
	"fmt"
	"runtime/pprof"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/adapter"
	"github.com/sallyport-go/sallyport/store/storetest/internal/fixture"
)

var leakCases = []testCase{
	{sentence: "S1", name: "no call leaves a goroutine behind", run: callsLeaveNothing},
	{sentence: "W7", name: "no watch leaves a goroutine behind", run: watchesLeaveNothing},
}

const leakLabel = "storetest"

var leakCount atomic.Uint64

// A leakCheck counts the goroutines started by the calls of one case. A goroutine inherits
// the labels of its creator, so those of other tests do not count.
type leakCheck struct {
	*kit
	label string
}

// leakCheck labels the goroutine of the case.
func (k *kit) leakCheck() leakCheck {
	l := leakCheck{k, strconv.FormatUint(leakCount.Add(1), 10)}
	pprof.SetGoroutineLabels(pprof.WithLabels(k.ctx, pprof.Labels(leakLabel, l.label)))
	return l
}

// count returns the number of goroutines with the label.
func (l leakCheck) count() (n int) {
	l.Helper()
	var text bytes.Buffer
	if err := pprof.Lookup("goroutine").WriteTo(&text, 1); err != nil {
		l.Fatalf("the profile of goroutines: %v", err)
	}
	label := fmt.Sprintf("%q:%q", leakLabel, l.label)
	group := 0 // goroutines with the same stack and labels
	for line := range strings.Lines(text.String()) {
		if number, _, ok := strings.Cut(line, " @ "); ok {
			group, _ = strconv.Atoi(number)
		} else if strings.HasPrefix(line, "# labels: ") && strings.Contains(line, label) {
			n += group
		}
	}
	return n
}

// wantNone makes calls, and checks that fewer goroutines are left than calls were made. A
// store may start some for all calls, such as a pool or a poll. Goroutines may take a moment
// to end, and counting them stops all others.
func (l leakCheck) wantNone(what string, n int, do func()) {
	l.Helper()
	do()
	before := l.count()
	for range n {
		do()
	}
	end := time.Now().Add(l.limits.patience)
	for pause := time.Millisecond; ; pause = min(2*pause, 100*time.Millisecond) {
		left := l.count() - before
		if left < n/2 {
			return
		}
		if time.Now().After(end) || l.ctx.Err() != nil {
			l.Errorf("%d times %s left %d goroutines behind; want none", n, what, left)
			return
		}
		time.Sleep(pause)
	}
}

const leakRounds = 20

func callsLeaveNothing(k *kit) {
	l := k.leakCheck()
	k.organization("acme")
	k.put(fixture.Plain("key", "acme", "192.0.2.1"))
	calls := []call{
		{"Lookup", func(ctx context.Context) error { _, _, err := k.store.Lookup(ctx, "key"); return err }},
		{"Key", func(ctx context.Context) error { _, err := k.store.Key(ctx, "key"); return err }},
		{"Organization", func(ctx context.Context) error { _, err := k.store.Organization(ctx, "acme"); return err }},
		{"Keys", func(ctx context.Context) error { _, err := k.store.Keys(ctx, "acme", store.PageRequest{}); return err }},
		{"Organizations", func(ctx context.Context) error {
			_, err := k.store.Organizations(ctx, store.PageRequest{})
			return err
		}},
		{"PutKey and DeleteKey", func(ctx context.Context) error {
			if _, err := k.store.PutKey(ctx, fixture.Plain("brief", "acme"), store.AllowOpen); err != nil {
				return err
			}
			return k.store.DeleteKey(ctx, "brief", 0)
		}},
		{"PutOrganization", func(ctx context.Context) error {
			_, err := k.store.PutOrganization(ctx, k.readOrganization("acme"))
			return err
		}},
	}
	if recorder, ok := store.As[store.UsageRecorder](k.store); ok {
		calls = append(calls, call{"RecordUsage and Usage", func(ctx context.Context) error {
			if err := recorder.RecordUsage(ctx, adapter.UsageBatch(used("key", "192.0.2.1", 1, fixture.Moment))); err != nil {
				return err
			}
			_, err := recorder.Usage(ctx, "key")
			return err
		}})
	}
	for _, call := range calls {
		l.wantNone(call.name, leakRounds, func() {
			if err := call.do(k.ctx); err != nil {
				k.Fatalf("%s: %v", call.name, err)
			}
		})
		done, cancel := context.WithCancel(k.ctx)
		cancel()
		l.wantNone(call.name+" with a context that is done", leakRounds, func() { _ = call.do(done) })
	}
}

// watchesLeaveNothing ends watches in each way. Their parent context goes on.
func watchesLeaveNothing(k *kit) {
	l := k.leakCheck()
	k.organization("acme")
	m := k.mirror()
	k.put(fixture.Plain("key", "acme"))
	for from, m := range map[string]*fixture.Mirror{"from zero": fixture.NewMirror(), "from a mark": m} {
		l.wantNone("Watch "+from+" that its consumer left", leakRounds, func() {
			for _, err := range k.watcher().Watch(k.ctx, m.Mark) {
				if err != nil {
					k.Fatalf("Watch: %v", err)
				}
				break
			}
		})
		l.wantNone("Watch "+from+" that its consumer left at a mark", leakRounds, func() {
			for change, err := range k.watcher().Watch(k.ctx, m.Mark) {
				if err != nil {
					k.Fatalf("Watch: %v", err)
				}
				if change.IsMark() {
					break
				}
			}
		})
		l.wantNone("Watch "+from+" whose context ended", leakRounds, func() {
			ctx, cancel := context.WithCancel(k.ctx)
			defer cancel()
			for range k.watcher().Watch(ctx, m.Mark) {
				cancel()
			}
		})
	}
}
