package adminhttp

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/store/admin"
)

const (
	changing = time.Minute     // the longest time of a change, once its body is read: it may judge 100,000 keys
	waiting  = 2 * time.Second // the longest time for the replicas after it
	attempts = 4               // of a change that met another one of the same key
)

// saysSo is the reason in the events of documented calls that go ahead with a finding.
const saysSo = "The documented call says so by itself."

// apply makes changes with these findings accepted. The caller's hanging up does not stop
// them half-way.
func (h *handler) apply(c *call, accept []admin.Kind, changes ...admin.Change) (admin.Result, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(c.Context()), changing)
	defer cancel()
	options := admin.ApplyOptions{Accept: slices.Concat(accept, h.Accept)}
	if len(options.Accept) > 0 {
		options.Reason = saysSo
	}
	result, err := h.Admin.Apply(ctx, c.actor, c.organization, options, changes...)
	if err != nil {
		return result, err
	}
	h.settle(ctx, result)
	return result, nil
}

// settle waits until a change is in force, and reports whether it is. It is made, whatever
// fails here.
func (h *handler) settle(ctx context.Context, result admin.Result) (inForce bool) {
	if result.EventErr != nil {
		h.logger().ErrorContext(ctx, "adminhttp: the events of a change may be lost", "error", result.EventErr)
	}
	ctx, cancel := context.WithTimeout(ctx, waiting)
	defer cancel()
	err := admin.WaitFor(ctx, h.Replicas...)
	if err != nil {
		h.logger().WarnContext(ctx, "adminhttp: a change is stored, and not known to be in force", "error", err)
	}
	return err == nil
}

// edit changes the key of the path, as it is now: what others change meanwhile is not lost.
func (h *handler) edit(c *call, edit func(key admin.KeyView) ([]admin.Change, error)) (admin.KeyView, error) {
	for attempt := 1; ; attempt++ {
		key, err := h.findKey(c)
		if err != nil {
			return admin.KeyView{}, err
		}
		changes, err := edit(key)
		if err != nil || len(changes) == 0 {
			return key, err
		}
		for i := range changes {
			changes[i] = changes[i].At(key.Revision)
		}
		result, err := h.apply(c, nil, changes...)
		switch {
		case err == nil:
			return result.Keys[0], nil
		case admin.ClassOf(err) != admin.Conflict || attempt == attempts:
			return admin.KeyView{}, err
		}
	}
}

// findKey reads the key of the path, in the judged organization.
func (h *handler) findKey(c *call) (admin.KeyView, error) {
	id := apikey.ID(c.PathValue("key"))
	if id.Validate() != nil {
		return admin.KeyView{}, &apiError{status: http.StatusBadRequest, code: "PATH_PARAM_PARSE_ERROR", detail: "The path has no ID of an API key: " + quote(string(id)) + ".", parameters: []string{cut(string(id)), "apiUserId"}}
	}
	return h.Admin.Key(c.Context(), c.organization, id)
}

// adminError is the documented answer for an error of package admin.
func (h *handler) adminError(c *call, err error) *apiError {
	e := &admin.Error{Cause: err}
	if found, ok := asAdmin(err); ok {
		e = found
	}
	answer := func(status int, code string, parameters ...string) *apiError {
		return &apiError{status: status, code: code, detail: e.Message, parameters: parameters, cause: err}
	}
	switch key := c.PathValue("key"); e.Class {
	case admin.Invalid:
		return answer(http.StatusBadRequest, "INVALID_ATTRIBUTE")
	case admin.Forbidden:
		return answer(http.StatusForbidden, "USER_UNAUTHORIZED")
	case admin.NotFound:
		if key == "" {
			return answer(http.StatusNotFound, "RESOURCE_NOT_FOUND")
		}
		return noKey(key)
	case admin.Conflict:
		return answer(http.StatusConflict, "RESOURCE_CHANGED")
	case admin.Refused:
		return refused(c, e.Findings)
	}
	return h.failed(c.Request, err)
}

func noKey(id string) *apiError {
	return &apiError{status: http.StatusNotFound, code: "API_KEY_NOT_FOUND", detail: "No API Key with ID " + cut(id) + " exists.", parameters: []string{cut(id)}}
}

// refused is the answer to a change with findings in its way, the first deciding the code.
func refused(c *call, findings []admin.Finding) *apiError {
	e := &apiError{status: http.StatusConflict, code: "CHANGE_WOULD_LOCK_OUT"}
	var texts []string
	for _, finding := range findings {
		texts = append(texts, finding.Text)
	}
	switch first := findings[0]; first.Kind {
	case admin.SelfLockout:
		e.parameters = []string{first.Address.String()}
		if c.PathValue("entry") != "" {
			e.status, e.code = http.StatusBadRequest, "CANNOT_REMOVE_CALLER_FROM_ACCESS_LIST"
		}
	case admin.Opens, admin.OverBroad:
		e.code = "CHANGE_WOULD_OPEN"
	}
	e.detail = "Nothing was changed. " + strings.Join(texts, " ") + " This API has no word to go ahead all the same."
	return e
}

func asAdmin(err error) (*admin.Error, bool) { return errors.AsType[*admin.Error](err) }
