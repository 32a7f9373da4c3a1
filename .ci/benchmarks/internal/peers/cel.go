package peers

import (
	"errors"
	"net/netip"
	"reflect"
	"sync"
	"time"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/interpreter"

	"sallyport.test/benchmarks/internal/byhand"
	"sallyport.test/benchmarks/internal/work"
)

const expression = `!disabled && (forever || now < expires) && ` +
	`(open ? !required && !requiresList : covered(list, client)) && ` +
	`organization == owner && role in roles`

// CEL is one compiled expression with a function of its own for membership. Records keep their
// fields as CEL's values, so none is converted for a request.
type CEL struct {
	keys    map[string]*celKey
	roles   map[*work.Endpoint]ref.Val
	program cel.Program
	calls   sync.Pool
}

type celKey struct {
	disabled, forever, open, required types.Bool
	expires, owner, role              ref.Val
	list                              opaque[byhand.Bounds]
}

// An opaque value is read by our own function only.
type opaque[T any] struct{ value T }

var (
	opaqueType = cel.OpaqueType("opaque")
	errOpaque  = errors.New("it is opaque")
)

func (opaque[T]) ConvertToNative(reflect.Type) (any, error) { return nil, errOpaque }
func (opaque[T]) ConvertToType(ref.Type) ref.Val            { return types.WrapErr(errOpaque) }
func (opaque[T]) Equal(ref.Val) ref.Val                     { return types.False }
func (opaque[T]) Type() ref.Type                            { return opaqueType }
func (o *opaque[T]) Value() any                             { return o.value }

// A celCall is the variables of one evaluation. It is reused.
type celCall struct {
	*celKey
	now, organization, roles ref.Val
	requiresList             types.Bool
	client                   opaque[netip.Addr]
}

// Parent implements cel-go's Activation.
func (c *celCall) Parent() interpreter.Activation { return nil }

// ResolveName implements cel-go's Activation.
func (c *celCall) ResolveName(name string) (any, bool) {
	switch name {
	case "disabled":
		return c.disabled, true
	case "forever":
		return c.forever, true
	case "open":
		return c.open, true
	case "required":
		return c.required, true
	case "expires":
		return c.expires, true
	case "owner":
		return c.owner, true
	case "role":
		return c.role, true
	case "list":
		return &c.list, true
	case "now":
		if c.now == nil {
			c.now = types.Int(time.Now().Unix())
		}
		return c.now, true
	case "organization":
		return c.organization, true
	case "roles":
		return c.roles, true
	case "requiresList":
		return c.requiresList, true
	case "client":
		return &c.client, true
	}
	return nil, false
}

// NewCEL loads a world.
func NewCEL(w *work.World) (work.Engine, error) {
	program, err := celProgram()
	if err != nil {
		return nil, err
	}
	e := &CEL{keys: make(map[string]*celKey, w.Keys), roles: make(map[*work.Endpoint]ref.Val), program: program}
	e.calls.New = func() any { return new(celCall) }
	for i := range w.Keys {
		k := w.Key(i)
		e.keys[k.ID] = &celKey{
			disabled: types.Bool(k.Disabled), forever: types.Bool(k.Expires.IsZero()), open: len(k.List) == 0,
			required: k.Organization.Requirement == work.Required,
			expires:  types.Int(k.Expires.Unix()), owner: types.String(k.Organization.ID), role: types.String(k.Role),
			list: opaque[byhand.Bounds]{byhand.NewBounds(k.List)},
		}
	}
	for _, endpoint := range work.Endpoints {
		e.roles[endpoint] = types.NewStringList(types.DefaultTypeAdapter, endpoint.Roles)
	}
	return e, nil
}

func celProgram() (cel.Program, error) {
	options := []cel.EnvOption{
		cel.Function("covered", cel.Overload("covered_list_client", []*cel.Type{opaqueType, opaqueType}, cel.BoolType,
			cel.BinaryBinding(func(list, client ref.Val) ref.Val {
				return types.Bool(list.(*opaque[byhand.Bounds]).value.Contains(client.(*opaque[netip.Addr]).value))
			}))),
		cel.Variable("roles", cel.ListType(cel.StringType)),
		cel.Variable("list", opaqueType), cel.Variable("client", opaqueType),
		cel.Variable("now", cel.IntType), cel.Variable("expires", cel.IntType),
	}
	for _, name := range []string{"disabled", "forever", "open", "required", "requiresList"} {
		options = append(options, cel.Variable(name, cel.BoolType))
	}
	for _, name := range []string{"organization", "owner", "role"} {
		options = append(options, cel.Variable(name, cel.StringType))
	}
	env, err := cel.NewEnv(options...)
	if err != nil {
		return nil, err
	}
	compiled, issues := env.Compile(expression)
	if issues.Err() != nil {
		return nil, issues.Err()
	}
	return env.Program(compiled, cel.EvalOptions(cel.OptOptimize))
}

// Decide answers a request.
func (e *CEL) Decide(r *work.Request) bool {
	k := e.keys[r.Key]
	if k == nil {
		return false
	}
	c := e.calls.Get().(*celCall)
	*c = celCall{
		celKey: k, organization: types.String(r.Organization), roles: e.roles[r.Endpoint],
		requiresList: types.Bool(r.Endpoint.RequiresList), client: opaque[netip.Addr]{r.Client},
	}
	result, _, err := e.program.Eval(c)
	e.calls.Put(c)
	return err == nil && result == types.True
}
