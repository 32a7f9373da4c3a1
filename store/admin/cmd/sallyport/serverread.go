package main

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"time"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/admin"
)

func (v *server) get(ctx context.Context, into any, query url.Values, path ...string) error {
	return v.call(ctx, request{method: http.MethodGet, path: path, query: query}, into)
}

// Who asks once.
func (v *server) Who(ctx context.Context) (who, error) {
	if v.me == nil {
		var me who
		if err := v.get(ctx, &me, nil, "me"); err != nil {
			return who{}, err
		}
		if me.Actor.ID == "" {
			return who{}, v.otherwise("me")
		}
		v.me = &me
	}
	return *v.me, nil
}

func (v *server) Organizations(ctx context.Context) iter.Seq2[admin.OrganizationView, error] {
	return func(yield func(admin.OrganizationView, error) bool) {
		query := url.Values{"limit": {strconv.Itoa(store.MaxPageSize)}}
		for more := true; more; more = query.Get("cursor") != "" {
			var page struct {
				Organizations []admin.OrganizationView `json:"organizations"`
				Next          string                   `json:"next"`
			}
			if err := v.get(ctx, &page, query, "organizations"); err != nil {
				yield(admin.OrganizationView{}, err)
				return
			}
			if page.Organizations == nil {
				yield(admin.OrganizationView{}, v.otherwise("organizations"))
				return
			}
			for _, o := range page.Organizations {
				if !yield(o, nil) {
					return
				}
			}
			query.Set("cursor", page.Next)
		}
	}
}

func (v *server) Organization(ctx context.Context, id string) (o admin.OrganizationView, err error) {
	if err = v.get(ctx, &o, nil, "organizations", id); err == nil && o.ID != id {
		err = v.otherwise("an organization")
	}
	return o, err
}

// otherwise is the error of an answer that lacks what it is about.
func (v *server) otherwise(what string) error {
	return fmt.Errorf("%s answers a question for %s with something else", v.shown, what)
}

// OrganizationOf is that of the caller's own key, or else the first one of a person's with this
// key.
func (v *server) OrganizationOf(ctx context.Context, id apikey.ID) (string, error) {
	me, err := v.Who(ctx)
	if err != nil || me.Organization != "" {
		return me.Organization, err
	}
	for o, err := range v.Organizations(ctx) {
		if err != nil {
			return "", err
		}
		_, err = v.Key(ctx, o.ID, id)
		if err == nil {
			return o.ID, nil
		}
		if refused, ok := errors.AsType[*admin.Error](err); !ok || refused.Class != admin.NotFound {
			return "", err
		}
	}
	return "", noError{noKeyError{id, v.shown}}
}

func (v *server) Key(ctx context.Context, organization string, id apikey.ID) (key admin.KeyView, err error) {
	if err = v.get(ctx, &key, nil, "organizations", organization, "keys", string(id)); err == nil && (key.ID != id || key.Organization != organization) {
		err = v.otherwise("a key")
	}
	return key, err
}

func (v *server) Keys(ctx context.Context, organization string, r store.PageRequest) (page store.Page[admin.KeyView], err error) {
	query := url.Values{"limit": {strconv.Itoa(r.Limit)}}
	for name, value := range map[string]string{"cursor": r.Cursor, "label": r.Filter.Label, "externalId": r.Filter.ExternalID} {
		if value != "" {
			query.Set(name, value)
		}
	}
	var body struct {
		Keys []admin.KeyView `json:"keys"`
		Next string          `json:"next"`
	}
	err = v.get(ctx, &body, query, "organizations", organization, "keys")
	if err == nil && body.Keys == nil {
		err = v.otherwise("keys")
	}
	page.Items, page.Next = body.Keys, body.Next
	return page, err
}

func (v *server) Usage(ctx context.Context, organization string, id apikey.ID) (used admin.KeyUsage, err error) {
	if err = v.get(ctx, &used, v.within(url.Values{}), "organizations", organization, "keys", string(id), "usage"); err == nil && used.Key != id {
		err = v.otherwise("usage")
	}
	return used, err
}

// within adds how far back usage counts, in whole seconds.
func (v *server) within(query url.Values) url.Values {
	if v.window > 0 {
		query.Set("windowSeconds", strconv.FormatInt(int64((v.window+time.Second-1)/time.Second), 10))
	}
	return query
}

