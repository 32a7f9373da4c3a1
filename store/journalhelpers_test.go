package store_test

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
)

var moment = time.Date(2031, 5, 6, 7, 8, 9, 123456000, time.FixedZone("", 5*3600+1800))

// smallEvent returns an event with a tag.
func smallEvent(organization string, key apikey.ID, tag string) store.Event {
	return store.Event{
		Time: moment, Type: store.EventKeyDescribed, Organization: organization, Key: key,
		Actor: store.Actor{Kind: store.ActorSystem}, Via: store.ViaLibrary, Correlation: tag,
	}
}

// richEvent returns an event with something in every field.
func richEvent(organization string, key apikey.ID) store.Event {
	return store.Event{
		Time: moment, Type: "own.type_of-a.program", Organization: organization, Key: key, Project: "project/é'1",
		Actor:   store.Actor{Kind: store.ActorKey, ID: strings.Repeat("a", apikey.MaxID), Name: `Jo "the admin" O'Brien \ 🔑`, Secret: "5ec2e700"},
		Address: netip.MustParseAddr("2001:db8::1"), Origin: policy.OriginXForwardedFor, Via: store.ViaConsole,
		Correlation: "req-1/é", Reason: "it's <leaked> & \"gone\"; -- NULL %s $1 日本", Accepted: []string{"opens_key", "cuts-off.actor", "opens_key"},
		Entry:  netip.MustParsePrefix("203.0.113.0/24"),
		Before: json.RawMessage(`{"a":null}`), After: json.RawMessage(`{}`),
	}
}

func numbered(organization, tag string, n int) (events []store.Event) {
	for i := range n {
		events = append(events, smallEvent(organization, "", fmt.Sprintf("%s/%d", tag, i)))
	}
	return events
}

// keptEvents returns events as they are read.
func keptEvents(events []store.Event, revision uint64) (kept []store.Event) {
	for i, event := range events {
		event.Revision, event.Index = revision, i
		kept = append(kept, event)
	}
	return kept
}
