package admin_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/store/admin"
)

func foundOf(review admin.ListReview) []string {
	found := []string{}
	for _, f := range review.Findings {
		found = append(found, f.Kind+" "+f.Entry)
	}
	return found
}

// The findings about a list have the use of its entries in the window.
func TestReviewList(t *testing.T) {
	w := newWorld(t)
	w.key("k", "203.0.113.0/24 203.0.113.7 10.1.0.0/16 198.51.100.1-1h", "reader")
	w.used("k", "203.0.113.7", 20*day, 3)
	review, err := w.admin.ReviewList(w.ctx, "acme", "k", false)
	require.NoError(t, err)
	require.Equal(t, w.stored("k").Revision, review.Revision)
	require.Empty(t, review.Gaps)
	require.Equal(t, []string{"unused 10.1.0.0/16", "expired 198.51.100.1", "unused 203.0.113.0/24", "shadowed 203.0.113.7"}, foundOf(review))
	require.Equal(t, []string{"203.0.113.0/24"}, review.Findings[3].By)
	require.Contains(t, review.Findings[3].Text, "203.0.113.7 is")

	review, err = w.admin.ReviewList(w.ctx, "acme", "k", true)
	require.NoError(t, err)
	require.Contains(t, foundOf(review), "private 10.1.0.0/16")

	_, err = w.admin.ReviewList(w.ctx, "other", "k", false)
	requireClass(t, admin.NotFound, err)
}

// Without evidence no entry is called unused, and that is said.
func TestReviewListWithoutEvidence(t *testing.T) {
	w := unobserved(t)
	w.key("k", "203.0.113.0/24", "reader")
	review, err := w.admin.ReviewList(w.ctx, "acme", "k", false)
	require.NoError(t, err)
	require.Equal(t, []string{}, foundOf(review))
	require.NotEmpty(t, review.Gaps)

	f := newFaulty()
	w = worldOf(t, f, f.Store)
	w.key("k", "203.0.113.0/24", "reader")
	w.observed(60 * day)
	f.fail("Usage", false)
	review, err = w.admin.ReviewList(w.ctx, "acme", "k", false)
	require.NoError(t, err)
	require.Equal(t, []string{"Some usage could not be read."}, review.Gaps)
	require.Equal(t, []string{}, foundOf(review))
}

// Within changes how far back usage counts, and nothing else.
func TestWithin(t *testing.T) {
	w := newWorld(t)
	w.key("k", "203.0.113.0/24", "reader")
	w.used("k", "203.0.113.7", 20*day, 3)
	week := w.admin.Within(7 * day)
	require.Equal(t, 7*day, week.Window())
	require.Equal(t, 30*day, w.admin.Window())
	usage, err := week.Usage(w.ctx, "acme", "k")
	require.NoError(t, err)
	require.Empty(t, usage.Addresses)
	review, err := week.ReviewList(w.ctx, "acme", "k", false)
	require.NoError(t, err)
	require.Equal(t, []string{"unused 203.0.113.0/24"}, foundOf(review))
	for _, none := range []time.Duration{0, -day} {
		require.Equal(t, 30*day, w.admin.Within(none).Window())
	}
}
