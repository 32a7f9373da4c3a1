package admin_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store/admin"
)

// Each change makes the record, and the events, that it says.
func TestChanges(t *testing.T) {
	project := apikey.Grant{Role: "reader", Project: "p1"}
	everywhere := apikey.Grant{Role: "reader", AllProjects: true}
	expires := start.Add(48 * time.Hour)
	for _, test := range []struct {
		name   string
		change admin.Change
		accept []admin.Kind
		want   func(*apikey.Key)
		events []string
	}{
		{"describe", admin.Describe("k", "deploys"), nil,
			func(k *apikey.Key) { k.Description = "deploys" }, []string{"key.described"}},
		{"add entries", admin.AddEntries("k", entry("192.0.2.9", "office")), nil,
			func(k *apikey.Key) {
				k.AccessList, _ = k.AccessList.With(stamped(entry("192.0.2.9", "office"), start))
			},
			[]string{"key.entry_added"}},
		{"remove entries", admin.RemoveEntries("k", prefixes("198.51.100.0/24")...), nil,
			func(k *apikey.Key) { k.AccessList, _ = k.AccessList.Without(prefixes("198.51.100.0/24")) },
			[]string{"key.entry_removed"}},
		{"remove all entries", admin.RemoveEntries("k", prefixes("198.51.100.0/24 203.0.113.7")...), []admin.Kind{admin.Opens},
			func(k *apikey.Key) { k.AccessList = accesslist.List{} },
			[]string{"key.entry_removed", "key.entry_removed"}},
		{"replace entries", admin.ReplaceEntries("k", entry("203.0.113.7", "kept"), entry("192.0.2.9", "new")), nil,
			func(k *apikey.Key) {
				k.AccessList, _ = accesslist.New(stamped(entry("203.0.113.7", "kept"), start.AddDate(0, -1, 0)), stamped(entry("192.0.2.9", "new"), start))
			},
			[]string{"key.entry_removed", "key.entry_changed", "key.entry_added"}},
		{"replace by none", admin.ReplaceEntries("k"), []admin.Kind{admin.Opens},
			func(k *apikey.Key) { k.AccessList = accesslist.List{} },
			[]string{"key.entry_removed", "key.entry_removed"}},
		{"edit entries", admin.EditEntries("k", until(entry("203.0.113.7", "for a week"), expires)), nil,
			func(k *apikey.Key) {
				k.AccessList, _ = k.AccessList.Replace(stamped(until(entry("203.0.113.7", "for a week"), expires), start.AddDate(0, -1, 0)))
			},
			[]string{"key.entry_changed"}},
		{"set a list on trial", admin.SetTrialList("k", entry("192.0.2.9", "new"), entry("203.0.113.0/24", "")), nil,
			func(k *apikey.Key) {
				k.TrialList, _ = accesslist.New(stamped(entry("192.0.2.9", "new"), start), stamped(entry("203.0.113.0/24", ""), start.AddDate(0, -1, 0)))
			},
			[]string{"key.trial_list_changed"}},
		{"end a trial", admin.EndTrial("k"), nil,
			func(k *apikey.Key) { k.TrialList = accesslist.List{} }, []string{"key.trial_list_changed"}},
		{"enforce the list on trial", admin.EnforceTrial("k"), nil,
			func(k *apikey.Key) { k.AccessList, k.TrialList = k.TrialList, accesslist.List{} },
			[]string{"key.entry_removed", "key.entry_removed", "key.entry_added", "key.trial_list_changed"}},
		{"set grants", admin.SetGrants("k", project, everywhere), nil,
			func(k *apikey.Key) { k.Grants = []apikey.Grant{project, everywhere} },
			[]string{"key.grants_changed", "key.project_added"}},
		{"add grants", admin.AddGrants("k", project), nil,
			func(k *apikey.Key) { k.Grants = append(k.Grants, project) },
			[]string{"key.grants_changed", "key.project_added"}},
		{"remove grants", admin.RemoveGrants("k", apikey.Grant{Role: "reader"}), nil,
			func(k *apikey.Key) { k.Grants = k.Grants[:1] },
			[]string{"key.grants_changed"}},
		{"set validity", admin.SetValidity("k", start.Add(-time.Hour), expires), nil,
			func(k *apikey.Key) { k.NotBefore, k.Expires = start.Add(-time.Hour), expires }, []string{"key.validity_changed"}},
		{"disable", admin.DisableKey("k"), nil,
			func(k *apikey.Key) { k.Disabled = true }, []string{"key.disabled"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t)
			w.key("boss", "", "owner")
			w.key("k", "", "owner", "reader")
			before := w.edit("k", func(k *apikey.Key) {
				old := w.entries("198.51.100.0/24 203.0.113.7")
				for i := range old {
					old[i].Added = start.AddDate(0, -1, 0)
				}
				k.AccessList, _ = accesslist.New(old...)
				k.TrialList, _ = accesslist.New(stamped(entry("203.0.113.0/24", "tried"), start.AddDate(0, -1, 0)))
			})
			result := w.apply(ann, terms(test.accept), test.change)
			want := before.Clone()
			test.want(&want)
			stored := w.stored("k")
			want.Revision = stored.Revision
			require.True(t, want.Equal(stored), "%+v\nis not\n%+v", stored, want)
			require.Equal(t, test.events, types(result.Events))
			require.Equal(t, w.events(), result.Events)
			require.Equal(t, stored.Revision, result.Keys[0].Revision)

			// The same again changes nothing or is refused, and leaves no event.
			_, _ = w.admin.Apply(w.ctx, ann, "acme", terms(test.accept), test.change)
			require.Equal(t, stored.Revision, w.stored("k").Revision)
			require.Len(t, w.events(), len(test.events))
		})
	}
}

