package policyhttp

import (
	"context"
	"fmt"
	"net/http"

	"github.com/sallyport-go/sallyport/policy"
)

// A Resource finds the object of a request: its organization, its project if it has one,
// and optionally the record it read, which the handler gets by [ValueOf]. It is called
// once, after line 11 of the rules: guessed and stolen keys cause no call, and learn
// nothing from it.
//
// It takes both names from the resource's own record, never from the caller (rule K7): the
// rules believe it about the owner of a project. For an unknown resource it returns
// [policy.NoOrganization]; the answer is then the one for another organization's.
//
// Without an organization, and with a name of more than 256 bytes, the call is denied as
// invalid_request (400). With an error, and if the Resource panics, it is denied as
// unavailable (503); the error is for the operator. So is a call with a name equal to the
// value of its credentials' header, since names are logged.
type Resource func(r *http.Request) (policy.Resource, error)

// PathOrganization returns a Resource that reads the organization from the path.
// organization is the name of the wildcard in the pattern of http.ServeMux, or of another
// router with support of Request.PathValue, such as chi. The path is the caller's word, and
// may be: the rules compare it with the key's organization. Without such a path value the
// call is denied as invalid_request: the guard is in front of the router instead of behind
// it.
//
// The handler takes the organization from the decision ([DecisionOf]), not from values of
// the router's own: these may be unescaped differently.
func PathOrganization(organization string) Resource {
	return func(r *http.Request) (policy.Resource, error) {
		return policy.Resource{Organization: r.PathValue(organization)}, nil
	}
}

// PathProject returns a Resource that reads the project from the path, like
// [PathOrganization] the organization, and asks owner for its organization. owner returns
// the one in the project's own record, or "" for an unknown project; the answer is then the
// one for another organization's project, wrong_organization. Without such a path value the
// call is denied as invalid_request.
//
// The handler takes the project from the decision ([DecisionOf]). Reading the path again it
// could serve another project than the judged one. To hand the record on as well, write a
// Resource.
func PathProject(project string, owner func(ctx context.Context, project string) (organization string, err error)) Resource {
	return func(r *http.Request) (policy.Resource, error) {
		resource := policy.Resource{Project: r.PathValue(project)}
		if resource.Project == "" {
			return policy.Resource{}, nil
		}
		var err error
		if resource.Organization, err = owner(r.Context(), resource.Project); resource.Organization == "" {
			resource.Organization = policy.NoOrganization
		}
		return resource, err
	}
}

// Headers returns a Resource that reads both names from headers. It is for services behind
// a gateway that overwrites these headers in every request: from anybody else they are the
// caller's word. project is "" for an endpoint of the organization itself. If a header is
// missing, empty or occurs twice, the call is denied as invalid_request: a caller may get
// the gateway to drop one, and must not be judged by the other.
//
// Names of resources are logged. With Authorization, Proxy-Authorization or Cookie every
// call is denied as unavailable.
func Headers(organization, project string) Resource {
	organization, project = http.CanonicalHeaderKey(organization), http.CanonicalHeaderKey(project)
	for _, name := range []string{organization, project} {
		if holdsSecret(name) {
			err := fmt.Errorf("policyhttp: Headers reads the names of a resource from %s, and names are logged: want a header that the gateway overwrites, such as X-Organization", name)
			return func(*http.Request) (policy.Resource, error) { return policy.Resource{}, err }
		}
	}
	return func(r *http.Request) (policy.Resource, error) {
		resource := policy.Resource{Organization: single(r.Header, organization)}
		if project != "" {
			if resource.Project = single(r.Header, project); resource.Project == "" {
				return policy.Resource{}, nil
			}
		}
		return resource, nil
	}
}

// withoutCredentials passes the result of a Resource on. It refuses names that are the
// credentials of the request: names are logged.
func (g *Guard) withoutCredentials(resource policy.Resource, err error, header http.Header) (policy.Resource, error) {
	for _, name := range g.headers {
		for _, value := range header[name] {
			if value == resource.Organization || value == resource.Project {
				return policy.Resource{}, fmt.Errorf("policyhttp: a name of the resource is the text of the header %s, which is for credentials, and names are logged: want a name from the resource's own record", name)
			}
		}
	}
	return resource, err
}

// single returns the value of a header, "" unless there is exactly one.
func single(header http.Header, name string) string {
	if values := header[name]; len(values) == 1 {
		return values[0]
	}
	return ""
}
