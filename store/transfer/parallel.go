package transfer

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
)

// inParallel bounds the concurrent calls of the store for single records.
const inParallel = 8

// parallel calls do with 0 to n-1, several at once, and returns the error of the lowest
// number. After an error it begins no further calls.
func parallel(n int, do func(i int) error) error {
	errs := make([]error, n)
	var begun atomic.Int64
	var failed atomic.Bool
	var group sync.WaitGroup
	for range min(n, inParallel) {
		group.Go(func() {
			// Checked before a number is taken, so that every number below one taken is done.
			for !failed.Load() {
				i := int(begun.Add(1)) - 1
				if i >= n {
					return
				}
				errs[i] = errors.New("the store ended the goroutine that called it")
				errs[i] = protected(func() error { return do(i) })
				if errs[i] != nil {
					failed.Store(true)
				}
			}
		})
	}
	group.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// protected returns a panic of a store or a stream as an error.
func protected(do func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	return do()
}