func terms(kinds []admin.Kind) admin.ApplyOptions {
	if kinds == nil {
		return plain
	}
	return accept(kinds...)
}

func entry(text, comment string) accesslist.Entry {
	e, err := accesslist.ParseEntry(text)
	if err != nil {
		panic(err)
	}
	e.Comment = comment
	return e
}

func stamped(e accesslist.Entry, added time.Time) accesslist.Entry {
	e.Added = added
	return e
}

func until(e accesslist.Entry, expires time.Time) accesslist.Entry {
	e.Expires = expires
	return e
}

func TestEnableKey(t *testing.T) {
	w := newWorld(t)
	w.key("k", "203.0.113.7", "owner")
	w.edit("k", func(k *apikey.Key) { k.Disabled = true })
	result := w.apply(ann, plain, admin.EnableKey("k"))
	require.False(t, w.stored("k").Disabled)
	require.Equal(t, []string{"key.enabled"}, types(result.Events))
	require.Equal(t, "active", result.Keys[0].Status)
}

func TestDeleteKey(t *testing.T) {
	w := newWorld(t)
	w.key("boss", "", "owner")
	deleted := w.key("k", "203.0.113.7", "owner")
	result := w.apply(ann, plain, admin.DeleteKey("k"))
	require.Equal(t, []string{"key.deleted"}, types(result.Events))
	require.Empty(t, result.Keys)
	require.JSONEq(t, `{"description":"","disabled":false,"entries":[{"address":"203.0.113.7"}],"grants":[{"role":"owner"}],"secrets":[{"id":"`+deleted.Secrets[0].ID()+`","created":"2026-03-01T12:00:00Z"}]}`, string(result.Events[0].Before))
	_, err := w.admin.Key(w.ctx, "acme", "k")
	requireClass(t, admin.NotFound, err)
	require.Equal(t, admin.NotFound, w.refuse(admin.NotFound, ann, plain, admin.DeleteKey("k")).Class)
}

func TestCreateKey(t *testing.T) {
	w := newWorld(t)
	result := w.apply(ann, plain, admin.CreateKey(admin.NewKey{
		Description: "CI", Grants: []apikey.Grant{{Role: "owner"}, {Role: "reader", Project: "p"}}, Entries: w.entries("203.0.113.7"),
		Expires: start.Add(time.Hour),
	}))
	require.Equal(t, []string{"key.created", "key.entry_added", "key.project_added"}, types(result.Events))
	require.Len(t, result.Secrets, 1)
	made := result.Secrets[0]
	require.Equal(t, result.Keys[0].ID, made.Key)
	require.Equal(t, result.Keys[0].Secrets[0].ID, made.ID)
	stored := w.stored(string(made.Key))
	_, err := made.Secret.Verify(stored.Secrets, w.now)
	require.NoError(t, err)
	require.Equal(t, start, stored.Created)
	require.Equal(t, stored.Revision, result.Keys[0].Revision)

	// A given ID makes the call repeatable.
	named := admin.CreateKey(admin.NewKey{ID: "ci", Entries: w.entries("203.0.113.7")})
	require.EqualValues(t, "ci", named.Key())
	w.apply(ann, plain, named)
	refusal := w.refuse(admin.Conflict, ann, plain, named)
	require.Equal(t, `The key ID "ci" is taken. Choose another, or leave it out.`, refusal.Message)
}

