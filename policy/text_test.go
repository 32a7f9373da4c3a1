package policy_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
)

// The texts of the contract, in the order of its lines.
var reasonTexts = []string{
	"invalid_request", "console_forbidden", "unavailable", "unknown_key", "wrong_secret", "key_disabled",
	"key_not_yet_valid", "key_expired", "address_not_listed", "organization_requires_access_list",
	"endpoint_requires_access_list", "wrong_organization", "project_not_granted", "role_missing", "address_listed", "open_list",
}

func TestReasonTextsAreTheContract(t *testing.T) {
	for i, text := range reasonTexts {
		reason := policy.Reason(i + 1)
		require.Equal(t, text, reason.String())
		require.Equal(t, i+1 >= 15, reason.Allows(), text)
		require.Equal(t, i+1 >= 6 && i+1 <= 14, reason.AfterProof(), text)
		marshalled, err := reason.MarshalText()
		require.NoError(t, err)
		require.Equal(t, text, string(marshalled))
		var read policy.Reason
		require.NoError(t, read.UnmarshalText([]byte(text)))
		require.Equal(t, reason, read)
	}
	require.Equal(t, "undecided", policy.Reason(0).String())
	require.Equal(t, "reason(17)", policy.Reason(17).String())
	require.Equal(t, "reason(255)", policy.Reason(255).String())
	for _, none := range []policy.Reason{0, 17, 99, 255} {
		require.False(t, none.Allows())
		require.False(t, none.AfterProof())
		_, err := none.MarshalText()
		require.ErrorContains(t, err, none.String())
	}
	err := new(policy.Reason).UnmarshalText([]byte("Open_list"))
	require.EqualError(t, err, `policy: reason "Open_list": want one of the order, such as "address_not_listed"`)
}

func TestRequirementTextsAreTheContract(t *testing.T) {
	for requirement, text := range map[policy.Requirement]string{
		policy.NotRequired: "not_required", policy.ReportOnly: "report_only", policy.Required: "required",
	} {
		require.Equal(t, text, requirement.String())
		marshalled, err := requirement.MarshalText()
		require.NoError(t, err)
		require.Equal(t, text, string(marshalled))
	}
	require.Equal(t, "requirement(3)", policy.Requirement(3).String())
	for _, none := range []policy.Requirement{3, 255} {
		_, err := none.MarshalText()
		require.ErrorContains(t, err, none.String())
	}
	err := new(policy.Requirement).UnmarshalText([]byte("Required"))
	require.EqualError(t, err, `policy: requirement "Required": want "not_required", "report_only" or "required"`)
}

func TestOrganizationValidate(t *testing.T) {
	require.NoError(t, policy.Organization{ID: "acme", Requirement: policy.Required}.Validate())
	require.NoError(t, policy.Organization{ID: strings.Repeat("a", 256)}.Validate())
	for name, want := range map[string]bool{"": true, "Acme": true, strings.Repeat("a", 256): true, strings.Repeat("a", 257): false, "a\nb": false, "a ": false, "\xff": false, "a\u202eb": false} {
		err := policy.Organization{ID: "acme", Name: name}.Validate()
		require.Equal(t, want, err == nil, "%q: %v", name, err)
	}
	for year, want := range map[int]bool{-1: false, 0: false, 1: true, 2026: true, 9999: true, 10000: false} {
		err := policy.Organization{ID: "acme", SuspendedUntil: time.Date(year, 6, 1, 0, 0, 0, 0, time.UTC)}.Validate()
		require.Equal(t, want, err == nil, "%d: %v", year, err)
	}
	for _, id := range []string{"", " acme", "ac\nme", "ac\x00me", "\xff", strings.Repeat("a", 257)} {
		require.Error(t, policy.Organization{ID: id}.Validate(), "%q", id)
	}
	err := policy.Organization{ID: "", Requirement: 3}.Validate()
	require.ErrorContains(t, err, "requirement 3: want NotRequired, ReportOnly or Required")
	require.ErrorContains(t, err, "is empty")
}

