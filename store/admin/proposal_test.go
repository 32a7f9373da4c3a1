package admin_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/store/admin"
)

// A proposal that went through a form is made again from its values, whatever else the form says.
func TestAProposalIsMadeAgain(t *testing.T) {
	for body, want := range map[string]string{
		`{"kind":"set_requirement"}`:                                                                 "Require no access list.",
		`{"kind":"set_requirement","requirement":"report_only"}`:                                     "Report only.",
		`{"kind":"set_requirement","requirement":"required"}`:                                        "Require an access list.",
		`{"kind":"suspend_requirement","until":"2026-03-01T13:00:00Z"}`:                              "Suspend the requirement until 2026-03-01T13:00:00Z.",
		`{"kind":"resume_requirement"}`:                                                              "Resume the requirement now.",
		`{"kind":"enable_organization"}`:                                                             "Switch the organization on, and so all of its keys.",
		`{"kind":"enable_key"}`:                                                                      "Switch the key on.",
		`{"kind":"set_validity"}`:                                                                    "Let the key be valid without an end.",
		`{"kind":"set_validity","expires":"2026-03-01T13:00:00+01:00"}`:                              "Let the key be valid until 2026-03-01T12:00:00Z.",
		`{"kind":"set_validity","notBefore":"2026-03-01T13:00:00Z"}`:                                 "Let the key be valid from 2026-03-01T13:00:00Z without an end.",
		`{"kind":"add_entries","entry":{"address":"203.0.113.7"}}`:                                   "Add 203.0.113.7 to the access list.",
		`{"kind":"edit_entries","entry":{"address":"203.0.113.0/24"}}`:                               "Renew the entry 203.0.113.0/24 without an end.",
		`{"kind":"add_grants","grant":{"role":"reader","project":"<web>"}}`:                          `Give the key the role "reader" for the project "<web>".`,
		`{"kind":"edit_entries","entry":{"address":"203.0.113.7","expires":"2026-03-01T13:00:00Z"}}`: "Renew the entry 203.0.113.7 until 2026-03-01T13:00:00Z.",
	} {
		var p admin.Proposal
		require.NoError(t, json.Unmarshal([]byte(body), &p))
		p.Text, p.Change = "Do nothing.", admin.DeleteKey("other")
		again, err := p.Again("k")
		require.NoError(t, err, body)
		require.Equal(t, want, again.Text)
		require.Equal(t, p.Kind, again.Change.Kind())
		if again.Change.Key() != "" {
			require.Equal(t, "k", string(again.Change.Key()))
		}
		p.Text, again.Text, p.Change, again.Change = "", "", admin.Change{}, admin.Change{}
		require.Equal(t, p, again)
	}
	for _, p := range []admin.Proposal{{}, {Kind: "rotate"}, {Kind: "delete_key"}, {Kind: "suspend_requirement"}, {Kind: "add_entries"}, {Kind: "edit_entries", Entry: &admin.EntryView{Address: "here"}}, {Kind: "add_grants"}} {
		_, err := p.Again("k")
		require.Equal(t, admin.Invalid, admin.ClassOf(err), "%+v", p)
	}
}

// A remedy can be carried away and made again: the changes are the same.
func TestRemediesAreMadeAgain(t *testing.T) {
	w := newWorld(t)
	w.key("k", "", "reader")
	w.edit("k", func(k *apikey.Key) { k.Disabled = true })
	found := w.investigate(ann, read("203.0.113.7"))
	require.NotEmpty(t, found.Remedies)
	for _, remedy := range found.Remedies {
		data, err := json.Marshal(remedy.Proposals)
		require.NoError(t, err)
		var carried []admin.Proposal
		require.NoError(t, json.Unmarshal(data, &carried))
		var changes []admin.Change
		for _, p := range carried {
			again, err := p.Again("k")
			require.NoError(t, err)
			changes = append(changes, again.Change)
		}
		preview, err := w.admin.Preview(w.ctx, ann, "acme", changes...)
		require.NoError(t, err)
		require.Equal(t, remedy.Preview.Token, preview.Token)
	}
}
