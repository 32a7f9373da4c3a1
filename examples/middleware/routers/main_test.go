package main

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/gin-gonic/gin"
	"github.com/go-chi/chi/v5"
	"github.com/go-chi/chi/v5/middleware"
	"github.com/labstack/echo/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/apikey"
)

// The comparison is what this module shows; run fails if an answer differs.
func TestRun(t *testing.T) {
	var out strings.Builder
	require.NoError(t, run(t.Context(), &out), out.String())
	require.Regexp(t, `(?m)^a key, as a Bearer token +200 +200 +200 +200 +yes$`, out.String())
	require.Equal(t, 30, strings.Count(out.String(), "yes\n"))
	require.Equal(t, 4*len(routers), strings.Count(out.String(), "works"))
}

func start(t testing.TB) (*service, map[apikey.ID]apikey.Secret) {
	s, secrets, err := newService(t.Context())
	require.NoError(t, err)
	return s, secrets
}

// A difference in the body, in a header, or from the status that is right is found.
func TestDifferencesAreFound(t *testing.T) {
	s, secrets := start(t)
	right := newServeMux(s)
	for name, wrong := range map[string]http.Handler{
		"body": http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			right.ServeHTTP(w, r)
			_, _ = io.WriteString(w, " ")
		}),
		"header": http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Add("Server", "other") // as some routers do
			right.ServeHTTP(w, r)
		}),
		"status": http.NotFoundHandler(),
	} {
		first, second := httptest.NewServer(right), httptest.NewServer(wrong)
		require.NotEmpty(t, compare(t.Context(), io.Discard, []*httptest.Server{first, second}, secrets), name)
		require.Empty(t, compare(t.Context(), io.Discard, []*httptest.Server{first, first}, secrets))
		first.Close()
		second.Close()
	}
}

// What hides Flusher and Hijacker, as middleware often does, is found too.
func TestWrappedWriterIsFound(t *testing.T) {
	s, secrets := start(t)
	router := newServeMux(s)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		router.ServeHTTP(struct{ http.ResponseWriter }{w}, r)
	}))
	defer server.Close()
	_, err := s.tryStream(t.Context(), server, secrets["reader"], "controller")
	require.ErrorContains(t, err, "status 500")
	_, err = tryHijack(t.Context(), server, secrets["reader"], "controller")
	require.ErrorContains(t, err, "status 500")
}

// Several keys at a time: nobody is answered as somebody else. gin and echo use their
// contexts again.
func TestConcurrentUse(t *testing.T) {
	s, secrets := start(t)
	table, err := requests(secrets)
	require.NoError(t, err)
	for _, router := range routers {
		t.Run(router.name, func(t *testing.T) {
			server := httptest.NewServer(router.make(s))
			defer server.Close()
			var wait sync.WaitGroup
			for worker := range 8 {
				wait.Go(func() {
					for i := range table {
						q := table[(i+worker*4)%len(table)]
						a, err := ask(t.Context(), server, q)
						assert.NoError(t, err)
						assert.Equal(t, q.status, a.status, q.what)
						if q.method == http.MethodGet && q.status == http.StatusOK {
							assert.Contains(t, a.body, ", for key reader\n", q.what)
						}
					}
				})
			}
			wait.Wait()
		})
	}
}

// A handler that goes on after the guard has denied would be worse than none.
func TestDeniedStopsThere(t *testing.T) {
	s, _ := start(t)
	reached := false
	reach := func(http.ResponseWriter, *http.Request) { reached = true }

	chiRouter := chi.NewRouter()
	chiRouter.With(chiGuard(s.read)).Get("/projects/{project}", reach)
	ginRouter := gin.New()
	ginRouter.GET("/projects/:project", ginGuard(s.read), gin.WrapF(reach), gin.WrapF(reach))
	echoRouter := echo.New()
	echoRouter.GET("/projects/:project", echo.WrapHandler(http.HandlerFunc(reach)), echoGuard(s.read))
	for _, router := range []http.Handler{chiRouter, ginRouter, echoRouter} {
		w := httptest.NewRecorder()
		router.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/projects/atlas", nil))
		require.Equal(t, http.StatusUnauthorized, w.Code)
		require.False(t, reached)
	}
}

