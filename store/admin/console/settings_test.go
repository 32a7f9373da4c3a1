package console

import (
	"context"
	"html"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/admin"
)

// post sends a form of the console.
func (s *site) post(target string, form url.Values) *httptest.ResponseRecorder {
	s.Helper()
	return s.postBy(s.Context(), target, form)
}

func (s *site) postBy(ctx context.Context, target string, form url.Values) *httptest.ResponseRecorder {
	s.Helper()
	r := httptest.NewRequestWithContext(ctx, http.MethodPost, "/p"+target, strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	return s.do(r)
}

var hidden = regexp.MustCompile(`<input type="hidden" name="([a-z]+)" value="([^"]*)">`)

// formOf returns the hidden values of the last form with this action.
func (s *site) formOf(page, action string) url.Values {
	s.Helper()
	at := strings.LastIndex(page, `/`+action+`"`)
	require.GreaterOrEqual(s, at, 0, page)
	form := url.Values{}
	part, _, _ := strings.Cut(page[at:], "</form>")
	for _, m := range hidden.FindAllStringSubmatch(part, -1) {
		form.Set(m[1], html.UnescapeString(m[2]))
	}
	return form
}

// previews posts a form and returns the page with the form of its preview.
func (s *site) previews(form url.Values, texts ...string) (page string, apply url.Values) {
	s.Helper()
	w := s.post("/o/acme/preview", form)
	require.Equal(s, http.StatusOK, w.Code, w.Body)
	for _, text := range texts {
		require.Contains(s, w.Body.String(), text)
	}
	return w.Body.String(), s.formOf(w.Body.String(), "apply")
}

func (s *site) requirement() policy.Requirement {
	s.Helper()
	o, err := s.store.Organization(s.Context(), "acme")
	require.NoError(s, err)
	return o.Requirement
}

func TestSettings(t *testing.T) {
	s := newSite(t)
	s.key("acme", admin.NewKey{ID: "open", Description: "nightly <b>"})
	page := s.shows("/o/acme/settings", http.StatusOK, "2 keys: 1 with a list, 1 without. Of those 1, 0 had calls", "Usage was never observed", `value="not_required" checked`, "See what this would do")
	require.NotContains(t, page, "Suspend the requirement")
	s.apply("acme", admin.SetRequirement(policy.ReportOnly))
	s.shows("/o/acme/settings", http.StatusOK, "None in the last 30 days", "so this says nothing yet", `value="report_only" checked`)
	s.observed(40 * 24 * time.Hour)
	s.shows("/o/acme/settings", http.StatusOK, "No call with a key without a list was counted")
	s.use("open", "192.0.2.1", time.Hour)
	s.use("k1", "192.0.2.1", time.Hour) // has a list by now
	page = s.shows("/o/acme/settings", http.StatusOK, "nightly &lt;b&gt;", "<code>192.0.2.1</code>", `investigate?key=open&amp;address=192.0.2.1"`)
	require.NotContains(t, page, "<code>k1</code>")
	s.force(admin.SetRequirement(policy.Required))
	s.shows("/o/acme/settings", http.StatusOK, "See what a suspension would do")
	s.config.ReadOnly = true
	page = s.shows("/o/acme/settings", http.StatusOK, "This console makes no changes")
	require.NotContains(t, page, "<form")
	s.config.ReadOnly = false
	s.person.May = func(_ string, access admin.Access) bool { return access == admin.Read }
	require.NotContains(t, s.shows("/o/acme/settings", http.StatusOK, "and not change them"), "<form")
	require.Equal(t, http.StatusForbidden, s.post("/o/acme/apply", url.Values{"requirement": {"report_only"}}).Code)
	s.store.fail = "Keys"
	s.shows("/o/acme/settings", http.StatusServiceUnavailable)
	s.config.Store = bare{s.store.Store}
	s.shows("/o/acme/settings", http.StatusOK, "does not record how keys are used")
}

// The whole flow: preview, refusal by the guard, acceptance by name, and the write.
func TestTheSwitchIsThrownByName(t *testing.T) {
	s := newSite(t)
	s.observed(40 * 24 * time.Hour)
	s.key("acme", admin.NewKey{ID: "open"})
	s.use("open", "192.0.2.1", time.Hour)
	_, form := s.previews(url.Values{"requirement": {"required"}}, "Require an access list?", "The answer changes for 1 key: 1 breaks. For 1 it stays.",
		"Go ahead: calls of 1 key will be refused", "192.0.2.1", "The observation is complete", "As of <time")
	writes := s.store.writes

	w := s.post("/o/acme/apply", form)
	require.Equal(t, http.StatusUnprocessableEntity, w.Code)
	require.Contains(t, w.Body.String(), "A reason is missing below")
	form.Set("reason", "go <live>")
	w = s.post("/o/acme/apply", form)
	require.Equal(t, http.StatusConflict, w.Code)
	require.Contains(t, w.Body.String(), "Accept it below by name")
	require.Contains(t, w.Body.String(), `value="go &lt;live&gt;"`)
	form["accept"] = []string{"breaks_key"}
	form.Set("reason", strings.Repeat("a", admin.MaxReason+1))
	w = s.post("/o/acme/apply", form)
	require.Equal(t, http.StatusUnprocessableEntity, w.Code)
	require.Contains(t, w.Body.String(), "The reason has more than 500 characters.")
	require.Contains(t, w.Body.String(), `value="breaks_key" checked`)
	require.Equal(t, writes, s.store.writes)
	require.Equal(t, policy.NotRequired, s.requirement())

	form.Set("reason", "go live")
	w = s.post("/o/acme/apply", form)
	require.Equal(t, http.StatusSeeOther, w.Code, w.Body)
	require.Equal(t, "./../../o/acme/settings?done=saved", w.Header().Get("Location"))
	require.Equal(t, policy.Required, s.requirement())
	s.shows("/o/acme/settings?done=saved", http.StatusOK, "Saved.")
	s.shows("/o/acme/events", http.StatusOK, "Accepted: breaks key", "“go live”", "via console", "by person ann")
	w = s.post("/o/acme/apply", form) // sent again
	require.Equal(t, http.StatusConflict, w.Code)
}

func TestAStalePreviewIsShownAgain(t *testing.T) {
	s := newSite(t)
	_, form := s.previews(url.Values{"requirement": {"required"}}, "No call is answered differently. 1 key was judged.")
	s.force(admin.DisableKey("k1"), admin.SetName("other"))
	form.Set("reason", "x")
	w := s.post("/o/acme/apply", form)
	require.Equal(t, http.StatusConflict, w.Code)
	require.Contains(t, w.Body.String(), "Since the preview something behind it has changed")
	require.Equal(t, policy.NotRequired, s.requirement())
	fresh := s.formOf(w.Body.String(), "apply")
	require.NotEqual(t, form.Get("token"), fresh.Get("token"))
	fresh.Set("reason", "x")
	require.Equal(t, http.StatusSeeOther, s.post("/o/acme/apply", fresh).Code)
	require.Equal(t, policy.Required, s.requirement())
}

// Without a token nobody has seen a preview.
func TestNothingIsAppliedWithoutAPreview(t *testing.T) {
	s := newSite(t)
	writes := s.store.writes
	w := s.post("/o/acme/apply", url.Values{"requirement": {"required"}, "reason": {"x"}})
	require.Equal(t, http.StatusOK, w.Code)
	require.Contains(t, w.Body.String(), "Nothing is changed yet")
	require.Equal(t, writes, s.store.writes)
}

func TestSuspendAndResume(t *testing.T) {
	s := newSite(t)
	s.key("acme", admin.NewKey{ID: "open"})
	w := s.post("/o/acme/preview", url.Values{"suspend": {"1h"}})
	require.Equal(t, http.StatusConflict, w.Code, "nothing to suspend")
	s.force(admin.SetRequirement(policy.Required))
	for length, end := range map[string]string{"15m": "12:15:00Z", "4h": "16:00:00Z", "24h": "2026-11-30T12:00:00Z"} {
		s.previews(url.Values{"suspend": {length}}, end)
	}
	_, form := s.previews(url.Values{"suspend": {"1h"}}, "Suspend the requirement until 2026-11-29T13:00:00Z?", "Go ahead: 1 key will be open to every address")
	form.Set("reason", "outage")
	form.Set("accept", "opens")
	require.Equal(t, http.StatusSeeOther, s.post("/o/acme/apply", form).Code)
	for _, r := range routes() {
		if r.Method == http.MethodGet && r.Access != "" {
			s.shows(fill(r.Pattern, "acme", "k1"), http.StatusOK, "<strong>The requirement is suspended.</strong>", `datetime="2026-11-29T13:00:00Z"`)
		}
	}
	s.shows("/o/acme/settings", http.StatusOK, "Resume now", "Set another end", "Calls that would be refused")
	s.previews(url.Values{"suspend": {"15m"}}, "A suspension is running until", "It ends earlier:", `datetime="2026-11-29T12:15:00Z"`)
	s.previews(url.Values{"suspend": {"4h"}}, "A suspension is running until", "It is prolonged: until")
	_, form = s.previews(url.Values{"resume": {"on"}}, "Resume the requirement now?", "It ends now.")
	form.Set("reason", "over")
	require.Equal(t, http.StatusSeeOther, s.post("/o/acme/apply", form).Code)
	require.NotContains(t, s.shows("/o/acme", http.StatusOK), "The requirement is suspended")
}

// The overview says for a day what the switch refused.
func TestRefusalsSinceTheSwitch(t *testing.T) {
	s := newSite(t)
	s.key("acme", admin.NewKey{ID: "open", Description: "nightly"})
	s.use("open", "192.0.2.1", time.Hour)
	s.force(admin.SetRequirement(policy.Required))
	s.shows("/o/acme", http.StatusOK, "No call was refused for want of an access list since the change")
	for i := range 300 { // more than a page of later events
		s.apply("acme", admin.Describe("k1", strings.Repeat("x", i+1)))
	}
	require.NoError(t, s.store.RecordUsage(t.Context(), map[apikey.ID]store.KeyUsage{"open": {
		Denials: map[policy.Reason]accesslist.Usage{policy.OrganizationRequiresAccessList: {Count: 7, Last: day0, LastAddress: addr("192.0.2.9")}},
	}}))
	s.shows("/o/acme", http.StatusOK, "Calls of 1 key were refused</strong> for want of", "nightly</a>", "<code>192.0.2.9</code>", `investigate?key=open&amp;address=192.0.2.9`)
	s.store.fail = "Events"
	s.shows("/o/acme", http.StatusServiceUnavailable)
	s.store.fail = ""
	now := day0.Add(25 * time.Hour)
	s.config.Clock = func() time.Time { return now }
	require.NotContains(t, s.shows("/o/acme", http.StatusOK), "since the change at")

	s = newSite(t)
	_, err := s.store.PutOrganization(t.Context(), policy.Organization{ID: "unlogged", Requirement: policy.Required})
	require.NoError(t, err)
	s.person.May = func(string, admin.Access) bool { return true }
	require.NotContains(t, s.shows("/o/unlogged", http.StatusOK), "since the change at")
}

type replica struct{ err error }

func (r replica) Sync(context.Context) error { return r.err }

func TestWhetherAChangeIsInForceEverywhere(t *testing.T) {
	for notice, err := range map[string]error{"in-force": nil, "stored": errFault} {
		s := newSite(t)
		s.config.Replicas = []admin.Replica{replica{}, replica{err}}
		_, form := s.previews(url.Values{"requirement": {"report_only"}}, "Report only?")
		form.Set("reason", "x")
		w := s.post("/o/acme/apply", form)
		require.Equal(t, "./../../o/acme/settings?done="+notice, w.Header().Get("Location"))
		require.Equal(t, err != nil, len(s.told) > 0)
	}
	require.Contains(t, notices["stored"], "Not every copy")
}

func TestNoSuchChange(t *testing.T) {
	s := newSite(t)
	s.config.Projects = fixedProjects(nil, admin.Project{ID: "p1", Name: "One"})
	for _, form := range []url.Values{
		{}, {"requirement": {"always"}}, {"suspend": {"25h"}}, {"steps": {"["}}, {"steps": {"[]"}}, {"steps": {"[{}]"}}, {"steps": {`[{"kind":"rotate"}]`}},
		{"steps": {`[{"kind":"add_entries"}]`}}, {"steps": {`[{"kind":"add_entries","entry":{"address":"here"}}]`}}, {"steps": {`[{"kind":"add_grants"}]`}},
		{"steps": {"[" + strings.Repeat("{},", admin.MaxChanges) + "{}]"}}, {"resume": {"on"}, "back": {"%zz"}},
	} {
		for _, target := range []string{"/o/acme/preview", "/o/acme/apply"} {
			w := s.post(target, form)
			require.Equal(t, http.StatusBadRequest, w.Code, form)
			require.Contains(t, w.Body.String(), "Begin again from the page before")
		}
	}
	foreign := url.Values{"key": {"k1"}, "steps": {`[{"kind":"add_grants","grant":{"role":"owner","project":"globex-web"}}]`}}
	require.Equal(t, http.StatusUnprocessableEntity, s.post("/o/acme/preview", foreign).Code)
	s.config.Projects = nil
	require.Equal(t, http.StatusUnprocessableEntity, s.post("/o/acme/preview", foreign).Code)
	s.config.Projects = fixedProjects(errFault)
	require.Equal(t, http.StatusServiceUnavailable, s.post("/o/acme/preview", foreign).Code)
	require.Equal(t, http.StatusServiceUnavailable, s.get("/o/acme/investigate").Code)
	other := url.Values{"key": {"foreign"}, "steps": {`[{"kind":"enable_key"}]`}}
	require.Equal(t, http.StatusNotFound, s.post("/o/acme/preview", other).Code)
}

// A failing store fails after some writes.
type failing struct {
	*faulty
	after int // writes that pass
}

func (f *failing) Write(ctx context.Context, w store.Write) (uint64, error) {
	if f.after--; f.after < 0 {
		return 0, errFault
	}
	return f.faulty.Write(ctx, w)
}

func TestAPartOfTheChanges(t *testing.T) {
	s := newSite(t)
	s.force(admin.DisableKey("k1"), admin.DisableOrganization())
	steps := url.Values{"key": {"k1"}, "steps": {`[{"kind":"enable_key"},{"kind":"enable_organization"}]`}, "back": {"key=k1"}}
	_, form := s.previews(steps, "2 changes", "<li>Switch the key on.</li>", "Switch the organization on")
	form.Set("reason", "x")
	f := &failing{s.store, 1}
	s.config.Admin = s.adminOf(f)
	w := s.post("/o/acme/apply", form)
	require.Equal(t, http.StatusServiceUnavailable, w.Code)
	require.Contains(t, w.Body.String(), "Partly done")
	require.ErrorIs(t, s.told[0], errFault)
	f.after = 0
	w = s.post("/o/acme/apply", url.Values{"token": form["token"], "reason": {"x"}, "steps": {`[{"kind":"enable_organization"}]`}})
	require.Equal(t, http.StatusConflict, w.Code, "another change than that of the token")
	again := s.formOf(w.Body.String(), "apply")
	again.Set("reason", "x")
	require.Equal(t, http.StatusServiceUnavailable, s.post("/o/acme/apply", again).Code)
	f.after = 9
	w = s.post("/o/acme/apply", again)
	require.Equal(t, http.StatusSeeOther, w.Code)

	s = newSite(t)
	var err error
	s.config.Admin, err = admin.New(bare{s.store}, admin.WithClock(s.config.Clock), admin.WithPeopleManaging(), admin.WithEvents(func(context.Context, []store.Event) error { return errFault }))
	require.NoError(t, err)
	_, form = s.previews(url.Values{"requirement": {"report_only"}})
	form.Set("reason", "x")
	require.Equal(t, http.StatusSeeOther, s.post("/o/acme/apply", form).Code)
	require.ErrorIs(t, s.told[0], errFault)
}

// adminOf returns an Admin of another store, like that of the site.
func (s *site) adminOf(of store.Store) *admin.Admin {
	s.Helper()
	a, err := admin.New(of, admin.WithClock(s.config.Clock), admin.WithManagers("owner"), admin.WithPeopleManaging())
	require.NoError(s, err)
	return a
}

// While the changes are made, somebody widens what the second one finds.
func TestARestIsShownAgain(t *testing.T) {
	s := newSite(t)
	s.force(admin.DisableKey("k1"), admin.DisableOrganization())
	steps := url.Values{"key": {"k1"}, "steps": {`[{"kind":"enable_key"},{"kind":"enable_organization"}]`}}
	_, form := s.previews(steps)
	form.Set("reason", "x")
	meddling := &meddling{faulty: s.store}
	meddling.then = func() { s.key("acme", admin.NewKey{ID: "open"}) }
	s.config.Admin = s.adminOf(meddling)
	w := s.post("/o/acme/apply", form)
	require.Equal(t, http.StatusConflict, w.Code, w.Body)
	require.Contains(t, w.Body.String(), "1 of 2 changes was made. The rest is below.")
	require.Contains(t, w.Body.String(), "Switch the organization on, and so all of its keys?")
}

// Whoever closes the page does not stop changes half-way.
func TestABrowserThatGoesAwayStopsNothing(t *testing.T) {
	s := newSite(t)
	s.force(admin.DisableKey("k1"), admin.DisableOrganization())
	steps := url.Values{"key": {"k1"}, "steps": {`[{"kind":"enable_key"},{"kind":"enable_organization"}]`}}
	_, form := s.previews(steps)
	form.Set("reason", "x")
	ctx, leave := context.WithCancel(t.Context())
	s.config.Admin = s.adminOf(&meddling{faulty: s.store, then: leave})
	require.Equal(t, http.StatusSeeOther, s.postBy(ctx, "/o/acme/apply", form).Code)
	require.Error(t, ctx.Err())
	organization, err := s.store.Organization(t.Context(), "acme")
	require.NoError(t, err)
	require.False(t, organization.Disabled)
}

// A meddling store has somebody else write after the first write.
type meddling struct {
	*faulty
	then func()
}

func (m *meddling) Write(ctx context.Context, w store.Write) (uint64, error) {
	revision, err := m.faulty.Write(ctx, w)
	if then := m.then; then != nil {
		m.then = nil
		then()
	}
	return revision, err
}

func TestSentencesOfAPreview(t *testing.T) {
	require.Equal(t, "The answer changes for 9 keys: 2 break, 1 may break, 1 was not used, 1 is unknown, 3 open to every address, 1 can do more. For 4 it stays.",
		effect(admin.Preview{Totals: admin.Totals{Breaks: 2, MayBreak: 1, Unused: 1, Unknown: 1, Opens: 3, Widens: 1, Unchanged: 4}}))
	require.Equal(t, "No call is answered differently. 0 keys were judged.", effect(admin.Preview{}))
	require.Contains(t, completeness(admin.Evidence{Unread: true}), "could not be read")
	require.Contains(t, completeness(admin.Evidence{}), "never observed")
	require.Contains(t, completeness(admin.Evidence{Until: day0, Time: day0, Lost: 1}), "incomplete")
	for _, kind := range []admin.Kind{admin.BreaksKey, admin.Opens, admin.OverBroad, admin.LastManager, admin.OrganizationLockout, "self_lockout"} {
		label, advice := accepting(kind, 2)
		require.True(t, strings.HasPrefix(label, "Go ahead"), label)
		require.NotEmpty(t, advice)
	}
	boxes := acceptances(admin.Preview{Findings: []admin.Finding{{Kind: admin.OverBroad, Refuses: true, Acceptable: true, Count: 1, Entries: []string{"a", "b"}}, {Kind: admin.OverBroad}}}, nil)
	require.Equal(t, "Go ahead: the list gets 2 very wide blocks", boxes[0].Label)
}

// force makes changes whatever is found.
func (s *site) force(changes ...admin.Change) {
	s.Helper()
	_, err := s.admin.Apply(s.Context(), admin.BySystem("test"), "acme", admin.ApplyOptions{Reason: "test", Accept: []admin.Kind{admin.Opens, admin.BreaksKey, admin.OrganizationLockout, admin.LastManager}}, changes...)
	require.NoError(s, err)
}
