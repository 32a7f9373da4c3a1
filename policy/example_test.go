package policy_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"time"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
)

// A source is one method; here the records are two variables. A program that needs
// to write them too uses a store.
func Example() {
	key, secret, err := apikey.New("acme", apikey.Grant{Role: "backup.admin"})
	if err != nil {
		panic(err)
	}
	if key.AccessList, err = accesslist.Parse("203.0.113.7", "198.51.100.0/24"); err != nil {
		panic(err)
	}
	acme := policy.Organization{ID: "acme", Requirement: policy.Required}
	source := policy.SourceFunc(func(_ context.Context, id apikey.ID) (policy.Subject, bool, error) {
		return policy.NewSubject(&key, &acme), id == key.ID, nil
	})

	engine := policy.New(source)
	for _, client := range []string{"198.51.100.20", "192.0.2.1"} {
		d := engine.Decide(context.Background(), policy.Request{
			Key: key.ID, Secret: secret, Client: netip.MustParseAddr(client),
			Organization: "acme", Endpoint: &policy.Endpoint{Name: "backup.restore", Roles: []string{"backup.admin"}},
		})
		fmt.Println(d.Allowed(), d.Reason)
	}
	// Output:
	// true address_listed
	// false address_not_listed
}

// One key calls many endpoints. It is looked up once.
func ExampleEngine_DecideAll() {
	key, acme := exampleKey(), &policy.Organization{ID: "acme"}
	source := policy.SourceFunc(func(_ context.Context, id apikey.ID) (policy.Subject, bool, error) {
		fmt.Println("looked up", id)
		return policy.NewSubject(key, acme), id == key.ID, nil
	})
	var requests []policy.Request
	for _, role := range []string{"reader", "writer"} {
		requests = append(requests, policy.Request{
			Key: key.ID, Verifier: policy.AlreadyVerified{}, Client: netip.MustParseAddr("203.0.113.7"),
			Organization: "acme", Project: "alpha", Endpoint: &policy.Endpoint{Roles: []string{role}},
		})
	}
	for i, d := range policy.New(source).DecideAll(context.Background(), requests) {
		fmt.Println(requests[i].Endpoint.Roles, d.Allowed(), d.Reason)
	}
	// Output:
	// looked up k3vq7zt2mwc5x4hjp6na
	// [reader] true address_listed
	// [writer] false role_missing
}

// exampleKey is a key of acme that may read all of its projects.
func exampleKey() *apikey.Key {
	list, err := accesslist.Parse("203.0.113.0/24")
	if err != nil {
		panic(err)
	}
	return &apikey.Key{
		ID: "k3vq7zt2mwc5x4hjp6na", Organization: "acme", AccessList: list,
		Grants: []apikey.Grant{{Role: "reader", AllProjects: true}},
	}
}

// Decide believes the request about which organization owns a project (rule K7). So
// the organization comes from the project's own record. Taken from the caller, it is
// whatever the caller says, and every organization's projects are open to every
// other's keys.
func ExampleRequest() {
	subject := policy.NewSubject(exampleKey(), &policy.Organization{ID: "acme"})
	owners := map[string]string{"alpha": "acme", "gamma": "globex"} // the projects' own records

	// What the caller sent: GET /projects/gamma with X-Organization: acme.
	path, header := "gamma", "acme"

	request := policy.Request{
		Key: "k3vq7zt2mwc5x4hjp6na", Verifier: policy.AlreadyVerified{}, Client: netip.MustParseAddr("203.0.113.7"),
		Project: path, Endpoint: &policy.Endpoint{Name: "projects.read", Roles: []string{"reader"}},
	}

	right := request
	right.Organization = owners[path]
	d := policy.Evaluate(subject, right, time.Now())
	fmt.Println("from the record:", d.Allowed(), d.Reason)

	misuse := request
	misuse.Organization = header
	d = policy.Evaluate(subject, misuse, time.Now())
	fmt.Printf("from the caller: %t %s: a key of acme reads a project of %s\n", d.Allowed(), d.Reason, owners[path])
	// Output:
	// from the record: false wrong_organization
	// from the caller: true address_listed: a key of acme reads a project of globex
}

