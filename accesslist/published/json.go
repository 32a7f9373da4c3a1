package published

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/sallyport-go/sallyport/internal/plain"
)

// readAWS reads ip-ranges.json.
func readAWS(c *collector, data []byte) error {
	type prefix struct {
		IPv4    string `json:"ip_prefix"`
		IPv6    string `json:"ipv6_prefix"`
		Region  string `json:"region"`
		Service string `json:"service"`
	}
	var document struct {
		IPv4 []prefix `json:"prefixes"`
		IPv6 []prefix `json:"ipv6_prefixes"`
	}
	err := json.Unmarshal(data, &document)
	for _, p := range slices.Concat(document.IPv4, document.IPv6) {
		c.addBoth(p.IPv4, p.IPv6, c.label([]string{p.Region}, []string{p.Service}, ""))
	}
	return notJSON(err)
}

// readGoogle reads cloud.json, and goog.json and the crawlers' files, which have no scope
// and no service.
func readGoogle(c *collector, data []byte) error {
	var document struct {
		Prefixes []struct {
			IPv4    string `json:"ipv4Prefix"`
			IPv6    string `json:"ipv6Prefix"`
			Scope   string `json:"scope"`
			Service string `json:"service"`
		} `json:"prefixes"`
	}
	err := json.Unmarshal(data, &document)
	for _, p := range document.Prefixes {
		c.addBoth(p.IPv4, p.IPv6, c.label([]string{p.Scope}, []string{p.Service}, ""))
	}
	return notJSON(err)
}

// addBoth takes the two members of an object. One is usually absent.
func (c *collector) addBoth(v4, v6 string, l *label) {
	if v6 == "" || v4 != "" {
		c.addMember(v4, l)
	}
	if v6 != "" {
		c.addMember(v6, l)
	}
}

// readAzure reads ServiceTags_Public.json. A tag's name and its systemService are services.
func readAzure(c *collector, data []byte) error {
	var document struct {
		Values []struct {
			Name       string `json:"name"`
			Properties struct {
				Region   string   `json:"region"`
				Service  string   `json:"systemService"`
				Prefixes []string `json:"addressPrefixes"`
			} `json:"properties"`
		} `json:"values"`
	}
	err := json.Unmarshal(data, &document)
	for _, tag := range document.Values {
		services := []string{tag.Name, tag.Properties.Service}
		l := c.label([]string{tag.Properties.Region}, slices.Compact(services), "")
		for _, p := range tag.Properties.Prefixes {
			c.addMember(p, l)
		}
	}
	return notJSON(err)
}

// readGitHub reads the answer of /meta. Each member with an array of texts is a service,
// except for keys; "domains" is an object.
func readGitHub(c *collector, data []byte) error {
	members, _ := topMembers(bytes.TrimSpace(data)) // which recognize has read
	delete(members, "ssh_keys")
	return c.addLists(members)
}

// addLists takes the arrays among members, in the order of their names. The names are services.
func (c *collector) addLists(members map[string]json.RawMessage) error {
	for _, name := range slices.Sorted(maps.Keys(members)) {
		if !bytes.HasPrefix(members[name], []byte("[")) {
			continue
		}
		var texts []string
		if err := json.Unmarshal(members[name], &texts); err != nil {
			return notJSON(err)
		}
		l, denied := c.label(nil, []string{name}, ""), meaningOf(name).denied
		for _, text := range texts {
			if denied {
				c.denyMember(text)
			} else {
				c.addMember(text, l)
			}
		}
	}
	return nil
}

// readCloudflare reads the answer of /client/v4/ips.
func readCloudflare(c *collector, data []byte) error {
	var document struct {
		Success bool                       `json:"success"`
		Errors  json.RawMessage            `json:"errors"`
		Result  map[string]json.RawMessage `json:"result"`
	}
	if err := json.Unmarshal(data, &document); err != nil {
		return notJSON(err)
	}
	if !document.Success {
		return fmt.Errorf("published: %w: it says success is false, with the errors %s: fetch it again", ErrNotList, plain.Quote(document.Errors))
	}
	return c.addLists(document.Result)
}

// readFastly reads public-ip-list.
func readFastly(c *collector, data []byte) error {
	var document struct {
		IPv4 []string `json:"addresses"`
		IPv6 []string `json:"ipv6_addresses"`
	}
	err := json.Unmarshal(data, &document)
	for _, text := range slices.Concat(document.IPv4, document.IPv6) {
		c.addMember(text, c.label(nil, nil, ""))
	}
	return notJSON(err)
}

// readOracle reads public_ip_ranges.json.
func readOracle(c *collector, data []byte) error {
	var document struct {
		Regions []struct {
			Region string `json:"region"`
			CIDRs  []struct {
				CIDR string   `json:"cidr"`
				Tags []string `json:"tags"`
			} `json:"cidrs"`
		} `json:"regions"`
	}
	err := json.Unmarshal(data, &document)
	for _, region := range document.Regions {
		for _, p := range region.CIDRs {
			c.addMember(p.CIDR, c.label([]string{region.Region}, p.Tags, ""))
		}
	}
	return notJSON(err)
}