func (v *server) ReviewList(ctx context.Context, organization string, id apikey.ID, internet bool) (review admin.ListReview, err error) {
	query := v.within(url.Values{"internet": {strconv.FormatBool(internet)}})
	if err = v.get(ctx, &review, query, "organizations", organization, "keys", string(id), "list", "findings"); err == nil && review.Key != id {
		err = v.otherwise("findings")
	}
	return review, err
}

// May is about the service's own endpoints.
func (v *server) May(ctx context.Context, organization string, id apikey.ID, _ []policy.Endpoint, client netip.Addr) (may admin.Permissions, err error) {
	query := url.Values{}
	if client.IsValid() {
		query.Set("address", client.String())
	}
	if err = v.get(ctx, &may, query, "organizations", organization, "keys", string(id), "permissions"); err == nil && may.Key != id {
		err = v.otherwise("permissions")
	}
	return may, err
}

// callObject is a call to judge. The endpoint's roles are the service's.
func callObject(id apikey.ID, client netip.Addr, endpoint string, project string, at time.Time) object {
	o := object{"key": id, "address": client.String()}.with("time", at)
	if endpoint != "" {
		o["endpoint"] = endpoint
	}
	if project != "" {
		o["project"] = project
	}
	return o
}

// A verdict is a decision of which a server tells this much.
type verdict struct {
	Allowed      bool          `json:"allowed"`
	Client       netip.Addr    `json:"client"`
	Key          apikey.ID     `json:"key"`
	Organization string        `json:"organization"`
	Project      string        `json:"project,omitempty"`
	Endpoint     string        `json:"endpoint,omitempty"`
	Reason       policy.Reason `json:"reason"`
	WouldDeny    policy.Reason `json:"wouldDeny,omitzero"`
}

// A decisionBody is a decision as the API has it.
type decisionBody struct {
	Allowed   bool          `json:"allowed"`
	Reason    policy.Reason `json:"reason"`
	WouldDeny policy.Reason `json:"wouldDeny"`
	Status    int           `json:"status"`
	Code      string        `json:"code"`
	Message   string        `json:"message"`
}

// of returns the decision on a request.
func (b decisionBody) of(r policy.Request) decided {
	d := decided{Answer: answer{Status: b.Status, Code: b.Code, Message: b.Message},
		allowed: b.Allowed && b.Reason.Allows(), reason: b.Reason, wouldDeny: b.WouldDeny}
	if b.Allowed != b.Reason.Allows() || b.Reason == policy.InvalidRequest || b.Reason == policy.Unavailable {
		d.unjudged = errors.New(b.Reason.String())
	}
	d.Decision = verdict{d.allowed, r.Client, r.Key, r.Organization, r.Project, r.Endpoint.Name, d.reason, d.wouldDeny}
	return d
}

func (v *server) Decide(ctx context.Context, r policy.Request, at time.Time) (d decided, err error) {
	var body decisionBody
	err = v.call(ctx, request{method: http.MethodPost, path: []string{"organizations", r.Organization, "decisions"},
		body: callObject(r.Key, r.Client, r.Endpoint.Name, r.Project, at)}, &body)
	if err == nil && body.Reason == 0 {
		err = v.otherwise("a decision")
	}
	return body.of(r), err
}

func (v *server) Investigate(ctx context.Context, organization string, c admin.Call) (found admin.Investigation, err error) {
	body := callObject(c.Key, c.Client, c.Endpoint.Name, c.Resource.Project, c.Time)
	if c.Secret != "" {
		body["secret"] = c.Secret
	}
	if c.Unproven {
		body["unproven"] = true
	}
	err = v.call(ctx, request{method: http.MethodPost, path: []string{"organizations", organization, "investigations"}, body: body}, &found)
	if err == nil && (found.Organization != organization || found.Reason == 0 || found.Again == 0) {
		err = v.otherwise("an investigation")
	}
	return found, err
}

func (v *server) Tighten(ctx context.Context, organization string, id apikey.ID, options admin.TightenOptions) (t admin.Tightening, err error) {
	query := v.within(url.Values{"budget": {strconv.Itoa(options.Budget)}, "allowIPv6": {strconv.FormatBool(options.AllowIPv6)}})
	if err = v.get(ctx, &t, query, "organizations", organization, "keys", string(id), "list", "suggestion"); err == nil && t.Key.ID != id {
		err = v.otherwise("a list")
	}
	return t, err
}