func TestOrganizations(t *testing.T) {
	w := newWorld(t)
	system := admin.BySystem("signup")
	apply := func(change ...admin.Change) admin.Result {
		t.Helper()
		result, err := w.admin.Apply(w.ctx, system, "new", plain, change...)
		require.NoError(t, err)
		return result
	}
	result := apply(admin.CreateOrganization(policy.ReportOnly))
	require.Equal(t, []string{"organization.created"}, types(result.Events))
	require.Equal(t, []admin.OrganizationView{{ID: "new", Requirement: policy.ReportOnly, Revision: result.Events[0].Revision}}, result.Organizations)
	require.Equal(t, []string{"organization.requirement_changed"}, types(apply(admin.SetRequirement(policy.Required)).Events))
	require.Equal(t, []string{"organization.disabled"}, types(apply(admin.DisableOrganization()).Events))
	require.Empty(t, apply(admin.DisableOrganization()).Events, "it is disabled already")
	require.Equal(t, []string{"organization.enabled"}, types(apply(admin.EnableOrganization()).Events))
	view, err := w.admin.Organization(w.ctx, "new")
	require.NoError(t, err)
	require.Equal(t, policy.Required, view.Requirement)

	_, err = w.admin.Apply(w.ctx, system, "new", plain, admin.CreateOrganization(policy.NotRequired))
	requireClass(t, admin.Conflict, err)
	require.Equal(t, []string{"organization.deleted"}, types(apply(admin.DeleteOrganization()).Events))
	_, err = w.admin.Organization(w.ctx, "new")
	require.EqualError(t, err, `store/admin: not_found: There is no organization "new".`)
}

// An organization with keys is deleted after them, or not at all.
func TestDeleteOrganization(t *testing.T) {
	w := newWorld(t)
	w.key("a", "203.0.113.7", "owner")
	w.key("b", "203.0.113.7", "reader")
	const message = "The organization has keys. Delete them first."
	require.Equal(t, message, w.refuse(admin.Conflict, ann, plain, admin.DeleteOrganization()).Message)
	require.Equal(t, message, w.refuse(admin.Conflict, ann, plain, admin.DeleteKey("a"), admin.DeleteOrganization()).Message)
	require.Equal(t, message, w.refuse(admin.Conflict, ann, plain, admin.Describe("a", "x"), admin.DeleteKey("b"), admin.DeleteOrganization()).Message)
	result := w.apply(ann, accept(admin.OrganizationLockout, admin.LastManager), admin.DeleteKey("a"), admin.DeleteKey("b"), admin.DeleteOrganization())
	require.Equal(t, []string{"key.deleted", "key.deleted", "organization.deleted"}, types(result.Events))
}