// In front of the router there are no parameters yet, and every call is denied: the
// mistake shows at once.
func TestInFrontOfTheRouter(t *testing.T) {
	s, secrets := start(t)
	chiRouter := chi.NewRouter()
	chiRouter.Use(chiGuard(s.read))
	chiRouter.Get("/projects/{project}", showProject)
	echoRouter := echo.New()
	echoRouter.Pre(echoGuard(s.read))
	echoRouter.GET("/projects/:project", echo.WrapHandler(http.HandlerFunc(showProject)))
	for name, router := range map[string]http.Handler{"chi": chiRouter, "echo": echoRouter} {
		w := httptest.NewRecorder()
		router.ServeHTTP(w, call("/projects/atlas", secrets["reader"]))
		require.Equal(t, http.StatusBadRequest, w.Code, name)
	}
}

// Some middleware writes what a header says into RemoteAddr. An address that anybody can
// choose is not taken for the peer's, with whichever key.
func TestRewrittenRemoteAddr(t *testing.T) {
	s, secrets := start(t)
	router := chi.NewRouter()
	//lint:ignore SA1019 it is deprecated for just this, and still in use
	router.Use(middleware.RealIP)
	router.With(chiGuard(s.read)).Get("/projects/{project}", showProject)
	r := call("/projects/atlas", secrets["elsewhere"])
	r.Header.Set("X-Real-IP", "203.0.113.7") // which the key's list has
	w := httptest.NewRecorder()
	router.ServeHTTP(w, r)
	require.Equal(t, http.StatusServiceUnavailable, w.Code, w.Body)
}

// Without the adapter chi's names are those of http.ServeMux too, unless they come
// encoded; then there is no such project.
func TestChiWithoutAdapter(t *testing.T) {
	s, secrets := start(t)
	router := chi.NewRouter()
	router.With(s.read.Protect).Get("/projects/{project}", func(w http.ResponseWriter, r *http.Request) {
		require.Equal(t, chi.URLParam(r, "project"), r.PathValue("project"))
	})
	for path, want := range map[string]int{"/projects/atlas": 200, "/projects/%61tlas": 403} {
		w := httptest.NewRecorder()
		router.ServeHTTP(w, call(path, secrets["reader"]))
		require.Equal(t, want, w.Code, path)
	}
}

func TestDecoded(t *testing.T) {
	for _, test := range []struct{ path, value, want string }{
		{"/projects/atlas", "atlas", "atlas"},
		{"/projects/%61tlas", "%61tlas", "atlas"},
		{"/projects/%2561tlas", "%61tlas", "%61tlas"}, // net/url has decoded it: once is enough
		{"/projects/%2561tl%61s", "%2561tl%61s", "%61tlas"},
		{"/projects/a%2Fb", "a%2Fb", "a/b"},
		{"/projects/a%2Fb", "%zz", ""},
	} {
		require.Equal(t, test.want, decoded(httptest.NewRequest(http.MethodGet, test.path, nil), test.value), test.path)
	}
}

// call is a request from an address that the keys with a list have on it.
func call(path string, secret apikey.Secret) *http.Request {
	r := httptest.NewRequest(http.MethodGet, path, nil)
	r.RemoteAddr = "127.0.0.1:52814"
	r.Header.Set("Authorization", "Bearer "+secret.Reveal())
	return r
}

// What cannot be written is told.
func TestOutputFails(t *testing.T) {
	require.ErrorIs(t, run(t.Context(), fullDisk{}), errFull)
}

var errFull = errors.New("no space left on device")

type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, errFull }

// BenchmarkRouters has what a guarded call costs under each of them, without a network.
func BenchmarkRouters(b *testing.B) {
	s, secrets := start(b)
	wrong, err := unstored("reader")
	require.NoError(b, err)
	for _, router := range routers {
		handler := router.make(s)
		for _, c := range []struct {
			name, path string
			secret     apikey.Secret
			want       int
		}{
			{"allowed", "/projects/atlas", secrets["reader"], 200},
			{"wrong secret", "/projects/atlas", wrong, 401},
			{"not behind the guard", "/", secrets["reader"], 404},
		} {
			b.Run(router.name+"/"+c.name, func(b *testing.B) {
				r := call(c.path, c.secret)
				b.ReportAllocs()
				for b.Loop() {
					w := httptest.NewRecorder()
					handler.ServeHTTP(w, r)
					if w.Code != c.want {
						b.Fatalf("%d: want %d", w.Code, c.want)
					}
				}
			})
		}
	}
}
