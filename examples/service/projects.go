package main

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"slices"

	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/policy/policyhttp"
)

// A project is a record of the service's own database.
type project struct {
	ID           string `json:"id"`
	Organization string `json:"organization"`
	Title        string `json:"title"`
}

// projects stands for that database.
var projects = []project{{"atlas", "acme", "Atlas"}, {"borealis", "acme", "Borealis"}, {"gamma", "globex", "Gamma"}}

// roles are the words of this service. None implies another.
var roles = []string{"reader", "auditor", "owner"}

func hasProject(organization, id string) bool {
	return slices.ContainsFunc(projects, func(p project) bool { return p.ID == id && p.Organization == organization })
}

// findProject is a policyhttp.Resource. The organization comes from the record, never from
// the caller, and the record goes on to the handler.
func findProject(r *http.Request) (policy.Resource, error) {
	id := r.PathValue("project")
	i := slices.IndexFunc(projects, func(p project) bool { return p.ID == id })
	if i < 0 { // answered like another organization's
		return policy.Resource{Organization: policy.NoOrganization}, nil
	}
	return policy.Resource{Organization: projects[i].Organization, Project: id, Value: projects[i]}, nil
}

// showProject serves the judged record. It reads neither the path nor the database again.
func showProject(w http.ResponseWriter, r *http.Request) {
	judged, ok := policyhttp.ValueOf[project](r.Context())
	if !ok { // the route is not protected, or by another Resource
		http.Error(w, "not guarded", http.StatusInternalServerError)
		return
	}
	write(w, judged)
}

// listProjects takes the organization from the decision: the judged one.
func listProjects(w http.ResponseWriter, r *http.Request) {
	decision, ok := policyhttp.DecisionOf(r.Context())
	if !ok {
		http.Error(w, "not guarded", http.StatusInternalServerError)
		return
	}
	list := []project{}
	for _, p := range projects {
		if p.Organization == decision.Resource().Organization {
			list = append(list, p)
		}
	}
	write(w, list)
}

func write(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(v); err != nil { // the client hung up
		slog.Debug("answer not written", "error", err)
	}
}
