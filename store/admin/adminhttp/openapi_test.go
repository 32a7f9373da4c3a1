package adminhttp

import (
	"flag"
	"maps"
	"net/netip"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/admin"
)

var update = flag.Bool("update", false, "write openapi.json")

// object is a JSON object of the description.
type object = map[string]any

// described is what the description says of an operation beyond its route.
type described struct {
	summary  string
	request  string // name of a schema; empty: no body
	response any    // of a success; nil: that of a change
}

var descriptions = map[string]described{
	"getOpenAPI":         {summary: "This document", response: object{}},
	"getMe":              {summary: "Who is calling, and what a key may do from where it calls", response: meBody{}},
	"listOrganizations":  {summary: "The organizations that the caller may read", response: organizationList{}},
	"getOrganization":    {summary: "An organization", response: admin.OrganizationView{}},
	"editOrganization":   {summary: "Set the given fields of an organization, in one write: its name for people, and whether all its keys are switched off. Those left out stay", request: "OrganizationEdit"},
	"setRequirement":     {summary: "Set whether the organization's keys need an access list", request: "RequirementInput"},
	"suspendRequirement": {summary: "Suspend the requirement, for 24 hours at most. Keys cannot do this", request: "SuspensionInput"},
	"resumeRequirement":  {summary: "End a suspension now. Keys cannot do this"},
	"listKeys":           {summary: "Keys, with filters. With status or search a page may have fewer than limit keys, or none, and a next page", response: keyList{}},
	"createKey":          {summary: "Create a key. Its secret is shown once. With an id a repeated call is refused as CONFLICT and creates no second key", request: "KeyInput"},
	"getKey":             {summary: "A key", response: admin.KeyView{}},
	"editKey":            {summary: "Set the given fields of a key, in one write. Those left out stay", request: "KeyEdit"},
	"deleteKey":          {summary: "Delete a key with its list, grants and secrets"},
	"getList":            {summary: "The access list of a key, and its list on trial", response: listBody{}},
	"replaceList":        {summary: "Replace the whole access list, in one write", request: "EntriesInput"},
	"addEntries":         {summary: "Add entries to the access list. The first one narrows an open key", request: "EntriesInput"},
	"editEntry":          {summary: "Set the comment and the expiry of an entry. Those left out are taken away", request: "EntryEdit"},
	"removeEntry":        {summary: "Remove an entry, by its exact address or block"},
	"suggestList":        {summary: "Suggest an access list from the addresses observed. The token of its preview is that of replaceList with these entries and the ETag of this answer as If-Match", response: admin.Tightening{}},
	"reviewList":         {summary: "What to know about an access list: entries that are expired, unused in the window, needless or too broad", response: admin.ListReview{}},
	"setTrial":           {summary: "Put a list on trial. It denies nobody, and the calls that it would deny are counted", request: "EntriesInput"},
	"endTrial":           {summary: "End the trial of a list"},
	"enforceTrial":       {summary: "Make the list on trial the access list, in one write"},
	"getSecrets":         {summary: "The secrets of a key with their last use, and whether the earlier one is safe to end", response: admin.Rotation{}},
	"rotateKey":          {summary: "Give a key a new secret, shown once. The earlier one stays valid for the overlap; with 0, after a leak, every earlier one ends at once", request: "RotationInput"},
	"endSecretAt":        {summary: "End a secret at an instant", request: "SecretEnd"},
	"endSecret":          {summary: "End a secret now"},
	"getUsage":           {summary: "How a key was used in the window, and which calls were denied", response: admin.KeyUsage{}},
	"getPermissions":     {summary: "What a key may do: its answers for every endpoint, from an address, or without one from an address on its list", response: admin.Permissions{}},
	"investigate":        {summary: "Why a call was answered as it was, and which single changes would let it pass. Writes nothing", request: "InvestigationInput", response: admin.Investigation{}},
	"decide":             {summary: "How a call of a proven key would be answered. It is not counted as usage", request: "CallInput", response: decisionBody{}},
	"decideAll":          {summary: "How calls of proven keys would be answered, in their order, 1000 at most. They are not counted as usage. A call whose key cannot be looked up is unavailable, and the others are judged", request: "CallsInput", response: decisionList{}},
	"makeChanges":        {summary: "Several changes, judged as a whole. Consecutive changes of one record are one write; otherwise they are made in order up to the first refusal, and the problem has the outcome of those before it", request: "ChangesInput"},
	"listEvents":         {summary: "Events: who changed what, and why. next is a cursor on the last page, too: it is where to follow", response: eventList{}},
	"followEvents":       {summary: "Events as they are written, as Server-Sent Events: event change has an Event as data, and id is the cursor behind it. Event forgotten ends the stream where events after the cursor are not kept; a new request is answered 410 then. The stream ends after 10 minutes: connect again with Last-Event-ID", response: object{}},
}

