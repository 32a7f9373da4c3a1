package main

import (
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/sallyport-go/sallyport/policy/policyhttp"
)

// ginGuard is the guard as gin's middleware. It hands gin's parameters to the request,
// and goes on with the handlers that follow if the call is allowed.
//
// gin's own Context.ClientIP is not asked for the address, and takes it from a header
// that anybody can send unless Engine.SetTrustedProxies says otherwise.
func ginGuard(route *policyhttp.Route) gin.HandlerFunc {
	return func(c *gin.Context) {
		for _, param := range c.Params {
			c.Request.SetPathValue(param.Key, param.Value)
		}
		allowed := false
		route.Protect(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			allowed = true
			c.Request = r // which has the decision
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
	router.UseRawPath = true // so that an encoded slash is part of a name, as in http.ServeMux; names are decoded
	show := func(c *gin.Context) { c.String(http.StatusOK, "%s", describe(c.Request)) }
	router.Match([]string{http.MethodGet, http.MethodHead}, "/projects/:project", ginGuard(s.read), show)
	router.POST("/projects/:project/restore", ginGuard(s.restore), show)
	router.GET("/projects/:project/watch", ginGuard(s.watch), gin.WrapF(s.stream))
	router.GET("/projects/:project/talk", ginGuard(s.talk), gin.WrapF(repeat))
	return router
}
