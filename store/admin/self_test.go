package admin_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store/admin"
)

// A lockout is the finding about the actor that a case expects. The zero lockout is none.
type lockout struct {
	kind   admin.Kind
	reason policy.Reason
	after  time.Duration // from now
	covers string
}

// selfCases are changes that a key makes to itself or its organization. It calls from
// 203.0.113.7, and has the roles owner and reader.
var selfCases = []struct {
	rule, name string
	list       string
	before     func(w *world)
	change     func(w *world) []admin.Change
	want       lockout
}{
	{"M3", "the only covering entry", "203.0.113.7 192.0.2.1", nil, remove("203.0.113.7"),
		lockout{admin.SelfLockout, policy.AddressNotListed, 0, "203.0.113.7"}},
	{"M3", "a list without the caller", "203.0.113.7", nil, replace("192.0.2.1"),
		lockout{admin.SelfLockout, policy.AddressNotListed, 0, "203.0.113.7"}},
	{"M3", "a list with the caller", "203.0.113.7", nil, replace("203.0.113.0/24"), lockout{}},
	{"M3", "the last entry while a list is required", "203.0.113.7", requires, remove("203.0.113.7"),
		lockout{admin.SelfLockout, policy.OrganizationRequiresAccessList, 0, "203.0.113.7"}},
	{"M3", "the last entry while nothing is required", "203.0.113.7", nil, remove("203.0.113.7"), lockout{}},
	{"M3", "a validity that has ended", "203.0.113.7", nil, one(admin.SetValidity("self", time.Time{}, start)),
		lockout{admin.SelfLockout, policy.KeyExpired, 0, ""}},
	{"M3", "a validity to come", "203.0.113.7", nil, one(admin.SetValidity("self", start.Add(time.Second), time.Time{})),
		lockout{admin.SelfLockout, policy.KeyNotYetValid, 0, ""}},
	{"M3", "its organization", "203.0.113.7", nil, one(admin.DisableOrganization()),
		lockout{admin.SelfLockout, policy.KeyDisabled, 0, ""}},
	{"M3", "an entry that expires now", "203.0.113.7", nil, edit("203.0.113.7+0s"),
		lockout{admin.SelfLockout, policy.AddressNotListed, 0, "203.0.113.7"}},

	{"M4", "a rotation without overlap", "203.0.113.7", nil, one(admin.Rotate("self", 0)), lockout{}},
	{"M4", "a rotation with an hour of overlap", "203.0.113.7", nil, one(admin.Rotate("self", time.Hour)), lockout{}},
	{"M4", "the proven secret", "203.0.113.7", nil, endOwn(0),
		lockout{admin.SelfLockout, policy.WrongSecret, 0, ""}},

	{"M5", "one of two covering entries", "203.0.113.7 203.0.113.0/24", nil, remove("203.0.113.7"), lockout{}},
	{"M5", "a covering block beside the address", "203.0.113.7 203.0.113.0/24", nil, remove("203.0.113.0/24"), lockout{}},
	{"M5", "one entry while the other has expired", "203.0.113.7 203.0.113.0/24-1m", nil, remove("203.0.113.7"),
		lockout{admin.SelfLockout, policy.AddressNotListed, 0, "203.0.113.7"}},

	{"M6", "a first entry with the caller", "", nil, add("203.0.113.7"), lockout{}},
	{"M6", "a first entry without the caller", "", nil, add("192.0.2.1"),
		lockout{admin.SelfLockout, policy.AddressNotListed, 0, "203.0.113.7"}},
	{"M6", "a first entry that has expired", "", nil, add("203.0.113.7-1m"),
		lockout{admin.SelfLockout, policy.AddressNotListed, 0, "203.0.113.7"}},

	{"M7", "an entry that expires in 30 minutes", "203.0.113.7", nil, edit("203.0.113.7+30m"),
		lockout{admin.SelfLockout, policy.AddressNotListed, 30 * time.Minute, "203.0.113.7"}},
	{"M7", "an entry that expires at the end of the notice", "203.0.113.7", nil, edit("203.0.113.7+1h"),
		lockout{admin.SelfLockout, policy.AddressNotListed, time.Hour, "203.0.113.7"}},
	{"M7", "an entry that expires in two hours", "203.0.113.7", nil, edit("203.0.113.7+2h"),
		lockout{admin.SelfLockoutAt, policy.AddressNotListed, 2 * time.Hour, "203.0.113.7"}},
	{"M7", "an entry beside one that lasts", "203.0.113.7 203.0.113.0/24", nil, edit("203.0.113.7+30m"), lockout{}},
	{"M7", "the later of two expiries counts", "203.0.113.7 203.0.113.0/24+3h", nil, edit("203.0.113.7+30m"),
		lockout{admin.SelfLockoutAt, policy.AddressNotListed, 3 * time.Hour, "203.0.113.7"}},
	{"M7", "a key that expires in ten minutes", "203.0.113.7", nil, one(admin.SetValidity("self", time.Time{}, start.Add(10*time.Minute))),
		lockout{admin.SelfLockout, policy.KeyExpired, 10 * time.Minute, ""}},
	{"M7", "a key that expires in a week", "203.0.113.7", nil, one(admin.SetValidity("self", time.Time{}, start.AddDate(0, 0, 7))),
		lockout{admin.SelfLockoutAt, policy.KeyExpired, 7 * 24 * time.Hour, ""}},
	{"M7", "the proven secret in 30 minutes", "203.0.113.7", nil, endOwn(30 * time.Minute),
		lockout{admin.SelfLockout, policy.WrongSecret, 30 * time.Minute, ""}},
	{"M7", "an end that was near before", "203.0.113.7+30m", nil, one(admin.Describe("self", "x")), lockout{}},
	{"M7", "an end that comes no sooner", "203.0.113.7+30m", nil, edit("203.0.113.7+40m"), lockout{}},
	{"M7", "an end that comes sooner", "203.0.113.7+30m", nil, edit("203.0.113.7+20m"),
		lockout{admin.SelfLockout, policy.AddressNotListed, 20 * time.Minute, "203.0.113.7"}},

	{"M7", "the last entry while the requirement is suspended", "203.0.113.7", suspended(30 * time.Minute), remove("203.0.113.7"),
		lockout{admin.SelfLockout, policy.OrganizationRequiresAccessList, 30 * time.Minute, "203.0.113.7"}},
	{"M7", "the last entry while it is suspended for long", "203.0.113.7", suspended(2 * time.Hour), remove("203.0.113.7"),
		lockout{admin.SelfLockoutAt, policy.OrganizationRequiresAccessList, 2 * time.Hour, "203.0.113.7"}},
	{"M7", "the end of a suspension is not of its making", "", suspended(30 * time.Minute), one(admin.Describe("self", "x")), lockout{}},
	{"M7", "its end before that of the suspension", "", suspended(50 * time.Minute), endOwn(20 * time.Minute),
		lockout{admin.SelfLockout, policy.WrongSecret, 20 * time.Minute, ""}},
	{"M7", "its end after that of the suspension", "", suspended(20 * time.Minute), endOwn(50 * time.Minute), lockout{}},
	{"M7", "the end of an overlap is not of its making", "203.0.113.7", overlaps(10 * time.Minute), one(admin.Describe("self", "x")), lockout{}},
	{"M7", "the new secret during an overlap", "203.0.113.7", overlaps(30 * time.Minute), endNew(0),
		lockout{admin.SelfLockout, policy.WrongSecret, 30 * time.Minute, ""}},
	{"M7", "the new secret during a long overlap", "203.0.113.7", overlaps(2 * time.Hour), endNew(0),
		lockout{admin.SelfLockoutAt, policy.WrongSecret, 2 * time.Hour, ""}},
	{"M7", "the new secret in 20 minutes, during an overlap", "203.0.113.7", overlaps(10 * time.Minute), endNew(20 * time.Minute),
		lockout{admin.SelfLockout, policy.WrongSecret, 20 * time.Minute, ""}},
	{"M7", "the proven secret before the end of its overlap", "203.0.113.7", overlaps(30 * time.Minute), endOwn(20 * time.Minute),
		lockout{admin.SelfLockout, policy.WrongSecret, 20 * time.Minute, ""}},
	{"M7", "an entry that expires after the overlap", "203.0.113.7", overlaps(10 * time.Minute), edit("203.0.113.7+20m"),
		lockout{admin.SelfLockout, policy.AddressNotListed, 20 * time.Minute, "203.0.113.7"}},
	{"M7", "a key that expires after the overlap", "203.0.113.7", overlaps(10 * time.Minute), one(admin.SetValidity("self", time.Time{}, start.Add(20*time.Minute))),
		lockout{admin.SelfLockout, policy.KeyExpired, 20 * time.Minute, ""}},
	{"M7", "an entry that lasts, during an overlap", "203.0.113.7 203.0.113.0/24+20m", overlaps(10 * time.Minute), remove("203.0.113.7"),
		lockout{admin.SelfLockout, policy.AddressNotListed, 20 * time.Minute, "203.0.113.7"}},
	{"M7", "an entry that lasts, beside one that ends", "203.0.113.7 203.0.113.0/24+20m", nil, remove("203.0.113.7"),
		lockout{admin.SelfLockout, policy.AddressNotListed, 20 * time.Minute, "203.0.113.7"}},
	{"M8", "required, during an overlap, with an entry that ends after it", "203.0.113.7+20m", overlaps(10 * time.Minute), one(admin.SetRequirement(policy.Required)), lockout{}},
	{"M8", "required, by a key without a list", "", nil, one(admin.SetRequirement(policy.Required)),
		lockout{admin.SelfLockout, policy.OrganizationRequiresAccessList, 0, "203.0.113.7"}},
	{"M8", "required, by a listed key", "203.0.113.7", nil, one(admin.SetRequirement(policy.Required)), lockout{}},
	{"M8", "report only, by a key without a list", "", nil, one(admin.SetRequirement(policy.ReportOnly)), lockout{}},
	{"M8", "required, with the own entry in the same call", "", nil, func(w *world) []admin.Change {
		return []admin.Change{admin.AddEntries("self", w.entries("203.0.113.7")...), admin.SetRequirement(policy.Required)}
	}, lockout{}},

	{"M9", "the role that let it pass", "203.0.113.7", nil, one(admin.RemoveGrants("self", apikey.Grant{Role: "owner"})),
		lockout{admin.SelfLockout, policy.RoleMissing, 0, ""}},
	{"M9", "another role", "203.0.113.7", nil, one(admin.RemoveGrants("self", apikey.Grant{Role: "reader"})), lockout{}},
	{"M9", "the role for a project alone", "203.0.113.7", nil, one(admin.SetGrants("self", apikey.Grant{Role: "owner", Project: "p"})),
		lockout{admin.SelfLockout, policy.RoleMissing, 0, ""}},

	{"M10", "itself disabled", "203.0.113.7", nil, one(admin.DisableKey("self")),
		lockout{admin.SelfLockout, policy.KeyDisabled, 0, ""}},
	{"M10", "itself deleted", "203.0.113.7", nil, one(admin.DeleteKey("self")),
		lockout{admin.SelfLockout, policy.UnknownKey, 0, ""}},

	{"M11", "another key's list", "203.0.113.7", nil, func(w *world) []admin.Change {
		return []admin.Change{admin.ReplaceEntries("other", w.entries("192.0.2.1")...)}
	}, lockout{}},
}

