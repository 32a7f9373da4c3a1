package policy

import (
	"context"
	"errors"
	"fmt"

	"github.com/sallyport-go/sallyport/apikey"
)

// A Resource is the object of a call: an organization, or one of its projects.
type Resource struct {
	// Organization owns the resource. It comes from the resource's own record, never from
	// the caller (rule K7).
	Organization string

	// Project is the project, "" for the organization itself.
	Project string

	// OfKey says that the resource is the organization of the calling key, whatever
	// Organization and Project say: for endpoints such as "list my organizations". The
	// judged resource has it as its Organization.
	OfKey bool

	// Value is the record read by a Resolver, for the handler: it serves the judged record
	// and does not read it again. The rules do not look at it.
	Value any
}

// NoOrganization is the Organization of an unknown resource. It is no valid name, so no key
// belongs to it, and the answer is the one for another organization's resource,
// wrong_organization: an answer of its own would tell every key which resources exist.
const NoOrganization = " "

// A Resolver finds the resource of one request. Most often it looks the named record up in
// the embedding program's tables.
type Resolver interface {
	// Resolve returns the resource, with [NoOrganization] for an unknown one. ctx is the one
	// given to Decide. An error, a panic and a done ctx make the decision unavailable. A
	// resource without an Organization, or with a name of more than 256 bytes, makes it
	// invalid_request.
	Resolve(ctx context.Context) (Resource, error)
}

// ResolverFunc is a function as a [Resolver].
type ResolverFunc func(ctx context.Context) (Resource, error)

// Resolve calls f.
func (f ResolverFunc) Resolve(ctx context.Context) (Resource, error) { return f(ctx) }

var errNoOrganization = errors.New("policy: the resource has no organization: want the one in its record, " +
	"or NoOrganization if it does not exist")

var errLongName = fmt.Errorf("policy: the resource has an organization or a project of more than %d bytes: want names of at most that", apikey.MaxName)

// resolve asks the request's Resolver, and notes the resource in the decision. It
// returns the reason for a denial, or zero.
func (d *Decision) resolve(ctx context.Context, resolver Resolver) (Reason, error) {
	resource, err := resolver.Resolve(ctx)
	if resource.OfKey {
		resource = Resource{Organization: d.subject.organization.ID, Value: resource.Value}
	}
	switch {
	case err != nil:
		return Unavailable, fmt.Errorf("policy: the resource could not be resolved: %w", err)
	case ctx.Err() != nil:
		return Unavailable, fmt.Errorf("policy: while the resource was resolved: %w", context.Cause(ctx))
	case resource.Organization == "":
		return InvalidRequest, errNoOrganization
	case len(resource.Organization) > apikey.MaxName || len(resource.Project) > apikey.MaxName:
		return InvalidRequest, errLongName
	}
	d.request.organization, d.request.project, d.request.resourceValue = resource.Organization, resource.Project, resource.Value
	return 0, nil
}
