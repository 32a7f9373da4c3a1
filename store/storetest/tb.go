package storetest

import (
	"fmt"
	"runtime"
	"sync"
	"testing"
)

// A caseTB is the testing.TB of a case, which runs in a goroutine of its own. After the
// case is left behind it reports nothing, because its test may have ended.
type caseTB struct {
	testing.TB
	mu      sync.Mutex
	left    bool
	skipped bool
}

func (t *caseTB) leave() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.left = true
}

func (t *caseTB) report(f func()) {
	t.TB.Helper()
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.left {
		f()
	}
}

func (t *caseTB) Log(args ...any) { t.Helper(); t.report(func() { t.TB.Helper(); t.TB.Log(args...) }) }
func (t *caseTB) Logf(format string, args ...any) {
	t.Helper()
	t.Log(fmt.Sprintf(format, args...))
}

func (t *caseTB) Error(args ...any) {
	t.Helper()
	t.report(func() { t.TB.Helper(); t.TB.Error(args...) })
}

func (t *caseTB) Errorf(format string, args ...any) {
	t.Helper()
	t.report(func() { t.TB.Helper(); t.TB.Errorf(format, args...) })
}

func (t *caseTB) Fatal(args ...any) {
	t.Helper()
	t.Error(args...)
	runtime.Goexit()
}

func (t *caseTB) Fatalf(format string, args ...any) {
	t.Helper()
	t.Errorf(format, args...)
	runtime.Goexit()
}

func (t *caseTB) Fail() { t.report(t.TB.Fail) }

// FailNow ends the case's goroutine; that of the test goes on to the next case.
func (t *caseTB) FailNow() {
	t.Fail()
	runtime.Goexit()
}

func (t *caseTB) Skip(args ...any) {
	t.Log(args...)
	t.SkipNow()
}

func (t *caseTB) Skipf(format string, args ...any) {
	t.Logf(format, args...)
	t.SkipNow()
}

func (t *caseTB) SkipNow() {
	t.report(func() { t.skipped = true })
	runtime.Goexit()
}
