package policy_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
)

// told is a decision as text: String and then Explain, with the name of the
// fixture's secret, which is random, as SECRET.
func told(f *fixture, d policy.Decision) string {
	return strings.ReplaceAll(d.String()+"\n"+d.Explain(), f.key.Secrets[0].ID(), "SECRET")
}

func requireText(t *testing.T, want, got string) {
	t.Helper()
	if diff := cmp.Diff(strings.Split(strings.TrimPrefix(want, "\n"), "\n"), strings.Split(got, "\n")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestExplainAllowed(t *testing.T) {
	f := newFixture(t)
	f.key.AccessList = list(t, "203.0.113.0/24", "203.0.113.7", "198.51.100.0/24")
	f.key.NotBefore, f.key.Revision = noon.Add(-time.Hour), 3
	f.organization.Requirement = policy.Required
	f.request.Client = netip.MustParseAddr("::ffff:203.0.113.7")
	f.request.Project, f.request.Endpoint.Roles = "alpha", []string{"writer", "reader"}
	requireText(t, `
allow address_listed key="key-1" secret="SECRET" client="203.0.113.7" entry="203.0.113.7" organization="acme" project="alpha" endpoint="things.read" requirement="required"
allow address_listed
 1 invalid_request                   no   key "key-1", client "::ffff:203.0.113.7", organization "acme", project "alpha"
 2 console_forbidden                 no   the call is to the API
 3 unavailable                       no   the source answered
 4 unknown_key                       no   key "key-1" belongs to organization "acme", revision 3
 5 wrong_secret                      no   verified by secret SECRET
 6 key_disabled                      no   the key is switched on; organization "acme" is switched on
 7 key_not_yet_valid                 no   the not-before is 2026-06-01T11:00:00Z, now is 2026-06-01T12:00:00Z
 8 key_expired                       no   the expiry is unset
 9 address_not_listed                no   203.0.113.7 is covered by 203.0.113.7; the list has 3 entries
10 organization_requires_access_list no   the list has 3 entries; the requirement of organization "acme" is required
11 endpoint_requires_access_list     no   the list has 3 entries; endpoint "things.read" requires none
12 wrong_organization                no   the request names organization "acme", the key belongs to "acme"
13 project_not_granted               no   the request names project "alpha"; grants: "reader" in the organization (does not reach it), "reader" in project "alpha" (reaches it)
14 role_missing                      no   the endpoint asks for one of ["writer" "reader"]; grants: "reader" in the organization (does not reach it), "reader" in project "alpha" (reaches it)
15 address_listed                    yes  203.0.113.7 is covered by 203.0.113.7; the list has 3 entries
`, told(f, f.evaluate()))
}

// Rule M20: the operator is told of a suspension in force, on every call that it concerns or
// not, and of what it changed.
func TestExplainSuspended(t *testing.T) {
	f := openFixture(t)
	f.organization.Requirement, f.organization.SuspendedUntil = policy.Required, noon.Add(time.Hour).In(time.FixedZone("", 7200))
	d := f.evaluate()
	require.Contains(t, d.String(), ` requirement="required" suspended_until="2026-06-01T13:00:00Z" would_deny="organization_requires_access_list"`)
	require.Contains(t, d.Explain(), `
10 organization_requires_access_list no   the list has no entries; the requirement of organization "acme" is required and suspended, the end is 2026-06-01T13:00:00Z, now is 2026-06-01T12:00:00Z, would deny otherwise
`)
	f.key.AccessList = list(t, "203.0.113.7")
	d = f.evaluate()
	require.Contains(t, d.String(), ` requirement="required" suspended_until="2026-06-01T13:00:00Z"`)
	require.Contains(t, d.Explain(), `
10 organization_requires_access_list no   the list has 1 entry; the requirement of organization "acme" is required and suspended, the end is 2026-06-01T13:00:00Z, now is 2026-06-01T12:00:00Z
`)
	for _, requirement := range []policy.Requirement{policy.NotRequired, policy.ReportOnly} {
		f.organization.Requirement = requirement
		d = f.evaluate()
		require.NotContains(t, d.String(), "suspended")
		require.NotContains(t, d.Explain(), "suspended")
	}
}

// Rule Q4: the operator is told of a list on trial beside the list.
func TestExplainTrialList(t *testing.T) {
	f := openFixture(t)
	f.key.TrialList, _ = accesslist.New(expired(t, "203.0.113.7", noon), expired(t, "192.0.2.1", noon.Add(1)))
	d := f.evaluate()
	require.Contains(t, d.String(), ` would_deny="address_not_listed"`)
	require.Contains(t, d.Explain(), `
 9 address_not_listed                no   the list has no entries; on trial: 203.0.113.7 is covered by none; that list has 2 entries, 1 expired, would deny if in force
`)
	f.key.TrialList = list(t, "203.0.113.0/24")
	f.key.AccessList = list(t, "203.0.113.7")
	d = f.evaluate()
	require.NotContains(t, d.String(), "would_deny")
	require.Contains(t, d.Explain(), `
 9 address_not_listed                no   203.0.113.7 is covered by 203.0.113.7; the list has 1 entry; on trial: 203.0.113.7 is covered by 203.0.113.0/24; that list has 1 entry
`)
	require.Contains(t, d.Explain(), `
15 address_listed                    yes  203.0.113.7 is covered by 203.0.113.7; the list has 1 entry
`)
	f.request.Client = netip.MustParseAddr("203.0.113.8")
	require.Equal(t, ` 9 address_not_listed                yes  203.0.113.8 is covered by none; the list has 1 entry, 0 expired; on trial: 203.0.113.8 is covered by 203.0.113.0/24; that list has 1 entry`, lastLine(f.evaluate()))
}

func TestExplainReportOnly(t *testing.T) {
	f := openFixture(t)
	f.organization.Requirement = policy.ReportOnly
	f.verifyBy(policy.AlreadyVerified{})
	requireText(t, `
allow open_list key="key-1" client="203.0.113.7" organization="acme" endpoint="things.read" requirement="report_only" would_deny="organization_requires_access_list"
allow open_list
 1 invalid_request                   no   key "key-1", client "203.0.113.7", organization "acme", project ""
 2 console_forbidden                 no   the call is to the API
 3 unavailable                       no   the source answered
 4 unknown_key                       no   key "key-1" belongs to organization "acme", revision 0
 5 wrong_secret                      no   verified by other means than a secret
 6 key_disabled                      no   the key is switched on; organization "acme" is switched on
 7 key_not_yet_valid                 no   the not-before is unset
 8 key_expired                       no   the expiry is unset
 9 address_not_listed                no   the list has no entries
10 organization_requires_access_list no   the list has no entries; the requirement of organization "acme" is report_only, would deny if required
11 endpoint_requires_access_list     no   the list has no entries; endpoint "things.read" requires none
12 wrong_organization                no   the request names organization "acme", the key belongs to "acme"
13 project_not_granted               no   the request names no project
14 role_missing                      no   the endpoint asks for no role
15 address_listed                    no   the list has no entries
16 open_list                         yes  the list has no entries and nothing requires one
`, told(f, f.evaluate()))
}

// Decision.Time is when the request was judged, which lines 1 to 3 are not.
func TestDecisionTime(t *testing.T) {
	f := newFixture(t)
	require.Equal(t, noon, f.decide(f.source()).Time())
	require.Equal(t, noon, f.evaluate().Time())
	require.Equal(t, noon, f.decide(&memory{}).Time(), "a key that was looked up and not found")
	require.Zero(t, f.decide(nil).Time())
	f.request.Console = true
	require.Zero(t, f.evaluate().Time())
	require.Zero(t, policy.Decision{}.Time())
}

// lastLine is the line of Explain that answered.
func lastLine(d policy.Decision) string {
	lines := strings.Split(strings.TrimSuffix(d.Explain(), "\n"), "\n")
	return lines[len(lines)-1]
}

func TestExplainTheLineThatAnswered(t *testing.T) {
	for want, change := range map[string]func(*fixture){
		` 1 invalid_request                   yes  key "key-1", client "fe80::1%eth0", organization "acme", project ""; "policy: the request has no valid client address: want Request.Client, an address without a zone"`: func(f *fixture) { f.request.Client = netip.MustParseAddr("fe80::1%eth0") },
		` 1 invalid_request                   yes  key "", client "invalid IP", organization "", project ""; "policy: the request has no key ID: want Request.Key"`:                                                        func(f *fixture) { f.request = policy.Request{} },
		` 2 console_forbidden                 yes  the call is to the console`: func(f *fixture) { f.request.Console = true },
		` 3 unavailable                       yes  "policy: the source returned key \"key-2\" for key \"key-1\": want the same bytes"`: func(f *fixture) {
			f.key.ID = "key-2"
		},
		` 5 wrong_secret                      yes  "refused", with 1 secret stored`: func(f *fixture) {
			f.verifyBy(verifierFunc(func(apikey.Key, time.Time) error { return errors.New("refused") }))
		},
		` 6 key_disabled                      yes  the key is switched off; organization "acme" is switched on`: func(f *fixture) { f.key.Disabled = true },
		` 6 key_disabled                      yes  the key is switched on; organization "acme" is switched off`: func(f *fixture) {
			f.organization.Disabled = true
		},
		` 6 key_disabled                      yes  the key is switched off; organization "acme" is switched off`: func(f *fixture) {
			f.key.Disabled, f.organization.Disabled = true, true
		},
		` 7 key_not_yet_valid                 yes  the not-before is 2026-06-01T12:00:00.000000001Z, now is 2026-06-01T12:00:00Z`: func(f *fixture) {
			f.key.NotBefore = noon.Add(1)
		},
		` 8 key_expired                       yes  the expiry is 2026-06-01T12:00:00Z, now is 2026-06-01T12:00:00Z`: func(f *fixture) { f.key.Expires = noon },
		` 9 address_not_listed                yes  203.0.113.8 is covered by none; the list has 1 entry, 0 expired`: func(f *fixture) {
			f.request.Client = netip.MustParseAddr("203.0.113.8")
		},
		` 9 address_not_listed                yes  203.0.113.7 is covered by none; the list has 2 entries, 1 expired`: func(f *fixture) {
			f.key.AccessList, _ = accesslist.New(expired(t, "203.0.113.7", noon), expired(t, "192.0.2.1", noon.Add(1)))
		},
		`10 organization_requires_access_list yes  the list has no entries; the requirement of organization "acme" is requirement(9)`: func(f *fixture) {
			f.key.AccessList, f.organization.Requirement = accesslist.List{}, 9
		},
		`10 organization_requires_access_list yes  the list has no entries; the requirement of organization "acme" is required again, the end of its suspension is 2026-06-01T12:00:00Z, now is 2026-06-01T12:00:00Z`: func(f *fixture) {
			f.key.AccessList, f.organization.Requirement, f.organization.SuspendedUntil = accesslist.List{}, policy.Required, noon
		},
		`10 organization_requires_access_list yes  the list has no entries; the requirement of organization "acme" is requirement(3)`: func(f *fixture) {
			f.key.AccessList, f.organization.Requirement, f.organization.SuspendedUntil = accesslist.List{}, 3, noon.Add(1)
		},
		`11 endpoint_requires_access_list     yes  the list has no entries; endpoint "things.read" requires one`: func(f *fixture) {
			f.key.AccessList, f.request.Endpoint.RequiresAccessList = accesslist.List{}, true
		},
		`12 wrong_organization                yes  the request names organization "globex", the key belongs to "acme"`: func(f *fixture) {
			f.request.Organization = "globex"
		},
		`13 project_not_granted               yes  the request names project "beta"; grants: none`: func(f *fixture) {
			f.request.Project, f.key.Grants = "beta", nil
		},
		`13 project_not_granted               yes  the request names project "beta"; grants: "r" in project "alpha" (does not reach it)`: func(f *fixture) {
			f.request.Project, f.key.Grants = "beta", []apikey.Grant{{Role: "r", Project: "alpha"}}
		},
		`14 role_missing                      yes  the endpoint asks for one of ["owner"]; grants: "r" in the organization (reaches it), "r" in all projects (does not reach it)`: func(f *fixture) {
			f.request.Endpoint.Roles, f.key.Grants = []string{"owner"}, []apikey.Grant{{Role: "r"}, {Role: "r", AllProjects: true}}
		},
	} {
		f := newFixture(t)
		change(f)
		d := f.evaluate()
		require.Equal(t, want, lastLine(d))
		requireReadable(t, d)
	}
	f := newFixture(t)
	unknown := policy.Evaluate(policy.Subject{}, f.request, noon)
	require.Equal(t, ` 4 unknown_key                       yes  there is no key "key-1"`, lastLine(unknown))
	f.request.Project = "alpha"
	f.request.Client = netip.MustParseAddr("::ffff:203.0.113.7%eth0")
	require.Contains(t, f.evaluate().String(), `deny invalid_request key="key-1" client="::ffff:203.0.113.7%eth0"`)
	f.request.Client = netip.MustParseAddr("203.0.113.7")
	down := f.decide(&memory{err: errors.New("down")})
	require.Equal(t, ` 3 unavailable                       yes  "policy: the source failed: down"`, lastLine(down))
	require.Equal(t, `deny unavailable key="key-1" client="203.0.113.7" organization="acme" project="alpha" endpoint="things.read" error="policy: the source failed: down"`, down.String())
}

// A Decision that somebody put together, for a test of their own, has nothing but
// what they set. It is told without a panic.
func TestExplainDecisionsPutTogetherByHand(t *testing.T) {
	require.Equal(t, "deny undecided", policy.Decision{}.String())
	require.Equal(t, "deny undecided\n", policy.Decision{}.Explain())
	require.Equal(t, "deny reason(99)", policy.Decision{Reason: 99}.String())
	require.Equal(t, "deny reason(99)\n", policy.Decision{Reason: 99}.Explain())
	for reason := range 256 {
		d := policy.Decision{Reason: policy.Reason(reason), WouldDeny: policy.Reason(255 - reason)}
		requireReadable(t, d)
		_, ok := d.Entry()
		require.False(t, ok)
		require.Empty(t, d.SecretID())
		require.Equal(t, policy.Subject{}, d.Subject())
		require.NotPanics(t, func() { d.LogValue() })
	}
}

// An audit log gets the values of String, the empty ones left out.
func TestDecisionJSON(t *testing.T) {
	for _, d := range []policy.Decision{{}, openFixture(t).evaluate(), {Reason: policy.AddressListed}, {Reason: 99, Cause: errors.New("a\nb")}} {
		data, err := json.Marshal(d)
		require.NoError(t, err)
		var fields map[string]any
		require.NoError(t, json.Unmarshal(data, &fields))
		require.Equal(t, d.Allowed(), fields["allowed"])
		require.Equal(t, d.Reason.String(), fields["reason"])
		for name, value := range fields {
			if text, ok := value.(string); ok && name != "reason" {
				require.Contains(t, d.String(), fmt.Sprintf(" %s=%q", name, text))
			}
		}
	}
	data, err := json.Marshal(openFixture(t).evaluate())
	require.NoError(t, err)
	require.Contains(t, string(data), `"client":"203.0.113.7"`)
}

func TestLogValue(t *testing.T) {
	f := newFixture(t)
	f.organization.Requirement = policy.ReportOnly
	log := new(bytes.Buffer)
	logger := slog.New(slog.NewJSONHandler(log, &slog.HandlerOptions{ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey && len(groups) == 0 {
			return slog.Attr{}
		}
		return a
	}}))
	logger.Info("decided", "decision", f.evaluate())
	f.key.AccessList = accesslist.List{}
	f.request.Project = "beta"
	logger.Info("decided", "decision", f.evaluate())
	logger.Info("decided", "decision", policy.Decision{})
	require.Equal(t, `{"level":"INFO","msg":"decided","decision":{"allowed":true,"reason":"address_listed","key":"key-1","secret":"SECRET","client":"203.0.113.7","entry":"203.0.113.7","organization":"acme","endpoint":"things.read","requirement":"report_only"}}
{"level":"INFO","msg":"decided","decision":{"allowed":false,"reason":"project_not_granted","key":"key-1","secret":"SECRET","client":"203.0.113.7","organization":"acme","project":"beta","endpoint":"things.read","requirement":"report_only","would_deny":"organization_requires_access_list"}}
{"level":"INFO","msg":"decided","decision":{"allowed":false,"reason":"undecided"}}
`, strings.ReplaceAll(log.String(), f.key.Secrets[0].ID(), "SECRET"))
}

// A caller's text cannot add a line to a log, nor forge one of Explain's.
func TestLogInjection(t *testing.T) {
	const forged = "x\n15 address_listed                    yes  forged\r\nallow open_list\u2028\u0085\x1b[2K\x00"
	f := newFixture(t)
	zoned := netip.MustParseAddr("fe80::1").WithZone(forged)
	changes := map[string]func(){
		"key":          func() { f.request.Key = apikey.ID(forged) },
		"zone":         func() { f.request.Client = zoned },
		"mapped zone":  func() { f.request.Client = netip.MustParseAddr("::ffff:1.2.3.4").WithZone(forged) },
		"organization": func() { f.request.Organization = forged },
		"project":      func() { f.request.Project = forged },
		"endpoint":     func() { f.request.Endpoint.Name = forged },
		"roles":        func() { f.request.Endpoint.Roles = []string{forged} },
		"grants": func() {
			f.key.Grants = []apikey.Grant{{Role: forged, Project: forged}, {Role: forged, AllProjects: true}}
			f.request.Endpoint.Roles = []string{"owner"}
		},
		"record": func() { f.key.ID, f.key.Organization, f.organization.ID = "key-2", forged, forged },
		"verifier": func() {
			f.verifyBy(verifierFunc(func(apikey.Key, time.Time) error { return errors.New(forged) }))
		},
	}
	for name, change := range changes {
		f = newFixture(t)
		change()
		for _, d := range []policy.Decision{f.evaluate(), f.decide(f.source()), f.decide(&memory{}), f.decide(&memory{err: errors.New(forged)}),
			f.decide(policy.SourceFunc(func(context.Context, apikey.ID) (policy.Subject, bool, error) { panic(forged) }))} {
			requireReadable(t, d)
			text := d.String() + d.Explain()
			for _, control := range []string{"\r", "\u2028", "\u0085", "\x1b", "\x00"} {
				require.NotContains(t, text, control, name)
			}
			log := new(bytes.Buffer)
			slog.New(slog.NewTextHandler(log, nil)).Info("decided", "decision", d)
			require.Equal(t, 1, strings.Count(log.String(), "\n"), name)
		}
	}
}

// The origin of the client's address is beside the address everywhere, if it was stated.
func TestClientFrom(t *testing.T) {
	f := newFixture(t)
	require.NotContains(t, policy.Evaluate(f.subject(), f.request, noon).String(), "client_from")
	for origin, want := range map[policy.ClientOrigin]string{
		policy.OriginUnknown: "unknown", policy.OriginPeer: "peer", policy.OriginForwarded: "forwarded",
		policy.OriginXForwardedFor: "x_forwarded_for", policy.OriginHeader: "header", 9: "origin(9)",
	} {
		require.Equal(t, want, origin.String())
		if f.request.ClientFrom = origin; origin != policy.OriginUnknown {
			require.Contains(t, policy.Evaluate(f.subject(), f.request, noon).String(), ` client_from="`+want+`"`)
		}
	}
}

// Unlike Cause, Err is non-nil for every denial, and its text is the caller's side.
func TestDecisionErr(t *testing.T) {
	f := newFixture(t)
	require.NoError(t, f.evaluate().Err())
	for reason := policy.Reason(0); reason <= policy.OpenList+1; reason++ {
		d := policy.Decision{Reason: reason, Cause: errors.New("dial tcp 10.0.0.5:5432")}
		if reason.Allows() {
			require.NoError(t, d.Err())
			continue
		}
		err := d.Err()
		require.ErrorIs(t, err, d.Cause)
		require.NotContains(t, err.Error(), "10.0.0.5")
		require.Equal(t, "policy: denied: "+d.Answer().Code+": "+d.Answer().Message, err.Error())
		asJSON, jsonErr := json.Marshal(err)
		require.NoError(t, jsonErr)
		require.JSONEq(t, strconv.Quote(err.Error()), string(asJSON), "the caller's side")
		var denied *policy.DeniedError
		require.ErrorAs(t, err, &denied)
		require.Equal(t, d, denied.Decision)
	}
	// Rule D2: the error does not tell an unknown key from a wrong secret either.
	require.Equal(t, policy.Decision{Reason: policy.UnknownKey}.Err().Error(), policy.Decision{Reason: policy.WrongSecret}.Err().Error())
}

// Rule K2: what was given in the place of a key ID may be the secret.
func TestK2KeyIDIsNoSecret(t *testing.T) {
	f := newFixture(t)
	require.EqualValues(t, "key-1", f.evaluate().KeyID())
	f.request.Key = apikey.ID(f.secret.Reveal())
	d := f.decide(&memory{})
	requireDenied(t, d, policy.UnknownKey)
	require.Empty(t, d.KeyID())
	requireNoSecret(t, d, f.secret)
}

func TestDecisionClient(t *testing.T) {
	f := newFixture(t)
	f.request.Client = netip.MustParseAddr("::ffff:203.0.113.7")
	require.Equal(t, netip.MustParseAddr("203.0.113.7"), f.evaluate().Client())
	f.request.Client = netip.MustParseAddr("::ffff:203.0.113.7%eth0")
	require.Equal(t, f.request.Client, f.evaluate().Client(), "the zone that line 1 refuses")
	require.Equal(t, netip.Addr{}, policy.Decision{}.Client())
}

// Rule A12: a decision's texts do not grow with what the caller sent.
func TestDecisionTextsAreBounded(t *testing.T) {
	long := strings.Repeat("\u202eé", 1<<18)
	f := newFixture(t)
	for name, change := range map[string]func(){
		"key":          func() { f.request.Key = apikey.ID(long) },
		"client":       func() { f.request.Client = netip.MustParseAddr("fe80::1").WithZone(long) },
		"organization": func() { f.request.Organization = long },
		"project":      func() { f.request.Project = long },
		"endpoint":     func() { f.request.Endpoint.Name = long },
		"error":        func() { f.request.Err = errors.New(long) },
		"grants": func() {
			for i := range apikey.MaxGrants {
				f.key.Grants = append(f.key.Grants, apikey.Grant{Role: fmt.Sprint("role", i), Project: "other"})
			}
			f.request.Endpoint.Roles = []string{"missing"}
		},
	} {
		f = newFixture(t)
		change()
		decision := f.evaluate()
		data, err := json.Marshal(decision)
		require.NoError(t, err, name)
		for _, text := range []string{decision.String(), string(data), decision.LogValue().String(), decision.Explain()} {
			require.Less(t, len(text), 16_000, name)
		}
	}
	require.Contains(t, policy.Decision{Cause: errors.New(strings.Repeat("x", 1025))}.String(), strings.Repeat("x", 1024)+"…")
	require.NotContains(t, policy.Decision{Cause: errors.New(strings.Repeat("x", 1024))}.String(), "…")
}
