package admin_test

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/admin"
)

// A corpusCase is one case of testdata/changes.json, which describes its fields.
type corpusCase struct {
	Name         string
	Rules        []string
	Settings     string
	Observed     string
	Organization string
	Keys         map[string]string
	Actor        string
	Changes      []string
	Fails        string
	Later        string
	Meanwhile    []string
	Race         []string
	Token        bool
	Accept       []admin.Kind
	Reason       string
	Want         struct {
		Findings []string
		Keys     map[string]string
		Class    string
		Events   []string
		Answers  map[string]string
	}
}

func readCorpus(t *testing.T) []corpusCase {
	t.Helper()
	file, err := os.Open("testdata/changes.json")
	require.NoError(t, err)
	defer file.Close()
	decoder := json.NewDecoder(file)
	decoder.DisallowUnknownFields()
	var corpus struct {
		Description string
		Format      map[string]string
		Cases       []corpusCase
	}
	require.NoError(t, decoder.Decode(&corpus))
	require.NotEmpty(t, corpus.Description)
	require.Len(t, corpus.Format, 17, "each field of a case is described")
	return corpus.Cases
}

func TestCorpus(t *testing.T) {
	cases := readCorpus(t)
	require.GreaterOrEqual(t, len(cases), 150)
	seen := map[string]bool{}
	for _, c := range cases {
		require.False(t, seen[c.Name], "the name %q occurs twice", c.Name)
		require.NotEmpty(t, c.Rules, c.Name)
		seen[c.Name], seen["class "+c.Want.Class] = true, true
		for _, rule := range c.Rules {
			seen[rule] = true
		}
		for _, finding := range c.Want.Findings {
			words := strings.Fields(finding)
			seen["finding "+words[0]], seen[words[0]+" "+words[1]] = true, true
		}
		for _, effect := range c.Want.Keys {
			seen["effect "+strings.Fields(effect)[0]] = true
		}
		for _, change := range c.Changes {
			seen["change "+strings.Fields(change)[0]] = true
		}
		t.Run(c.Name, c.run)
	}
	for i := 1; i <= 27; i++ {
		require.True(t, seen[fmt.Sprintf("M%d", i)], "no case shows rule M%d", i)
	}
	for _, kind := range []admin.Kind{admin.SelfLockout, admin.SelfLockoutAt, admin.BreaksKey, admin.LastManager, admin.OrganizationLockout, admin.Opens, admin.OverBroad} {
		require.True(t, seen["finding "+string(kind)], "no case has the finding %s", kind)
	}
	for _, answer := range []string{"self_lockout refuses", "self_lockout forbids", "breaks_key refuses", "breaks_key reports", "last_manager refuses", "last_manager reports", "organization_lockout refuses", "organization_lockout reports"} {
		require.True(t, seen[answer], "no case has the answer %s", answer)
	}
	for _, class := range []admin.KeyClass{admin.KeyBreaks, admin.KeyMayBreak, admin.KeyUnused, admin.KeyUnknown, admin.KeyOpens, admin.KeyWidens} {
		require.True(t, seen["effect "+string(class)], "no case has a key of the class %s", class)
	}
	for class := admin.Unavailable; class <= admin.Refused; class++ {
		require.True(t, seen["class "+class.String()], "no case ends as %s", class)
	}
	for kind := range changeKinds {
		require.True(t, seen["change "+kind], "no case has the change %s", kind)
	}
	t.Logf("%d cases", len(cases))
}

// run previews the changes of a case and applies them.
func (c corpusCase) run(t *testing.T) {
	f := newFaulty()
	w := c.world(t, f)
	actor, err := c.actor(w)
	if err != nil {
		requireClass(t, admin.Forbidden, err)
		require.Equal(t, "forbidden", c.Want.Class)
		return
	}
	if c.Fails != "" {
		f.fail(c.Fails, false)
	}
	changes := w.changes(c.Changes)
	before := w.position()
	preview, err := w.admin.Preview(w.ctx, actor, "acme", changes...)
	require.Equal(t, before, w.position(), "a preview writes nothing (rule M1)")
	if err != nil {
		require.Empty(t, c.Want.Findings)
		requireText(t, c.Want.Class, err)
	} else {
		var findings []string
		for _, finding := range preview.Findings {
			findings = append(findings, w.findingText(finding))
		}
		require.Equal(t, c.Want.Findings, findings)
		require.Equal(t, c.Want.Keys, w.effectTexts(preview.Keys))
		if !c.overtaken() {
			require.Equal(t, c.Want.Class == "unavailable" || c.Want.Class == "", c.goesAhead(preview), "what refuses stands in the way until it is accepted")
		}
	}

	options := admin.ApplyOptions{Accept: c.Accept, Reason: c.Reason}
	if c.Token {
		options.Token = preview.Token
	}
	c.meanwhile(w, f)
	before = w.position()
	result, err := w.admin.Apply(w.ctx, actor, "acme", options, changes...)
	if c.Want.Class != "" {
		requireText(t, c.Want.Class, err)
		require.Zero(t, result.Made)
		if c.Race == nil {
			require.Equal(t, before, w.position(), "a refused change writes nothing")
		}
		return
	}
	require.NoError(t, err)
	require.Equal(t, len(changes), result.Made)
	c.checkEvents(t, actor, result)
	w.checkActor(actor, result, options)
	for call, want := range c.Want.Answers {
		words := strings.Fields(call)
		at := start
		if len(words) > 3 {
			at = w.at(words[3])
		}
		require.Equal(t, want, w.answer(words[0], words[2], at), call)
	}
}