// readAtlas reads the answer of controlPlaneIPAddresses: lists by direction, cloud and region.
// The services are the direction, and direction and cloud: "outbound", "outbound.aws".
func readAtlas(c *collector, data []byte) error {
	type directions struct {
		Inbound  map[string]map[string][]string `json:"inbound"`
		Outbound map[string]map[string][]string `json:"outbound"`
	}
	var document struct {
		directions
		Inside directions `json:"controlPlane"`
	}
	err := json.Unmarshal(data, &document)
	for _, d := range []directions{document.directions, document.Inside} {
		for _, direction := range []struct {
			name   string
			clouds map[string]map[string][]string
		}{{"inbound", d.Inbound}, {"outbound", d.Outbound}} {
			for _, cloud := range slices.Sorted(maps.Keys(direction.clouds)) {
				services := []string{direction.name, direction.name + "." + cloud}
				for _, region := range slices.Sorted(maps.Keys(direction.clouds[cloud])) {
					for _, text := range direction.clouds[cloud][region] {
						c.addMember(text, c.label([]string{region}, services, ""))
					}
				}
			}
		}
	}
	return notJSON(err)
}

// readJSON reads any JSON: the texts in arrays, or those under the member named. The document is
// valid, which also bounds its depth.
func readJSON(c *collector, data []byte) error {
	members, _ := topMembers(bytes.TrimSpace(data)) // which recognize has read
	for _, name := range []string{"error", "errors", "message", "detail"} {
		if text := members[name]; !isBlank(text) && c.options.Columns.Address == "" {
			return fmt.Errorf("published: %w: it has the member %q, %s: if it is a list, name the member with addresses in Columns.Address", ErrNotList, name, plain.Quote(text))
		}
	}
	w := jsonWalk{c, json.NewDecoder(bytes.NewReader(data))}
	var outermost jsonObject
	w.value("", jsonPlace{}, &outermost)
	w.end(outermost, jsonPlace{}, w.positions > 0, &jsonObject{})
	return nil
}

// isBlank reports whether a member is absent or says nothing.
func isBlank(value json.RawMessage) bool {
	return slices.Contains([]string{"", "null", `""`, "[]", "{}", "false"}, string(value))
}

// A jsonWalk goes through the tokens of valid JSON.
type jsonWalk struct {
	*collector
	decoder *json.Decoder
}

// A jsonObject is what was found of the innermost object.
type jsonObject struct {
	addresses       []string
	region, service string
	denies          string // what says that the object denies, for people
	byWord          bool   // a value such as deny says it: without addresses here, of the object around
}

// A jsonPlace is where a value stands.
type jsonPlace struct {
	path     []string // the first names around it
	inArray  bool
	inDenied bool // in a member named for what is denied, or in one around it
	meaning       // of the member's name
}

// value reads one value: that of a member, or one in the array of a member.
func (w jsonWalk) value(name string, at jsonPlace, in *jsonObject) {
	token, _ := w.decoder.Token()
	switch token := token.(type) {
	case json.Delim:
		if token == '[' {
			at.inArray = true
			for w.decoder.More() {
				w.value(name, at, in)
			}
		} else {
			w.object(at, in)
		}
		_, _ = w.decoder.Token() // the end
	case string:
		w.text(name, token, at, in)
	case bool, float64:
		if at.denies(fmt.Sprint(token)) {
			in.denies = "the member " + plain.Quote(name)
		}
	}
}

func (w jsonWalk) text(name, text string, at jsonPlace, in *jsonObject) {
	columns := w.options.Columns
	isColumn := func(column string) bool { return column != "" && strings.EqualFold(name, column) }
	switch {
	case isColumn(columns.Address):
		in.addresses = append(in.addresses, text)
	case isColumn(columns.Region):
		in.region = cmp.Or(in.region, text)
	case isColumn(columns.Service):
		in.service = cmp.Or(in.service, text)
	case at.denies(text):
		in.denies, in.byWord = "the member "+plain.Quote(name)+" with "+plain.Quote(text), true
	case at.inDenied:
		if at.inArray || hasAddress(text) {
			w.denyMember(text)
		}
	case at.inArray && columns.Address == "":
		w.addMember(text, w.label(nil, at.path, ""))
	}
}

func (w jsonWalk) object(at jsonPlace, around *jsonObject) {
	const names = 4
	var found jsonObject
	before := w.positions
	for w.decoder.More() {
		token, _ := w.decoder.Token()
		name := fmt.Sprint(token)
		if at.inDenied && hasAddress(name) {
			w.denyMember(name)
		}
		m := meaningOf(name)
		w.value(name, jsonPlace{
			path:     append(at.path[:len(at.path):len(at.path)], name[:min(len(name), MaxSource+1)])[:min(len(at.path)+1, names)], // longer counts as absent
			inDenied: at.inDenied || m.denied,
			meaning:  m,
		}, &found)
	}
	w.end(found, at, w.positions > before, around)
}

// end takes what was found of an object, in which addresses were read or not.
func (w jsonWalk) end(found jsonObject, at jsonPlace, hasRead bool, around *jsonObject) {
	switch {
	case found.denies == "" || len(found.addresses) > 0:
	case hasRead:
		w.unclear = found.denies
	case found.byWord:
		around.denies, around.byWord = found.denies, true
	}
	for _, text := range found.addresses {
		if at.inDenied || found.denies != "" {
			w.denyMember(text)
			continue
		}
		w.addMember(text, w.label([]string{found.region}, []string{found.service}, ""))
	}
}
