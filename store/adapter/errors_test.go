package adapter_test

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/adapter"
)

// The error of a write that changed nothing keeps its text and what it matches.
func TestNotWritten(t *testing.T) {
	assert.NoError(t, adapter.NotWritten(nil))
	reason := errors.New("it is locked")
	err := adapter.NotWritten(reason)
	assert.EqualError(t, err, "it is locked")
	assert.ErrorIs(t, err, reason)
	assert.ErrorIs(t, err, store.ErrNotWritten)
}
