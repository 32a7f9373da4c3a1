package main

import (
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/sallyport-go/sallyport/policy/policyhttp"
)

// ginGuard is the guard as gin's middleware. It sets gin's parameters as path values of the
// request, and calls the next handlers if the call is allowed.
//
// It does not use gin's Context.ClientIP. By default that trusts a header from anybody; see
// gin's Engine.SetTrustedProxies.
func ginGuard(route *policyhttp.Route) gin.HandlerFunc {
	return func(c *gin.Context) {
		for _, param := range c.Params {
			c.Request.SetPathValue(param.Key, param.Value)
		}
		allowed := false
		route.Protect(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			allowed = true
			c.Request = r // with the decision in its context
			c.Next()
		})).ServeHTTP(c.Writer, c.Request)
		if !allowed {
			c.Abort()
		}
	}
}

func newGin(s *service) http.Handler {
	gin.SetMode(gin.ReleaseMode)
	router := gin.New()
	router.UseRawPath = true // an encoded slash is part of a name, as in http.ServeMux; gin decodes names
	show := func(c *gin.Context) { c.String(http.StatusOK, "%s", describe(c.Request)) }
	router.Match([]string{http.MethodGet, http.MethodHead}, "/projects/:project", ginGuard(s.read), show)
	router.POST("/projects/:project/restore", ginGuard(s.restore), show)
	router.GET("/projects/:project/watch", ginGuard(s.watch), gin.WrapF(s.stream))
	router.GET("/projects/:project/talk", ginGuard(s.talk), gin.WrapF(repeat))
	return router
}