func one(change admin.Change) func(*world) []admin.Change {
	return func(*world) []admin.Change { return []admin.Change{change} }
}

func remove(words string) func(*world) []admin.Change {
	return one(admin.RemoveEntries("self", prefixes(words)...))
}

func add(words string) func(*world) []admin.Change {
	return func(w *world) []admin.Change { return []admin.Change{admin.AddEntries("self", w.entries(words)...)} }
}

func replace(words string) func(*world) []admin.Change {
	return func(w *world) []admin.Change {
		return []admin.Change{admin.ReplaceEntries("self", w.entries(words)...)}
	}
}

func edit(words string) func(*world) []admin.Change {
	return func(w *world) []admin.Change { return []admin.Change{admin.EditEntries("self", w.entries(words)...)} }
}

func endOwn(after time.Duration) func(*world) []admin.Change {
	return func(w *world) []admin.Change {
		return []admin.Change{admin.EndSecret("self", w.stored("self").Secrets[0].ID(), w.now.Add(after))}
	}
}

// overlaps rotates the key that acts, which goes on with its old secret.
func overlaps(overlap time.Duration) func(*world) {
	return func(w *world) {
		w.edit("self", func(k *apikey.Key) { *k, _, _ = w.issuer.Rotate(*k, overlap) })
	}
}

