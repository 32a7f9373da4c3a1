package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy/policyhttp"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/admin"
	"github.com/sallyport-go/sallyport/store/replica"
)

// management is the administration of organizations and their keys over HTTP.
type management struct {
	admin   *admin.Admin
	journal store.Journal
	replica admin.Replica // decides in this process
}

// newAdmin returns the Admin of the service. Keys with the role owner and people manage an
// organization side by side. Made changes have events; previews and refusals are in the log.
func newAdmin(keys store.Store) (*admin.Admin, error) {
	issuer, err := newIssuer()
	if err != nil {
		return nil, err
	}
	return admin.New(keys, admin.RequireJournal(), admin.WithIssuer(issuer),
		admin.WithManagers("owner"), admin.WithPeopleManaging(),
		admin.WithObserver(func(ctx context.Context, notice admin.Notice) {
			slog.InfoContext(ctx, "administration", "notice", notice)
		}))
}

// An asker returns the sender of a request, and the organization to manage.
type asker func(r *http.Request) (admin.Actor, string, error)

// byKey is the asker behind the guard. Key, address and organization are those of the
// decision. Without one it is a denial.
func byKey(r *http.Request) (admin.Actor, string, error) {
	decision, _ := policyhttp.DecisionOf(r.Context())
	actor, err := admin.ByKey(decision)
	return actor.Via(store.ViaAPI, ""), decision.Resource().Organization, err
}

// routes adds the administration to a mux. read and change stand before its handlers.
func (m management) routes(mux *http.ServeMux, by asker, read, change func(http.Handler) http.Handler) {
	const organization = "/organizations/{organization}"
	mux.Handle("GET "+organization, read(handler(by, m.showOrganization)))
	mux.Handle("GET "+organization+"/keys", read(handler(by, m.listKeys)))
	mux.Handle("GET "+organization+"/keys/{key}", read(handler(by, m.showKey)))
	mux.Handle("GET "+organization+"/events", read(handler(by, m.listEvents)))
	mux.Handle("POST "+organization+"/changes", change(handler(by, m.change)))
}

// statuses has the status of each class of errors. The class is also in the body.
var statuses = map[admin.Class]int{
	admin.Invalid: http.StatusBadRequest, admin.Forbidden: http.StatusForbidden, admin.NotFound: http.StatusNotFound,
	admin.Conflict: http.StatusConflict, admin.Changed: http.StatusConflict, admin.Refused: http.StatusConflict,
	admin.Unavailable: http.StatusServiceUnavailable,
}

// handler writes an answer, or an error, as JSON. The cause of an error is for the log only.
func handler(by asker, answer func(r *http.Request, actor admin.Actor, organization string) (any, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, 1<<20)
		var body any
		actor, organization, err := by(r)
		if err == nil {
			body, err = answer(r, actor, organization)
		}
		w.Header().Set("Cache-Control", "no-store") // secrets
		w.Header().Set("Content-Type", "application/json")
		if err != nil {
			refusal, ok := errors.AsType[*admin.Error](err)
			if !ok {
				refusal = &admin.Error{Message: "This cannot be done now. Try again later.", Cause: err}
			}
			if refusal.Class == admin.Unavailable {
				slog.ErrorContext(r.Context(), "administration failed", "error", refusal)
			}
			if made, ok := body.(*outcome); ok && made.Result.Made > 0 {
				made.Error = refusal // and the secrets of the changes before it
			} else {
				body = refusal
			}
			w.WriteHeader(statuses[refusal.Class])
		}
		write(w, body)
	})
}

func (m management) showOrganization(r *http.Request, _ admin.Actor, organization string) (any, error) {
	return m.admin.Organization(r.Context(), organization)
}

func (m management) showKey(r *http.Request, _ admin.Actor, organization string) (any, error) {
	return m.admin.Key(r.Context(), organization, apikey.ID(r.PathValue("key")))
}

