package main

import (
	"crypto/subtle"
	"encoding/json"
	"errors"
	"expvar"
	"fmt"
	"io"
	"log/slog"
	"net/http"

	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/policy/policyhttp"
	"github.com/sallyport-go/sallyport/store"
)

// operatorHeader carries the operator's token. Authorization stays free for the key that an
// operator shows to the doctor.
const operatorHeader = "Operator-Token"

// An admin has the operators' handlers.
//
// They are not behind the API-key guard, for two reasons. A key stands for a program, not
// for a person. And a switch must not lock its user out: if a key without a list could
// require access lists in its organization, it would be refused from then on, and could
// not take the switch back. So people sign in by other means. Here it is a token, made at
// the start; in a real service it is a session, single sign-on, or a listener on the
// operators' network.
type admin struct {
	keys  store.Store
	token string
	audit *slog.Logger
}

func newAdmin(keys store.Store, token string, guard *policyhttp.Guard, audit *slog.Logger) http.Handler {
	a := &admin{keys, token, audit}
	mux := http.NewServeMux()
	mux.Handle("GET /admin/organizations/{organization}/requirement", a.only(a.showRequirement))
	mux.Handle("PUT /admin/organizations/{organization}/requirement", a.only(a.switchRequirement))
	// Importing expvar also puts /debug/vars, with the command line in it, on
	// http.DefaultServeMux. This program does not serve that mux.
	mux.Handle("GET /admin/vars", a.only(expvar.Handler().ServeHTTP))
	mux.Handle("GET /admin/doctor", guard.Doctor(a.isOperator, nil))
	return mux
}

func (a *admin) isOperator(r *http.Request) bool {
	return subtle.ConstantTimeCompare([]byte(r.Header.Get(operatorHeader)), []byte(a.token)) == 1
}

func (a *admin) only(next http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		if !a.isOperator(r) {
			http.Error(w, "the header "+operatorHeader+" does not have the operator's token", http.StatusForbidden)
			return
		}
		next(w, r)
	})
}

// A switchState is an organization's requirement, and the keys it concerns.
type switchState struct {
	Organization string             `json:"organization"`
	Requirement  policy.Requirement `json:"requirement"`

	// WithoutList are the keys refused under "required".
	WithoutList []string `json:"keysWithoutList"`
}

func (a *admin) showRequirement(w http.ResponseWriter, r *http.Request) {
	organization, err := a.keys.Organization(r.Context(), r.PathValue("organization"))
	a.answer(w, r, organization, err)
}

// switchRequirement takes {"requirement": "not_required"}, "report_only" or "required".
func (a *admin) switchRequirement(w http.ResponseWriter, r *http.Request) {
	requirement, err := readRequirement(http.MaxBytesReader(w, r.Body, 1024))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	organization, err := a.keys.Organization(r.Context(), r.PathValue("organization"))
	if err == nil {
		before := organization.Requirement
		organization.Requirement = requirement
		// It goes back with the revision it was read at: of two operators at the same time
		// one gets a conflict.
		if organization, err = a.keys.PutOrganization(r.Context(), organization); err == nil {
			a.audit.InfoContext(r.Context(), "requirement switched", "organization", organization.ID, "from", before, "to", requirement)
		}
	}
	a.answer(w, r, organization, err)
}

// readRequirement refuses an empty object. The zero Requirement is "not required", and a
// missing word must not open anything.
func readRequirement(body io.Reader) (policy.Requirement, error) {
	var asked struct {
		Requirement *policy.Requirement `json:"requirement"`
	}
	decoder := json.NewDecoder(body)
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&asked); err != nil {
		return 0, fmt.Errorf("the body cannot be read: %w", err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return 0, errors.New("the body has something after its JSON object: want one")
	}
	if asked.Requirement == nil {
		return 0, errors.New(`the body has no requirement: want {"requirement": "report_only"}, for example`)
	}
	return *asked.Requirement, nil
}

func (a *admin) answer(w http.ResponseWriter, r *http.Request, organization policy.Organization, err error) {
	state := switchState{organization.ID, organization.Requirement, []string{}}
	if err == nil {
		for key, failed := range store.AllKeys(r.Context(), a.keys, organization.ID) {
			if err = failed; err == nil && key.AccessList.IsEmpty() {
				state.WithoutList = append(state.WithoutList, key.ID.String())
			}
		}
	}
	switch {
	case err == nil:
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(state) // the client may have gone
	case errors.Is(err, store.ErrNotFound):
		http.Error(w, err.Error(), http.StatusNotFound)
	case errors.Is(err, store.ErrConflict):
		http.Error(w, err.Error(), http.StatusConflict)
	default:
		a.audit.ErrorContext(r.Context(), "the store failed", "error", err)
		http.Error(w, "the store failed", http.StatusServiceUnavailable)
	}
}
