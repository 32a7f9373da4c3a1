package storetest

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/adapter"
	"github.com/sallyport-go/sallyport/store/storetest/internal/fixture"
)

var absenceCases = []testCase{
	{sentence: "S4", name: "lookup of a missing key is not an error", run: lookupOfMissing},
	{sentence: "S4", name: "a missing key or organization is ErrNotFound", run: readOfMissing},
	{sentence: "S4", name: "existing records are found", run: presentIsFound},
	{sentence: "S4", name: "a failure is not absence", run: failureIsNotAbsence},
}

func lookupOfMissing(k *kit) {
	missing := func(when string) {
		subject, found, err := k.store.Lookup(k.ctx, "gone")
		if found || err != nil {
			k.Errorf("%s, Lookup of a key that is not there: found %v, error %v; want not found and no error", when, found, err)
		}
		if subject != (policy.Subject{}) {
			k.Errorf("%s, Lookup of a key that is not there returned key %q", when, subject.Key().ID)
		}
	}
	missing("in an empty store")
	k.organization("acme")
	missing("without keys")
	k.put(fixture.Plain("here", "acme"))
	missing("beside another key")
	k.put(fixture.Plain("gone", "acme"))
	k.delete("gone")
	missing("after it was deleted")
}

func readOfMissing(k *kit) {
	missing := func(when string) {
		_, err := k.store.Key(k.ctx, "gone")
		k.wantError(err, store.ErrNotFound, "%s, Key", when)
		_, err = k.store.Organization(k.ctx, "gone")
		k.wantError(err, store.ErrNotFound, "%s, Organization", when)
	}
	missing("in an empty store")
	k.organization("here")
	k.put(fixture.Plain("here", "here"))
	missing("beside others")
	k.organization("gone")
	k.put(fixture.Plain("gone", "here"))
	k.delete("gone")
	if err := k.store.DeleteOrganization(k.ctx, "gone", 0); err != nil {
		k.Fatalf("DeleteOrganization: %v", err)
	}
	missing("after they were deleted")
}

func presentIsFound(k *kit) {
	k.organization("acme")
	for i := range 50 {
		want := k.put(fixture.Plain(apikey.ID(fmt.Sprint("key-", i)), "acme"))
		k.wantKey("Lookup", k.lookup(want.ID).Key(), want)
		if got := k.lookup(want.ID).Organization().ID; got != "acme" {
			k.Errorf("Lookup of key %q has organization %q; want its own, \"acme\"", want.ID, got)
		}
	}
}

// failureIsNotAbsence makes calls fail by their context, as in any store.
func failureIsNotAbsence(k *kit) {
	k.organization("acme")
	k.put(fixture.Plain("here", "acme"))
	ctx, cancel := context.WithCancel(k.ctx)
	cancel()
	if _, found, err := k.store.Lookup(ctx, "here"); !found && err == nil {
		k.Errorf("Lookup that cannot be served says that the key is not there; want an error")
	}
	if page, err := k.store.Keys(ctx, "acme", store.PageRequest{}); err == nil && len(page.Items) == 0 {
		k.Errorf("Keys that cannot be served says that there are none; want an error")
	}
	_, _, lookup := k.store.Lookup(ctx, "here")
	_, key := k.store.Key(ctx, "here")
	_, organization := k.store.Organization(ctx, "acme")
	for method, err := range map[string]error{"Lookup": lookup, "Key": key, "Organization": organization} {
		if errors.Is(err, store.ErrNotFound) {
			k.Errorf("%s that cannot be served says that the record is not there: %v; want another error", method, err)
		}
	}
}

var identifierCases = []testCase{
	{sentence: "S5", name: "any text may be looked up", run: anyText},
	{sentence: "S5", name: "key IDs that differ in a byte are different keys", run: similarKeys},
	{sentence: "S5", name: "organizations that differ in a byte are different", run: similarOrganizations},
}

