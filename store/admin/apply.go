package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/internal/plain"
	"github.com/sallyport-go/sallyport/store"
)

// MaxReason is the length of the longest reason for a change, in characters.
const MaxReason = 500

// ApplyOptions are the terms of an Apply. With the zero value every finding that refuses
// stands in the way.
type ApplyOptions struct {
	// Token is that of a [Preview]. If the preview no longer holds, the changes are refused
	// as Changed (rule M18). A text that can be no token is Invalid. Empty: no preview was
	// shown.
	Token string

	// Accept names the kinds of findings to go ahead with (rule M22). There is no word for
	// all of them. A kind without a finding is ignored.
	Accept []Kind

	// Reason is why, in one line, for the events. With Accept it is required.
	Reason string
}

// check returns why the terms are wrong in themselves.
func (o ApplyOptions) check() error {
	problem := plain.Problem(o.Reason, utf8.UTFMax*MaxReason)
	switch {
	case problem != "":
		return invalid("The reason %s.", problem)
	case utf8.RuneCountInString(o.Reason) > MaxReason:
		return invalid("The reason has more than %d characters.", MaxReason)
	case len(o.Accept) > 0 && strings.TrimSpace(o.Reason) == "":
		return invalid("Going ahead with a finding needs a reason of 1 to %d characters.", MaxReason)
	}
	if o.Token != "" && !isHex(o.Token, tokenLength) {
		return invalid("The token is not one of a preview. Take that of the preview as it is.")
	}
	for _, kind := range o.Accept {
		if !slices.Contains(kinds, kind) {
			return invalid("There is no finding of the kind %s to accept.", plain.Quote(kind))
		}
	}
	return nil
}

var kinds = []Kind{SelfLockout, SelfLockoutAt, BreaksKey, LastManager, OrganizationLockout, Opens, OverBroad}

// refuses returns the findings that stand in the way under these terms.
func (o ApplyOptions) refuses(findings []Finding) []Finding {
	return slices.DeleteFunc(slices.Clone(findings), func(f Finding) bool {
		return !f.Refuses || f.Acceptable && slices.Contains(o.Accept, f.Kind)
	})
}

// A Result is what Apply made. Lists have one item for each record that was written, in the
// order of writing.
//
// The names in its JSON do not change. An empty list is [] there.
type Result struct {
	Made          int                `json:"made"`          // number of changes made, from the first on
	Organizations []OrganizationView `json:"organizations"` // as stored
	Keys          []KeyView          `json:"keys"`          // as stored
	Secrets       []NewSecret        `json:"secrets"`       // live ones
	Events        []store.Event      `json:"events"`        // as stored
	Preview       Preview            `json:"preview"`       // of the changes as a whole

	// EventErr is the error of the function of WithEvents: the change was made, and its
	// events may be lost. It is nil if the store is a Journal, and not in the JSON.
	EventErr error `json:"-"`
}

// MarshalJSON returns an object with made, organizations, keys, secrets, events and preview.
func (r Result) MarshalJSON() ([]byte, error) {
	type object Result
	r.Organizations, r.Keys = listed(r.Organizations), listed(r.Keys)
	r.Secrets, r.Events = listed(r.Secrets), listed(r.Events)
	r.Preview.Findings, r.Preview.Keys = listed(r.Preview.Findings), listed(r.Preview.Keys)
	return json.Marshal(object(r))
}

// listed returns a list that is not nil: in JSON an empty one is [].
func listed[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

// A NewSecret is a secret that a change handed out. Show it to its owner once: only its hash
// is stored (rule K1). In JSON the secret is redacted.
type NewSecret struct {
	Key    apikey.ID     `json:"key"`
	ID     string        `json:"id"` // of the stored secret
	Secret apikey.Secret `json:"secret"`
}

// attempts bounds how often a change is judged after conflicts, with pauses between: about
// half a second in all.
const (
	attempts   = 10
	firstPause = time.Millisecond
)

// pause waits after conflicts, longer after each, for another time than whoever met the same.
func pause(ctx context.Context, conflicts int) error {
	if conflicts == 0 {
		return nil
	}
	timer := time.NewTimer(firstPause<<(conflicts-1)/2 + rand.N(firstPause<<(conflicts-1)))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return unread(ctx.Err())
	case <-timer.C:
		return nil
	}
}

