// Package recorder runs a function that fails a test, and records the failures.
package recorder

import (
	"fmt"
	"runtime"
	"slices"
	"sync"
	"testing"
)

// A TB is a testing.TB that records failures without failing the test.
type TB struct {
	testing.TB // for all other methods

	mu         sync.Mutex
	Failures   []string
	failed     bool
	WasSkipped bool
	cleanups   []func()
}

// Record calls f with a TB as a test is called: in a goroutine for FailNow to end, and
// with the cleanups afterwards.
func Record(t testing.TB, f func(t testing.TB)) *TB {
	r := &TB{TB: t}
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer r.cleanUp()
		defer r.recoverPanic()
		f(r)
	}()
	<-done
	return r
}

func (r *TB) recoverPanic() {
	if p := recover(); p != nil {
		r.Errorf("panic: %v", p)
	}
}

func (r *TB) cleanUp() {
	for _, f := range slices.Backward(r.cleanups) {
		f()
	}
}

func (r *TB) Cleanup(f func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.cleanups = append(r.cleanups, f)
}

func (r *TB) Fail() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failed = true
}

func (r *TB) Failed() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.failed
}

func (r *TB) FailNow() {
	r.Fail()
	runtime.Goexit()
}

func (r *TB) Error(args ...any) { r.Errorf("%s", fmt.Sprint(args...)) }

func (r *TB) Errorf(format string, args ...any) {
	r.mu.Lock()
	r.Failures = append(r.Failures, fmt.Sprintf(format, args...))
	r.mu.Unlock()
	r.Fail()
}

func (r *TB) Fatal(args ...any) {
	r.Error(args...)
	r.FailNow()
}

func (r *TB) Fatalf(format string, args ...any) {
	r.Errorf(format, args...)
	r.FailNow()
}

func (r *TB) Log(...any)          {}
func (r *TB) Logf(string, ...any) {}

func (r *TB) SkipNow() {
	r.WasSkipped = true
	runtime.Goexit()
}

func (r *TB) Skip(...any)          { r.SkipNow() }
func (r *TB) Skipf(string, ...any) { r.SkipNow() }
func (r *TB) Skipped() bool        { return r.WasSkipped }