// strangeTexts are close to "here", or hard to store.
var strangeTexts = []string{
	"", " ", "here ", " here", "here\t", "here\n", "Here", "HERE", "hEre", "\uff48ere", "h\u00e9re", "he\u0301re", "here\u0301",
	"here\x00", "\x00here", "\x00", "he\x00re", "\u200bhere", "here\u200b", "\ufeffhere", "h\u0435re",
	"%", "_", "*", "her_", "her%", "h%", "%here", "her?", "[h]ere", "^here$", "h.re",
	"./here", "../here", "../x", "here/", "/here", "here/..", "here/../here", `..\here`, "here.json", "h%65re", "here%00", "here+",
	"'", "''", `"here"`, "'here'", "here'--", "here'; DROP TABLE keys; --", `here\`, "$1", "?", ":id", "{{here}}",
	"\xff\xfe", "here\xff", "\xc0\xaf", "\xed\xa0\x80", "NULL", "null", "0", "-1", strings.Repeat("here", 10_000),
}

func anyText(k *kit) {
	k.organization("here")
	k.put(fixture.Plain("here", "here"))
	before := k.snapshot()
	recorder, records := store.As[store.UsageRecorder](k.store)
	for _, text := range strangeTexts {
		id := apikey.ID(text)
		if _, found, err := k.store.Lookup(k.ctx, id); found || err != nil {
			k.Errorf("Lookup(%.100q): found %v, error %v; want not found and no error", id, found, err)
		}
		_, err := k.store.Key(k.ctx, id)
		k.wantError(err, store.ErrNotFound, "Key(%.100q)", text)
		_, err = k.store.Organization(k.ctx, text)
		k.wantError(err, store.ErrNotFound, "Organization(%.100q)", text)
		if page, err := k.store.Keys(k.ctx, text, store.PageRequest{}); err != nil || len(page.Items) > 0 || page.Next != "" {
			k.Errorf("Keys(%.100q): %d keys, error %v; want none and no error", text, len(page.Items), err)
		}
		k.wantError(k.store.DeleteKey(k.ctx, id, 0), store.ErrNotFound, "DeleteKey(%.100q)", text)
		k.wantError(k.store.DeleteOrganization(k.ctx, text, 0), store.ErrNotFound, "DeleteOrganization(%.100q)", text)
		if records {
			if usage, err := recorder.Usage(k.ctx, id); err != nil || len(usage) > 0 {
				k.Errorf("Usage(%.100q): usage of %d keys, error %v; want none and no error", text, len(usage), err)
			}
			if err := recorder.RecordUsage(k.ctx, adapter.UsageBatch(used(id, "192.0.2.1", 1, fixture.Moment))); err != nil {
				k.Errorf("RecordUsage for key %.100q: %v; want no error", text, err)
			}
		}
	}
	k.wantUnchanged(before, "deletions of what is not there")
}

func similarKeys(k *kit) {
	similar := []apikey.ID{
		"twin", "Twin", "TWIN", "tWiN", "twin-", "twin_", "-twin", "_twin", "-", "_", "--", "tw_n", "tw-n", "twIn", "tw1n", "twln",
		"0", "00", "000", "-0", "1", "01", "1e1", "1E1", "0x1", "null", "NULL", "true", "nan", "con",
		apikey.ID(strings.Repeat("a", 40)), apikey.ID(strings.Repeat("a", 39)), apikey.ID(strings.Repeat("a", 39) + "A"),
	}
	k.organization("acme")
	stored := map[apikey.ID]apikey.Key{}
	for i, id := range similar {
		stored[id] = k.put(fixture.Whole(id, "acme", i))
	}
	for _, id := range similar {
		k.wantEverywhere(stored[id])
	}
	if n := len(k.keys("acme", 0)); n != len(similar) {
		k.Errorf("Keys has %d keys; want %d", n, len(similar))
	}
	for i, id := range similar {
		k.delete(id)
		k.wantAbsent("acme", id)
		for _, other := range similar[i+1:] {
			k.wantKey("after "+string(id)+" was deleted, Lookup", k.lookup(other).Key(), stored[other])
		}
	}
}

func similarOrganizations(k *kit) {
	similar := []string{
		"twin", "Twin", "TWIN", "twin.", "tw\u00b7in", "tw\u0456n", "\uff54win", "tw%n", "tw_n", "tw*n", "twin%", "twin%00",
		"\u00e9", "e\u0301", "E\u0301", "\u00c9", "e", "\u00df", "ss", "SS", "\u1e9e", "\ufb01", "fi", "k", "K", "\u212a", "\u0131", "i", "I", "\u0130",
		"a b", "a  b", "a\u00a0b", "a+b", "a%20b", "a/b", "a//b", "a/./b", "../a", "..", ".", "/", `\`, `a\b`, "a", "a/", "a:b", "a,b", "a|b", "a\u3000b",
		"'", "''", `"`, "`", "NULL", "null", "0", "00", "1", "1.0", "\U0001f511", "\U0001f512", "\ufffd",
		strings.Repeat("x", 256), strings.Repeat("x", 255), strings.Repeat("x", 255) + "X", strings.Repeat("\u00e9", 128),
	}
	keyOf := func(i int) apikey.ID { return apikey.ID(fmt.Sprint("key-", i)) }
	stored := make([]policy.Organization, len(similar))
	for i, id := range similar {
		stored[i] = k.putOrganization(fixture.WholeOrganization(id, i))
		k.put(fixture.Plain(keyOf(i), id))
	}
	for i, id := range similar {
		if got := k.readOrganization(id); !got.Equal(stored[i]) {
			k.Errorf("Organization(%q) is %+v; want %+v", id, got, stored[i])
		}
		if got := k.lookup(keyOf(i)).Organization(); !got.Equal(stored[i]) {
			k.Errorf("Lookup(%q) has organization %+v; want %+v", keyOf(i), got, stored[i])
		}
		if got := ids(k.keys(id, 0)); len(got) != 1 || got[0] != string(keyOf(i)) {
			k.Errorf("Keys(%q) has %q; want its one key %q", id, got, keyOf(i))
		}
	}
	if n := len(k.organizations(7)); n != len(similar) {
		k.Errorf("Organizations has %d; want %d", n, len(similar))
	}
}