func text(description string) object { return object{"type": "string", "description": description} }
func instant(description string) object {
	return object{"type": "string", "format": "date-time", "description": description}
}
func boolean(description string) object { return object{"type": "boolean", "description": description} }
func ref(name string) object            { return object{"$ref": "#/components/schemas/" + name} }
func listOfRef(name string) object      { return object{"type": "array", "items": ref(name)} }
func whole(least int, description string) object {
	return object{"type": "integer", "format": "int64", "minimum": least, "description": description}
}
func input(required []string, properties object) object {
	schema := object{"type": "object", "properties": properties}
	if len(required) > 0 {
		schema["required"] = required
	}
	return schema
}

var requirement = object{"type": "string", "enum": []string{"not_required", "report_only", "required"}}

func inputs() object {
	labels := object{"type": "object", "additionalProperties": object{"type": "string"}}
	call := object{
		"key": text("The ID of the key"), "address": text("The IP address of the caller, as the guard resolved it"),
		"endpoint": text("The name of an endpoint of the program; left out: one without conditions"),
		"project":  text("The called project; left out: the organization itself"),
	}
	one := maps.Clone(call)
	call["time"] = instant("Of the call; left out: now")
	investigation := maps.Clone(call)
	maps.Copy(investigation, object{
		"secret": text("The ID of the proven secret; left out: any live one"), "unproven": boolean("The caller's secret did not match"),
		"possibleProxy": boolean("The decision was of the kind possible_proxy"),
	})
	secret, overlap := text("The ID of the secret"), whole(0, "How long the earlier secret stays valid")
	change := object{
		"kind": object{"type": "string", "enum": slices.Sorted(maps.Keys(kinds))}, "key": text("The ID of the key; left out for a change of the organization, and for a new key with a random ID"),
		"revision": whole(0, "The record must have this revision; 0 or left out: any"),
		"like":     text("create_key"), "description": text("create_key, edit_key"), "labels": labels, "externalId": text("create_key, edit_key"),
		"grants": listOfRef("GrantView"), "entries": listOfRef("EntryInput"), "addresses": object{"type": "array", "items": object{"type": "string"}, "description": "remove_entries"},
		"notBefore": instant("create_key, set_validity"), "expires": instant("create_key, set_validity, end_secret"), "disabled": boolean("create_key, edit_key"), "validity": ref("ValidityInput"),
		"name": text("set_name"), "overlapSeconds": overlap, "secret": secret, "requirement": requirement, "until": instant("suspend_requirement"),
	}
	return object{
		"OrganizationEdit": input(nil, object{"name": text("For people; empty: none"), "disabled": boolean("Switch every key of the organization off, or on again")}),
		"RequirementInput": input([]string{"requirement"}, object{"requirement": requirement}),
		"SuspensionInput":  input(nil, object{"until": instant("Left out: an hour from now")}),
		"EntryInput": input([]string{"address"}, object{
			"address": text("An IPv4 address or CIDR block"), "comment": text("For people"), "expires": instant("From when the entry covers nothing; left out: it stays"),
			"added": object{"type": "string", "format": "date-time", "readOnly": true, "description": "Ignored"}, "expired": object{"type": "boolean", "readOnly": true, "description": "Ignored"},
		}),
		"EntriesInput":  input([]string{"entries"}, object{"entries": listOfRef("EntryInput")}),
		"EntryEdit":     input(nil, object{"comment": text("For people"), "expires": instant("From when the entry covers nothing")}),
		"ValidityInput": input(nil, object{"notBefore": instant("The first instant; left out: no bound"), "expires": instant("The first instant after it; left out: no bound")}),
		"KeyInput": input(nil, object{
			"id": text("Of the new key; left out: a random one"), "like": text("The ID of a key to copy what is left out here from. Without it grants and entries are required"),
			"description": text("For people"), "labels": labels, "externalId": text("The program's own ID"), "grants": listOfRef("GrantView"), "entries": listOfRef("EntryInput"),
			"notBefore": instant("The first instant of its validity"), "expires": instant("The first instant after it"), "disabled": boolean("Switched off from the beginning"),
		}),
		"KeyEdit": input(nil, object{
			"description": text("For people"), "labels": labels, "externalId": text("The program's own ID"), "grants": listOfRef("GrantView"),
			"validity": ref("ValidityInput"), "disabled": boolean("Switch the key off, or on again"),
		}),
		"RotationInput":      input([]string{"overlapSeconds"}, object{"overlapSeconds": overlap}),
		"SecretEnd":          input([]string{"expires"}, object{"expires": instant("From when the secret is not accepted")}),
		"CallInput":          input([]string{"address", "key"}, call),
		"BatchCall":          input([]string{"address", "key"}, one),
		"CallsInput":         input([]string{"calls"}, object{"calls": listOfRef("BatchCall"), "time": instant("Of the calls; left out: now")}),
		"InvestigationInput": input([]string{"address", "key"}, investigation),
		"ChangeInput":        input([]string{"kind"}, change),
		"ChangesInput":       input([]string{"changes"}, object{"changes": listOfRef("ChangeInput")}),
		"Event": input([]string{"actor", "revision", "time", "type", "via"}, object{
			"revision": whole(0, "Of the write"), "index": whole(0, "Among the events of the write"), "time": instant("Of the change"), "type": text("Such as key.created"),
			"organization": text("Its ID"), "key": text("Its ID"), "project": text("Its ID"), "actor": ref("EventActor"), "address": text("Of the actor"),
			"origin": object{"type": "string", "description": "Where the address was found"}, "via": text("The way in, such as api"), "correlation": text("The ID of the request"), "reason": text("Of the actor"),
			"accepted": object{"type": "array", "items": object{"type": "string"}}, "entry": text("An address or block"),
			"before": object{"type": "object"}, "after": object{"type": "object"},
		}),
		"EventActor": input([]string{"kind"}, object{"kind": text("key, person or system"), "id": text("Its ID"), "name": text("Of a person"), "secret": text("The ID of the proven secret")}),
		"Actor":      input([]string{"id", "kind"}, object{"kind": text("key, person or system"), "id": text("Its ID"), "name": text("Of a person"), "address": text("Of the request")}),
	}
}