// endNew ends the secret that the key that acts got last.
func endNew(after time.Duration) func(*world) []admin.Change {
	return func(w *world) []admin.Change {
		return []admin.Change{admin.EndSecret("self", w.stored("self").Secrets[1].ID(), w.now.Add(after))}
	}
}

func requires(w *world) {
	organization, err := w.memory.Organization(w.ctx, "acme")
	require.NoError(w.t, err)
	organization.Requirement = policy.Required
	_, err = w.memory.PutOrganization(w.ctx, organization)
	require.NoError(w.t, err)
}

// selfWorld has the actor self, an owner beside it and another key.
func selfWorld(t *testing.T, list string, before func(*world)) (*world, admin.Actor) {
	w := newWorld(t)
	w.key("boss", "198.51.100.1", "owner")
	w.key("other", "203.0.113.7", "reader")
	w.key("self", list, "owner", "reader")
	if before != nil {
		before(w)
	}
	return w, w.by("self", "203.0.113.7")
}

func testSelf(t *testing.T, rule string) {
	tested := 0
	for _, test := range selfCases {
		if test.rule != rule {
			continue
		}
		tested++
		t.Run(test.name, func(t *testing.T) {
			w, actor := selfWorld(t, test.list, test.before)
			changes := test.change(w)
			var got lockout
			for _, finding := range w.preview(actor, changes...).Findings {
				if finding.Kind != admin.SelfLockout && finding.Kind != admin.SelfLockoutAt {
					continue
				}
				require.Zero(t, got, "two findings about the actor")
				got = lockout{finding.Kind, finding.Reason, 0, finding.Covers}
				if !finding.At.IsZero() {
					got.after = finding.At.Sub(w.now)
				}
				require.Equal(t, "203.0.113.7", finding.Address.String())
				require.Equal(t, finding.Kind == admin.SelfLockout, finding.Refuses)
				require.NotContains(t, finding.Text, "_", "it is for people")
				require.Contains(t, finding.Text, finding.Covers)
			}
			require.Equal(t, test.want, got)
			terms := accept(admin.Opens, admin.BreaksKey, admin.LastManager, admin.OrganizationLockout, admin.OverBroad)
			if test.want.kind == admin.SelfLockout {
				refusal := w.refuse(admin.Refused, actor, terms, changes...)
				require.Equal(t, []admin.Kind{admin.SelfLockout}, kinds(refusal.Findings))
				require.Contains(t, refusal.Message, refusal.Findings[0].Text)
				require.NotNil(t, refusal.Preview)
				// A person may do it: nothing of the request is locked out.
				w.apply(ann, terms, changes...)
			} else {
				w.apply(actor, terms, changes...)
			}
		})
	}
	require.NotZero(t, tested)
}