func ExampleDecision_Explain() {
	key := exampleKey()
	subject := policy.NewSubject(key, &policy.Organization{ID: "acme", Requirement: policy.Required})
	d := policy.Evaluate(subject, policy.Request{
		Key: key.ID, Verifier: policy.AlreadyVerified{}, Client: netip.MustParseAddr("198.51.100.1"),
		Organization: "acme", Endpoint: &policy.Endpoint{Name: "projects.list"},
	}, time.Date(2026, time.June, 1, 12, 0, 0, 0, time.UTC))
	fmt.Println(d)
	fmt.Print(d.Explain())
	// Output:
	// deny address_not_listed key="k3vq7zt2mwc5x4hjp6na" client="198.51.100.1" organization="acme" endpoint="projects.list" requirement="required"
	// deny address_not_listed
	//  1 invalid_request                   no   key "k3vq7zt2mwc5x4hjp6na", client "198.51.100.1", organization "acme", project ""
	//  2 console_forbidden                 no   the call is to the API
	//  3 unavailable                       no   the source answered
	//  4 unknown_key                       no   key "k3vq7zt2mwc5x4hjp6na" belongs to organization "acme", revision 0
	//  5 wrong_secret                      no   verified by other means than a secret
	//  6 key_disabled                      no   the key is switched on; organization "acme" is switched on
	//  7 key_not_yet_valid                 no   the not-before is unset
	//  8 key_expired                       no   the expiry is unset
	//  9 address_not_listed                yes  198.51.100.1 is covered by none; the list has 1 entry, 0 expired
}

// A page for operators marks the line that answered.
func ExampleDecision_Lines() {
	key := exampleKey()
	subject := policy.NewSubject(key, &policy.Organization{ID: "acme", Requirement: policy.Required})
	d := policy.Evaluate(subject, policy.Request{
		Key: key.ID, Verifier: policy.AlreadyVerified{}, Client: netip.MustParseAddr("198.51.100.1"), Organization: "acme",
	}, time.Date(2026, time.June, 1, 12, 0, 0, 0, time.UTC))
	lines := d.Lines()
	last := lines[len(lines)-1]
	fmt.Println(len(lines), "lines")
	fmt.Println(last.Number, last.Reason, last.Applies)
	fmt.Println(last.Compared)
	// Output:
	// 9 lines
	// 9 address_not_listed true
	// 198.51.100.1 is covered by none; the list has 1 entry, 0 expired
}

// The caller's side of a decision, which is what an API answers with.
func ExampleDecision_Answer() {
	key := exampleKey()
	subject := policy.NewSubject(key, &policy.Organization{ID: "acme"})
	answer := policy.Evaluate(subject, policy.Request{
		Key: key.ID, Verifier: policy.AlreadyVerified{}, Client: netip.MustParseAddr("::ffff:198.51.100.1"), Organization: "acme",
	}, time.Now()).Answer()
	fmt.Println(answer.Status, answer.Code, answer.Parameters)
	fmt.Println(answer.Message)
	// Output:
	// 403 IP_ADDRESS_NOT_ON_ACCESS_LIST [198.51.100.1]
	// IP address 198.51.100.1 is not on the access list of the API key.
}

// Before an organization requires access lists: with ReportOnly nothing is refused,
// and each decision says what Required would have answered. Evaluate tries Required
// itself on calls that were seen.
func ExampleEvaluate() {
	key := exampleKey()
	key.AccessList = accesslist.List{}
	request := policy.Request{
		Key: key.ID, Verifier: policy.AlreadyVerified{}, Client: netip.MustParseAddr("203.0.113.7"), Organization: "acme",
	}
	for _, requirement := range []policy.Requirement{policy.NotRequired, policy.ReportOnly, policy.Required} {
		subject := policy.NewSubject(key, &policy.Organization{ID: "acme", Requirement: requirement})
		d := policy.Evaluate(subject, request, time.Now())
		fmt.Printf("%s: %s", requirement, d.Reason)
		if d.WouldDeny != 0 {
			fmt.Printf(", would be %s", d.WouldDeny)
		}
		fmt.Println()
	}
	// Output:
	// not_required: open_list
	// report_only: open_list, would be organization_requires_access_list
	// required: organization_requires_access_list
}