func TestRotate(t *testing.T) {
	w := newWorld(t)
	before := w.key("k", "203.0.113.7", "owner")
	result := w.apply(ann, plain, admin.Rotate("k", time.Hour))
	require.Equal(t, []string{"key.rotated"}, types(result.Events))
	stored := w.stored("k")
	require.Len(t, stored.Secrets, 2)
	require.Equal(t, start.Add(time.Hour), stored.Secrets[0].Expires)
	index, err := result.Secrets[0].Secret.Verify(stored.Secrets, w.now)
	require.NoError(t, err)
	require.Equal(t, 1, index)

	refusal := w.refuse(admin.Conflict, ann, plain, admin.Rotate("k", time.Hour))
	require.Regexp(t, `^The key has two live secrets already: [0-9a-f]{8} until 20\S+Z and [0-9a-f]{8}\. End one`, refusal.Message)
	old := before.Secrets[0].ID()
	for _, later := range []time.Time{start.Add(time.Hour + time.Microsecond), start.Add(9999 * time.Hour)} {
		refusal = w.refuse(admin.Conflict, ann, accept(admin.Opens), admin.EndSecret("k", old, later))
		require.Equal(t, fmt.Sprintf("The secret %q ends earlier, at 2026-03-01T13:00:00Z, and its end cannot be put off. Rotate the key to have a new one.", old), refusal.Message)
		require.Equal(t, start.Add(time.Hour), w.stored("k").Secrets[0].Expires)
	}
	require.Empty(t, w.apply(ann, plain, admin.EndSecret("k", old, start.Add(time.Hour+time.Nanosecond))).Events, "it ends then already")
	result = w.apply(ann, plain, admin.EndSecret("k", old, start.Add(30*time.Minute)))
	require.Equal(t, start.Add(30*time.Minute), w.stored("k").Secrets[0].Expires)
	require.Equal(t, []string{"key.secret_ended"}, types(result.Events))
	w.apply(ann, plain, admin.EndSecret("k", old, time.Time{}))
	require.Equal(t, start, w.stored("k").Secrets[0].Expires)
	require.Contains(t, w.refuse(admin.Conflict, ann, plain, admin.EndSecret("k", old, time.Time{})).Message, "ended already")
	require.Contains(t, w.refuse(admin.NotFound, ann, plain, admin.EndSecret("k", "00000000", time.Time{})).Message, `no secret "00000000"`)

	result = w.apply(ann, plain, admin.Rotate("k", 0))
	require.Len(t, w.stored("k").Secrets, 1)
	require.Equal(t, w.stored("k").Secrets[0].ID(), result.Secrets[0].ID)
}

