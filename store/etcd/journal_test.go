package etcd

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// documentOf returns the name and the value of the events of a revision.
func documentOf(t testing.TB, s *Store, revision uint64) (name, document string) {
	t.Helper()
	all := s.names.oldest("")
	response, err := s.scan(t.Context(), all.prefix, all.end(), 0, 0)
	require.NoError(t, err)
	for _, stored := range response.Kvs {
		if stored.CreateRevision == int64(revision) {
			return string(stored.Key), string(stored.Value)
		}
	}
	t.Fatalf("no events have revision %d", revision)
	return "", ""
}