func TestOrganizationJSON(t *testing.T) {
	stored := policy.Organization{ID: "acme", Name: "Acme é <&>", Requirement: policy.ReportOnly, Disabled: true, SuspendedUntil: noon.Add(1), Revision: math.MaxUint64}
	data, err := json.Marshal(stored)
	require.NoError(t, err)
	require.JSONEq(t, `{"id":"acme","name":"Acme é <&>","requirement":"report_only","disabled":true,"suspendedUntil":"2026-06-01T12:00:00.000000001Z","revision":18446744073709551615}`, string(data))
	var read policy.Organization
	require.NoError(t, json.Unmarshal(data, &read))
	require.Equal(t, stored, read)

	data, err = json.Marshal(policy.Organization{ID: "acme"})
	require.NoError(t, err)
	require.Equal(t, `{"id":"acme","requirement":"not_required"}`, string(data), "the requirement is always written, the switch if it is off")
	require.NoError(t, json.Unmarshal([]byte(`{"id":"acme","requirement":"not_required","disabled":false}`), &read))
	require.Equal(t, policy.Organization{ID: "acme"}, read)
	for _, unwritable := range []policy.Organization{
		{ID: "acme", Requirement: 3}, {ID: "ac\xffme"}, {ID: "acme", Name: "Ac\xffme"},
		{ID: "acme", SuspendedUntil: time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)},
	} {
		_, err = json.Marshal(unwritable)
		require.Error(t, err, "%+v would be read back as another", unwritable)
	}

	// A zone of the time is left behind, also one that RFC 3339 cannot write.
	for _, seconds := range []int{3600, 17, -24 * 3600} {
		abroad := stored
		abroad.SuspendedUntil = stored.SuspendedUntil.In(time.FixedZone("", seconds))
		again, err := json.Marshal(abroad)
		require.NoError(t, err)
		require.JSONEq(t, string(must(json.Marshal(stored))), string(again))
	}
}

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

func TestOrganizationEqual(t *testing.T) {
	organization := policy.Organization{ID: "acme", Name: "Acme", Requirement: policy.Required, Disabled: true, SuspendedUntil: noon, Revision: 7}
	later, known := organization, organization
	require.NoError(t, later.UnmarshalJSON([]byte(`{"id":"acme","requirement":"required","metadata":{"later":1}}`)))
	require.NoError(t, known.UnmarshalJSON([]byte(`{"id":"acme","requirement":"required","metadata":{}}`)))
	require.False(t, later.Equal(known))
	require.False(t, known.Equal(later))
	require.Equal(t, policy.Organization{ID: "acme", Requirement: policy.Required}, known)
	abroad := organization
	abroad.SuspendedUntil = noon.In(time.FixedZone("", 3600))
	require.True(t, organization.Equal(abroad))
	require.Empty(t, cmp.Diff(organization, abroad))
	all := reflect.TypeOf(organization)
	for i := range all.NumField() {
		if !all.Field(i).IsExported() {
			continue // as above
		}
		other := organization
		reflect.ValueOf(&other).Elem().Field(i).SetZero()
		require.False(t, organization.Equal(other), all.Field(i).Name)
		require.False(t, other.Equal(organization), all.Field(i).Name)
	}
}

// Metadata of a later version stays with an organization.
func TestOrganizationKeepsUnknownMetadata(t *testing.T) {
	const later = `{"id":"acme","requirement":"required","metadata":{"a":"\u003cb\u003e","owner":{"team":[1,null]}},"revision":7}`
	var read, again policy.Organization
	require.NoError(t, json.Unmarshal([]byte(strings.Replace(later, `{"a":"\u003cb\u003e","owner":{"team":[1,null]}}`, `{ "owner": {"team":[1, null]},"a":"<b>"}`, 1)), &read))
	written, err := json.Marshal(read)
	require.NoError(t, err)
	require.Equal(t, later, string(written))
	require.NoError(t, json.Unmarshal(written, &again))
	require.True(t, read.Equal(again))

	long := strings.Repeat("a", policy.MaxMetadata)
	require.ErrorContains(t, read.UnmarshalJSON([]byte(strings.Replace(later, "[1,null]", `"`+long+`"`, 1))), "has 16423 bytes: want at most 16384")
	require.True(t, read.Equal(again))
}

