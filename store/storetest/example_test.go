package storetest_test

import (
	"testing"

	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/memory"
	"github.com/sallyport-go/sallyport/store/storetest"
)

// The whole of an adapter's conformance test. In a file of tests the two functions
// stand by themselves.
func Example() {
	open := func(testing.TB) store.Store { return memory.New() }

	TestStore := func(t *testing.T) {
		storetest.Run(t, open,
			storetest.Without("S20/no page is larger than the limits", "a thousand writes cost money here"))
	}
	BenchmarkStore := func(b *testing.B) { storetest.Benchmark(b, open) }

	_, _ = TestStore, BenchmarkStore
	// Output:
}
