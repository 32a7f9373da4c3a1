package adapter_test

import (
	"math"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/sallyport-go/sallyport/store/adapter"
)

// W9, S27: neither the name nor the revisions of one history are those of another.
func TestNewHistory(t *testing.T) {
	const after = 1 << 40
	names, revisions := map[string]bool{}, map[uint64]bool{}
	for range 100 {
		p := adapter.NewHistory(after)
		assert.NotEmpty(t, p.History)
		assert.GreaterOrEqual(t, p.Revision, uint64(after))
		assert.Less(t, p.Revision, uint64(after+1<<32))
		names[p.History], revisions[p.Revision] = true, true
	}
	assert.Len(t, names, 100)
	assert.Greater(t, len(revisions), 90)
	for _, last := range []uint64{math.MaxInt64, math.MaxUint64} { // no greater one can be given
		assert.Equal(t, last, adapter.NewHistory(last).Revision)
	}
}
