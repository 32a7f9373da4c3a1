package main

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestRun(t *testing.T) {
	var out strings.Builder
	require.NoError(t, run(t.Context(), &out, []string{"-n", "1600"}))
	require.Regexp(t, `(?m)^ +100 +\d+ +\d+ +\d+\.\d{3}$`, out.String())
	require.Regexp(t, `With the guard the rate is \d+\.\d{3} times that without`, out.String())
	require.Regexp(t, `1600 guarded requests more`, out.String())
}

// The one that is not guarded is not, and the other is: otherwise they would be compared
// for nothing.
func TestSides(t *testing.T) {
	guarded, bare, secret, err := handlers(t.Context())
	require.NoError(t, err)
	for handler, want := range map[http.Handler]int{guarded: http.StatusUnauthorized, bare: http.StatusOK} {
		s, err := open(handler, secret)
		require.NoError(t, err)
		response, err := http.Get(s.server.URL + "/projects/atlas/backups")
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
		require.Equal(t, want, response.StatusCode)
		s.close()
	}
}

// Both sides do the same work: they give the same answer, and it has a record in it.
func TestAnswers(t *testing.T) {
	guarded, bare, secret, err := handlers(t.Context())
	require.NoError(t, err)
	for _, handler := range []http.Handler{guarded, bare} {
		request := httptest.NewRequest(http.MethodGet, "/projects/atlas/backups", nil)
		request.RemoteAddr = "127.0.0.1:4711"
		request.Header.Set("Authorization", "Bearer "+secret.Reveal())
		answer := httptest.NewRecorder()
		handler.ServeHTTP(answer, request)
		require.Equal(t, http.StatusOK, answer.Code)
		require.JSONEq(t, `[{"id":"b1","project":"atlas","restored":0}]`, answer.Body.String())

		request.URL.Path = "/projects/other/backups"
		answer = httptest.NewRecorder()
		handler.ServeHTTP(answer, request)
		require.GreaterOrEqual(t, answer.Code, 400)
	}
}

// A server that refuses what it was to answer is not measured.
func TestRefused(t *testing.T) {
	_, _, secret, err := handlers(t.Context())
	require.NoError(t, err)
	_, err = open(http.NotFoundHandler(), secret)
	require.ErrorContains(t, err, "404")

	calls := 0
	s, err := open(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if calls++; calls > 1 {
			w.WriteHeader(http.StatusUnauthorized)
		}
	}), secret)
	require.NoError(t, err)
	defer s.close()
	require.Error(t, s.sendOver(s.conns[0], 2))
}

func TestLeaksAreFound(t *testing.T) {
	_, _, secret, err := handlers(t.Context())
	require.NoError(t, err)
	var kept sync.Map
	s, err := open(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { kept.Store(r, make([]byte, 1<<20)) }), secret)
	require.NoError(t, err)
	defer s.close()
	require.ErrorContains(t, lookForLeaks(io.Discard, s, connections), "the heap grew by")
	kept.Clear()

	s, err = open(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { go func() { <-t.Context().Done() }() }), secret)
	require.NoError(t, err)
	defer s.close()
	require.ErrorContains(t, lookForLeaks(io.Discard, s, connections), "goroutines more")
}

func TestArguments(t *testing.T) {
	require.ErrorContains(t, run(t.Context(), io.Discard, []string{"-n", "1"}), "-n is 1: want 1600 or more")
	require.Error(t, run(t.Context(), io.Discard, []string{"-rounds", "1"}))
	require.NoError(t, run(t.Context(), io.Discard, []string{"-help"}))
}

// What cannot be written is told.
func TestOutputFails(t *testing.T) {
	require.ErrorIs(t, run(t.Context(), fullDisk{}, []string{"-n", "1600"}), errFull)
}

var errFull = errors.New("no space left on device")

type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, errFull }