// Whatever would leave the requirement or the switch behind is an error: a requirement that
// got lost opens every key without a list, a lost switch every key.
func TestOrganizationJSONFailsClosed(t *testing.T) {
	for data, want := range map[string]string{
		`{"id":"acme","requirement":"required","metadata":null}`:          `"metadata" is null`,
		`{"id":"acme","requirement":"required","metadata":[]}`:            `"metadata": an array: want an object`,
		`{"id":"acme","requirement":"required","metadata":{"a":1,"a":1}}`: `"metadata": "a" occurs twice`,
		`{"id":"acme","requirement":"required","later":1}`:                `unknown name "later"`,
		`{"id":"acme"}`:                                       `"requirement" is missing: want a value`,
		`{"id":"acme","requirement":null}`:                    `"requirement" is null: want a value`,
		"{\"id\":\"a\xff\",\"requirement\":\"required\"}":     `not valid UTF-8`,
		`{"id":"a","requirement":"required","revision":null}`: `"revision" is null`,
		`null`:                                     `null: want an object with "id", "name", "requirement", "disabled", "suspendedUntil", "metadata", "revision"`,
		`{"id":"acme","requirement":""}`:           `requirement ""`,
		`{"id":"acme","requirement":"Required"}`:   `requirement "Required"`,
		`{"id":"acme","requirement":2}`:            `"requirement": the number 2: want a string`,
		`{"id":"acme","requirement":true}`:         `"requirement": true: want a string`,
		`{"id":"acme","requiremnet":"required"}`:   `unknown name "requiremnet", perhaps of a later version: want one of "id", "name", "requirement", "disabled", "suspendedUntil", "metadata", "revision"`,
		`{"requirement":"required"}`:               `"id" is missing: want a value`,
		`{"id":"","requirement":"required"}`:       `is empty`,
		`{"id":" acme","requirement":"required"}`:  `white space`,
		`{"id":"ac\nme","requirement":"required"}`: `control character`,
		`[]`:           `an array: want an object`,
		``:             `unexpected end`,
		`{"id":"acme"`: `unexpected end`,
		`{"id":"acme","requirement":"required"}{}`:                                                                            `after top-level value`,
		`{"id":"acme","requirement":"required","Requirement":"not_required"}`:                                                 `unknown name "Requirement": want "requirement"`,
		`{"id":"acme","requirement":"required","requirement":"not_required"}`:                                                 `"requirement" occurs twice: want it once`,
		"{\"id\":\"acme\",\"requirement\":\"required\",\"revi\u017fion\":1}":                                                  `want "revision"`,
		`{"id":"acme","requirement":required}`:                                                                                `invalid character`,
		`{"id":"a","requirement":"x","revision":-1}`:                                                                          `requirement "x"`,
		`{"id":"a","requirement":"required","disabled":null}`:                                                                 `"disabled" is null`,
		`{"id":"a","requirement":"required","disabled":"true"}`:                                                               `"disabled": a string: want true or false`,
		`{"id":"a","requirement":"required","disabled":1}`:                                                                    `"disabled": the number 1: want true or false`,
		`{"id":"a","requirement":"required","Disabled":true}`:                                                                 `unknown name "Disabled": want "disabled"`,
		`{"id":"a","requirement":"required","disabled":true,"disabled":false}`:                                                `"disabled" occurs twice`,
		`{"id":"a","requirement":"required","name":null}`:                                                                     `"name" is null`,
		`{"id":"a","requirement":"required","name":7}`:                                                                        `"name": the number 7: want a string`,
		`{"id":"a","requirement":"required","name":" a"}`:                                                                     `the name of the organization " a" begins or ends with white space`,
		`{"id":"a","requirement":"required","Name":"a"}`:                                                                      `unknown name "Name": want "name"`,
		`{"id":"a","name":"a","requirement":"required","name":"a"}`:                                                           `"name" occurs twice`,
		`{"id":"a","requirement":"required","suspendedUntil":null}`:                                                           `"suspendedUntil" is null`,
		`{"id":"a","requirement":"required","suspendedUntil":""}`:                                                             `"suspendedUntil": "": want a time such as`,
		`{"id":"a","requirement":"required","suspendedUntil":"0001-01-01T00:00:00Z"}`:                                         `want a time such as 2026-01-02T15:04:05Z, or leave it out`,
		`{"id":"a","requirement":"required","suspendedUntil":1780000000}`:                                                     `"suspendedUntil": the number 1780000000: want a string`,
		`{"id":"a","requirement":"required","suspendeduntil":"2026-06-01T12:00:00Z"}`:                                         `unknown name "suspendeduntil": want "suspendedUntil"`,
		`{"id":"a","requirement":"required","suspendedUntil":"2026-06-01T12:00:00Z","suspendedUntil":"2027-06-01T12:00:00Z"}`: `"suspendedUntil" occurs twice`,
		`{"id":"a","requirement":"required","suspendedUntil":"9999-12-31T23:59:59-01:00"}`:                                    `SuspendedUntil of organization "a" is in the year 10000: want 1 to 9999`,
		`{"id":"a","requirement":"required","suspendedUntil":"0001-01-01T00:00:00+01:00"}`:                                    `SuspendedUntil of organization "a" is in the year 0: want 1 to 9999`,
		`{"id":"a","revision":-1}`:                                                                                            `"revision": the number -1: want a whole number from 0 to 18446744073709551615`,
	} {
		before := policy.Organization{ID: "before", Requirement: policy.Required, Disabled: true, SuspendedUntil: noon, Revision: 7}
		read := before
		err := read.UnmarshalJSON([]byte(data))
		require.ErrorContains(t, err, want, data)
		require.Equal(t, before, read, "on an error the receiver is unchanged: %s", data)
	}
}

