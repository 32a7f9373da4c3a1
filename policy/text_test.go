package policy_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"math"
	"strings"
	"testing"

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
	for _, id := range []string{"", " acme", "ac\nme", "ac\x00me", "\xff", strings.Repeat("a", 257)} {
		require.Error(t, policy.Organization{ID: id}.Validate(), "%q", id)
	}
	err := policy.Organization{ID: "", Requirement: 3}.Validate()
	require.ErrorContains(t, err, "requirement 3: want NotRequired, ReportOnly or Required")
	require.ErrorContains(t, err, "is empty")
}

func TestOrganizationJSON(t *testing.T) {
	stored := policy.Organization{ID: "acme", Requirement: policy.ReportOnly, Disabled: true, Revision: math.MaxUint64}
	data, err := json.Marshal(stored)
	require.NoError(t, err)
	require.JSONEq(t, `{"id":"acme","requirement":"report_only","disabled":true,"revision":18446744073709551615}`, string(data))
	var read policy.Organization
	require.NoError(t, json.Unmarshal(data, &read))
	require.Equal(t, stored, read)

	data, err = json.Marshal(policy.Organization{ID: "acme"})
	require.NoError(t, err)
	require.Equal(t, `{"id":"acme","requirement":"not_required"}`, string(data), "the requirement is always written, the switch if it is off")
	require.NoError(t, json.Unmarshal([]byte(`{"id":"acme","requirement":"not_required","disabled":false}`), &read))
	require.Equal(t, policy.Organization{ID: "acme"}, read)
	_, err = json.Marshal(policy.Organization{ID: "acme", Requirement: 3})
	require.Error(t, err)
}

// Whatever would leave the requirement or the switch behind is an error: a requirement that
// got lost opens every key without a list, a lost switch every key.
func TestOrganizationJSONFailsClosed(t *testing.T) {
	for data, want := range map[string]string{
		`{"id":"acme"}`:                                       `"requirement" is missing: want a value`,
		`{"id":"acme","requirement":null}`:                    `"requirement" is null: want a value`,
		"{\"id\":\"a\xff\",\"requirement\":\"required\"}":     `not valid UTF-8`,
		`{"id":"a","requirement":"required","revision":null}`: `"revision" is null`,
		`null`:                                     `null: want an object with "id", "requirement", "disabled", "revision"`,
		`{"id":"acme","requirement":""}`:           `requirement ""`,
		`{"id":"acme","requirement":"Required"}`:   `requirement "Required"`,
		`{"id":"acme","requirement":2}`:            `"requirement": the number 2: want a string`,
		`{"id":"acme","requirement":true}`:         `"requirement": true: want a string`,
		`{"id":"acme","requiremnet":"required"}`:   `unknown name "requiremnet", perhaps of a later version: want one of "id", "requirement", "disabled", "revision"`,
		`{"requirement":"required"}`:               `"id" is missing: want a value`,
		`{"id":"","requirement":"required"}`:       `is empty`,
		`{"id":" acme","requirement":"required"}`:  `white space`,
		`{"id":"ac\nme","requirement":"required"}`: `control character`,
		`[]`:           `an array: want an object`,
		``:             `unexpected end`,
		`{"id":"acme"`: `unexpected end`,
		`{"id":"acme","requirement":"required"}{}`:                             `after top-level value`,
		`{"id":"acme","requirement":"required","Requirement":"not_required"}`:  `unknown name "Requirement": want "requirement"`,
		`{"id":"acme","requirement":"required","requirement":"not_required"}`:  `"requirement" occurs twice: want it once`,
		"{\"id\":\"acme\",\"requirement\":\"required\",\"revi\u017fion\":1}":   `want "revision"`,
		`{"id":"acme","requirement":required}`:                                 `invalid character`,
		`{"id":"a","requirement":"x","revision":-1}`:                           `requirement "x"`,
		`{"id":"a","requirement":"required","disabled":null}`:                  `"disabled" is null`,
		`{"id":"a","requirement":"required","disabled":"true"}`:                `"disabled": a string: want true or false`,
		`{"id":"a","requirement":"required","disabled":1}`:                     `"disabled": the number 1: want true or false`,
		`{"id":"a","requirement":"required","Disabled":true}`:                  `unknown name "Disabled": want "disabled"`,
		`{"id":"a","requirement":"required","disabled":true,"disabled":false}`: `"disabled" occurs twice`,
		`{"id":"a","revision":-1}`:                                             `"revision": the number -1: want a whole number from 0 to 18446744073709551615`,
	} {
		before := policy.Organization{ID: "before", Requirement: policy.Required, Disabled: true, Revision: 7}
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
