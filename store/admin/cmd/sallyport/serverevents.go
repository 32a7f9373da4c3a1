package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/sallyport-go/sallyport/store"
)

const (
	silent       = time.Minute     // the longest silence of a stream, which is kept alive every 15 s
	reconnecting = 2 * time.Second // between two streams
	maxEvent     = 1 << 20         // bytes of a line of a stream
)

var errForgotten = errors.New("events after this revision are not kept any more: begin without --after")

// eventQuery returns the path and the query of a request for events.
func (v *server) eventQuery(ctx context.Context, r store.EventRequest) (organization string, query url.Values, err error) {
	query = url.Values{}
	if r.Key != "" {
		query.Set("key", string(r.Key))
	}
	if r.After.History != "" {
		query.Set("cursor", strconv.FormatUint(r.After.Revision, 10)+"-"+r.After.History)
	}
	if r.Organization != "" {
		return r.Organization, query, nil
	}
	me, err := v.Who(ctx)
	if err == nil && me.Organization == "" {
		err = usageError{errors.New("with --server events are those of one organization: want --org")}
	}
	return me.Organization, query, err
}

// readCursor reads a cursor of events.
func readCursor(cursor string) (p store.Position, err error) {
	revision, history, _ := strings.Cut(cursor, "-")
	p.History = history
	if p.Revision, err = strconv.ParseUint(revision, 10, 64); err != nil || history == "" {
		return p, fmt.Errorf("the server answers with %.60q, which is no cursor of events", cursor)
	}
	return p, nil
}

func (v *server) Events(ctx context.Context, r store.EventRequest) (page store.EventPage, err error) {
	organization, query, err := v.eventQuery(ctx, r)
	if err != nil {
		return page, err
	}
	if r.Limit > 0 {
		query.Set("limit", strconv.Itoa(r.Limit))
	}
	if r.Newest {
		query.Set("order", "newest")
	}
	var body struct {
		Events []store.Event `json:"events"`
		Next   string        `json:"next"`
		More   bool          `json:"more"`
	}
	if err := v.get(ctx, &body, query, "organizations", organization, "events"); err != nil {
		return page, err
	}
	page.Events, page.More = body.Events, body.More
	page.Next, err = readCursor(body.Next)
	return page, err
}

// Follow yields events as the server sends them. When a stream ends or breaks, the next one
// begins where it ended. A stream that does not begin is an error.
func (v *server) Follow(ctx context.Context, r store.EventRequest) iter.Seq2[store.EventPage, error] {
	return func(yield func(store.EventPage, error) bool) {
		for {
			err := v.stream(ctx, &r, yield)
			if errors.Is(err, errLeft) {
				return
			}
			if err != nil {
				yield(store.EventPage{}, err)
				return
			}
			select {
			case <-ctx.Done():
				yield(store.EventPage{}, ctx.Err())
				return
			case <-time.After(reconnecting):
			}
		}
	}
}

var errLeft = errors.New("nobody takes events any more")

// stream yields the events of one stream, and moves the request behind them. No error is the
// end of a stream that had begun.
func (v *server) stream(ctx context.Context, r *store.EventRequest, yield func(store.EventPage, error) bool) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	organization, query, err := v.eventQuery(ctx, *r)
	if err != nil {
		return err
	}
	silence := time.AfterFunc(silent, cancel)
	defer silence.Stop()
	answer, err := v.send(ctx, request{method: http.MethodGet, path: []string{"organizations", organization, "events", "stream"}, query: query})
	if err != nil {
		return err
	}
	defer func() { _ = answer.Body.Close() }() // it is only read
	if answer.StatusCode != http.StatusOK {
		data, err := io.ReadAll(io.LimitReader(answer.Body, maxEvent))
		if err != nil {
			return v.failed(ctx, err)
		}
		return v.refusal(http.MethodGet, answer, data)
	}
	if mediaType(answer) != "text/event-stream" {
		return v.foreign(answer)
	}
	lines := bufio.NewScanner(answer.Body)
	lines.Buffer(nil, maxEvent)
	next, page, kind := r.After, store.EventPage{}, ""
	for lines.Scan() {
		silence.Reset(silent)
		name, value, _ := strings.Cut(lines.Text(), ":")
		value = strings.TrimPrefix(value, " ")
		switch {
		case lines.Text() == "":
			if kind == "forgotten" {
				return errForgotten
			}
			page.Next, r.After, kind = next, next, ""
			if !yield(page, nil) {
				return errLeft
			}
			page = store.EventPage{}
		case name == "id":
			if next, err = readCursor(value); err != nil {
				return err
			}
		case name == "event":
			kind = value
		case name == "data" && kind == "change":
			var event store.Event
			if err := json.Unmarshal([]byte(value), &event); err != nil {
				return fmt.Errorf("%s sends an event that cannot be read: %w", v.shown, err)
			}
			page.Events = append(page.Events, event)
		}
	}
	if errors.Is(lines.Err(), bufio.ErrTooLong) {
		return fmt.Errorf("%s sends an event of more than %d bytes", v.shown, maxEvent)
	}
	return nil
}