// A change that is wrong in itself is told so, in words for people, and never called a
// lockout (rule M2).
func TestM2WrongInItself(t *testing.T) {
	long := strings.Repeat("x", apikey.MaxDescription+1)
	reader := apikey.Grant{Role: "reader"}
	many := make([]apikey.Grant, apikey.MaxGrants+1)
	var grants []apikey.Grant
	for i := range apikey.MaxGrants {
		grants = append(grants, apikey.Grant{Role: "r", Project: fmt.Sprint(i)})
	}
	labels := map[string]string{}
	for i := range apikey.MaxLabels + 1 {
		labels[fmt.Sprint(i)] = ""
	}
	var entries []accesslist.Entry
	for i := range 1001 {
		e, err := accesslist.NewEntry(prefixes(fmt.Sprintf("10.0.%d.%d", i/256, i%256))[0])
		require.NoError(t, err)
		entries = append(entries, e)
	}
	for name, test := range map[string]struct {
		change  admin.Change
		message string
	}{
		"nothing":               {admin.Change{}, "There is no change to make."},
		"no key":                {admin.DisableKey(""), "The change names no key."},
		"a long description":    {admin.Describe("k", long), "The description has 1025 bytes: want at most 1024."},
		"a broken description":  {admin.Describe("k", "a\nb"), "The description has the control character U+000A at byte 2: want it without."},
		"no role":               {admin.AddGrants("k", apikey.Grant{}), "The role is empty: want 1 to 256 bytes."},
		"a bad project":         {admin.AddGrants("k", apikey.Grant{Role: "r", Project: " p"}), `The project " p" begins or ends with white space: want it without.`},
		"both kinds of project": {admin.SetGrants("k", apikey.Grant{Role: "r", Project: "p", AllProjects: true}), `The role "r" is given for one project and for all projects. Choose one of them.`},
		"a grant twice":         {admin.AddGrants("k", reader, reader), `The role "reader" for the organization is given twice.`},
		"a grant it has":        {admin.AddGrants("k", apikey.Grant{Role: "owner"}), `The key has the role "owner" for the organization already. Nothing was added.`},
		"a grant it lacks":      {admin.RemoveGrants("k", apikey.Grant{Role: "r", Project: "p"}), `The key does not have the role "r" for the project "p". Nothing was removed.`},
		"another it lacks":      {admin.RemoveGrants("k", apikey.Grant{Role: "r", AllProjects: true}), `The key does not have the role "r" for all projects. Nothing was removed.`},
		"too many grants":       {admin.SetGrants("k", many...), "1001 grants are too many: 1000 are possible. Use one for all projects."},
		"too many together":     {admin.AddGrants("k", grants...), "The key would have 1001 grants, and 1000 are possible. Use one for all projects."},
		"an ended validity":     {admin.SetValidity("k", start, start), "The key would never be valid: it would end before it begins."},
		"a negative overlap":    {admin.Rotate("k", -1), "The overlap is negative."},
		"no entries to add":     {admin.AddEntries("k"), "The change names no entry."},
		"no grants to add":      {admin.AddGrants("k"), "The change names no grant."},
		"no grants to remove":   {admin.RemoveGrants("k"), "The change names no grant."},
		"no entries to remove":  {admin.RemoveEntries("k"), "The change names no entry."},
		"an entry it has":       {admin.AddEntries("k", entry("203.0.113.7", "")), "203.0.113.7: duplicate entry: it is on the list already; nothing was added."},
		"an entry twice":        {admin.AddEntries("k", entry("192.0.2.1", ""), entry("192.0.2.1", "")), "192.0.2.1: duplicate entry: it is given twice; nothing was added."},
		"an entry it lacks":     {admin.RemoveEntries("k", prefixes("203.0.113.0/24")...), "203.0.113.0/24: no such entry: an entry is removed by its exact address or block; nothing was removed."},
		"an edit it lacks":      {admin.EditEntries("k", entry("192.0.2.1", "")), "192.0.2.1 is not on the list. Nothing was changed."},
		"an edit twice":         {admin.EditEntries("k", entry("203.0.113.7", ""), entry("203.0.113.7", "")), "203.0.113.7: duplicate entry: it is given twice; nothing was replaced."},
		"a zero entry":          {admin.AddEntries("k", accesslist.Entry{}), "An entry is invalid: an entry without an address: want one made by ParseEntry or NewEntry."},
		"no entries to try":     {admin.SetTrialList("k"), "The change names no entry."},
		"too many to try":       {admin.SetTrialList("k", entries[:1000]...), "The list and the one on trial together would have 1001 entries, and 1000 are possible."},
		"an entry tried twice":  {admin.SetTrialList("k", entries[0], entries[0]), "10.0.0.0: duplicate entry: it is given twice; nothing was added."},
		"too many entries":      {admin.AddEntries("k", entries...), "The list would have 1002 entries, and 1000 are possible."},
		"a bad requirement":     {admin.SetRequirement(9), "The requirement is unknown. Choose not_required, report_only or required."},
		"a bad name":            {admin.SetName(" Acme"), `The name " Acme" begins or ends with white space: want it without.`},
		"a bad external ID":     {admin.SetExternalID("k", "a\nb"), `The external ID "a\nb" has the control character U+000A at byte 2: want it without.`},
		"a nameless label":      {admin.SetLabels("k", map[string]string{"": "x"}), `The label name "" is not possible: it has 1 to 64 bytes, none of them a =.`},
		"a label name with =":   {admin.SetLabels("k", map[string]string{"a=b": "x"}), `The label name "a=b" is not possible: it has 1 to 64 bytes, none of them a =.`},
		"a bad label name":      {admin.SetLabels("k", map[string]string{"ok": "x", "z ": "x"}), `The label name "z " begins or ends with white space: want it without.`},
		"a bad label value":     {admin.SetLabels("k", map[string]string{"team": " x"}), `The value of the label "team" " x" begins or ends with white space: want it without.`},
		"a long label name":     {admin.CreateKey(admin.NewKey{Entries: entries[:1], Labels: map[string]string{strings.Repeat("a", 65): ""}}), `The label name "` + strings.Repeat("a", 65) + `" is not possible: it has 1 to 64 bytes, none of them a =.`},
		"too many labels":       {admin.SetLabels("k", labels), "33 labels are too many: 32 are possible."},
		"a bad ID of a new key": {admin.CreateKey(admin.NewKey{Entries: entries[:1], ExternalID: " "}), `The external ID " " begins or ends with white space: want it without.`},
		"a bad ID":              {admin.CreateKey(admin.NewKey{ID: "a b"}), "A key ID has 1 to 40 letters, digits, - and _."},
		"a bad entry":           {admin.CreateKey(admin.NewKey{Entries: []accesslist.Entry{entry("192.0.2.1", "\n")}}), "An entry is invalid: the comment of 192.0.2.1 has the control character U+000A at byte 1: want it without."},
		"a bad year":            {admin.CreateKey(admin.NewKey{NotBefore: time.Date(12000, 1, 1, 0, 0, 0, 0, time.UTC)}), "The key would be invalid: NotBefore is in the year 12000: want 1 to 9999"},
		"another bad year":      {admin.SetValidity("k", time.Time{}, time.Date(12000, 1, 1, 0, 0, 0, 0, time.UTC)), "The key would be invalid: Expires is in the year 12000: want 1 to 9999"},
		"a bad year to rotate":  {admin.Rotate("k", 1<<62), ""},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.key("k", "203.0.113.7", "owner")
			// The actor would be locked out by some of them.
			if test.message == "" {
				w.now = time.Date(9990, 1, 1, 0, 0, 0, 0, time.UTC)
			}
			refusal := w.refuse(admin.Invalid, w.by("k", "203.0.113.7"), plain, test.change)
			if test.message != "" {
				require.Equal(t, test.message, refusal.Message)
			}
			require.Empty(t, refusal.Findings)
			_, err := w.admin.Preview(w.ctx, ann, "acme", test.change)
			requireClass(t, admin.Invalid, err)
		})
	}
}

