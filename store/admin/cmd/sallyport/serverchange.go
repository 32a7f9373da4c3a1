package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/admin"
)

// An outcomeBody is the API's answer to a change.
type outcomeBody struct {
	Made          int                      `json:"made"`
	InForce       bool                     `json:"inForce"`
	Organizations []admin.OrganizationView `json:"organizations"`
	Keys          []admin.KeyView          `json:"keys"`
	Secrets       []struct {
		Key    apikey.ID `json:"key"`
		ID     string    `json:"id"`
		Secret string    `json:"secret"`
	} `json:"secrets"`
	Events  []store.Event  `json:"events"`
	Preview *admin.Preview `json:"preview"`
}

func (o outcomeBody) made() made {
	m := made{Result: admin.Result{Made: o.Made, Organizations: o.Organizations, Keys: o.Keys, Events: o.Events}, late: o.Made > 0 && !o.InForce}
	if o.Preview != nil {
		m.Preview = *o.Preview
	}
	for _, secret := range o.Secrets {
		m.secrets = append(m.secrets, newSecret{secret.Key, secret.ID, secret.Secret})
		m.Secrets = append(m.Secrets, admin.NewSecret{Key: secret.Key, ID: secret.ID}) // redacted in JSON anyway
	}
	return m
}

func (v *server) Preview(ctx context.Context, organization string, changes ...change) (admin.Preview, error) {
	r := changeRequest(organization, changes)
	r.query = url.Values{"preview": {"true"}}
	var body outcomeBody
	if err := v.call(ctx, r, &body); err != nil {
		return admin.Preview{}, err
	}
	if body.Preview == nil || body.Preview.Token == "" || body.Made != 0 {
		return admin.Preview{}, fmt.Errorf("%s answers a preview with something else", v.shown)
	}
	return *body.Preview, nil
}

// Apply makes changes. Without an answer it is not known whether they were made.
func (v *server) Apply(ctx context.Context, organization string, options admin.ApplyOptions, changes ...change) (made, error) {
	r := changeRequest(organization, changes)
	r.header = map[string]string{}
	if options.Token != "" {
		if strings.ContainsFunc(options.Token, func(r rune) bool { return r <= ' ' || r > '~' }) {
			return made{}, usageError{errors.New("--token is no token of a preview")}
		}
		r.header["Sallyport-Token"] = options.Token
	}
	if len(options.Accept) > 0 {
		var kinds []string
		for _, kind := range options.Accept {
			kinds = append(kinds, string(kind))
		}
		r.header["Sallyport-Accept"] = strings.Join(kinds, ",")
	}
	if options.Reason != "" {
		r.header["Sallyport-Reason"] = url.PathEscape(options.Reason)
	}
	var body outcomeBody
	err := v.call(ctx, r, &body)
	if part, ok := errors.AsType[partly](err); ok {
		return part.made.made(), err
	}
	if err != nil {
		if _, ok := errors.AsType[answered](err); !ok {
			err = fmt.Errorf("%w: it is not known whether the change was made. Look before you try again", err)
		}
		return made{}, err
	}
	if body.Made != len(changes) {
		return body.made(), fmt.Errorf("%s answers that %d of %d changes were made. Look before you try again", v.shown, body.Made, len(changes))
	}
	return body.made(), nil
}

func changeRequest(organization string, changes []change) request {
	var all []object
	for _, c := range changes {
		all = append(all, c.values)
	}
	return request{method: http.MethodPost, path: []string{"organizations", organization, "changes"}, body: object{"changes": all}}
}