// A schemas has the schemas of types by their name.
type schemas object

// of returns the schema of the JSON of a type.
func (s schemas) of(t reflect.Type) object {
	switch t {
	case reflect.TypeFor[time.Time]():
		return object{"type": "string", "format": "date-time"}
	case reflect.TypeFor[netip.Addr](), reflect.TypeFor[policy.Reason]():
		return object{"type": "string"}
	case reflect.TypeFor[policy.Requirement]():
		return requirement
	case reflect.TypeFor[store.Event]():
		return ref("Event")
	case reflect.TypeFor[admin.Actor]():
		return ref("Actor")
	}
	switch t.Kind() {
	case reflect.Pointer:
		return s.of(t.Elem())
	case reflect.String:
		return object{"type": "string"}
	case reflect.Bool:
		return object{"type": "boolean"}
	case reflect.Int, reflect.Int64, reflect.Uint64:
		return object{"type": "integer", "format": "int64"}
	case reflect.Slice:
		return object{"type": "array", "items": s.of(t.Elem())}
	case reflect.Map:
		return object{"type": "object", "additionalProperties": s.of(t.Elem())}
	}
	name := strings.ToUpper(t.Name()[:1]) + t.Name()[1:]
	if _, known := s[name]; !known {
		s[name] = nil // for types that contain themselves
		required, properties := []string{}, object{}
		s.fields(t, &required, properties)
		slices.Sort(required)
		s[name] = input(required, properties)
	}
	return ref(name)
}

