package plain_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/internal/plain"
)

func TestErrorsKeepsTheFirstAndCountsTheRest(t *testing.T) {
	var none plain.Errors
	assert.False(t, none.Add(nil))
	require.NoError(t, none.Err("x"))

	first := errors.New("number 0")
	for _, n := range []int{1, plain.MaxErrors, plain.MaxErrors + 1, 1_000_000} {
		var errs plain.Errors
		var want []string
		for i := range n {
			err := first
			if i > 0 && i < plain.MaxErrors {
				err = fmt.Errorf("number %d", i)
			}
			assert.Equal(t, i < plain.MaxErrors, errs.Add(err))
			assert.Equal(t, i >= plain.MaxErrors-1, errs.Full())
			if i < plain.MaxErrors {
				want = append(want, fmt.Sprint("number ", i))
			}
		}
		if n > plain.MaxErrors {
			want = append(want, fmt.Sprintf("accesslist: and %d more", n-plain.MaxErrors))
		}
		for range 2 { // asked twice, the same
			err := errs.Err("accesslist")
			require.EqualError(t, err, strings.Join(want, "\n"))
			require.ErrorIs(t, err, first)
		}
	}
}