// Apply judges changes as a whole, and makes them if nothing stands in the way (rules M2,
// M18, M19). Consecutive changes of one record are one step, and one write. Steps are made in
// order, each judged again just before, up to the first refusal (rule M26). A step is made
// only if its findings were there from the beginning, for the same keys. With a token the
// records behind it must also be as previewed, or as an earlier step left them. In a [store.Journal] a write
// is conditional on the records it was judged by.
//
// Beside an error the Result has the changes made before it, most often none. A secret is in
// the Result only if its record is known to be stored. Errors are [*Error]s of the classes
//   - Forbidden, if the actor may not do this;
//   - Invalid, if a change or the options are wrong in themselves;
//   - NotFound, if a record does not exist in this organization;
//   - Conflict, if a record is in the way, or was changed meanwhile in a way that matters;
//   - Changed, if the preview of the token no longer holds;
//   - Refused, with the findings, if one of them is not accepted;
//   - Unavailable, if the records could not be read, the store could not write
//     ([store.ErrNotWritten]: nothing was changed), or the outcome of the write is unknown.
func (a *Admin) Apply(ctx context.Context, actor Actor, organization string, options ApplyOptions, changes ...Change) (Result, error) {
	result, err := a.apply(ctx, actor, organization, options, changes)
	if err != nil {
		a.notMade(ctx, actor, organization, changes, err)
	}
	return result, err
}

func (a *Admin) apply(ctx context.Context, actor Actor, organization string, options ApplyOptions, changes []Change) (Result, error) {
	if err := actor.may(organization, changes); err != nil {
		return Result{}, err
	}
	if err := options.check(); err != nil {
		return Result{}, err
	}
	var first []Finding
	var preview Preview
	judged := func() (*plan, error) { return a.plan(ctx, actor, actor.request, organization, changes) }
	p, result, err := a.try(ctx, judged, options, func(p *plan, again bool) error {
		preview = p.preview()
		switch refusing := options.refuses(p.findings); {
		case options.Token != "" && options.Token != preview.Token:
			return changed(preview)
		case len(refusing) > 0:
			return refused(refusing, preview)
		case again && !slices.EqualFunc(first, p.findings, Finding.same):
			return otherwise(preview)
		}
		first = p.findings
		return nil
	})
	if err == nil && len(p.steps) > 1 {
		return a.applySteps(ctx, p, options, preview)
	}
	if err == nil {
		result.Preview = preview
	}
	return result, err
}

// try plans changes until their write meets no conflict. check is asked before each write. A
// plan of several steps is returned without a write.
func (a *Admin) try(ctx context.Context, judged func() (*plan, error), options ApplyOptions, check func(p *plan, again bool) error) (*plan, Result, error) {
	for attempt := range attempts {
		if err := pause(ctx, attempt); err != nil {
			return nil, Result{}, err
		}
		p, err := judged()
		if err != nil {
			return nil, Result{}, err
		}
		if err := check(p, attempt > 0); err != nil {
			return nil, Result{}, err
		}
		if len(p.steps) > 1 {
			return p, Result{}, nil
		}
		result, err := p.write(ctx, options)
		if !errors.Is(err, errAgain) {
			return p, result, err
		}
	}
	return nil, Result{}, wrap(Conflict, store.ErrConflict, "The records are being changed by others. Nothing was changed. Try again.")
}

// changed is the error of a token that no longer holds.
func changed(preview Preview) *Error {
	return &Error{Class: Changed, Preview: &preview, Message: "What the preview showed has changed meanwhile. Look at the new one."}
}

// otherwise is the error of changes that were judged anew, with other findings.
func otherwise(preview Preview) *Error {
	err := conflict("The records were changed meanwhile, and the change would have other effects now. Look at it again.")
	err.Preview = &preview
	return err
}

// refused is the error with the findings that stand in the way.
func refused(findings []Finding, preview Preview) *Error {
	var b strings.Builder
	b.WriteString("The change is refused.")
	for _, finding := range findings {
		b.WriteString(" " + finding.Text)
	}
	b.WriteString(wayOut(findings))
	return &Error{Class: Refused, Message: b.String(), Findings: findings, Preview: &preview}
}

// wayOut says how to go ahead with findings, if that is possible.
func wayOut(findings []Finding) string {
	var names []string
	instead := ""
	for _, finding := range findings {
		if !finding.Acceptable {
			return ""
		}
		if !slices.Contains(names, string(finding.Kind)) {
			names = append(names, string(finding.Kind))
		}
		if finding.Kind == Opens {
			instead = "add entries first, or "
		}
	}
	return " To go ahead, " + instead + "accept " + strings.Join(names, " and ") + " with a reason."
}

// partly says in an error how many of the changes were made before it.
func partly(err error, made, all int) error {
	e, _ := asError(err)
	with := *e
	with.Message = fmt.Sprintf("%d of %d changes were made. %s", made, all, e.Message)
	if made > 0 {
		with.Message = strings.Replace(with.Message, " Nothing was changed.", "", 1)
	}
	return &with
}
