package policygrpc

import (
	"context"
	"net/http"

	"github.com/sallyport-go/sallyport/policy/policyhttp"
)

// A Resource says what a call is about: an organization, or one of its projects, or a
// project alone. It is called before it is known who is calling, for every call that shows
// credentials of any kind. message is that of a unary call, and nil for a stream, of which
// none was read yet; what a stream is about is in its metadata.
//
// It takes both names from the resource's own record, never from the caller (rule K7): the
// message names a backup, and the backup's record says whose it is. For one that does not
// exist it returns an organization that there cannot be, such as " ": then the answer is that
// to a backup of another organization. With no name at all, whoever makes up credentials
// would be told that it does not exist.
//
// With neither name, and with one of more than 256 bytes, the call is denied as
// invalid_request (INVALID_ARGUMENT). With an error it is denied as unavailable
// (UNAVAILABLE), as it is if the Resource panics, by a type assertion on a message that is
// another for instance; the error is for the operator.
type Resource func(ctx context.Context, message any) (organization, project string, err error)

// of returns the Resource of one call as policyhttp wants it.
func (r Resource) of(ctx context.Context, message any) policyhttp.Resource {
	if r == nil {
		return nil
	}
	return func(*http.Request) (string, string, error) { return r(ctx, message) }
}

// Metadata returns a Resource that reads both names from the metadata, for services behind
// a gateway that knows the resource and overwrites these in every call: from anybody else,
// they are the caller's word. "" stands for one that there is not. If one that is named is
// missing, empty or there twice, the call is denied as invalid_request.
//
// An organization alone is safe from anybody: the rules compare it with the key's.
func Metadata(organization, project string) Resource {
	headers := policyhttp.Headers(organization, project)
	return func(ctx context.Context, _ any) (string, string, error) {
		return headers(&http.Request{Header: headerOf(ctx)})
	}
}
