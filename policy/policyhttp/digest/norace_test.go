//go:build !race

// The race detector allocates.

package digest_test

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// From the request to the decision: the call, the credential from its store, and the
// verification.
func TestDigestAllocations(t *testing.T) {
	for _, algorithm := range bothAlgorithms {
		s := newDigestService(t)
		client := s.client(algorithm)
		r := client.request("/v1/things?pretty=true")
		var authorizations [][]string
		for range 101 {
			authorizations = append(authorizations, []string{client.authorization("GET", r.RequestURI)})
		}
		next, allowed := 0, 0
		allocations := testing.AllocsPerRun(len(authorizations)-1, func() {
			r.Header["Authorization"] = authorizations[next]
			next++
			if s.route.Check(r).Allowed() {
				allowed++
			}
		})
		require.LessOrEqual(t, allocations, 6.0, algorithm)
		require.Equal(t, len(authorizations), allowed)
	}
}
