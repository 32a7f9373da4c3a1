package transfer

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
)

// inParallel is how many calls of the store are under way at once, where it is asked for
// records one by one.
const inParallel = 8

// parallel calls do with 0 to n-1, several at once, and returns the first error by that
// number. After an error no further calls are begun.
func parallel(n int, do func(i int) error) error {
	errs := make([]error, n)
	var begun atomic.Int64
	var failed atomic.Bool
	var group sync.WaitGroup
	for range min(n, inParallel) {
		group.Go(func() {
			// Asked before a number is taken: what was taken is done, and so all before it.
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

// protected makes an error of a panic in a store or a stream.
func protected(do func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	return do()
}