// overtaken reports whether something happens between the preview and the write.
func (c corpusCase) overtaken() bool {
	return c.Later != "" || c.Meanwhile != nil || c.Race != nil
}

func (c corpusCase) goesAhead(preview admin.Preview) bool {
	for _, finding := range preview.Findings {
		accepted := false
		for _, kind := range c.Accept {
			accepted = accepted || kind == finding.Kind
		}
		if finding.Refuses && !(finding.Acceptable && accepted) {
			return false
		}
	}
	return len(c.Accept) == 0 || c.Reason != "" && len(c.Reason) <= admin.MaxReason
}

// meanwhile is what others do, and the clock, after the preview.
func (c corpusCase) meanwhile(w *world, f *faulty) {
	others := admin.BySystem("others")
	terms := accept(admin.BreaksKey, admin.LastManager, admin.OrganizationLockout, admin.Opens, admin.OverBroad)
	make := func(words []string) {
		for _, change := range w.changes(words) {
			w.apply(others, terms, change)
		}
	}
	if c.Later != "" {
		w.now = w.at(c.Later)
	}
	make(c.Meanwhile)
	if c.Race != nil {
		f.overtake(func() { make(c.Race) })
	}
}

// checkEvents checks what an applied change leaves behind (rules M22, M27).
func (c corpusCase) checkEvents(t *testing.T, actor admin.Actor, result admin.Result) {
	if c.Want.Events != nil {
		require.Equal(t, c.Want.Events, append([]string{}, types(result.Events)...))
	}
	for _, event := range result.Events {
		require.Equal(t, actor.ID(), event.Actor.ID)
		require.Equal(t, c.Reason, event.Reason)
		for _, kind := range event.Accepted {
			require.Contains(t, c.Accept, admin.Kind(kind))
		}
		text, err := json.Marshal(event)
		require.NoError(t, err)
		for _, secret := range result.Secrets {
			require.NotContains(t, string(text), secret.Secret.Reveal())
		}
	}
}

// checkActor checks that a key that changed something, and did not end itself, may do so
// again: by its new secret, if it ended the proven one (rules M3, M4).
func (w *world) checkActor(actor admin.Actor, result admin.Result, options admin.ApplyOptions) {
	w.t.Helper()
	if actor.Kind() != store.ActorKey || slices.Contains(options.Accept, admin.SelfLockout) {
		return
	}
	for _, secret := range result.Secrets {
		if string(secret.Key) == actor.ID() {
			w.secrets[secret.Key] = secret.Secret
			return
		}
	}
	_, err := w.admin.Preview(w.ctx, actor, "acme", admin.SetName("again"))
	require.NoError(w.t, err)
}

func requireText(t *testing.T, class string, err error) {
	t.Helper()
	var failure *admin.Error
	require.ErrorAs(t, err, &failure)
	require.Equal(t, class, failure.Class.String(), err)
}

// findingText writes a finding as the corpus does.
func (w *world) findingText(f admin.Finding) string {
	words := []string{string(f.Kind)}
	switch {
	case f.Refuses && f.Acceptable:
		words = append(words, "refuses")
	case f.Refuses:
		words = append(words, "forbids")
	default:
		words = append(words, "reports")
	}
	if f.Count > 5 {
		words = append(words, fmt.Sprintf("%d keys", f.Count))
	} else {
		for _, id := range f.Keys {
			words = append(words, orNew(id))
		}
	}
	if f.Reason != 0 {
		words = append(words, f.Reason.String())
	}
	words = append(words, f.Entries...)
	if !f.At.IsZero() {
		words = append(words, short(f.At.Sub(start)))
	}
	return strings.Join(words, " ")
}

func (w *world) effectTexts(effects []admin.KeyEffect) map[string]string {
	texts := map[string]string{}
	for _, effect := range effects {
		text := string(effect.Class)
		if !effect.At.IsZero() {
			text += " " + short(effect.At.Sub(start))
		}
		texts[orNew(effect.Key)] = text
	}
	if len(texts) > 5 {
		counts := map[string]int{}
		for _, text := range texts {
			counts[text]++
		}
		clear(texts)
		for text, n := range counts {
			texts[fmt.Sprintf("%d keys", n)] = text
		}
	}
	if len(texts) == 0 {
		return nil
	}
	return texts
}

func orNew(id apikey.ID) string {
	if id == "" {
		return "new"
	}
	return string(id)
}

// short writes a duration such as +30m or +24h.
func short(d time.Duration) string {
	text := "+" + d.String()
	for _, zero := range []string{"m0s", "h0m"} {
		if strings.HasSuffix(text, zero) {
			text = text[:len(text)-2]
		}
	}
	return text
}

var requirements = map[string]policy.Requirement{
	"not_required": policy.NotRequired, "report_only": policy.ReportOnly, "required": policy.Required,
}
