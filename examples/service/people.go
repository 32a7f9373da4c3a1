package main

import (
	"net/http"
	"net/netip"
	"slices"

	"github.com/sallyport-go/sallyport/policy/policyhttp"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/admin"
)

// A person is an account of the service's own.
type person struct {
	ID, Name      string
	Organizations []string // to manage
	Operator      bool     // of the service: sees every organization's calls
}

// people stands for the service's accounts.
var people = []person{
	{ID: "ann@acme.example", Name: "Ann", Organizations: []string{"acme"}},
	{ID: "gus@globex.example", Name: "Gus", Organizations: []string{"globex"}},
	{ID: "olga@service.example", Name: "Olga", Operator: true},
}

// loopback is where the login proxy connects from.
var loopback = netip.MustParsePrefix("127.0.0.1/32")

// signedIn is the header with the signed-in person's ID, set by the login proxy.
const signedIn = "X-Forwarded-User"

// sender returns the signed-in person. A login proxy, such as oauth2-proxy, stands before the
// operators' listener and overwrites the caller's own header; nobody else may reach the
// listener. With sessions of your own, look them up here instead.
func sender(r *http.Request) (person, bool) {
	ids := r.Header.Values(signedIn)
	i := slices.IndexFunc(people, func(p person) bool { return slices.Equal(ids, []string{p.ID}) })
	if i < 0 {
		return person{}, false
	}
	return people[i], true
}

// isOperator asks for an operator by name. Customers come through the login proxy as well, and
// the doctor tells which keys exist.
func isOperator(r *http.Request) bool {
	p, _ := sender(r)
	return p.Operator
}

// byPerson is the asker of people. Another account's organization is answered like an absent
// one.
func byPerson(r *http.Request) (admin.Actor, string, error) {
	organization := r.PathValue("organization")
	p, ok := sender(r)
	switch {
	case !ok:
		return admin.Actor{}, "", &admin.Error{Class: admin.Forbidden, Message: "Sign in first."}
	case !slices.Contains(p.Organizations, organization):
		return admin.Actor{}, "", &admin.Error{Class: admin.NotFound, Message: "There is no such organization."}
	}
	address, _, _ := policyhttp.FromHops(policyhttp.XForwardedFor, 1, loopback).Resolve(r.RemoteAddr, r.Header) // for the events
	return admin.ByPerson(p.ID, p.Name, address).Via(store.ViaConsole, ""), organization, nil
}
