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
	Organizations []string // that the person may manage
}

// people stands for the service's accounts.
var people = []person{{"ann@acme.example", "Ann", []string{"acme"}}, {"gus@globex.example", "Gus", []string{"globex"}}}

// loopback is where the login proxy connects from.
var loopback = netip.MustParsePrefix("127.0.0.1/32")

// signedIn is the header in which the login proxy names who has signed in.
const signedIn = "X-Forwarded-User"

// byPerson is for requests of people. The login proxy, such as oauth2-proxy, stands before
// the operators' listener, removes the caller's own header, and nobody else may reach that
// listener. With a session of your own, look it up here instead.
//
// An organization of others is answered like one that does not exist.
func byPerson(r *http.Request) (admin.Actor, string, error) {
	ids, organization := r.Header.Values(signedIn), r.PathValue("organization")
	i := slices.IndexFunc(people, func(p person) bool { return slices.Equal(ids, []string{p.ID}) })
	switch {
	case i < 0:
		return admin.Actor{}, "", &admin.Error{Class: admin.Forbidden, Message: "Sign in first."}
	case !slices.Contains(people[i].Organizations, organization):
		return admin.Actor{}, "", &admin.Error{Class: admin.NotFound, Message: "There is no such organization."}
	}
	address, _, _ := policyhttp.FromHops(policyhttp.XForwardedFor, 1, loopback).Resolve(r.RemoteAddr, r.Header) // for the events
	return admin.ByPerson(people[i].ID, people[i].Name, address).Via(store.ViaConsole, ""), organization, nil
}
