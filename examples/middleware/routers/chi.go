package main

import (
	"net/http"

	"github.com/go-chi/chi/v5"
	"github.com/go-chi/chi/v5/middleware"

	"github.com/sallyport-go/sallyport/policy/policyhttp"
)

// chiGuard is the guard as chi's middleware, for Router.With. route.Protect alone works
// too, since chi sets Request.PathValue. The adapter decodes percent-encoded names; without
// it they name unknown projects.
//
// Do not use it with Router.Use: at the top of a router that runs before the path is
// matched, and every call would be denied.
func chiGuard(route *policyhttp.Route) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		protected := route.Protect(next)
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			params := chi.RouteContext(r.Context()).URLParams
			for i, name := range params.Keys {
				r.SetPathValue(name, decoded(r, params.Values[i]))
			}
			protected.ServeHTTP(w, r)
		})
	}
}

func newChi(s *service) http.Handler {
	router := chi.NewRouter()
	router.Use(middleware.GetHead) // http.ServeMux has a GET serve HEAD too
	router.With(chiGuard(s.read)).Get("/projects/{project}", showProject)
	router.With(chiGuard(s.restore)).Post("/projects/{project}/restore", showProject)
	router.With(chiGuard(s.watch)).Get("/projects/{project}/watch", s.stream)
	router.With(chiGuard(s.talk)).Get("/projects/{project}/talk", repeat)
	return router
}
