package policygrpc_test

import (
	"context"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/policy/policygrpc"
	"github.com/sallyport-go/sallyport/policy/policyhttp"
	"github.com/sallyport-go/sallyport/policy/policyhttp/digest"
)

// Rule D2: before the secret was verified, every failure of it is the same to the byte. It
// takes one look-up (rule K3), and none if it names no key (rule K2).
func TestNothingTellsAnUnknownKeyFromAWrongSecret(t *testing.T) {
	s := newService(t)
	rotated, current, err := apikey.Rotate(s.key, 0)
	require.NoError(t, err)
	old := s.secret
	s.key, s.secret = rotated, current
	_, unknown, err := apikey.New("acme")
	require.NoError(t, err)
	mistyped := current.Reveal()[:len(current.Reveal())-1]
	s.start()

	shown := map[string]string{
		"an unknown key":             bearer(unknown.Reveal()),
		"a wrong secret":             bearer(old.Reveal()),
		"a text that is no secret":   bearer("sp_not_a_secret"),
		"a mistyped secret":          bearer(mistyped),
		"Basic: an unknown key":      basic(string(s.key.ID[1:]), unknown.Reveal()),
		"Basic: a wrong secret":      basic(string(s.key.ID), old.Reveal()),
		"Basic: no secret":           basic(string(s.key.ID), "hunter2"),
		"Basic: the user of another": basic("k3vq7zt2mwc5x4hjp6na", current.Reveal()),
	}
	var wantStatus []byte
	var wantTrailer metadata.MD
	for name, authorization := range shown {
		before, lookups := len(s.asked), 1
		if name == "a text that is no secret" || name == "a mistyped secret" {
			lookups = 0
		}
		var header, trailer metadata.MD
		ctx := metadata.AppendToOutgoingContext(context.Background(), "authorization", authorization)
		err := s.conn.Invoke(ctx, restore, wrapperspb.String("nightly"), new(wrapperspb.StringValue), grpc.Header(&header), grpc.Trailer(&trailer))
		requireDenied(t, err, codes.Unauthenticated, "INVALID_API_KEY")
		got, err := proto.MarshalOptions{Deterministic: true}.Marshal(status.Convert(err).Proto())
		require.NoError(t, err)
		if wantStatus == nil {
			wantStatus, wantTrailer = got, trailer
		}
		assert.Equal(t, wantStatus, got, name)
		assert.Equal(t, wantTrailer, trailer, name)
		assert.Empty(t, header, name)
		assert.Len(t, s.asked, before+lookups, "%s: look-ups", name)

		_, err = s.stream(follow, "authorization", authorization)
		got, err = proto.MarshalOptions{Deterministic: true}.Marshal(status.Convert(err).Proto())
		require.NoError(t, err)
		assert.Equal(t, wantStatus, got, "%s, as a stream", name)
	}
	s.requireNotServed()
}

