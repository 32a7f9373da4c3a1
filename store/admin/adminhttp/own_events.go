package adminhttp

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/store"
)

const (
	keepAlive = 15 * time.Second // between two writes of a stream
	streaming = 10 * time.Minute // the longest stream: its caller is judged again then
	writing   = 30 * time.Second // the longest write of a stream
)

type eventList struct {
	Events []store.Event `json:"events"`
	Next   string        `json:"next"` // cursor of what follows, also on the last page
	More   bool          `json:"more"` // whether an event followed when the page was read
}

// errNoJournal is the answer where the store keeps no events.
var errNoJournal = &apiError{status: http.StatusNotFound, code: "NO_EVENTS", detail: "This service keeps no events."}

// eventRequest reads the query of events. The organization is the judged one.
func (h *handler) eventRequest(c *call, cursor string) (request store.EventRequest, err error) {
	if h.journal == nil {
		return request, errNoJournal
	}
	query := c.URL.Query()
	request = store.EventRequest{Organization: c.organization, Key: apikey.ID(query.Get("key"))}
	if cursor != "" {
		revision, history, _ := strings.Cut(cursor, "-")
		n, err := strconv.ParseUint(revision, 10, 64)
		if err != nil || history == "" {
			return request, cursorError(store.ErrInvalid)
		}
		request.After = store.Position{Revision: n, History: history}
	}
	return request, nil
}

func cursorOf(position store.Position) string {
	return strconv.FormatUint(position.Revision, 10) + "-" + position.History
}

func (h *handler) ownEvents(c *call) (any, error) {
	query := c.URL.Query()
	request, err := h.eventRequest(c, query.Get("cursor"))
	if err != nil {
		return nil, err
	}
	switch order := query.Get("order"); {
	case order == "newest":
		request.Newest = true
	case order != "oldest" && query.Has("order"):
		return nil, badQuery("order", "The parameter order is "+quote(order)+": want oldest or newest.")
	}
	if request.Limit, err = readNumber(query, "limit", 1, store.MaxPageSize, store.DefaultPageSize); err != nil {
		return nil, err
	}
	page, err := h.journal.Events(c.Context(), request)
	if err != nil {
		return nil, cursorError(err)
	}
	return eventList{append([]store.Event{}, page.Events...), cursorOf(page.Next), page.More}, nil
}

// followEvents sends events as they are written, as Server-Sent Events: each with the cursor
// behind it as its id, so that a browser resumes there by itself. Where nothing happens a
// comment keeps the connection alive. The stream ends with the request, with the server's
// Shutdown, and after some minutes, for the caller to be judged again.
func (h *handler) followEvents(w http.ResponseWriter, c *call) {
	cursor := c.Header.Get("Last-Event-ID")
	if cursor == "" {
		cursor = c.URL.Query().Get("cursor")
	}
	request, err := h.eventRequest(c, cursor)
	if err == nil { // before the first byte, so that a refusal has its status
		_, err = h.journal.Events(c.Context(), request)
		err = cursorError(err)
	}
	if err != nil {
		writeProblem(w, c.Request, h.problem(c, err))
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("X-Accel-Buffering", "no") // of nginx
	s := &eventStream{w: w, control: http.NewResponseController(w), cursor: cursor}
	if c.Method == http.MethodHead {
		return
	}
	ctx, cancel := context.WithTimeout(c.Context(), streaming)
	defer cancel()
	pages := make(chan store.EventPage)
	ended := make(chan error, 1)
	go func() {
		ended <- h.follow(ctx, request, pages)
	}()
	err = s.run(ctx, pages, ended, h.shutdowns.of(c.Context()))
	cancel()
	for range pages { // until the follower has ended
	}
	switch {
	case errors.Is(err, store.ErrCompacted):
		s.write("event: forgotten\ndata: {}\n\n")
	case err != nil && c.Context().Err() == nil:
		h.logger().WarnContext(c.Context(), "adminhttp: a stream of events ended", "error", err)
	}
}

// follow sends pages of events until ctx is done or the journal fails.
func (h *handler) follow(ctx context.Context, request store.EventRequest, pages chan<- store.EventPage) error {
	defer close(pages)
	var page store.EventPage
	var err error
	for page, err = range store.FollowEvents(ctx, h.Store, request) {
		if err != nil {
			break
		}
		select {
		case pages <- page:
		case <-ctx.Done(): // the next round has its error
		}
	}
	return err
}

// An eventStream writes Server-Sent Events.
type eventStream struct {
	w       http.ResponseWriter
	control *http.ResponseController
	cursor  string // behind all that was read
	failed  error
}

// run writes pages until something ends the stream. It returns the journal's error, nil for
// every other end.
func (s *eventStream) run(ctx context.Context, pages <-chan store.EventPage, ended <-chan error, shutdown <-chan struct{}) error {
	alive := time.NewTicker(keepAlive)
	defer alive.Stop()
	s.write(": events\n\n")
	for s.failed == nil {
		select {
		case page, ok := <-pages:
			if !ok {
				if err := <-ended; ctx.Err() == nil {
					return err
				}
				return nil
			}
			s.page(page)
		case <-alive.C: // with the cursor: events of others may be forgotten meanwhile
			s.write("id: " + s.cursor + "\n\n")
		case <-shutdown:
			return nil
		}
	}
	return nil
}

// page writes a page. Only its last event has an id, the cursor behind the page: a client that
// stops within a page reads it again.
func (s *eventStream) page(page store.EventPage) {
	var b strings.Builder
	s.cursor = cursorOf(page.Next)
	for i, event := range page.Events {
		data, _ := json.Marshal(event) // as stored
		if i == len(page.Events)-1 {
			fmt.Fprintf(&b, "id: %s\n", s.cursor)
		}
		fmt.Fprintf(&b, "event: change\ndata: %s\n\n", data)
	}
	s.write(b.String())
}

// write writes text at once, or notes that the caller has gone.
func (s *eventStream) write(text string) {
	if text == "" {
		return
	}
	_ = s.control.SetWriteDeadline(time.Now().Add(writing)) // where the server can
	if _, s.failed = s.w.Write([]byte(text)); s.failed == nil {
		s.failed = s.control.Flush()
	}
}

// shutdowns knows which servers are shutting down. Shutdown does not end requests by itself.
type shutdowns struct {
	mu      sync.Mutex
	servers map[*http.Server]chan struct{}
}

// of returns a channel that is closed by the Shutdown of the server behind a request.
func (s *shutdowns) of(ctx context.Context) <-chan struct{} {
	server, ok := ctx.Value(http.ServerContextKey).(*http.Server)
	if !ok {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	ends, ok := s.servers[server]
	if !ok {
		if s.servers == nil {
			s.servers = map[*http.Server]chan struct{}{}
		}
		ends = make(chan struct{})
		s.servers[server] = ends
		server.RegisterOnShutdown(sync.OnceFunc(func() { close(ends) }))
	}
	return ends
}
