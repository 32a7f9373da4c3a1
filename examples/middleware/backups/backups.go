// Package backups is the API of the middleware example: organizations have projects, and
// projects have backups. It keeps its records in memory. Each endpoint states its
// conditions on a key; the guard given to [Service.Handler] enforces them.
package backups

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"sync"

	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/policy/policyhttp"
)

// The roles. None implies another, so an endpoint lists every sufficient one.
const (
	Reader   = "backup.reader"   // sees projects and backups
	Operator = "backup.operator" // makes backups
	Admin    = "backup.admin"    // restores and deletes them
)

// A Project is the record of a project. It names the project's owner.
type Project struct {
	ID           string `json:"id"`
	Organization string `json:"organization"`
}

// A Backup is the record of a backup.
type Backup struct {
	ID        string `json:"id"`
	Project   string `json:"project"`
	CreatedBy string `json:"createdBy,omitempty"` // the ID of a key
	Restored  int    `json:"restored"`            // number of restores
}

// A Service has the records and the endpoints to show and change them. It is safe for
// concurrent use.
type Service struct {
	projects map[string]*Project // never changes, so it needs no lock

	mu      sync.Mutex
	backups map[string][]Backup // by project
	made    int                 // number of backups ever made
}

// New returns a service with these projects, each with a first backup.
func New(projects ...Project) *Service {
	s := &Service{projects: map[string]*Project{}, backups: map[string][]Backup{}}
	for _, project := range projects {
		s.projects[project.ID] = &project
		s.add(project.ID, "")
	}
	return s
}

// A Protector puts a guard in front of a handler: [policyhttp.Guard.Protect] is one.
type Protector func(policy.Endpoint, policyhttp.Resource, http.Handler) http.Handler

// Handler returns the API with each of its endpoints protected.
func (s *Service) Handler(protect Protector) http.Handler {
	mux := http.NewServeMux()
	handle := func(pattern string, resource policyhttp.Resource, endpoint policy.Endpoint, handler http.HandlerFunc) {
		mux.Handle(pattern, protect(endpoint, resource, handler))
	}

	// The path may name the organization: the rules compare it with the key's.
	organization := policyhttp.PathOrganization("organization")
	handle("GET /organizations/{organization}/projects", organization,
		policy.Endpoint{Name: "projects.list", Roles: []string{Reader, Operator, Admin}}, s.listProjects)
	handle("GET /projects/{project}", s.project,
		policy.Endpoint{Name: "projects.read", Roles: []string{Reader, Operator, Admin}}, s.readProject)
	handle("GET /projects/{project}/backups", s.project,
		policy.Endpoint{Name: "backups.list", Roles: []string{Reader, Operator, Admin}}, s.listBackups)
	handle("POST /projects/{project}/backups", s.project,
		policy.Endpoint{Name: "backups.create", Roles: []string{Operator, Admin}}, s.createBackup)
	// Restoring overwrites a customer's data, so it takes a key with an access list, even
	// if the organization does not require lists.
	handle("POST /projects/{project}/backups/{backup}/restore", s.project,
		policy.Endpoint{Name: "backups.restore", Roles: []string{Admin}, RequiresAccessList: true}, s.restoreBackup)
	handle("DELETE /projects/{project}/backups/{backup}", s.project,
		policy.Endpoint{Name: "backups.delete", Roles: []string{Admin}}, s.deleteBackup)
	return mux
}

// project is the Resource of everything in a project. The organization comes from the
// project's own record, never from the caller (rule K7). The record goes on to the handler,
// so that it serves the judged project: as a pointer, which costs no allocation.
func (s *Service) project(r *http.Request) (policy.Resource, error) {
	project, ok := s.projects[r.PathValue("project")]
	if !ok { // refused like a project of another organization
		return policy.Resource{Organization: policy.NoOrganization}, nil
	}
	return policy.Resource{Organization: project.Organization, Project: project.ID, Value: project}, nil
}

// judged returns the project of an allowed request, as the guard found it.
func judged(r *http.Request) *Project {
	project, _ := policyhttp.ValueOf[*Project](r.Context())
	return project
}

func (s *Service) listProjects(w http.ResponseWriter, r *http.Request) {
	decision, _ := policyhttp.DecisionOf(r.Context())
	organization := decision.Resource().Organization
	projects := []Project{}
	for _, id := range slices.Sorted(maps.Keys(s.projects)) {
		if s.projects[id].Organization == organization {
			projects = append(projects, *s.projects[id])
		}
	}
	write(w, http.StatusOK, projects)
}

// readProject need not ask if the project exists: without a record the call was denied.
func (s *Service) readProject(w http.ResponseWriter, r *http.Request) {
	write(w, http.StatusOK, judged(r))
}

func (s *Service) listBackups(w http.ResponseWriter, r *http.Request) {
	s.WriteBackups(w, judged(r).ID)
}

// WriteBackups writes the backups of a project. It judges nothing: the caller has read the
// record of the project and decided.
func (s *Service) WriteBackups(w http.ResponseWriter, project string) {
	s.mu.Lock()
	backups := slices.Clone(s.backups[project])
	s.mu.Unlock()
	write(w, http.StatusOK, backups)
}

func (s *Service) createBackup(w http.ResponseWriter, r *http.Request) {
	decision, _ := policyhttp.DecisionOf(r.Context())
	write(w, http.StatusCreated, s.add(judged(r).ID, decision.Subject().Key().ID.String()))
}

func (s *Service) restoreBackup(w http.ResponseWriter, r *http.Request) {
	var restored Backup
	if !s.change(r, func(backups []Backup, i int) []Backup {
		backups[i].Restored++
		restored = backups[i]
		return backups
	}) {
		http.NotFound(w, r)
		return
	}
	write(w, http.StatusAccepted, restored)
}

func (s *Service) deleteBackup(w http.ResponseWriter, r *http.Request) {
	if !s.change(r, func(backups []Backup, i int) []Backup { return slices.Delete(backups, i, i+1) }) {
		http.NotFound(w, r)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// add adds a backup and returns it.
func (s *Service) add(project, by string) Backup {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.made++
	backup := Backup{ID: "b" + strconv.Itoa(s.made), Project: project, CreatedBy: by}
	s.backups[project] = append(s.backups[project], backup)
	return backup
}

// change changes the backup named by the request. It searches the judged project only, and
// returns false if the backup is not there.
func (s *Service) change(r *http.Request, change func(backups []Backup, i int) []Backup) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	project, id := judged(r).ID, r.PathValue("backup")
	i := slices.IndexFunc(s.backups[project], func(b Backup) bool { return b.ID == id })
	if i < 0 {
		return false
	}
	s.backups[project] = change(s.backups[project], i)
	return true
}

func write(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // the client may have gone
}
