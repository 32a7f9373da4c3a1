package adminhttp

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/admin"
)

// The terms of a change are in headers: a DELETE has no body that every client sends and every
// proxy hands on, and a URL is kept in logs. The reason is percent-encoded UTF-8.
const (
	headerTerms  = "Sallyport-"
	headerToken  = headerTerms + "Token"  // of the preview
	headerAccept = headerTerms + "Accept" // kinds of findings, with commas between
	headerReason = headerTerms + "Reason"
)

const createsKey = "create_key" // an admin.Change.Kind

// terms are how a change is to be made.
type terms struct {
	preview  bool
	options  admin.ApplyOptions
	revision uint64 // of the record, by If-Match; 0: any
}

func (c *call) readTerms(o *operation) (t terms, err error) {
	switch text := c.URL.Query().Get("preview"); text {
	case "true":
		t.preview = true
	case "false":
	default:
		if c.URL.Query().Has("preview") {
			return t, badQuery("preview", "The parameter preview is "+quote(text)+": want true or false.")
		}
	}
	for name, values := range c.Header {
		if !strings.HasPrefix(name, headerTerms) {
			continue
		}
		if len(values) > 1 {
			return t, badHeader(name, "occurs twice: want it once")
		}
		switch value := values[0]; name {
		case headerToken:
			t.options.Token = value
		case headerAccept:
			for kind := range strings.SplitSeq(value, ",") {
				t.options.Accept = append(t.options.Accept, admin.Kind(strings.TrimSpace(kind)))
			}
		case headerReason:
			if t.options.Reason, err = url.PathUnescape(value); err != nil {
				return t, badHeader(name, "is not percent-encoded UTF-8: want %25 for a percent sign")
			}
		default:
			return t, badHeader(name, "is not known: want "+headerToken+", "+headerAccept+" or "+headerReason)
		}
	}
	t.revision, err = c.ifMatch(o)
	return t, err
}

func badHeader(name, problem string) error {
	return &apiError{status: http.StatusBadRequest, code: "INVALID_HEADER", detail: "The header " + cut(name) + " " + problem + ".", parameters: []string{cut(name)}}
}

// ifMatch returns the revision of an If-Match: the ETag of the record, or * for any.
func (c *call) ifMatch(o *operation) (uint64, error) {
	values := c.Header.Values("If-Match")
	switch {
	case len(values) == 0:
		return 0, nil
	case o.creates || o.several:
		return 0, badHeader("If-Match", "is not for this call: there is no one record to match")
	case len(values) == 1 && values[0] == "*":
		return 0, nil
	}
	revision, err := strconv.ParseUint(strings.Trim(values[0], `"`), 10, 64)
	if err != nil || len(values) > 1 || revision == 0 || values[0] != etag(revision) {
		return 0, notMatching(`It is no ETag of a record, such as "12": want the one of the latest answer.`)
	}
	return revision, nil
}

func notMatching(detail string) *apiError {
	return &apiError{status: http.StatusPreconditionFailed, code: "REVISION_CHANGED", detail: "The If-Match does not match. " + detail, parameters: []string{}}
}

// An outcome is the answer to a change. To a preview it has nothing made: one form, so that a
// generated client has one type.
type outcome struct {
	Made          int                      `json:"made"`          // number of changes
	InForce       bool                     `json:"inForce"`       // false: stored, and in force within the bound of the replicas
	Organizations []admin.OrganizationView `json:"organizations"` // as stored
	Keys          []admin.KeyView          `json:"keys"`          // as stored
	Secrets       []shownSecret            `json:"secrets"`       // shown once: only their hashes are stored
	Events        []store.Event            `json:"events"`
	Preview       admin.Preview            `json:"preview"`
}

type shownSecret struct {
	Key    apikey.ID `json:"key"`
	ID     string    `json:"id"`
	Secret string    `json:"secret"`
}

func outcomeOf(result admin.Result) *outcome {
	made := &outcome{
		Made: result.Made, Organizations: append([]admin.OrganizationView{}, result.Organizations...), Keys: append([]admin.KeyView{}, result.Keys...),
		Secrets: []shownSecret{}, Events: append([]store.Event{}, result.Events...), Preview: result.Preview,
	}
	for _, s := range result.Secrets {
		made.Secrets = append(made.Secrets, shownSecret{s.Key, s.ID, s.Secret.Reveal()})
	}
	return made
}

// serveChange previews a change, or makes it.
func (h *handler) serveChange(w http.ResponseWriter, c *call, o *operation) error {
	t, err := c.readTerms(o)
	if err != nil {
		return err
	}
	value, err := c.readObject()
	if err != nil {
		return err
	}
	changes, err := o.change(h, c, &body{value: value, key: c.PathValue("key")})
	if err != nil {
		return err
	}
	creates := 0
	for i := range changes {
		if t.revision != 0 {
			changes[i] = changes[i].At(t.revision)
		}
		if changes[i].Kind() == createsKey {
			creates++
		}
	}
	if creates > 0 {
		if err := h.checkMaxKeys(c, creates); err != nil {
			return err
		}
	}
	if t.preview {
		preview, err := h.Admin.Preview(c.Context(), c.actor, c.organization, changes...)
		if err != nil {
			return h.refused(w, c, t, err)
		}
		writeJSON(w, c.Request, http.StatusOK, json1, outcomeOf(admin.Result{Preview: preview}))
		return nil
	}
	return h.makeChanges(w, c, o, t, changes)
}

// makeChanges makes changes. The caller's hanging up does not stop them half-way.
func (h *handler) makeChanges(w http.ResponseWriter, c *call, o *operation, t terms, changes []admin.Change) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(c.Context()), changing)
	defer cancel()
	result, err := h.Admin.Apply(ctx, c.actor, c.organization, t.options, changes...)
	made := outcomeOf(result)
	if result.Made > 0 {
		made.InForce = h.settle(ctx, result)
	}
	if err != nil {
		if result.Made == 0 {
			return h.refused(w, c, t, err)
		}
		p := h.problem(c, err)
		p.Outcome = made
		writeProblem(w, c.Request, p)
		return nil
	}
	status := http.StatusOK
	if o.creates {
		status = http.StatusCreated
		w.Header().Set("Location", c.base+ownPrefix+"/organizations/"+url.PathEscape(c.organization)+"/keys/"+string(made.Keys[0].ID))
	}
	if len(made.Keys)+len(made.Organizations) == 1 {
		w.Header().Set("ETag", etag(lastRevision(made)))
	}
	writeJSON(w, c.Request, status, json1, made)
	return nil
}

func lastRevision(made *outcome) uint64 {
	if len(made.Keys) > 0 {
		return made.Keys[0].Revision
	}
	return made.Organizations[0].Revision
}

// refused returns the error of a change. For an outdated If-Match it is 412, with the present
// ETag.
func (h *handler) refused(w http.ResponseWriter, c *call, t terms, err error) error {
	if t.revision == 0 || admin.ClassOf(err) != admin.Conflict {
		return err
	}
	revision := uint64(0)
	if id := c.PathValue("key"); id != "" {
		key, _ := h.Admin.Key(c.Context(), c.organization, apikey.ID(id))
		revision = key.Revision
	} else {
		organization, _ := h.Admin.Organization(c.Context(), c.organization)
		revision = organization.Revision
	}
	if revision == t.revision || revision == 0 {
		return err
	}
	w.Header().Set("ETag", etag(revision))
	return notMatching("The record was changed since: look at it again.")
}