func (s schemas) fields(t reflect.Type, required *[]string, properties object) {
	for i := range t.NumField() {
		field := t.Field(i)
		if field.Anonymous {
			s.fields(field.Type, required, properties)
			continue
		}
		name, options, _ := strings.Cut(field.Tag.Get("json"), ",")
		if !field.IsExported() || name == "-" {
			continue
		}
		properties[name] = s.of(field.Type)
		if !strings.Contains(options, "omit") {
			*required = append(*required, name)
		}
	}
}

var queries = map[string]object{
	"cursor":     {"type": "string"},
	"limit":      {"type": "integer", "minimum": 1, "maximum": store.MaxPageSize, "default": store.DefaultPageSize},
	"status":     {"type": "string", "enum": statuses},
	"search":     {"type": "string", "description": "A text in the ID, the description, the external ID, a label or an entry, in any case"},
	"label":      {"type": "string", "description": "A name, or name=value"},
	"externalId": {"type": "string"}, "key": {"type": "string", "description": "Only of this key"},
	"order":  {"type": "string", "enum": []string{"oldest", "newest"}, "default": "oldest"},
	"budget": {"type": "integer", "minimum": 1, "maximum": store.MaxEntries, "default": admin.DefaultBudget}, "allowIPv6": {"type": "boolean", "default": false, "description": "Entries of IPv6, too, for a key that has some already"},
	"windowSeconds": {"type": "integer", "minimum": 1, "description": "How far back usage counts; left out: as the program says"},
	"internet":      {"type": "boolean", "default": false, "description": "Clients come over the Internet: entries of private networks are reported"},
	"idleSeconds":   {"type": "integer", "minimum": 1, "default": int(admin.DefaultIdle / time.Second)}, "address": {"type": "string"},
}

var pathValue = regexp.MustCompile(`\{([a-z]+)(\.\.\.)?\}`)

