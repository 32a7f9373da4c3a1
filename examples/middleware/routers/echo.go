package main

import (
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/sallyport-go/sallyport/policy/policyhttp"
)

// echoGuard is the guard as echo's middleware: echo.WrapMiddleware, and echo's parameters
// as path values of the request. Put it on a route or into Use, which run after the router,
// never into Pre.
func echoGuard(route *policyhttp.Route) echo.MiddlewareFunc {
	protect := echo.WrapMiddleware(route.Protect)
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		protected := protect(next)
		return func(c echo.Context) error {
			for i, name := range c.ParamNames() {
				c.Request().SetPathValue(name, decoded(c.Request(), c.ParamValues()[i]))
			}
			return protected(c)
		}
	}
}

func newEcho(s *service) http.Handler {
	router := echo.New()
	show := func(c echo.Context) error { return c.String(http.StatusOK, describe(c.Request())) }
	router.Match([]string{http.MethodGet, http.MethodHead}, "/projects/:project", show, echoGuard(s.read))
	router.POST("/projects/:project/restore", show, echoGuard(s.restore))
	router.GET("/projects/:project/watch", echo.WrapHandler(http.HandlerFunc(s.stream)), echoGuard(s.watch))
	router.GET("/projects/:project/talk", echo.WrapHandler(http.HandlerFunc(repeat)), echoGuard(s.talk))
	return router
}