func TestM3SelfLockout(t *testing.T)           { testSelf(t, "M3") }
func TestM4ProofOfTheRequest(t *testing.T)     { testSelf(t, "M4") }
func TestM5AnotherEntryCovers(t *testing.T)    { testSelf(t, "M5") }
func TestM6FirstEntry(t *testing.T)            { testSelf(t, "M6") }
func TestM7ByTheClock(t *testing.T)            { testSelf(t, "M7") }
func TestM8Requirement(t *testing.T)           { testSelf(t, "M8") }
func TestM9Grant(t *testing.T)                 { testSelf(t, "M9") }
func TestM11AnotherKeyIsNoSelf(t *testing.T)   { testSelf(t, "M11") }
func TestM10EndsItselfUnaccepted(t *testing.T) { testSelf(t, "M10") }

// A key may end itself if it says so by name, and do nothing else that locks it out.
func TestM10EndsItself(t *testing.T) {
	terms := accept(admin.SelfLockout)
	for _, test := range selfCases {
		if test.want.kind != admin.SelfLockout {
			continue
		}
		ends := test.rule == "M10" || test.want.reason == policy.WrongSecret
		t.Run(test.name, func(t *testing.T) {
			w, actor := selfWorld(t, test.list, test.before)
			changes := test.change(w)
			require.Equal(t, ends, w.preview(actor, changes...).Findings[0].Acceptable)
			if !ends {
				w.refuse(admin.Refused, actor, terms, changes...)
				return
			}
			result := w.apply(actor, terms, changes...)
			require.Equal(t, []string{"self_lockout"}, result.Events[0].Accepted)
			// From then on it may do nothing any more.
			w.now = w.now.Add(test.want.after)
			w.refuse(admin.Forbidden, actor, terms, admin.Describe("self", "x"))
		})
	}
}

