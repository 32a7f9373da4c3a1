package adminhttp

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/admin"
	"github.com/sallyport-go/sallyport/store/memory"
)

const ownEventPath = ownOrg + "/events"

func (w *ownWorld) describe(text string) {
	w.t.Helper()
	shows[outcome](w, "ann", "PATCH", ownWorker, `{"description":"`+text+`"}`)
}

func TestOwnEvents(t *testing.T) {
	w := newOwnWorld(t, "")
	for _, text := range []string{"a", "b", "c"} {
		w.describe(text)
	}
	texts := func(query string) (texts []string, list eventList) {
		t.Helper()
		list = shows[eventList](w, "bob", "GET", ownEventPath+query, "")
		for _, event := range list.Events {
			texts = append(texts, string(event.After))
		}
		return texts, list
	}
	got, first := texts("?limit=2")
	require.Equal(t, []string{`{"description":"a"}`, `{"description":"b"}`}, got)
	require.True(t, first.More)
	got, second := texts("?limit=2&cursor=" + first.Next)
	require.Equal(t, []string{`{"description":"c"}`}, got)
	require.False(t, second.More)
	w.describe("d")
	got, _ = texts("?cursor=" + second.Next)
	require.Equal(t, []string{`{"description":"d"}`}, got)
	got, _ = texts("?order=newest&limit=1")
	require.Equal(t, []string{`{"description":"d"}`}, got)
	got, _ = texts("?order=oldest&key=" + worker)
	require.Len(t, got, 4)
	got, none := texts("?key=" + owner)
	require.Empty(t, got)
	require.NotNil(t, none.Events)
	for _, query := range []string{"?order=up", "?order=", "?limit=0", "?cursor=x", "?cursor=1-", "?cursor=x-y"} {
		w.ownRefuses("bob", "GET", ownEventPath+query, "", 400, "INVALID_QUERY_PARAMETER")
	}
	answer := w.own("bob", "GET", ownEventPath+"?limit=1", "")
	var text map[string]any
	require.NoError(t, json.Unmarshal(answer.Body.Bytes(), &text))
	require.NoError(t, w.check("", ref("EventList"), any(text)))

	// What was forgotten is gone, and said.
	position, err := w.memory.Position(t.Context())
	require.NoError(t, err)
	_, err = w.memory.Write(t.Context(), store.Write{Forget: &position})
	require.NoError(t, err)
	w.ownRefuses("bob", "GET", ownEventPath+"?cursor="+first.Next, "", 410, "EVENTS_FORGOTTEN")
	w.ownRefuses("bob", "GET", ownEventPath+"/stream?cursor="+first.Next, "", 410, "EVENTS_FORGOTTEN")
	w.ownRefuses("bob", "GET", ownEventPath+"/stream", "", 410, "EVENTS_FORGOTTEN", "Last-Event-ID", first.Next)
	w.ownRefuses("bob", "GET", ownEventPath+"/stream?cursor=x", "", 400, "INVALID_QUERY_PARAMETER")
	w.ownRefuses("bob", "GET", ownEventPath+"/stream?after=x", "", 400, "INVALID_QUERY_PARAMETER")
}

func TestEventsWithoutAJournal(t *testing.T) {
	w := newOwnWorld(t, "", func(w *world) { w.store = withoutJournal{w.memory} })
	w.ownRefuses("ann", "GET", ownEventPath, "", 404, "NO_EVENTS")
	w.ownRefuses("ann", "GET", ownEventPath+"/stream", "", 404, "NO_EVENTS")
	made := shows[outcome](w, "ann", "PATCH", ownWorker, `{"description":"x"}`) // and the lost event is logged
	require.Equal(t, 1, made.Made)
	require.Contains(t, w.logged.String(), "may be lost")
}

type withoutJournal struct{ store.Store }

func TestEventsFail(t *testing.T) {
	var s *brokenStore
	w := newOwnWorld(t, "", broken(&s))
	s.left.Store(0)
	w.ownRefuses("ann", "GET", ownEventPath, "", 503, "SERVICE_UNAVAILABLE")
	w.ownRefuses("ann", "GET", ownEventPath+"/stream", "", 503, "SERVICE_UNAVAILABLE")
}

// A streamWriter is a connection that keeps what is written.
type streamWriter struct {
	*httptest.ResponseRecorder
	mu     sync.Mutex
	failed error
}

func (w *streamWriter) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.failed != nil {
		return 0, w.failed
	}
	return w.ResponseRecorder.Write(p)
}

func (w *streamWriter) text() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.Body.String()
}

// stream calls a stream, and returns what it wrote and a channel that is closed at its end.
func (w *ownWorld) stream(ctx context.Context, query string) (*streamWriter, <-chan struct{}) {
	writer, done := &streamWriter{ResponseRecorder: httptest.NewRecorder()}, make(chan struct{})
	r := w.ownRequest("bob", "GET", ownEventPath+"/stream"+query, "").WithContext(ctx)
	go func() {
		defer close(done)
		w.handler.ServeHTTP(writer, r)
	}()
	return writer, done
}

func isClosed(done <-chan struct{}) bool {
	select {
	case <-done:
		return true
	default:
		return false
	}
}

