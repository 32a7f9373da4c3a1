package policygrpc

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"google.golang.org/grpc/metadata"

	"github.com/sallyport-go/sallyport/policy"
)

// A Resource finds the object of a call: its organization, its project if it has one, and
// optionally the record it read, which the handler gets by [ValueOf]. It is called once,
// after line 11 of the rules: guessed and stolen keys cause no call. message is the one of a
// unary call. It is nil for a stream, judged before its first message; the object of a stream
// is in its metadata.
//
// It takes both names from the resource's own record, never from the caller (rule K7): the
// message names a backup, and the backup's record names its owner. For an unknown backup it
// returns [policy.NoOrganization]; the answer is then the one for another organization's.
//
// Without an organization, and with a name of more than 256 bytes, the call is denied as
// invalid_request (INVALID_ARGUMENT). With an error, and if the Resource panics (by a type
// assertion on another message, for instance), it is denied as unavailable (UNAVAILABLE);
// the error is for the operator.
type Resource func(ctx context.Context, message any) (policy.Resource, error)

// of returns the Resource of one call.
func (r Resource) of(message any) policy.Resolver {
	if r == nil {
		return nil
	}
	return policy.ResolverFunc(func(ctx context.Context) (policy.Resource, error) { return r(ctx, message) })
}

// Metadata returns a Resource that reads both names from the metadata. It is for services
// behind a gateway that overwrites them in every call: from anybody else they are the
// caller's word. project is "" for a method of the organization itself. If a value is
// missing, empty or occurs twice, the call is denied as invalid_request.
//
// An organization alone is safe from anybody: the rules compare it with the key's.
//
// Names of resources are logged. With authorization, proxy-authorization or cookie every
// call is denied as unavailable.
func Metadata(organization, project string) Resource {
	for _, name := range []string{organization, project} {
		if slices.Contains([]string{"authorization", "proxy-authorization", "cookie"}, strings.ToLower(name)) {
			err := fmt.Errorf("policygrpc: Metadata reads the names of a resource from %s, and names are logged: want one that the gateway overwrites, such as x-organization", name)
			return func(context.Context, any) (policy.Resource, error) { return policy.Resource{}, err }
		}
	}
	return func(ctx context.Context, _ any) (policy.Resource, error) {
		md, _ := metadata.FromIncomingContext(ctx)
		resource := policy.Resource{Organization: single(md, organization)}
		if project != "" {
			if resource.Project = single(md, project); resource.Project == "" {
				return policy.Resource{}, nil
			}
		}
		return resource, nil
	}
}

// single returns the value of a name, "" unless there is exactly one.
func single(md metadata.MD, name string) string {
	if values := md.Get(name); len(values) == 1 {
		return values[0]
	}
	return ""
}