// The list of an organization's switch counts: the key is judged as the request was.
func TestM3Endpoint(t *testing.T) {
	w, _ := selfWorld(t, "203.0.113.7", nil)
	request := w.request("self", "203.0.113.7")
	request.Endpoint.RequiresAccessList = true
	actor := w.byRequest(request)
	refusal := w.refuse(admin.Refused, actor, accept(admin.Opens), remove("203.0.113.7")(w)...)
	require.Equal(t, policy.EndpointRequiresAccessList, refusal.Findings[0].Reason)

	w.edit("self", func(k *apikey.Key) { k.Grants = append(k.Grants, apikey.Grant{Role: "owner", Project: "p"}) })
	request = w.request("self", "203.0.113.7")
	request.Project = "p"
	actor = w.byRequest(request)
	refusal = w.refuse(admin.Refused, actor, plain, admin.RemoveGrants("self", apikey.Grant{Role: "owner", Project: "p"}))
	require.Equal(t, policy.ProjectNotGranted, refusal.Findings[0].Reason)
	w.apply(actor, plain, admin.RemoveGrants("self", apikey.Grant{Role: "owner"}))
}

// Other proof than a secret counts while no secret that was live is ended without a new one.
func TestM4OtherProof(t *testing.T) {
	w, _ := selfWorld(t, "203.0.113.7", nil)
	request := w.request("self", "203.0.113.7")
	request.Secret, request.Verifier = apikey.Secret{}, policy.AlreadyVerified{}
	actor := w.byRequest(request)
	w.apply(actor, plain, admin.Rotate("self", time.Hour))
	old := w.stored("self").Secrets[0].ID()
	refusal := w.refuse(admin.Refused, actor, plain, admin.EndSecret("self", old, time.Time{}))
	require.Equal(t, policy.WrongSecret, refusal.Findings[0].Reason)
	w.apply(actor, accept(admin.SelfLockout), admin.EndSecret("self", old, time.Time{}))
	w.apply(actor, plain, admin.Rotate("self", 0))
	w.apply(actor, plain, admin.Describe("self", "x"))
}

// The guard may have judged the request by older records than those of now.
func TestM2TheActorIsJudgedAgain(t *testing.T) {
	w, actor := selfWorld(t, "203.0.113.7", nil)
	w.edit("self", func(k *apikey.Key) { k.Disabled = true })
	refusal := w.refuse(admin.Forbidden, actor, plain, admin.Describe("other", "x"))
	require.Equal(t, "The key that asks for the change may not do so any more: the key is switched off.", refusal.Message)
	require.NoError(t, w.memory.DeleteKey(w.ctx, "self", 0))
	refusal = w.refuse(admin.Forbidden, actor, plain, admin.Describe("other", "x"))
	require.Contains(t, refusal.Message, "there is no such key")
}

// The notice is an option.
func TestM7Notice(t *testing.T) {
	w := newWorld(t, admin.WithNotice(0))
	w.key("boss", "198.51.100.1", "owner")
	w.key("self", "203.0.113.7", "owner")
	actor := w.by("self", "203.0.113.7")
	preview := w.preview(actor, edit("203.0.113.7+1ms")(w)...)
	require.Equal(t, []admin.Kind{admin.SelfLockoutAt}, kinds(preview.Findings))
	require.Empty(t, preview.Needs())
	require.Contains(t, preview.Findings[0].String(), "self_lockout_at: ")
}

// The address is the one that the guard resolved (rule M24): the Actor has no way to set
// another, and an IPv4-mapped one is the IPv4 address.
func TestM24Address(t *testing.T) {
	w := newWorld(t)
	w.key("self", "203.0.113.7", "owner")
	actor := w.by("self", "::ffff:203.0.113.7")
	result := w.apply(actor, plain, admin.AddEntries("self", entry("192.0.2.1", "")))
	require.Equal(t, "203.0.113.7", result.Events[0].Address.String())
	require.Equal(t, policy.OriginPeer, result.Events[0].Origin)
	require.Equal(t, w.stored("self").Secrets[0].ID(), result.Events[0].Actor.Secret)
	w.refuse(admin.Refused, actor, plain, admin.RemoveEntries("self", prefixes("203.0.113.7")...))
}