// A change of records that do not exist is told so before the guard is asked (rule M2).
func TestM2Absent(t *testing.T) {
	w := newWorld(t)
	w.organization("other", policy.NotRequired)
	w.keyOf("other", "theirs", "", "owner")
	w.key("k", "203.0.113.7", "owner")
	actor := w.by("k", "203.0.113.7")
	absent := w.refuse(admin.NotFound, actor, plain, admin.DisableKey("absent"))
	theirs := w.refuse(admin.NotFound, actor, plain, admin.DisableKey("theirs"))
	require.Equal(t, strings.ReplaceAll(absent.Message, "absent", "theirs"), theirs.Message)
	require.Equal(t, `There is no key "theirs" in this organization.`, theirs.Message)

	// A secret in the place of an ID is not repeated.
	leaked := w.refuse(admin.NotFound, actor, plain, admin.DisableKey(apikey.ID(w.secrets["k"].Reveal())))
	require.Equal(t, `There is no key "[invalid key ID]" in this organization.`, leaked.Message)

	refusal := w.refuse(admin.Conflict, ann, plain, admin.DeleteKey("k").At(1))
	require.Contains(t, refusal.Message, "not 1: it was changed since it was read")
	require.Equal(t, admin.Conflict, w.refuse(admin.Conflict, ann, plain, admin.SetRequirement(policy.Required).At(99)).Class)
	w.apply(ann, plain, admin.Describe("k", "x").At(w.stored("k").Revision))

	_, err := w.admin.Apply(w.ctx, ann, "nowhere", plain, admin.DisableKey("k"))
	require.EqualError(t, err, `store/admin: not_found: There is no organization "nowhere".`)
	_, err = w.admin.Apply(w.ctx, ann, "", plain, admin.CreateOrganization(policy.Required))
	require.ErrorContains(t, err, `invalid: The organization would be invalid: the organization is empty: want 1 to 256 bytes`)
	require.Equal(t, `The key ID "theirs" is taken. Choose another, or leave it out.`,
		w.refuse(admin.Conflict, ann, plain, admin.CreateKey(admin.NewKey{ID: "theirs", Entries: w.entries("192.0.2.1")})).Message)
}

// A change is a value: what its maker does with the arguments afterwards does not matter.
func TestChangeIsAValue(t *testing.T) {
	w := newWorld(t)
	w.key("k", "203.0.113.7", "owner")
	entries, gone := w.entries("192.0.2.1"), prefixes("203.0.113.7")
	grants := []apikey.Grant{{Role: "reader"}}
	add, remove, grant := admin.AddEntries("k", entries...), admin.RemoveEntries("k", gone...), admin.AddGrants("k", grants...)
	entries[0], gone[0], grants[0].Role = w.entries("192.0.2.2")[0], prefixes("192.0.2.1")[0], "other"
	w.apply(ann, plain, add, remove, grant)
	stored := w.stored("k")
	require.Equal(t, []apikey.Grant{{Role: "owner"}, {Role: "reader"}}, stored.Grants)
	_, ok := stored.AccessList.Find(prefixes("192.0.2.1")[0])
	require.True(t, ok)
	require.Equal(t, 1, stored.AccessList.Len())

	require.Equal(t, `add_entries of key "k"`, add.String())
	require.Equal(t, "set_requirement", admin.SetRequirement(policy.Required).String())
	require.Equal(t, "set_requirement", admin.SetRequirement(policy.Required).Kind())
	require.Equal(t, "no change", admin.Change{}.String())
}
