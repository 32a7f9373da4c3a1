package console

import (
	"encoding/json"
	"errors"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store/admin"
)

// inputTime is the layout of an input element of the type datetime-local.
const inputTime = "2006-01-02T15:04:05"

type investigateBody struct {
	Paste     field
	Call      []field
	More      []field
	Asked     bool // there is an answer below
	Found     admin.Investigation
	Obstacles []string // sentences
	Remedies  []remedy
	Events    []eventRow
	Behind    []eventRow // the change behind it, or none
	Denials   []denialRow
}

// A remedy is a form that leads to the preview of changes.
type remedy struct {
	Text        string
	Steps, Back string // of the form
	Rotates     bool   // it hands out a secret: the page of the key does that
}

// showInvestigation shows why a call was refused. It reads only, so the call is in the query,
// and the page can be linked.
func showInvestigation(v *visit) (answer, error) {
	query := v.r.URL.Query()
	body := investigateBody{Paste: field{Name: "paste", Label: "The refusal as JSON", Kind: "textarea", Value: query.Get("paste"), Hint: "The body of the answer, or the log line of the decision. What it has is filled in below."}}
	if text := strings.TrimSpace(query.Get("paste")); text != "" {
		pasted, err := readRefusal(text)
		if err != nil {
			body.Paste.Error = "This is not a JSON object. Copy all of it, from { to }."
		} else {
			body.Paste.Value = ""
		}
		for name := range pasted {
			query.Set(name, pasted.Get(name))
		}
	}
	query.Del("paste")
	query.Del("done")
	call, err := v.readCall(query, &body)
	if err != nil {
		return answer{}, err
	}
	page := answer{Page: "investigate", Title: "Why was this call refused?", Tab: "investigate", Body: &body}
	wrong := func(f field) bool { return f.Error != "" }
	if body.Paste.Error != "" || slices.ContainsFunc(body.Call, wrong) || slices.ContainsFunc(body.More, wrong) || query.Get("key") == "" || query.Get("address") == "" {
		return page, nil
	}
	found, err := v.Admin.Investigate(v.r.Context(), v.actor(), v.organization.ID, call)
	var failed *admin.Error
	if errors.As(err, &failed) && failed.Class == admin.Invalid {
		body.More[0].Error = failed.Message
		return page, nil
	}
	if err != nil {
		return answer{}, err
	}
	body.answer(found, query)
	return page, nil
}

// readRefusal reads what a refusal says of its call: an answer of the guard, as problem+json or
// in the format of Atlas, or a decision, alone or in a log line.
func readRefusal(text string) (url.Values, error) {
	var line map[string]any
	if err := json.Unmarshal([]byte(text), &line); err != nil {
		return nil, err
	}
	objects := []map[string]any{line}
	for _, value := range line {
		if inner, ok := value.(map[string]any); ok {
			objects = append(objects, inner)
		}
	}
	found := url.Values{}
	for _, object := range objects {
		for name, to := range map[string]string{"key": "key", "client": "address", "endpoint": "endpoint", "project": "project", "time": "time", "secret": "secret"} {
			if value, ok := object[name].(string); ok {
				found.Set(to, value)
			}
		}
		if object["reason"] == policy.WrongSecret.String() {
			found.Set("unproven", "on")
		}
		if object["kind"] == policy.PossibleProxy.String() {
			found.Set("proxy", "on")
		}
		if parameters, ok := object["parameters"].([]any); ok {
			for _, parameter := range parameters {
				if value, ok := parameter.(string); ok {
					if _, err := netip.ParseAddr(value); err == nil {
						found.Set("address", value)
					}
				}
			}
		}
	}
	return found, nil
}