// Nobody can call, because the requirement came before the lists: it is suspended for an
// hour, and is in force again by itself.
func ExampleOrganization() {
	key := exampleKey()
	key.AccessList = accesslist.List{}
	request := policy.Request{
		Key: key.ID, Verifier: policy.AlreadyVerified{}, Client: netip.MustParseAddr("203.0.113.7"), Organization: "acme",
	}
	now := time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)
	acme := &policy.Organization{ID: "acme", Requirement: policy.Required, SuspendedUntil: now.Add(time.Hour)}
	for _, at := range []time.Time{now, now.Add(time.Hour)} {
		d := policy.Evaluate(policy.NewSubject(key, acme), request, at)
		fmt.Println(at.Format(time.TimeOnly), d.Reason, d.WouldDeny)
	}
	// Output:
	// 12:00:00 open_list organization_requires_access_list
	// 13:00:00 organization_requires_access_list undecided
}

// An observer sees every decision, and cannot change it: the place for an audit log
// and for counting by reason.
func ExampleWithObserver() {
	key := exampleKey()
	source := policy.SourceFunc(func(_ context.Context, id apikey.ID) (policy.Subject, bool, error) {
		return policy.NewSubject(key, &policy.Organization{ID: "acme"}), id == key.ID, nil
	})
	counts := map[policy.Reason]int{}
	engine := policy.New(source, policy.WithObserver(func(_ context.Context, d policy.Decision) {
		counts[d.Reason]++
		if entry, ok := d.Entry(); ok {
			fmt.Printf("%s was let in by %s\n", d.Client(), entry)
		}
	}))
	for _, client := range []string{"203.0.113.7", "198.51.100.1", "198.51.100.2"} {
		engine.Decide(context.Background(), policy.Request{
			Key: key.ID, Verifier: policy.AlreadyVerified{}, Client: netip.MustParseAddr(client), Organization: "acme",
		})
	}
	fmt.Println("refused for their address:", counts[policy.AddressNotListed])
	// Output:
	// 203.0.113.7 was let in by 203.0.113.0/24
	// refused for their address: 2
}

// Keys from a configuration file: the JSON of an organization and of its keys, as
// json.Marshal writes them. The hash of a secret is in it, and the secret is not.
func ExampleSourceFunc() {
	const file = `{"organization":{"id":"acme","requirement":"required","revision":1},
		"keys":[{"id":"deploy","organization":"acme","disabled":false,"accessList":[{"address":"203.0.113.7"}],
		"secrets":[{"sum":"9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"}]}]}`
	var config struct {
		Organization policy.Organization
		Keys         []*apikey.Key
	}
	if err := json.Unmarshal([]byte(file), &config); err != nil {
		panic(err) // an incomplete record is an error, and never an open key
	}
	subjects := map[apikey.ID]policy.Subject{}
	for _, key := range config.Keys {
		if err := key.Validate(); err != nil {
			panic(err)
		}
		subjects[key.ID] = policy.NewSubject(key, &config.Organization) // neither is changed from here on
	}
	engine := policy.New(policy.SourceFunc(func(_ context.Context, id apikey.ID) (policy.Subject, bool, error) {
		subject, found := subjects[id]
		return subject, found, nil
	}))

	d := engine.Decide(context.Background(), policy.Request{
		Key: "deploy", Verifier: policy.AlreadyVerified{}, Client: netip.MustParseAddr("203.0.113.7"), Organization: "acme",
	})
	fmt.Println(d.Allowed(), d.Reason)
	// Output: true address_listed
}
