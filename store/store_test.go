package store_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/memory"
)

// wrapper lends what it wraps.
type wrapper struct{ store.Store }

func (w wrapper) Unwrap() store.Store { return w.Store }

// wall does not.
type wall struct{ store.Store }

// counting is a wrapper that is itself one of the optional interfaces.
type counting struct {
	store.Store
	store.UsageRecorder
}

func (c counting) Unwrap() store.Store { return c.Store }

func TestAs(t *testing.T) {
	m := memory.New()
	own := memory.New()
	for name, test := range map[string]struct {
		store    store.Store
		watcher  store.Watcher
		recorder store.UsageRecorder
	}{
		"itself":                 {m, m, m},
		"wrapped":                {wrapper{m}, m, m},
		"wrapped often":          {wrapper{wrapper{wrapper{m}}}, m, m},
		"behind a wall":          {wall{m}, nil, nil},
		"behind a wrapped wall":  {wrapper{wall{m}}, nil, nil},
		"the outer one":          {counting{m, own}, m, own},
		"the outer one, wrapped": {wrapper{counting{wrapper{m}, own}}, m, own},
		"around nothing":         {wrapper{nil}, nil, nil},
		"nothing":                {nil, nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			watcher, ok := store.As[store.Watcher](test.store)
			assert.Equal(t, test.watcher != nil, ok)
			assert.True(t, watcher == test.watcher)
			switch recorder, ok := store.As[store.UsageRecorder](test.store); got := recorder.(type) {
			case counting:
				assert.True(t, ok && got.UsageRecorder == test.recorder)
			default:
				assert.Equal(t, test.recorder != nil, ok)
				assert.True(t, recorder == test.recorder)
			}
		})
	}
	journal, ok := store.As[store.Journal](wrapper{counting{m, own}})
	assert.True(t, ok && journal == store.Journal(m))
	_, ok = store.As[store.Journal](wall{m})
	assert.False(t, ok)
	_, ok = store.As[interface{ NoSuchMethod() }](wrapper{m})
	assert.False(t, ok)
}
