package admin

import (
	"cmp"
	"context"
	"fmt"
	"net/netip"
	"slices"
	"sort"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/internal/plain"
	"github.com/sallyport-go/sallyport/policy"
)

// Permissions are the answers to a key's calls, from one address at one time. See [May]. They
// are for operators. To show them to the key's own program, after its proof, leave out Entry,
// and with AnyListed Address: its comment and the list are not the program's. The names in
// their JSON do not change.
type Permissions struct {
	Key          apikey.ID  `json:"key"`
	Organization string     `json:"organization"`
	Time         time.Time  `json:"time"`
	Address      netip.Addr `json:"address,omitzero"` // the judged one

	// AnyListed is true if no address was asked for: Address stands for every address with a
	// live entry, or for all addresses if the list has no entries.
	AnyListed bool `json:"anyListed,omitempty"`

	// Reason is the answer to a call to the organization by an endpoint without conditions.
	// Entry is the entry that covers the address, with its end.
	Reason policy.Reason `json:"reason,omitzero"`
	Entry  *EntryView    `json:"entry,omitempty"`

	// Places are the organization, each project named by a grant, in order, and all projects.
	Places []Place `json:"places"`
}

// A Place is where a key may or may not call endpoints: the organization itself if both fields
// are zero, one project, or all projects.
//
// A permission for all projects holds in every project. A denial there is the answer in the
// projects without a place of their own.
type Place struct {
	Project     string       `json:"project,omitempty"`
	AllProjects bool         `json:"allProjects,omitempty"`
	Endpoints   []Permission `json:"endpoints"` // in the order asked for
}

// A Permission is the answer to a key's call of one endpoint in one place.
type Permission struct {
	Endpoint  string        `json:"endpoint"` // its name
	Allowed   bool          `json:"allowed"`
	Reason    policy.Reason `json:"reason"`
	WouldDeny policy.Reason `json:"wouldDeny,omitzero"` // see policy.Decision

	// Grant is the first grant of the key that lets the call pass. It is nil for a denial, and
	// for a call that needs no grant.
	Grant *GrantView `json:"grant,omitempty"`
}

// May returns what a key may do: the answers of [policy.Evaluate] to calls of these endpoints,
// with a live secret of the key, from a client at a time. Give it the endpoints of the guard.
//
// The zero client asks for an address on the key's list; see [Permissions.AnyListed]. A note
// on a list on trial in WouldDeny is then that of the Address shown. Where every entry has
// expired, the answer is address_not_listed.
//
// May knows the projects named by grants and no others: whether a project exists is known to
// the embedding program. The zero Subject may do nothing.
func May(subject policy.Subject, endpoints []policy.Endpoint, client netip.Addr, now time.Time) Permissions {
	key, organization := subject.Key(), subject.Organization()
	anyListed := client == netip.Addr{}
	if anyListed {
		client = home(key.AccessList, now)
	}
	request := anyCall(&key, client)
	d := policy.Evaluate(subject, request, now)
	may := Permissions{
		Key: key.ID, Organization: key.Organization, Time: now.UTC(), Address: d.Client(), AnyListed: anyListed,
		Reason: d.Reason, Places: placesOf(key.Grants),
	}
	if entry, ok := d.Entry(); ok {
		view := viewEntry(entry, now)
		may.Entry = &view
	}
	for i := range may.Places {
		place := &may.Places[i]
		request.Project, request.Endpoint = place.Project, nil
		if place.AllProjects {
			request.Project = anyProject
		}
		there := key
		there.Grants = reaching(key, &organization, request, now)
		for _, endpoint := range endpoints {
			request.Endpoint = &endpoint
			d := policy.Evaluate(subject, request, now)
			permission := Permission{Endpoint: endpoint.Name, Allowed: d.Allowed(), Reason: d.Reason, WouldDeny: d.WouldDeny}
			if d.Allowed() {
				permission.Grant = passing(there, &organization, request, now)
			}
			place.Endpoints = append(place.Endpoints, permission)
		}
	}
	return may
}

// placesOf returns the places to ask about, without answers.
func placesOf(grants []apikey.Grant) []Place {
	places := []Place{{Endpoints: []Permission{}}}
	for _, grant := range grants {
		if grant.Project != "" {
			places = append(places, Place{Project: grant.Project, Endpoints: []Permission{}})
		}
	}
	slices.SortFunc(places, func(a, b Place) int { return cmp.Compare(a.Project, b.Project) })
	places = slices.CompactFunc(places, func(a, b Place) bool { return a.Project == b.Project })
	return append(places, Place{AllProjects: true, Endpoints: []Permission{}})
}

