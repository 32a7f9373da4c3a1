package peers

import (
	"context"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/rego"
	"github.com/open-policy-agent/opa/v1/storage/inmem"

	"sallyport.test/benchmarks/internal/work"
)

// module is Rego, version 1. Keys and organizations are data: changing a record compiles
// nothing.
const module = `
package sallyport

default allow := false

key := data.keys[input.key]

allow if {
	not key.disabled
	not expired
	listed
	input.organization == key.organization
	key.role in input.roles
}

expired if input.now >= key.expires

listed if {
	some block in key.list
	net.cidr_contains(block, input.client)
}

listed if {
	count(key.list) == 0
	not input.requiresList
	data.requirements[key.organization] != "required"
}
`

// OPA is a prepared query.
type OPA struct {
	query rego.PreparedEvalQuery
	roles map[*work.Endpoint]*ast.Term
}

// The names of the input's fields, made once.
var (
	inputKey          = ast.InternedTerm("key")
	inputClient       = ast.InternedTerm("client")
	inputNow          = ast.InternedTerm("now")
	inputOrganization = ast.InternedTerm("organization")
	inputRequiresList = ast.InternedTerm("requiresList")
	inputRoles        = ast.InternedTerm("roles")
)

// NewOPA loads a world.
func NewOPA(w *work.World) (work.Engine, error) {
	keys, requirements := make(map[string]any, w.Keys), make(map[string]any, w.Organizations())
	names := [...]string{"not_required", "report_only", "required"}
	for i := range w.Organizations() {
		o := w.Organization(i)
		requirements[o.ID] = names[o.Requirement]
	}
	for i := range w.Keys {
		k := w.Key(i)
		list := make([]any, len(k.List))
		for i, block := range k.List {
			list[i] = block.String()
		}
		record := map[string]any{"disabled": k.Disabled, "organization": k.Organization.ID, "role": k.Role, "list": list}
		if !k.Expires.IsZero() {
			record["expires"] = k.Expires.Unix()
		}
		keys[k.ID] = record
	}
	data := map[string]any{"keys": keys, "requirements": requirements}
	query, err := rego.New(
		rego.Query("data.sallyport.allow"),
		rego.Module("sallyport.rego", module),
		// Values in the evaluator's form are not converted for each request.
		rego.Store(inmem.NewFromObjectWithOpts(data, inmem.OptReturnASTValuesOnRead(true))),
	).PrepareForEval(context.Background())
	if err != nil {
		return nil, err
	}
	e := &OPA{query, make(map[*work.Endpoint]*ast.Term)}
	for _, endpoint := range work.Endpoints {
		var roles []*ast.Term
		for _, role := range endpoint.Roles {
			roles = append(roles, ast.StringTerm(role))
		}
		e.roles[endpoint] = ast.SetTerm(roles...)
	}
	return e, nil
}

// Decide answers a request.
func (e *OPA) Decide(r *work.Request) bool {
	input := ast.NewObject(
		ast.Item(inputKey, ast.StringTerm(r.Key)),
		ast.Item(inputClient, ast.StringTerm(r.Client.String())),
		ast.Item(inputNow, ast.IntNumberTerm(int(time.Now().Unix()))),
		ast.Item(inputOrganization, ast.StringTerm(r.Organization)),
		ast.Item(inputRequiresList, ast.InternedTerm(r.Endpoint.RequiresList)),
		ast.Item(inputRoles, e.roles[r.Endpoint]),
	)
	results, err := e.query.Eval(context.Background(), rego.EvalParsedInput(input))
	return err == nil && results.Allowed()
}
