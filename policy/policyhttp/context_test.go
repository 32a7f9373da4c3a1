package policyhttp_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/policy/policyhttp"
)

// Of two guards, the inner one's decision is the handler's; and each asks for itself.
func TestNestedGuards(t *testing.T) {
	outer, inner := newService(t), newService(t)
	inner.key, inner.secret = outer.key, outer.secret
	inner.endpoint.Name = "inner"
	inner.observers = []policy.Option{policy.WithObserver(func(ctx context.Context, _ policy.Decision) {
		d, ok := policyhttp.DecisionOf(ctx)
		require.True(t, ok, "as long as the inner guard judges, the outer one's has let the request in")
		require.Equal(t, "things.read", d.Endpoint().Name)
	})}
	inner.start()
	called := false
	handler := outer.route.Protect(inner.route.Protect(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		called = true
		d, ok := policyhttp.DecisionOf(r.Context())
		require.True(t, ok)
		require.Contains(t, d.String(), `endpoint="inner"`)
	})))
	handler.ServeHTTP(httptest.NewRecorder(), withBearer(outer.secret.Reveal()))
	require.True(t, called)
}

type contextKey struct{}

// The context of an allowed request is the request's own, and the decision.
func TestContext(t *testing.T) {
	_, ok := policyhttp.DecisionOf(context.Background())
	require.False(t, ok)
	var none context.Context
	_, ok = policyhttp.DecisionOf(none)
	require.False(t, ok)

	s := newService(t)
	var asked context.Context
	s.observers = []policy.Option{policy.WithObserver(func(ctx context.Context, _ policy.Decision) { asked = ctx })}
	s.start()
	ctx, cancel := context.WithCancel(context.WithValue(context.Background(), contextKey{}, "kept"))
	defer cancel()
	var got context.Context
	s.route.Protect(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = r.Context() })).
		ServeHTTP(httptest.NewRecorder(), withBearer(s.secret.Reveal()).WithContext(ctx))
	for _, c := range []context.Context{got, asked} {
		require.Equal(t, "kept", c.Value(contextKey{}))
		require.NoError(t, c.Err())
		require.True(t, ctx.Done() == c.Done())
		require.Nil(t, c.Value("another"))
	}
	require.Equal(t, "context.Background.WithValue(policyhttp_test.contextKey, kept).WithCancel.WithDecision", got.(interface{ String() string }).String())
	require.Equal(t, "context.Background.WithValue(policyhttp_test.contextKey, kept).WithCancel", asked.(interface{ String() string }).String())
	child, cancelChild := context.WithCancel(got)
	defer cancelChild()
	_, ok = policyhttp.DecisionOf(child)
	require.True(t, ok)
	cancel()
	require.ErrorIs(t, child.Err(), context.Canceled)

	// A caller who has gone is denied.
	d := s.route.Check(withBearer(s.secret.Reveal()).WithContext(ctx))
	require.Equal(t, policy.Unavailable, d.Reason)
}