// document returns the description of the operations.
func document() object {
	known := schemas(inputs())
	paths := object{}
	jsonOf := func(schema object) object { return object{"application/json": object{"schema": schema}} }
	tag := object{"ETag": object{"description": "The revision of the record, for If-Match", "schema": object{"type": "string"}}}
	for _, o := range operations {
		d := descriptions[o.id]
		parameters := []any{}
		for _, found := range pathValue.FindAllStringSubmatch(o.pattern, -1) {
			parameters = append(parameters, object{"name": found[1], "in": "path", "required": true, "schema": object{"type": "string"}})
		}
		for _, name := range o.query {
			parameters = append(parameters, object{"name": name, "in": "query", "schema": queries[name]})
		}
		response := object{"description": "Done"}
		switch {
		case o.id == "followEvents":
			parameters = append(parameters, object{"name": "Last-Event-ID", "in": "header", "schema": object{"type": "string"}})
			response["content"] = object{"text/event-stream": object{"schema": object{"type": "string"}}}
		case o.id == "getOpenAPI":
			response["content"] = jsonOf(object{"type": "object"})
		case o.change != nil:
			for _, name := range []string{"Preview", "Token", "Accept", "Reason"} {
				parameters = append(parameters, object{"$ref": "#/components/parameters/" + name})
			}
			if !o.creates && !o.several {
				parameters = append(parameters, object{"$ref": "#/components/parameters/IfMatch"})
			}
			response["content"], response["headers"] = jsonOf(known.of(reflect.TypeFor[outcome]())), tag
		default:
			response["content"] = jsonOf(known.of(reflect.TypeOf(d.response)))
			if revisionOf(withRevision(d.response)) != 0 {
				response["headers"] = tag
			}
		}
		success := object{"200": response}
		if o.creates {
			success["201"] = object{"description": "Created", "content": response["content"], "headers": object{"ETag": tag["ETag"], "Location": object{"schema": object{"type": "string"}}}}
			response["description"] = "A preview"
			delete(response, "headers")
		}
		success["default"] = object{"$ref": "#/components/responses/Problem"}
		operation := object{"operationId": o.id, "summary": d.summary, "parameters": parameters, "responses": success}
		if d.request != "" {
			operation["requestBody"] = object{"required": len(requiredOf(known[d.request].(object))) > 0, "content": jsonOf(ref(d.request))}
		}
		path := pathValue.ReplaceAllString(o.pattern, "{$1}")
		if paths[path] == nil {
			paths[path] = object{}
		}
		paths[path].(object)[strings.ToLower(o.method)] = operation
	}
	known.of(reflect.TypeFor[problem]())
	header := func(name, description string) object {
		return object{"name": name, "in": "header", "description": description, "schema": object{"type": "string"}}
	}
	return object{
		"openapi": "3.1.0",
		"info": object{
			"title": "sallyport administration", "version": "1",
			"description": "Organizations, and API keys with their access lists. Every change can be previewed by the same call with preview=true: nothing is written, and the answer has the findings and a token. " +
				"Findings in the way are accepted by name, with a reason. The terms of a change are headers, since not every client sends a body with DELETE, and URLs are kept in logs.",
		},
		"servers":  []any{object{"url": ownPrefix}},
		"security": []any{object{"key": []any{}}, object{}},
		"paths":    paths,
		"components": object{
			"schemas":         object(known),
			"securitySchemes": object{"key": object{"type": "http", "scheme": "bearer", "description": "The secret of an API key. People are signed in by the embedding program"}},
			"responses": object{"Problem": object{"description": "Refused or failed. Status and class: 400 invalid, 403 forbidden, 404 not_found, 409 conflict, changed or refused, 412 a revision that does not match, 503 unavailable",
				"content": object{"application/problem+json": object{"schema": ref("Problem")}}}},
			"parameters": object{
				"Preview": object{"name": "preview", "in": "query", "description": "true: judge the change, and write nothing", "schema": object{"type": "boolean", "default": false}},
				"Token":   header(headerToken, "That of the preview: the change is refused as PREVIEW_CHANGED if it does not hold any more"),
				"Accept":  header(headerAccept, "The kinds of findings to go ahead with, with commas between"),
				"Reason":  header(headerReason, "Why, for the events: 1 to 500 characters, percent-encoded UTF-8. Required with "+headerAccept),
				"IfMatch": header("If-Match", "The ETag of the record: it must be unchanged"),
			},
		},
	}
}

func requiredOf(schema object) []string {
	required, _ := schema["required"].([]string)
	return required
}

// withRevision returns an answer of the same type as shown, with a revision.
func withRevision(shown any) any {
	switch shown := shown.(type) {
	case admin.OrganizationView:
		shown.Revision = 1
		return shown
	case admin.KeyView:
		shown.Revision = 1
		return shown
	case listBody:
		shown.Revision = 1
		return shown
	case admin.Rotation:
		shown.Revision = 1
		return shown
	case admin.ListReview:
		shown.Revision = 1
		return shown
	case admin.Tightening:
		shown.Key.Revision = 1
		return shown
	}
	return shown
}
