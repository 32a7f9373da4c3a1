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
}

// people stands for the service's accounts.
var people = []person{{"ann@acme.example", "Ann", []string{"acme"}}, {"gus@globex.example", "Gus", []string{"globex"}}}

// loopback is where the login proxy connects from.
var loopback = netip.MustParsePrefix("127.0.0.1/32")

// signedIn is the header with the signed-in person's ID, set by the login proxy.
const signedIn = "X-Forwarded-User"

// byPerson is the asker of people. A login proxy, such as oauth2-proxy, stands before the
// operators' listener and overwrites the caller's own header; nobody else may reach the
// listener. With sessions of your own, look them up here instead.
//
// Another account's organization is answered like an absent one.
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
