package crashtest

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/store/storetest/internal/fixture"
)

// A version is written once over all calls, or a write in doubt could not be told from
// what it replaced.
func TestVersionsAreFresh(t *testing.T) {
	written := map[int]uint64{}
	for i := range uint64(3000) {
		seed := i
		if i >= 1500 {
			seed = rand.Uint64()&^(1<<40-1) | i // a version has the lower bits
		}
		w := &writer{seed: seed, random: rand.New(rand.NewPCG(seed, 1))}
		for range 50 {
			version := w.freshVersion()
			if other, ok := written[version]; ok {
				require.Fail(t, "a version was given twice", "by seeds %d and %d", other, seed)
			}
			written[version] = seed
			assert.Positive(t, version%4)
		}
		require.NoError(t, fixture.Whole("key", "acme", w.freshVersion()).Validate())
	}
}