// readCall reads the call of a query into fields, with an error beside each value that cannot
// be read.
func (v *visit) readCall(query url.Values, body *investigateBody) (admin.Call, error) {
	asked := query.Get("key") != "" || query.Get("address") != ""
	key := field{Name: "key", Label: "Key ID", Kind: "text", Value: strings.TrimSpace(query.Get("key")), Required: true}
	address := field{Name: "address", Label: "Address of the caller", Kind: "text", Value: strings.TrimSpace(query.Get("address")), Hint: "The refusal names it.", Required: true}
	endpoint := field{Name: "endpoint", Label: "Endpoint", Kind: "select", Value: query.Get("endpoint"), Choices: []choice{{Title: "Any, without conditions"}}}
	project := field{Name: "project", Label: "Project", Kind: "select", Value: query.Get("project"), Choices: []choice{{Title: "None: the organization itself"}}}
	at := field{Name: "time", Label: "Time of the call (UTC)", Kind: "datetime-local", Value: query.Get("time"), Hint: "Empty: now."}
	secret := field{Name: "secret", Label: "ID of the secret", Kind: "text", Value: strings.TrimSpace(query.Get("secret")), Hint: "8 digits, as the log line has them. Never the secret itself."}
	call := admin.Call{Key: apikey.ID(key.Value), Secret: secret.Value, Resource: policy.Resource{Organization: v.organization.ID, Project: project.Value},
		Unproven: query.Get("unproven") == "on", PossibleProxy: query.Get("proxy") == "on", WithoutPreviews: true}
	if asked && key.Value == "" {
		key.Error = "Enter the ID of the key."
	}
	if asked {
		var err error
		if call.Client, err = netip.ParseAddr(address.Value); err != nil {
			address.Error = "Enter one address, such as 203.0.113.7."
		}
	}
	known := endpoint.Value == ""
	for _, e := range v.Endpoints {
		endpoint.Choices = append(endpoint.Choices, choice{e.Name, e.Name, e.Name == endpoint.Value})
		if e.Name == endpoint.Value && !known {
			known, call.Endpoint = true, e
		}
	}
	if !known {
		endpoint.Error = "The service has no such endpoint. Choose one."
	}
	projects, err := v.projects()
	if err != nil {
		return admin.Call{}, err
	}
	known = project.Value == ""
	for _, p := range projects {
		project.Choices = append(project.Choices, choice{p.ID, projectTitle(p), p.ID == project.Value})
		known = known || p.ID == project.Value
	}
	if !known {
		project.Error = "The organization has no such project. Choose one."
	}
	if at.Value != "" {
		if call.Time, err = readTime(at.Value); err != nil {
			at.Error = "Enter a date and a time."
		} else {
			at.Value = call.Time.Format(inputTime)
		}
	}
	body.Call = []field{key, address, endpoint, project, at}
	body.More = []field{secret,
		{Name: "unproven", Label: "The secret of the caller did not match", Kind: "checkbox", Checked: call.Unproven},
		{Name: "proxy", Label: "The address may be that of a proxy", Kind: "checkbox", Checked: call.PossibleProxy}}
	return call, nil
}

// readTime reads a time of an input element, which is UTC, or of a log line.
func readTime(text string) (t time.Time, err error) {
	for _, layout := range []string{"2006-01-02T15:04", inputTime, time.RFC3339} {
		if t, err = time.Parse(layout, text); err == nil {
			return t.UTC(), nil
		}
	}
	return t, err
}

// answer fills in what was found.
func (b *investigateBody) answer(found admin.Investigation, query url.Values) {
	b.Asked, b.Found = true, found
	for _, reason := range found.Obstacles {
		b.Obstacles = append(b.Obstacles, why(reason))
	}
	for _, r := range found.Remedies {
		steps, _ := json.Marshal(r.Proposals) // texts and times of Admin
		shown := remedy{Steps: string(steps), Back: query.Encode()}
		var texts []string
		for _, p := range r.Proposals {
			texts = append(texts, p.Text)
			shown.Rotates = shown.Rotates || p.Kind == "rotate"
		}
		shown.Text = strings.Join(texts, " ")
		b.Remedies = append(b.Remedies, shown)
	}
	if found.Behind != nil {
		b.Behind = append(b.Behind, newEventRow(*found.Behind))
	}
	for _, e := range found.Changed {
		b.Events = append(b.Events, newEventRow(e))
	}
	for _, d := range found.Denials {
		b.Denials = append(b.Denials, denialRow{Reason: d.Reason, Count: d.Count, Last: d.Last, Address: d.Address})
	}
}