// Missing credentials, and malformed ones.
func TestCredentialsThatAreRefused(t *testing.T) {
	s := newService(t)
	httpDigest, err := digest.New(digest.Config{Algorithms: []apikey.DigestAlgorithm{apikey.DigestSHA256}})
	require.NoError(t, err)
	s.schemes = []policyhttp.Scheme{policyhttp.Bearer(), policyhttp.Basic(), httpDigest}
	s.start()
	good := bearer(s.secret.Reveal())
	const digestText = `username="k", realm="api", nonce="n", uri="/", response="0", qop=auth, nc=00000001, cnonce="c"`
	for name, test := range map[string]struct {
		pairs  []string
		code   codes.Code
		reason string
	}{
		"none":                        {nil, codes.Unauthenticated, "API_KEY_REQUIRED"},
		"under another name":          {[]string{"x-api-key", s.secret.Reveal()}, codes.Unauthenticated, "API_KEY_REQUIRED"},
		"of another scheme":           {[]string{"authorization", "Negotiate abc"}, codes.Unauthenticated, "API_KEY_REQUIRED"},
		"the secret without a scheme": {[]string{"authorization", s.secret.Reveal()}, codes.Unauthenticated, "API_KEY_REQUIRED"},
		"Digest":                      {[]string{"authorization", "Digest " + digestText}, codes.Unauthenticated, "API_KEY_REQUIRED"},
		"digest":                      {[]string{"authorization", "dIgEsT " + digestText}, codes.Unauthenticated, "API_KEY_REQUIRED"},
		"empty":                       {[]string{"authorization", ""}, codes.InvalidArgument, "INVALID_REQUEST"},
		"twice":                       {[]string{"authorization", good, "authorization", good}, codes.InvalidArgument, "INVALID_REQUEST"},
		"twice, one of Digest":        {[]string{"authorization", good, "authorization", "Digest " + digestText}, codes.InvalidArgument, "INVALID_REQUEST"},
		"twice, Digest first":         {[]string{"authorization", "Digest " + digestText, "authorization", good}, codes.InvalidArgument, "INVALID_REQUEST"},
		"in one with a comma":         {[]string{"authorization", good + "," + good}, codes.InvalidArgument, "INVALID_REQUEST"},
		"no base64":                   {[]string{"authorization", "Basic %%%"}, codes.InvalidArgument, "INVALID_REQUEST"},
		"no colon":                    {[]string{"authorization", "Basic aGVsbG8="}, codes.InvalidArgument, "INVALID_REQUEST"},
		"too long":                    {[]string{"authorization", "Bearer " + strings.Repeat("a", 5000)}, codes.InvalidArgument, "INVALID_REQUEST"},
	} {
		t.Run(name, func(t *testing.T) {
			for _, err := range s.both(test.pairs...) {
				requireDenied(t, err, test.code, test.reason)
				assert.NotContains(t, err.Error(), s.secret.Reveal())
			}
		})
	}
	s.requireNotServed()
}

// A scheme with a header of its own reads the metadata of that name.
func TestKeyHeader(t *testing.T) {
	s := newService(t)
	s.schemes = []policyhttp.Scheme{policyhttp.KeyHeader("X-API-Key")}
	s.start()
	for what, err := range s.both("x-api-key", s.secret.Reveal()) {
		require.NoError(t, err, what)
	}
	for _, err := range s.both(s.authorized()...) {
		requireDenied(t, err, codes.Unauthenticated, "API_KEY_REQUIRED")
	}
	for _, err := range s.both("x-api-key", s.secret.Reveal(), "x-api-key", s.secret.Reveal()) {
		requireDenied(t, err, codes.InvalidArgument, "INVALID_REQUEST")
	}
}

// Names of resources are logged, and so never read from the metadata of credentials.
func TestMetadataOfCredentials(t *testing.T) {
	for _, names := range [][2]string{{"authorization", ""}, {"Authorization", ""}, {"x-organization", "cookie"}, {"proxy-authorization", "x-project"}} {
		s := newService(t)
		s.methods = map[string]policygrpc.Method{restore: {Resource: policygrpc.Metadata(names[0], names[1])}}
		s.start()
		_, err := s.call(restore, append(s.authorized(), "x-organization", "acme", "x-project", "alpha", "cookie", "session=1")...)
		requireDenied(t, err, codes.Unavailable, "ACCESS_CONTROL_UNAVAILABLE")
		require.ErrorContains(t, s.last().Cause, "policygrpc: Metadata reads the names of a resource from ")
		require.ErrorContains(t, s.last().Cause, ", and names are logged: want one that the gateway overwrites, such as x-organization")
		require.NotContains(t, s.last().String(), s.secret.Reveal())
	}
	// Another way to the same text.
	s := newService(t)
	s.methods = map[string]policygrpc.Method{restore: {Resource: func(ctx context.Context, _ any) (policy.Resource, error) {
		md, _ := metadata.FromIncomingContext(ctx)
		return policy.Resource{Organization: md.Get("authorization")[0]}, nil
	}}}
	s.start()
	_, err := s.call(restore, s.authorized()...)
	requireDenied(t, err, codes.Unavailable, "ACCESS_CONTROL_UNAVAILABLE")
	require.ErrorContains(t, s.last().Cause, "a name of the resource is the text of the header Authorization")
}
