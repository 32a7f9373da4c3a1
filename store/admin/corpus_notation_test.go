package admin_test

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/adapter"
	"github.com/sallyport-go/sallyport/store/admin"
)

// world builds the state of a case.
func (c corpusCase) world(t *testing.T, f *faulty) *world {
	var options []admin.Option
	for word := range strings.FieldsSeq(c.Settings) {
		notice, ok := strings.CutPrefix(word, "notice=")
		switch {
		case ok:
			options = append(options, admin.WithNotice(duration(t, notice)))
		case word == "people":
			options = append(options, admin.WithPeopleManaging())
		default:
			t.Fatalf("unknown setting %q", word)
		}
	}
	w := worldOf(t, f, f.Store, options...)
	if c.Observed != "none" {
		observed := 365 * day
		if c.Observed != "" {
			observed = duration(t, c.Observed)
		}
		w.observed(observed)
	}
	w.setOrganization(c.Organization)
	if _, given := c.Keys["boss"]; !given && c.Organization != "absent" {
		w.corpusKey("boss", "198.51.100.1 owner")
	}
	for _, id := range slices.Sorted(maps.Keys(c.Keys)) {
		words, copies := c.Keys[id], 0
		if name, many, ok := strings.Cut(id, "*"); ok {
			_, err := fmt.Sscan(many, &copies)
			require.NoError(t, err)
			for i := range copies {
				w.corpusKey(fmt.Sprintf("%s%05d", name, i), words)
			}
		} else if words != "absent" {
			w.corpusKey(id, words)
		}
	}
	return w
}

// setOrganization stores acme as the words say.
func (w *world) setOrganization(words string) {
	w.t.Helper()
	if words == "absent" {
		require.NoError(w.t, w.memory.DeleteOrganization(w.ctx, "acme", 0))
		return
	}
	acme, err := w.memory.Organization(w.ctx, "acme")
	require.NoError(w.t, err)
	for word := range strings.FieldsSeq(words) {
		requirement, ok := requirements[word]
		switch {
		case ok:
			acme.Requirement = requirement
		case word == "off":
			acme.Disabled = true
		case strings.HasPrefix(word, "suspended"):
			acme.SuspendedUntil = w.at(strings.TrimPrefix(word, "suspended"))
		default:
			w.t.Fatalf("unknown word %q of the organization", word)
		}
	}
	_, err = w.memory.PutOrganization(w.ctx, acme)
	require.NoError(w.t, err)
}

// A keyText is a key in words.
type keyText struct {
	open             bool
	foreign          bool
	off              bool
	entries          []accesslist.Entry
	grants           []apikey.Grant
	notBefore, until time.Time
	ends             []time.Time // of its secrets
	used             []string
	tried            []accesslist.Entry
}

func (w *world) keyText(words []string) (text keyText) {
	w.t.Helper()
	for _, word := range words {
		if word[0] >= '0' && word[0] <= '9' {
			text.entries = append(text.entries, w.entries(word)...)
			continue
		}
		name, value := word, ""
		if i := strings.IndexAny(word, "+-="); i > 0 {
			name, value = word[:i], word[i:]
		}
		switch name {
		case "open":
			text.open = true
		case "foreign":
			text.foreign = true
		case "off":
			text.off = true
		case "from":
			text.notBefore = w.at(value)
		case "until":
			text.until = w.at(value)
		case "s1", "s2":
			end := time.Time{}
			if value != "" {
				end = w.at(value)
			}
			text.ends = append(text.ends, end)
			require.Equal(w.t, fmt.Sprintf("s%d", len(text.ends)), name)
		case "used", "would":
			text.used = append(text.used, name+value)
		case "tried":
			text.tried = append(text.tried, w.entries(value[1:])...)
		default:
			require.Empty(w.t, value, word)
			text.grants = append(text.grants, grantOf(word))
		}
	}
	return text
}

// grantOf reads owner, reader@p (in a project) or reader@* (in all projects).
func grantOf(word string) apikey.Grant {
	role, project, _ := strings.Cut(word, "@")
	if project == "*" {
		return apikey.Grant{Role: role, AllProjects: true}
	}
	return apikey.Grant{Role: role, Project: project}
}

func grantsOf(words []string) (grants []apikey.Grant) {
	for _, word := range words {
		grants = append(grants, grantOf(word))
	}
	return grants
}

