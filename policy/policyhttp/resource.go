package policyhttp

import "net/http"

// A Resource says what a request is about: an organization, or one of its projects, or a
// project alone. It is called before it is known who is calling, for every request that
// shows credentials of any kind.
//
// It takes both names from the resource's own record, never from the caller (rule K7):
// the rules believe it about which organization owns a project. For a project that does
// not exist it returns an organization that there cannot be, such as " " (see
// [apikey.ValidateName]): the answer is then that of somebody else's project, while the
// project's name alone would tell a key which projects there are.
//
// With neither name, and with one of more than 256 bytes, the call is denied as
// invalid_request (400). With an error it is denied as unavailable (503), as it is if
// the Resource panics; the error is for the operator.
type Resource func(r *http.Request) (organization, project string, err error)

// PathValues returns a Resource that reads both names from the path, by the names of
// the wildcards in the pattern (of http.ServeMux, or of a router that sets
// Request.PathValue, such as chi). "" stands for one that the pattern does not have. If
// one that is named is missing, the call is denied as invalid_request: the guard is then
// in front of the router instead of behind it.
//
// The handler takes the names from Request.PathValue too, and not from the router's own
// values, which may be escaped otherwise.
//
// With an organization alone nothing can go wrong: the rules compare it with the key's.
// With both, the caller says who owns the project. That is right only if the handler
// looks the project up within that organization; otherwise a key of one organization
// with a grant in all of its projects is let in to a project of another. A Resource that
// reads the project's record does not have the question.
func PathValues(organization, project string) Resource {
	return pair(organization, project, (*http.Request).PathValue)
}

// Headers returns a Resource that reads both names from headers, for services behind a
// gateway that knows the resource and overwrites these headers in every request: from
// anybody else, they are the caller's word. "" stands for one that there is not. If one
// that is named is missing, empty or there twice, the call is denied as
// invalid_request: a caller who gets the gateway to drop one must not be judged by the
// other.
func Headers(organization, project string) Resource {
	organization, project = http.CanonicalHeaderKey(organization), http.CanonicalHeaderKey(project)
	return pair(organization, project, func(r *http.Request, name string) string {
		if values := r.Header[name]; len(values) == 1 {
			return values[0]
		}
		return ""
	})
}

// pair is all or nothing.
func pair(organization, project string, value func(r *http.Request, name string) string) Resource {
	return func(r *http.Request) (string, string, error) {
		var values [2]string
		for i, name := range [...]string{organization, project} {
			if name == "" {
				continue
			}
			if values[i] = value(r, name); values[i] == "" {
				return "", "", nil
			}
		}
		return values[0], values[1], nil
	}
}
