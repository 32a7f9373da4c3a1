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

// format is the version of the file's format. Raise it with every change of the contents.
const format = 1

// MaxLine is the length of the longest line of a file, in bytes, with its line feed. The
// line of a key at every bound of package apikey (rule A12), with the use of every entry, is
// shorter.
const MaxLine = 8 << 20

// firstLine is the first line of a file.
var firstLine = fmt.Appendf(nil, `{"sallyport":{"format":%d}}`+"\n", format)

// lastLine returns the last line of a file. sum is the hash of the lines before it.
func lastLine(c Counts, sum hash.Hash) []byte {
	return fmt.Appendf(nil, `{"end":{"organizations":%d,"keys":%d,"usage":%d,"sha256":"%x"}}`+"\n", c.Organizations, c.Keys, c.Usage, sum.Sum(nil))
}

var lastPrefix = []byte(`{"end":`)

// A line is any line of a file except the first and the last. It has an organization, or
// a key with or without usage.
type line struct {
	Organization *policy.Organization `json:"organization,omitempty"`
	Key          *apikey.Key          `json:"key,omitempty"`
	Usage        *keyUsage            `json:"usage,omitempty"` // of Key
}

// encode returns the line of a record with its line feed. An invalid record is an error,
// so that every export can be imported.
func (l line) encode() ([]byte, error) {
	var name string
	var err error
	if l.Key != nil {
		name, err = nameOf(l.Key.Organization, l.Key.ID), l.Key.Validate()
	} else {
		name, err = nameOf(l.Organization.ID, ""), l.Organization.Validate()
	}
	text, notJSON := json.Marshal(l)
	if len(text) >= MaxLine {
		err = errors.Join(err, errLongLine)
	}
	if err = errors.Join(err, notJSON); err != nil {
		return nil, fmt.Errorf("%s cannot be written: %w", name, err)
	}
	return append(text, '\n'), nil
}

// decode reads a line with or without its line feed.
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

// An order checks that the records of a file are in order, each once.
type order struct {
	organizations map[string]struct{}
	organization  string    // the latest
	key           apikey.ID // the latest of that organization
	keys          map[apikey.ID]struct{}
}

func (o *order) add(organization string, key apikey.ID) error {
	if key == "" {
		if len(o.organizations) > 0 && organization <= o.organization {
			return fmt.Errorf("%s after %s: want them in order, each once", nameOf(organization, ""), nameOf(o.organization, ""))
		}
		if o.organizations == nil {
			o.organizations = map[string]struct{}{}
		}
		o.organizations[organization] = struct{}{}
		o.organization, o.key = organization, ""
		return nil
	}
	if len(o.organizations) == 0 || organization != o.organization {
		return fmt.Errorf("%s after another organization: want it after its own", nameOf(organization, key))
	}
	if key <= o.key {
		return fmt.Errorf("key %q after %s: want them in order, each once", key, nameOf(organization, o.key))
	}
	if _, ok := o.keys[key]; ok {
		return fmt.Errorf("%s is of another organization as well: want it once", nameOf(organization, key))
	}
	if o.keys == nil {
		o.keys = map[apikey.ID]struct{}{}
	}
	o.keys[key] = struct{}{}
	o.key = key
	return nil
}

// has reports whether an organization, or a key of any, was added.
func (o *order) has(organization string, key apikey.ID) (ok bool) {
	if key == "" {
		_, ok = o.organizations[organization]
	} else {
		_, ok = o.keys[key]
	}
	return ok
}