// corpusKey stores a key in words, and how it was used.
func (w *world) corpusKey(id, words string) {
	w.t.Helper()
	text := w.keyText(strings.Fields(words))
	require.Equal(w.t, text.open, len(text.entries) == 0, "key %s is open, or it has entries", id)
	organization := "acme"
	if text.foreign {
		organization = "globex"
		w.organization(organization, policy.NotRequired)
	}
	list, err := accesslist.List{}.With(text.entries...)
	require.NoError(w.t, err)
	trial, err := accesslist.List{}.With(text.tried...)
	require.NoError(w.t, err)
	key := apikey.Key{
		ID: apikey.ID(id), Organization: organization, Grants: text.grants, AccessList: list, TrialList: trial, Disabled: text.off,
		NotBefore: text.notBefore, Expires: text.until, Created: w.now.AddDate(0, -6, 0),
	}
	if text.ends == nil {
		text.ends = []time.Time{{}}
	}
	for i := range text.ends {
		var secret apikey.Secret
		key, secret, err = w.issuer.Issue(key)
		require.NoError(w.t, err)
		w.secrets[key.ID], w.secrets[named(id, i)] = secret, secret
	}
	for i, end := range text.ends {
		key.Secrets[i].Expires = end
	}
	_, err = w.memory.PutKey(w.ctx, key, store.AllowOpen)
	require.NoError(w.t, err)
	for _, call := range text.used {
		w.corpusUsed(key, call)
	}
}

// named is the name of a secret among those of the world.
func named(id string, i int) apikey.ID { return apikey.ID(fmt.Sprintf("%s s%d", id, i+1)) }

// corpusUsed records a call such as used=203.0.113.7-24h:s2.
func (w *world) corpusUsed(key apikey.Key, call string) {
	w.t.Helper()
	name, call, _ := strings.Cut(call, "=")
	text, by, _ := strings.Cut(call, ":s")
	address, ago, _ := strings.Cut(text, "-")
	record := store.UsageRecord{Key: key.ID, Secret: key.Secrets[0].ID(), Usage: accesslist.Usage{Count: 1, Last: w.at("-" + ago)}}
	if name == "would" {
		record.WouldDeny = policy.OrganizationRequiresAccessList
		if !key.TrialList.IsEmpty() {
			record.WouldDeny = policy.AddressNotListed
		}
	}
	if by == "2" {
		record.Secret = key.Secrets[1].ID()
	}
	if address != "unknown" {
		record.Usage.LastAddress = netip.MustParseAddr(address)
		if entry, ok := key.AccessList.Match(record.Usage.LastAddress, w.now); ok {
			record.Entry = entry.Prefix()
		}
	}
	require.NoError(w.t, w.memory.RecordUsage(w.ctx, adapter.UsageBatch(record)))
}

// at reads a time such as +30m or -24h.
func (w *world) at(word string) time.Time {
	w.t.Helper()
	return start.Add(duration(w.t, word))
}

func duration(t testing.TB, word string) time.Duration {
	t.Helper()
	d, err := time.ParseDuration(word)
	require.NoError(t, err)
	return d
}

// actor reads who asks, such as "key self from 203.0.113.7".
func (c corpusCase) actor(w *world) (admin.Actor, error) {
	words := strings.Fields(c.Actor)
	switch words[0] {
	case "person":
		return ann, nil
	case "system":
		return admin.BySystem("cron"), nil
	case "nobody":
		return admin.Actor{}, nil
	}
	require.Equal(w.t, "key", words[0])
	id := words[1]
	request := policy.Request{Key: apikey.ID(id), Secret: w.secrets[named(id, 0)], Organization: "acme", Endpoint: new(manage), ClientFrom: policy.OriginPeer}
	for i := 2; i < len(words); i += 2 {
		value := words[i+1]
		switch words[i] {
		case "from":
			request.Client = netip.MustParseAddr(value)
		case "by":
			if value == "other" {
				request.Secret, request.Verifier = apikey.Secret{}, policy.AlreadyVerified{}
			} else {
				request.Secret = w.secrets[apikey.ID(id+" "+value)]
			}
		case "in":
			request.Project = value
		case "of":
			request.Organization = value
		case "needing":
			if value == "list" {
				request.Endpoint.RequiresAccessList = true
			} else {
				request.Endpoint.Roles = []string{value}
			}
		default:
			w.t.Fatalf("unknown word %q of the actor", words[i])
		}
	}
	subject, _, err := w.memory.Lookup(w.ctx, request.Key)
	require.NoError(w.t, err)
	return admin.ByKey(policy.Evaluate(subject, request, w.now))
}

// changes reads changes such as "remove_entries self 203.0.113.7".
func (w *world) changes(texts []string) (changes []admin.Change) {
	w.t.Helper()
	for _, text := range texts {
		words := strings.Fields(text)
		read, ok := changeKinds[words[0]]
		require.True(w.t, ok, text)
		id, rest, revision := apikey.ID(""), words[1:], uint64(0)
		if i := slices.IndexFunc(rest, func(word string) bool { return strings.HasPrefix(word, "rev=") }); i >= 0 {
			_, err := fmt.Sscan(rest[i][4:], &revision)
			require.NoError(w.t, err)
			rest = slices.Delete(slices.Clone(rest), i, i+1)
		}
		if !strings.HasSuffix(words[0], "_organization") && !strings.HasSuffix(words[0], "_requirement") && words[0] != "set_name" {
			id, rest = apikey.ID(rest[0]), rest[1:]
		}
		change := read(w, id, rest).At(revision)
		require.Equal(w.t, words[0], change.Kind())
		changes = append(changes, change)
	}
	return changes
}

