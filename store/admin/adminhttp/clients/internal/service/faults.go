package service

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"

	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/memory"
)

// A Store is a store in memory, some of whose writes fail.
type Store struct {
	*memory.Store
	mu   sync.Mutex
	left int // writes before the one that fails; -1: none fails
}

func newStore() *Store { return &Store{Store: memory.New(), left: -1} }

// FailWrite makes the n-th write from now fail, and no other.
func (s *Store) FailWrite(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.left = n - 1
}

// Write implements [store.Journal].
func (s *Store) Write(ctx context.Context, w store.Write) (uint64, error) {
	s.mu.Lock()
	fails := s.left == 0
	if s.left >= 0 {
		s.left--
	}
	s.mu.Unlock()
	if fails {
		return 0, errors.New("the disk is full")
	}
	return s.Store.Write(ctx, w)
}

// A Call is a request as it arrived, and the status of its answer.
type Call struct {
	Method, Target string // Target as it arrived
	Scheme         string // of its credentials; empty: none
	Body           string // as far as it was read
	Header         http.Header
	Status         int // 0: the answer was lost
}

// String returns method, target, scheme, body and status.
func (c Call) String() string {
	scheme := c.Scheme
	if scheme == "" {
		scheme = "-"
	}
	return strings.TrimSpace(fmt.Sprintf("%d %s %s %s %s", c.Status, c.Method, c.Target, scheme, c.Body))
}

// calls are those that arrived.
type calls struct {
	mu   sync.Mutex
	all  []Call
	lose string // a method: the next answer to it is lost
}

// LoseAnswer closes the connection in place of the next answer to a method with credentials.
// The call itself is served.
func (s *Service) LoseAnswer(method string) {
	s.calls.mu.Lock()
	defer s.calls.mu.Unlock()
	s.calls.lose = method
}

// Calls returns the calls since the last Calls, oldest first.
func (s *Service) Calls() []Call {
	s.calls.mu.Lock()
	defer s.calls.mu.Unlock()
	all := s.calls.all
	s.calls.all = nil
	return all
}

// Authorized returns the calls with credentials since the last Calls, as texts.
func (s *Service) Authorized() []string {
	var texts []string
	for _, call := range slices.DeleteFunc(s.Calls(), func(c Call) bool { return c.Scheme == "" }) {
		texts = append(texts, call.String())
	}
	return texts
}

// record notes every call before its answer is sent.
func (s *Service) record(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var body strings.Builder
		call := Call{Method: r.Method, Target: r.RequestURI, Header: r.Header.Clone()}
		call.Scheme, _, _ = strings.Cut(r.Header.Get("Authorization"), " ")
		if r.ContentLength != 0 {
			r.Body = struct {
				io.Reader
				io.Closer
			}{io.TeeReader(r.Body, &body), r.Body}
		}
		answer := httptest.NewRecorder()
		next.ServeHTTP(answer, r)
		call.Body, call.Status = body.String(), answer.Code

		s.calls.mu.Lock()
		lost := call.Scheme != "" && s.calls.lose == r.Method
		if lost {
			call.Status, s.calls.lose = 0, ""
		}
		s.calls.all = append(s.calls.all, call)
		s.calls.mu.Unlock()
		if lost {
			panic(http.ErrAbortHandler)
		}
		for name, values := range answer.Header() {
			w.Header()[name] = values
		}
		w.WriteHeader(answer.Code)
		_, _ = w.Write(answer.Body.Bytes())
	})
}
