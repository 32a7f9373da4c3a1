package policy

import (
	"context"
	"errors"
	"fmt"
)

// A Resource is the object of a call: an organization, or one of its projects.
type Resource struct {
	// Organization owns the resource. It comes from the resource's own record, never from
	// the caller (rule K7).
	Organization string

	// Project is the project, "" for the organization itself.
	Project string

	// Value is the record that a Resolver read, for the handler: it serves what was judged
	// and does not read the record again. The rules do not look at it.
	Value any
}

// NoOrganization is the Organization of a resource that does not exist. No key belongs to
// it, since it is no valid name, so the answer is that for another organization's
// resource, wrong_organization: an answer of its own would tell every key which resources
// exist.
const NoOrganization = " "

// A Resolver finds the resource of one request. Most often it is the embedding program's
// look-up of the record that the request names.
type Resolver interface {
	// Resolve returns the resource. An error, a panic and a ctx that is done make the
	// decision unavailable; a resource without an Organization makes it invalid_request.
	// For a resource that does not exist it returns [NoOrganization]. ctx is that of Decide.
	Resolve(ctx context.Context) (Resource, error)
}

// ResolverFunc is a function as a [Resolver].
type ResolverFunc func(ctx context.Context) (Resource, error)

// Resolve calls f.
func (f ResolverFunc) Resolve(ctx context.Context) (Resource, error) { return f(ctx) }

var errNoOrganization = errors.New("policy: the resource has no organization: want the one that its record names, " +
	"or NoOrganization if it does not exist")

// maxName is the length of the longest name, as apikey.ValidateName has it. Longer ones
// would only fill the log.
const maxName = 256

var errLongName = fmt.Errorf("policy: the resource has an organization or a project of more than %d bytes: want a name", maxName)

// resolve asks the request's Resolver, if it has one, and notes the resource in the
// decision. It returns the reason to deny for, or zero.
func (d *Decision) resolve(ctx context.Context, resolver Resolver) (Reason, error) {
	if resolver == nil {
		return 0, nil
	}
	resource, err := resolver.Resolve(ctx)
	switch {
	case err != nil:
		return Unavailable, fmt.Errorf("policy: the resource could not be resolved: %w", err)
	case ctx.Err() != nil:
		return Unavailable, fmt.Errorf("policy: while the resource was resolved: %w", context.Cause(ctx))
	case resource.Organization == "":
		return InvalidRequest, errNoOrganization
	case len(resource.Organization) > maxName || len(resource.Project) > maxName:
		return InvalidRequest, errLongName
	}
	d.request.resource = resource
	return 0, nil
}
