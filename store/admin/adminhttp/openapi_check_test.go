package adminhttp

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
)

// The description in the package is that of the operations and of the types of their answers.
func TestOpenAPIIsCurrent(t *testing.T) {
	want, err := json.MarshalIndent(document(), "", " ")
	require.NoError(t, err)
	want = append(want, '\n')
	if *update {
		require.NoError(t, os.WriteFile("openapi.json", want, 0o644))
		return
	}
	require.Empty(t, cmp.Diff(string(want), string(openAPI)), "run go test -run TestOpenAPIIsCurrent -update")
	for _, o := range operations {
		require.NotEmpty(t, descriptions[o.id].summary, o.id)
	}
	require.Len(t, descriptions, len(operations))
}

// Every reference of the description leads somewhere, and every schema is referred to.
func TestOpenAPIReferences(t *testing.T) {
	var parsed object
	require.NoError(t, json.Unmarshal(openAPI, &parsed))
	used := map[string]bool{}
	var walk func(v any)
	walk = func(v any) {
		switch v := v.(type) {
		case object:
			if to, ok := v["$ref"].(string); ok {
				at := any(parsed)
				for _, name := range strings.Split(to, "/")[1:] {
					at = at.(object)[name]
				}
				require.NotNil(t, at, to)
				used[to] = true
			}
			for _, member := range v {
				walk(member)
			}
		case []any:
			for _, item := range v {
				walk(item)
			}
		}
	}
	walk(parsed)
	for name := range parsed["components"].(object)["schemas"].(object) {
		require.True(t, used["#/components/schemas/"+name], name)
	}
}

// A checker checks JSON against the schemas of the description.
type checker struct{ schemas object }

func newChecker(t testing.TB) checker {
	var parsed object
	require.NoError(t, json.Unmarshal(openAPI, &parsed))
	return checker{parsed["components"].(object)["schemas"].(object)}
}

// check returns the first place where a value is not as its schema says.
func (c checker) check(place string, schema object, v any) error {
	if to, ok := schema["$ref"].(string); ok {
		return c.check(place, c.schemas[to[strings.LastIndex(to, "/")+1:]].(object), v)
	}
	kind := map[bool]string{}
	switch v := v.(type) {
	case object:
		kind[true] = "object"
		properties, _ := schema["properties"].(object)
		for _, name := range asList(schema["required"]) {
			if _, ok := v[name.(string)]; !ok {
				return fmt.Errorf("%s has no %s", place, name)
			}
		}
		for name, member := range v {
			property, ok := properties[name].(object)
			if !ok {
				if property, ok = schema["additionalProperties"].(object); !ok {
					if len(properties) == 0 {
						continue
					}
					return fmt.Errorf("%s has %s, which is not described", place, name)
				}
			}
			if err := c.check(place+"."+name, property, member); err != nil {
				return err
			}
		}
	case []any:
		kind[true] = "array"
		for i, item := range v {
			if err := c.check(fmt.Sprintf("%s[%d]", place, i), schema["items"].(object), item); err != nil {
				return err
			}
		}
	case string:
		kind[true] = "string"
		if enum := asList(schema["enum"]); len(enum) > 0 && !slices.Contains(enum, any(v)) {
			return fmt.Errorf("%s is %q, which is not one of %v", place, v, enum)
		}
		if _, err := time.Parse(time.RFC3339, v); schema["format"] == "date-time" && err != nil {
			return fmt.Errorf("%s: %w", place, err)
		}
	case float64:
		kind[true] = "integer"
	case bool:
		kind[true] = "boolean"
	}
	if schema["type"] != kind[true] {
		return fmt.Errorf("%s is %v: want a %v", place, v, schema["type"])
	}
	return nil
}

func asList(v any) []any {
	list, _ := v.([]any)
	return list
}

// answer checks an answer to an operation.
func (c checker) answer(t testing.TB, o operation, status int, data []byte) {
	t.Helper()
	name := ""
	switch {
	case status >= 400:
		name = "Problem"
	case o.change != nil:
		name = "Outcome"
	default:
		shown := reflect.TypeOf(descriptions[o.id].response).Name()
		if shown == "" {
			return
		}
		name = strings.ToUpper(shown[:1]) + shown[1:]
	}
	var parsed any
	require.NoError(t, json.Unmarshal(data, &parsed))
	require.NoError(t, c.check(o.id, ref(name), parsed), "%s", data)
}

// The fields of each request are those that its operation reads, to the letter, and it needs
// the required ones.
func TestOpenAPIRequests(t *testing.T) {
	c := newChecker(t)
	quoted := regexp.MustCompile(`"([A-Za-z0-9]+)"`)
	fieldsOf := func(detail string) (names []string) {
		_, wanted, _ := strings.Cut(detail, "want one of ")
		for _, found := range quoted.FindAllStringSubmatch(wanted, -1) {
			names = append(names, found[1])
		}
		slices.Sort(names)
		return names
	}
	for _, o := range operations {
		w := newOwnWorld(t, o.id)
		name := descriptions[o.id].request
		if name == "" {
			if o.change != nil {
				p := w.ownRefuses("ann", o.method, w.path(o), `{"nonsense":1}`, 400, "INVALID_BODY")
				require.Empty(t, fieldsOf(p.Detail))
			}
			continue
		}
		p := w.ownRefuses("ann", o.method, w.path(o), `{"nonsense":1}`, 400, "INVALID_BODY")
		schema := c.schemas[name].(object)
		require.Equal(t, slices.Sorted(maps.Keys(schema["properties"].(object))), fieldsOf(p.Detail), o.id)
		for _, field := range asList(schema["required"]) {
			var good object
			require.NoError(t, json.Unmarshal([]byte(ownBodies[o.id]), &good))
			delete(good, field.(string))
			without, _ := json.Marshal(good)
			p := w.ownRefuses("ann", o.method, w.path(o), string(without), 400, "INVALID_BODY")
			require.Equal(t, []fieldError{{field.(string), "is missing: want a value"}}, p.Fields, o.id)
		}
		var good any
		require.NoError(t, json.Unmarshal([]byte(ownBodies[o.id]), &good))
		require.NoError(t, c.check(o.id, ref(name), good))
	}

	// And those of the parts of several changes, of all kinds together.
	w := newOwnWorld(t, "makeChanges")
	all := map[string]bool{"kind": true, "key": true, "revision": true}
	for kind := range kinds {
		p := w.ownRefuses("ann", "POST", ownOrg+"/changes", `{"changes":[{"kind":"`+kind+`","key":"`+worker+`","nonsense":1}]}`, 400, "INVALID_BODY")
		require.True(t, strings.HasPrefix(p.Detail, "Change 1: "), p.Detail)
		for _, name := range fieldsOf(p.Detail) {
			all[name] = true
		}
	}
	require.Equal(t, slices.Sorted(maps.Keys(c.schemas["ChangeInput"].(object)["properties"].(object))), slices.Sorted(maps.Keys(all)))
}

func TestOpenAPIIsServed(t *testing.T) {
	w := newOwnWorld(t, "")
	answer := w.own("ann", "GET", ownPrefix+"/openapi.json", "")
	require.Equal(t, 200, answer.Code)
	require.Equal(t, string(openAPI), answer.Body.String())
	require.Empty(t, w.own("ann", "HEAD", ownPrefix+"/openapi.json", "").Body.String())
}
