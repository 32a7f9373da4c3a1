package main

import (
	"net/http"

	"github.com/labstack/echo/v5"

	"github.com/sallyport-go/sallyport/policy/policyhttp"
)

// echoGuard is the guard as echo's middleware. It does what echo.WrapMiddleware does, except
// that it decodes echo's parameters before it sets them as path values of the request. Put
// it on a route or into Use, which run after the router, never into Pre.
func echoGuard(route *policyhttp.Route) echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c *echo.Context) (err error) {
			r := c.Request()
			for _, param := range c.PathValues() {
				r.SetPathValue(param.Name, decoded(r, param.Value))
			}
			route.Protect(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				c.SetRequest(r) // with the decision in its context
				c.SetResponse(echo.NewResponse(w, c.Echo().Logger))
				err = next(c)
			})).ServeHTTP(c.Response(), r)
			return err
		}
	}
}

func newEcho(s *service) http.Handler {
	router := echo.New()
	show := func(c *echo.Context) error { return c.String(http.StatusOK, describe(c.Request())) }
	router.Match([]string{http.MethodGet, http.MethodHead}, "/projects/:project", show, echoGuard(s.read))
	router.POST("/projects/:project/restore", show, echoGuard(s.restore))
	router.GET("/projects/:project/watch", echo.WrapHandler(http.HandlerFunc(s.stream)), echoGuard(s.watch))
	router.GET("/projects/:project/talk", echo.WrapHandler(http.HandlerFunc(repeat)), echoGuard(s.talk))
	return router
}
