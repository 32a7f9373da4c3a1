package crashtest

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"sync"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/storetest/internal/fixture"
)

// An announcement is a line: the begin of a write, its end, or a mark of the feed. Lines
// begin with linePrefix, because the output of a test has other lines.
type announcement struct {
	Writer   int             `json:"writer"`
	Begins   []record        `json:"begins,omitempty"`
	Usage    bool            `json:"usage,omitzero"`  // records usage
	Tag      string          `json:"tag,omitzero"`    // of its events
	Events   int             `json:"events,omitzero"` // number of them
	Outcome  fixture.Outcome `json:"outcome,omitzero"`
	Revision uint64          `json:"revision,omitzero"` // of the write, or of the mark
	History  string          `json:"history,omitzero"`  // of the mark
}

// marked announces a mark of the feed; it is no write.
const marked fixture.Outcome = "marked"

const linePrefix = "crashtest: "

// A record is the state of one record after a write.
type record struct {
	Key          apikey.ID            `json:"key,omitzero"` // empty for an organization
	Organization string               `json:"organization"`
	Deleted      bool                 `json:"deleted,omitzero"`
	Version      int                  `json:"version,omitzero"`  // of a key: see fixture.Whole
	Settings     *policy.Organization `json:"settings,omitzero"` // of an organization; its revision does not count
	Count        uint64               `json:"count,omitzero"`    // of calls of usedEntry
}

func organizationRecord(o policy.Organization) record {
	return record{Organization: o.ID, Settings: &o}
}

func (r record) name() fixture.RecordName {
	return fixture.NameOf(store.Change{Organization: r.Organization, Key: r.Key})
}

// An announcer writes lines, one at a time.
type announcer struct {
	mu sync.Mutex
	to io.Writer
}

func (a *announcer) announce(line announcement) error {
	text, err := json.Marshal(line)
	if err != nil {
		return fmt.Errorf("crashtest: %w", err)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	_, err = a.to.Write(fmt.Appendf(nil, "%s%s\n", linePrefix, text))
	return err
}

// tellMarks announces the marks that a copy could have reached.
func (a *announcer) tellMarks(ctx context.Context, watcher store.Watcher) {
	for change, err := range watcher.Watch(ctx, store.Position{}) {
		if err != nil || change.IsMark() && a.announce(announcement{Outcome: marked, History: change.History, Revision: change.Revision}) != nil {
			return
		}
	}
}