// A stream sends what was, what comes, and a comment where nothing comes, with the cursor to
// resume from. It ends with its request.
func TestStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newOwnWorld(t, "")
		w.describe("a")
		ctx, hangUp := context.WithCancel(t.Context())
		defer hangUp()
		stream, done := w.stream(ctx, "")
		synctest.Wait()
		require.Equal(t, "text/event-stream", stream.Header().Get("Content-Type"))
		require.Equal(t, "no-store", stream.Header().Get("Cache-Control"))
		require.True(t, stream.Flushed)
		blocks := strings.Split(stream.text(), "\n\n")
		require.Equal(t, ": events", blocks[0])
		lines := strings.Split(blocks[1], "\n")
		cursor := strings.TrimPrefix(lines[0], "id: ")
		require.Equal(t, "event: change", lines[1])
		var event store.Event
		require.NoError(t, json.Unmarshal([]byte(strings.TrimPrefix(lines[2], "data: ")), &event))
		require.JSONEq(t, `{"description":"a"}`, string(event.After))

		before := len(stream.text())
		w.describe("b")
		synctest.Wait()
		require.Contains(t, stream.text()[before:], `"after":{"description":"b"}`)
		before = len(stream.text())
		time.Sleep(keepAlive)
		synctest.Wait()
		require.Regexp(t, `^id: [0-9]+-.+\n\n$`, stream.text()[before:])
		before = len(stream.text())

		// Nothing of another organization.
		_, err := w.admin.Apply(t.Context(), admin.BySystem("s"), globex, admin.ApplyOptions{}, admin.SetName("secret"))
		require.NoError(t, err)
		synctest.Wait()
		require.Empty(t, stream.text()[before:])

		require.False(t, isClosed(done))
		hangUp()
		synctest.Wait()
		require.True(t, isClosed(done))
		require.Empty(t, w.logged.String())

		// And resumes behind the cursor.
		ctx, hangUp = context.WithCancel(t.Context())
		defer hangUp()
		again, done := w.stream(ctx, "?cursor="+cursor+"&key="+worker)
		synctest.Wait()
		require.Contains(t, again.text(), `"after":{"description":"b"}`)
		require.Equal(t, 1, strings.Count(again.text(), "event: change"))
		time.Sleep(streaming) // its caller is judged again
		synctest.Wait()
		require.True(t, isClosed(done))
	})
}

// A caller that does not read any more ends its stream.
func TestStreamToNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newOwnWorld(t, "")
		stream, done := w.stream(t.Context(), "")
		synctest.Wait()
		stream.mu.Lock()
		stream.failed = net.ErrClosed
		stream.mu.Unlock()
		time.Sleep(keepAlive)
		synctest.Wait()
		require.True(t, isClosed(done))
	})
}

// Events that are forgotten while a stream waits end it with a word, and a failing store ends
// it for the caller to connect again.
func TestStreamEnds(t *testing.T) {
	for name, err := range map[string]error{"forgotten": store.ErrCompacted, "failed": errBroken} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &endingStore{}
				w := newOwnWorld(t, "", func(w *world) {
					s.Store = w.memory
					w.store = s
				})
				stream, done := w.stream(t.Context(), "")
				synctest.Wait()
				s.err.Store(&err)
				w.describe("a")
				synctest.Wait()
				require.True(t, isClosed(done))
				require.Equal(t, errors.Is(err, store.ErrCompacted), strings.HasSuffix(stream.text(), "event: forgotten\ndata: {}\n\n"))
				require.NotContains(t, stream.text(), "10.0.0.9")
				require.Equal(t, errors.Is(err, errBroken), strings.Contains(w.logged.String(), "a stream of events ended"))
			})
		})
	}
}

// An endingStore is a store whose journal fails from some time on.
type endingStore struct {
	*memory.Store
	err atomic.Pointer[error]
}

func (s *endingStore) Events(ctx context.Context, request store.EventRequest) (store.EventPage, error) {
	if err := s.err.Load(); err != nil {
		return store.EventPage{}, *err
	}
	return s.Store.Events(ctx, request)
}

// A page that nobody waits for any more is not sent.
func TestFollowIsLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newOwnWorld(t, "")
		w.describe("a")
		ctx, cancel := context.WithCancel(t.Context())
		pages, ended := make(chan store.EventPage), make(chan error)
		go func() { ended <- w.handler.follow(ctx, store.EventRequest{Organization: acme}, pages) }()
		synctest.Wait()
		cancel()
		require.ErrorIs(t, <-ended, context.Canceled)
	})
}

// The server's Shutdown ends streams, over real connections. HEAD has the headers only.
func TestStreamEndsWithTheServer(t *testing.T) {
	w := newOwnWorld(t, "")
	w.describe("a")
	server := httptest.NewServer(w.handler)
	defer server.Close()
	get := func(method string) *http.Response {
		r, err := http.NewRequestWithContext(t.Context(), method, server.URL+ownEventPath+"/stream", nil)
		require.NoError(t, err)
		r.Header.Set("Person", "bob")
		answer, err := http.DefaultClient.Do(r)
		require.NoError(t, err)
		return answer
	}
	head := get("HEAD")
	require.NoError(t, head.Body.Close())
	require.Equal(t, "text/event-stream", head.Header.Get("Content-Type"))
	var bodies []*bufio.Scanner
	for range 2 {
		answer := get("GET")
		defer answer.Body.Close()
		lines := bufio.NewScanner(answer.Body)
		require.True(t, lines.Scan())
		require.Equal(t, ": events", lines.Text())
		bodies = append(bodies, lines)
	}
	require.NoError(t, server.Config.Shutdown(t.Context()))
	for _, lines := range bodies {
		for lines.Scan() { // up to its end
		}
		require.NoError(t, lines.Err())
	}
}

// A person whose right ended is refused when the stream is asked for again.
func TestStreamOfAnotherOrganization(t *testing.T) {
	w := newOwnWorld(t, "")
	for _, by := range []string{"eve", "zoe", "max"} {
		w.ownRefuses(by, "GET", ownEventPath+"/stream", "", 404, "ORGANIZATION_NOT_FOUND")
	}
	w.ownRefuses(stranger, "GET", ownEventPath+"/stream", "", 403, "API_KEY_NOT_IN_ORGANIZATION")
}
