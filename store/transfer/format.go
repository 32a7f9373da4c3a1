package transfer

import (
	"encoding/json"
	"errors"
	"fmt"
	"hash"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/internal/strictjson"
	"github.com/sallyport-go/sallyport/policy"
)

// format is the version of the file's format. Whoever changes what a file of it may
// have raises it.
const format = 1

// firstLine is a file's first.
var firstLine = fmt.Appendf(nil, `{"sallyport":{"format":%d}}`+"\n", format)

// lastLine returns the last line of a file. sum is that of the lines before.
func lastLine(c Counts, sum hash.Hash) []byte {
	return fmt.Appendf(nil, `{"end":{"organizations":%d,"keys":%d,"usage":%d,"sha256":"%x"}}`+"\n", c.Organizations, c.Keys, c.Usage, sum.Sum(nil))
}

var lastPrefix = []byte(`{"end":`)

// A line is one of a file, but not its first or last. Of the fields only those of its
// kind are there.
type line struct {
	Organization *policy.Organization `json:"organization,omitempty"`
	Key          *apikey.Key          `json:"key,omitempty"`
	Usage        *keyUsage            `json:"usage,omitempty"` // the key's
}

// encode returns the line of a record, with its line feed. What a file may not have is an
// error, so that whatever was exported can be imported.
func (l line) encode() ([]byte, error) {
	var name string
	var err error
	if l.Key != nil {
		name, err = nameOf(l.Key.Organization, l.Key.ID), l.Key.Validate()
	} else {
		name, err = nameOf(l.Organization.ID, ""), l.Organization.Validate()
	}
	text, notJSON := json.Marshal(l)
	if err = errors.Join(err, notJSON); err != nil {
		return nil, fmt.Errorf("%s cannot be written: %w", name, err)
	}
	return append(text, '\n'), nil
}

// decode reads a line, with its line feed or without.
func decode(text []byte) (l line, err error) {
	v, err := strictjson.Parse(text)
	if err != nil {
		return line{}, err
	}
	err = v.Object(
		strictjson.Field{Name: "organization", Read: func(v strictjson.Value) error {
			l.Organization = new(policy.Organization)
			return l.Organization.UnmarshalJSON(v)
		}},
		strictjson.Field{Name: "key", Read: func(v strictjson.Value) error {
			l.Key = new(apikey.Key)
			return l.Key.UnmarshalJSON(v)
		}},
		strictjson.Field{Name: "usage", Read: func(v strictjson.Value) error {
			l.Usage = new(keyUsage)
			return l.Usage.read(v)
		}},
	)
	return l, err
}

// An order sees to it that records come in the one order of a file, and each once.
type order struct {
	organizations int
	organization  string    // the latest
	key           apikey.ID // the latest of that organization
	keys          map[apikey.ID]struct{}
}

func (o *order) add(organization string, key apikey.ID) error {
	if key == "" {
		if o.organizations > 0 && organization <= o.organization {
			return fmt.Errorf("organization %q after organization %q: want them in order, each once", organization, o.organization)
		}
		o.organizations++
		o.organization, o.key = organization, ""
		return nil
	}
	if o.organizations == 0 || organization != o.organization {
		return fmt.Errorf("key %q of organization %q, which is not the one before it", key, organization)
	}
	if key <= o.key {
		return fmt.Errorf("key %q after key %q of organization %q: want them in order, each once", key, o.key, organization)
	}
	if _, ok := o.keys[key]; ok {
		return fmt.Errorf("key %q of organization %q is of another organization as well", key, organization)
	}
	if o.keys == nil {
		o.keys = map[apikey.ID]struct{}{}
	}
	o.keys[key] = struct{}{}
	o.key = key
	return nil
}