// changeKinds read the words of a change by its kind.
var changeKinds = map[string]func(w *world, id apikey.ID, words []string) admin.Change{
	"add_entries": func(w *world, id apikey.ID, words []string) admin.Change {
		return admin.AddEntries(id, w.entries(strings.Join(words, " "))...)
	},
	"replace_entries": func(w *world, id apikey.ID, words []string) admin.Change {
		return admin.ReplaceEntries(id, w.entries(strings.Join(words, " "))...)
	},
	"set_trial_list": func(w *world, id apikey.ID, words []string) admin.Change {
		return admin.SetTrialList(id, w.entries(strings.Join(words, " "))...)
	},
	"end_trial":     func(_ *world, id apikey.ID, _ []string) admin.Change { return admin.EndTrial(id) },
	"enforce_trial": func(_ *world, id apikey.ID, _ []string) admin.Change { return admin.EnforceTrial(id) },
	"edit_entries": func(w *world, id apikey.ID, words []string) admin.Change {
		return admin.EditEntries(id, w.entries(strings.Join(words, " "))...)
	},
	"remove_entries": func(_ *world, id apikey.ID, words []string) admin.Change {
		return admin.RemoveEntries(id, prefixes(strings.Join(words, " "))...)
	},
	"create_key": func(w *world, id apikey.ID, words []string) admin.Change {
		text := w.keyText(words)
		if id == "new" {
			id = ""
		}
		return admin.CreateKey(admin.NewKey{ID: id, Grants: text.grants, Entries: text.entries, NotBefore: text.notBefore, Expires: text.until, Disabled: text.off})
	},
	"set_validity": func(w *world, id apikey.ID, words []string) admin.Change {
		text := w.keyText(words)
		return admin.SetValidity(id, text.notBefore, text.until)
	},
	"set_grants": func(_ *world, id apikey.ID, words []string) admin.Change {
		return admin.SetGrants(id, grantsOf(words)...)
	},
	"add_grants": func(_ *world, id apikey.ID, words []string) admin.Change {
		return admin.AddGrants(id, grantsOf(words)...)
	},
	"remove_grants": func(_ *world, id apikey.ID, words []string) admin.Change {
		return admin.RemoveGrants(id, grantsOf(words)...)
	},
	"describe": func(_ *world, id apikey.ID, words []string) admin.Change {
		return admin.Describe(id, strings.Join(words, " "))
	},
	"set_labels": func(_ *world, id apikey.ID, words []string) admin.Change {
		return admin.SetLabels(id, map[string]string{words[0]: words[1]})
	},
	"set_external_id": func(_ *world, id apikey.ID, words []string) admin.Change {
		return admin.SetExternalID(id, words[0])
	},
	"disable_key": func(_ *world, id apikey.ID, _ []string) admin.Change { return admin.DisableKey(id) },
	"enable_key":  func(_ *world, id apikey.ID, _ []string) admin.Change { return admin.EnableKey(id) },
	"delete_key":  func(_ *world, id apikey.ID, _ []string) admin.Change { return admin.DeleteKey(id) },
	"rotate": func(w *world, id apikey.ID, words []string) admin.Change {
		return admin.Rotate(id, duration(w.t, words[0]))
	},
	"end_secret": func(w *world, id apikey.ID, words []string) admin.Change {
		var at time.Time
		if len(words) > 1 {
			at = w.at(words[1])
		}
		secrets := w.stored(string(id)).Secrets
		i := slices.Index([]string{"s1", "s2"}, words[0])
		if i < 0 || i >= len(secrets) {
			return admin.EndSecret(id, words[0], at)
		}
		return admin.EndSecret(id, secrets[i].ID(), at)
	},
	"set_name": func(_ *world, _ apikey.ID, words []string) admin.Change { return admin.SetName(words[0]) },
	"create_organization": func(_ *world, _ apikey.ID, words []string) admin.Change {
		return admin.CreateOrganization(requirements[words[0]])
	},
	"set_requirement": func(_ *world, _ apikey.ID, words []string) admin.Change {
		return admin.SetRequirement(requirements[words[0]])
	},
	"suspend_requirement": func(w *world, _ apikey.ID, words []string) admin.Change {
		if len(words) == 0 {
			return admin.SuspendRequirement(time.Time{})
		}
		return admin.SuspendRequirement(w.at(words[0]))
	},
	"resume_requirement":   func(*world, apikey.ID, []string) admin.Change { return admin.ResumeRequirement() },
	"disable_organization": func(*world, apikey.ID, []string) admin.Change { return admin.DisableOrganization() },
	"enable_organization":  func(*world, apikey.ID, []string) admin.Change { return admin.EnableOrganization() },
	"delete_organization":  func(*world, apikey.ID, []string) admin.Change { return admin.DeleteOrganization() },
}