// reaching returns the grants with which, one at a time, an endpoint without conditions may be
// called: the others let no endpoint pass there, and need not be tried with each. Grants prove
// nothing, so the proof is left out.
func reaching(key apikey.Key, organization *policy.Organization, request policy.Request, now time.Time) (reach []apikey.Grant) {
	request.Verifier = policy.AlreadyVerified{}
	all := key.Grants
	for i := range all {
		key.Grants = all[i : i+1]
		if (side{&key, organization}).decide(request, now).Allowed() {
			reach = append(reach, all[i])
		}
	}
	return reach
}

// passing returns the first grant that lets an allowed request pass, nil if it needs none. A
// further grant never makes an answer worse, so the shortest sufficient beginning of the
// grants is found by bisection.
func passing(key apikey.Key, organization *policy.Organization, request policy.Request, now time.Time) *GrantView {
	request.Verifier = policy.AlreadyVerified{}
	grants := key.Grants
	needed := sort.Search(len(grants), func(n int) bool {
		key.Grants = grants[:n]
		return side{&key, organization}.decide(request, now).Allowed()
	})
	if needed == 0 {
		return nil
	}
	view := GrantView(grants[needed-1])
	return &view
}

// May returns what a key of the organization may do, by its present record. See the function
// [May]. A key of another organization is NotFound.
func (a *Admin) May(ctx context.Context, organization string, id apikey.ID, endpoints []policy.Endpoint, client netip.Addr) (Permissions, error) {
	subject, err := a.subject(ctx, organization, id)
	switch {
	case err != nil:
		return Permissions{}, err
	case subject == policy.Subject{}:
		return Permissions{}, noKey(id)
	}
	return May(subject, endpoints, client, a.clock()), nil
}

// subject reads a key of the organization, and the organization, in one snapshot. It returns
// the zero Subject for an unknown key, and for one of another organization.
func (a *Admin) subject(ctx context.Context, organization string, id apikey.ID) (policy.Subject, error) {
	if id.Validate() != nil {
		return policy.Subject{}, nil
	}
	subject, found, err := a.store.Lookup(ctx, id)
	key := subject.Key()
	switch {
	case err != nil:
		return policy.Subject{}, unread(err)
	case !found:
		return policy.Subject{}, nil
	case key.ID != id:
		return policy.Subject{}, unread(errOther)
	case key.Organization != organization:
		return policy.Subject{}, nil
	}
	return subject, nil
}

// String returns a table for a terminal: the answer to a call without conditions, and below it
// each place with its endpoints.
func (p Permissions) String() string {
	var b strings.Builder
	from := p.Address.String()
	switch {
	case p.AnyListed && p.Entry != nil:
		from = "any address with a live entry"
	case p.AnyListed:
		from = "any address"
	case p.Address.Zone() != "":
		from = plain.Quote(from) // a zone is any text
	}
	fmt.Fprintf(&b, "key %q of organization %s, from %s, at %s: %s", p.Key, plain.Quote(p.Organization), from, p.Time.Format(time.RFC3339), p.Reason)
	if p.Entry != nil && !p.AnyListed {
		fmt.Fprintf(&b, " by %s", p.Entry.Address)
	}
	table := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	for _, place := range p.Places {
		fmt.Fprintf(table, "\n%s\n", place)
		for _, endpoint := range place.Endpoints {
			fmt.Fprintf(table, "  %s\n", endpoint)
		}
		_ = table.Flush() // a strings.Builder takes everything
	}
	return strings.TrimSpace(b.String())
}

// String returns "organization", "all projects", or the project.
func (p Place) String() string {
	switch {
	case p.AllProjects:
		return "all projects"
	case p.Project != "":
		return "project " + plain.Quote(p.Project)
	}
	return "organization"
}

// String returns a row of the table: the endpoint, yes or no, and why, with tabs between.
func (p Permission) String() string {
	verdict, why := "no", p.Reason.String()
	if p.Allowed {
		verdict, why = "yes", "no grant needed"
		if p.Grant != nil {
			why = p.Grant.String()
		}
	}
	if p.WouldDeny != 0 {
		why += ", would deny: " + p.WouldDeny.String()
	}
	return fmt.Sprintf("%s\t%s\t%s", plain.Cut(p.Endpoint, plain.MaxQuoted), verdict, why)
}

// String returns the role and where it holds, such as `"reader" in project "p1"`.
func (g GrantView) String() string {
	where := "the organization"
	if g.AllProjects || g.Project != "" {
		where = Place{Project: g.Project, AllProjects: g.AllProjects}.String()
	}
	return plain.Quote(g.Role) + " in " + where
}