func FuzzRequirementText(f *testing.F) {
	for _, text := range []string{"not_required", "report_only", "required", "", "Required", "required ", "requirement(3)"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		r := policy.Requirement(77)
		if err := r.UnmarshalText([]byte(text)); err != nil {
			require.Equal(t, policy.Requirement(77), r)
			require.NotContains(t, []string{"not_required", "report_only", "required"}, text)
			require.NotContains(t, err.Error(), "\n")
			return
		}
		require.LessOrEqual(t, r, policy.Required)
		require.Equal(t, text, r.String())
	})
}

func FuzzReasonText(f *testing.F) {
	for _, text := range append(reasonTexts, "", "undecided", "open_list ", "reason(3)") {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		r := policy.Reason(77)
		if err := r.UnmarshalText([]byte(text)); err != nil {
			require.Equal(t, policy.Reason(77), r)
			require.NotContains(t, reasonTexts, text)
			require.NotContains(t, err.Error(), "\n")
			return
		}
		require.Equal(t, text, reasonTexts[r-1])
		require.Equal(t, text, r.String())
	})
}

func FuzzOrganizationJSON(f *testing.F) {
	for _, data := range []string{
		`{"id":"acme","requirement":"required","revision":3}`, `{"requirement":"report_only","id":"\u00e9"}`, `{"id":"acme"}`,
		`{"id":"acme","requirement":"required","requirement":"not_required"}`, `{"id":"acme","requirement":null}`, `null`, `{}`, ` {} `,
		`{"id":"acme","requirement":"required","suspendedUntil":"2026-06-01T14:00:00+02:00"}`, `{"id":"acme","requirement":"required","suspendedUntil":""}`,
		`{"\u0069d":"acme","requirement":"not_required"}`, `{"id":"acme","requirement":"required"}x`,
	} {
		f.Add([]byte(data))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		before := policy.Organization{ID: "before", Requirement: policy.Required, Revision: 7}
		read := before
		if err := json.Unmarshal(data, &read); err != nil {
			require.Equal(t, before, read)
			return
		}
		require.NoError(t, read.Validate())
		written, err := json.Marshal(read)
		require.NoError(t, err)
		var again policy.Organization
		require.NoError(t, json.Unmarshal(written, &again))
		require.Equal(t, read, again)

		var loose struct{ ID, Requirement any }
		require.NoError(t, json.Unmarshal(data, &loose), "what is read is JSON")
		require.Equal(t, read.Requirement.String(), loose.Requirement)
		require.Equal(t, read.ID, loose.ID)
	})
}

// requireNoSecret checks rule K2: nothing that a decision tells has the text of a
// secret or its last part in it.
func requireNoSecret(t testing.TB, d policy.Decision, secret apikey.Secret) {
	t.Helper()
	text := secret.Reveal()
	if text == "" {
		return
	}
	log := new(bytes.Buffer)
	slog.New(slog.NewJSONHandler(log, nil)).Info("decided", "decision", d)
	slog.New(slog.NewTextHandler(log, nil)).Info("decided", "decision", d)
	for _, told := range []string{d.String(), d.Explain(), log.String(),
		fmt.Sprintf("%v %+v %#v", d, d, d), fmt.Sprintf("%+v", d.Answer())} {
		require.NotContains(t, told, text[len(text)-38:])
	}
}