// listKeys takes ?cursor, ?label and ?externalId. next is the cursor of the next page.
func (m management) listKeys(r *http.Request, _ admin.Actor, organization string) (any, error) {
	query := r.URL.Query()
	page, err := m.admin.Keys(r.Context(), organization, store.PageRequest{Cursor: query.Get("cursor"),
		Filter: store.Filter{Label: query.Get("label"), ExternalID: query.Get("externalId")}})
	return map[string]any{"keys": page.Items, "next": page.Next}, err
}

var errCursor = invalid("The cursor is not known, or not any more. Begin with the first page.")

// listEvents answers the journal, the newest event first. It takes ?cursor, and ?key for the
// events of one key, also of a deleted one.
func (m management) listEvents(r *http.Request, _ admin.Actor, organization string) (any, error) {
	query := r.URL.Query()
	request := store.EventRequest{Organization: organization, Key: apikey.ID(query.Get("key")), Newest: true}
	if cursor := query.Get("cursor"); cursor != "" {
		revision, history, _ := strings.Cut(cursor, "-")
		n, err := strconv.ParseUint(revision, 10, 64)
		if err != nil || history == "" {
			return nil, errCursor
		}
		request.After = store.Position{Revision: n, History: history}
	}
	page, err := m.journal.Events(r.Context(), request)
	if errors.Is(err, store.ErrCompacted) {
		return nil, errCursor
	}
	next := ""
	if page.More {
		next = fmt.Sprintf("%d-%s", page.Next.Revision, page.Next.History)
	}
	return map[string]any{"events": append([]store.Event{}, page.Events...), "next": next}, err
}

// An order is a list of changes. Without apply it is previewed: nothing is written, and the
// answer has the findings and a token. With apply and the token it is made, if the preview
// still holds. Findings in the way are accepted by name, with a reason.
type order struct {
	Changes []json.RawMessage `json:"changes"` // see kinds
	Apply   bool              `json:"apply"`
	Token   string            `json:"token"`
	Accept  []admin.Kind      `json:"accept"`
	Reason  string            `json:"reason"`
}

// An outcome is the answer to an applied order. An order made in part has an error, too.
type outcome struct {
	Result  admin.Result `json:"result"`           // secrets are redacted in it
	Secrets []newSecret  `json:"secretsShownOnce"` // only their hashes are stored
	InForce bool         `json:"inForce"`          // false: stored, and in force within the bound of the replica
	Error   *admin.Error `json:"error,omitempty"`
}

type newSecret struct {
	Key    apikey.ID `json:"key"`
	ID     string    `json:"id"`
	Secret string    `json:"secret"`
}

// changing is the longest time that a change takes, once its order is read.
const changing = 10 * time.Second

// change previews an order or applies it. The client's hanging up does not stop it half-way.
func (m management) change(r *http.Request, actor admin.Actor, organization string) (any, error) {
	var asked order
	if err := decode(r.Body, &asked); err != nil {
		return nil, invalid("The body cannot be read: %.200v.", err)
	}
	var changes []admin.Change
	for i, data := range asked.Changes {
		change, err := readChange(organization, data)
		if err != nil {
			return nil, invalid("Change %d cannot be read: %.400v.", i+1, err)
		}
		changes = append(changes, change)
	}
	if !asked.Apply {
		return m.admin.Preview(r.Context(), actor, organization, changes...)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), changing)
	defer cancel()
	terms := admin.ApplyOptions{Token: asked.Token, Accept: asked.Accept, Reason: asked.Reason}
	result, err := m.admin.Apply(ctx, actor, organization, terms, changes...)
	made := &outcome{Result: result, Secrets: []newSecret{}}
	for _, s := range result.Secrets {
		made.Secrets = append(made.Secrets, newSecret{s.Key, s.ID, s.Secret.Reveal()})
	}
	if err != nil {
		return made, err
	}
	waiting, stop := context.WithTimeout(ctx, replica.DefaultMaxStaleness)
	defer stop()
	made.InForce = admin.WaitFor(waiting, m.replica) == nil
	return made, nil
}

func invalid(format string, args ...any) error {
	return &admin.Error{Class: admin.Invalid, Message: fmt.Sprintf(format, args...)}
}
