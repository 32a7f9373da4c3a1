package apikey

import (
	"maps"
	"slices"
	"strings"

	"github.com/sallyport-go/sallyport/internal/plain"
	"github.com/sallyport-go/sallyport/internal/strictjson"
)

// Metadata is what the embedding program wants to know of a key. No decision depends on it. Keys are found by it; see
// store.PageRequest.
//
// It is apart from the other fields of a [Key] because most keys have none: in memory such a key pays for one pointer.
//
// A key that was read may have more metadata than this version knows; see [Key.UnmarshalJSON]. Change the fields of a
// [Key.Clone] rather than giving it another Metadata, and it is kept.
type Metadata struct {
	// Labels are words by their names, such as "payments" by "team". A name has 1 to
	// [MaxLabelName] bytes of what a name may have (ValidateName), without "=". A value is empty
	// or a name of at most [MaxName] bytes.
	Labels map[string]string

	// ExternalID is the embedding program's ID of the key or its owner. It is empty or a name
	// (ValidateName). Several keys may have the same.
	ExternalID string

	rest strictjson.Rest // of a later version
}

// Label returns a label of the key by its name, and whether the key has it.
func (k Key) Label(name string) (value string, ok bool) {
	if k.Metadata != nil {
		value, ok = k.Metadata.Labels[name]
	}
	return value, ok
}

// ExternalID returns the external ID of the key, or "".
func (k Key) ExternalID() string {
	if k.Metadata == nil {
		return ""
	}
	return k.Metadata.ExternalID
}

// Labels returns the labels of the key, nil if it has none. They are the key's own: do not
// change them.
func (k Key) Labels() map[string]string {
	if k.Metadata == nil {
		return nil
	}
	return k.Metadata.Labels
}

// clone returns a copy that shares nothing, and nil for nothing.
func (m *Metadata) clone() *Metadata {
	if m == nil || len(m.Labels) == 0 && m.ExternalID == "" && m.rest == "" {
		return nil
	}
	copied := &Metadata{ExternalID: m.ExternalID, rest: m.rest}
	if len(m.Labels) > 0 {
		copied.Labels = maps.Clone(m.Labels)
	}
	return copied
}

// Size returns the size of the texts and of the JSON that a later version has added, in bytes. It counts for [MaxText]. Nil has
// none.
func (m *Metadata) Size() int {
	if m == nil {
		return 0
	}
	size := len(m.ExternalID) + len(m.rest)
	for name, value := range m.Labels {
		size += len(name) + len(value)
	}
	return size
}

// unknownMetadata returns the metadata of a later version.
func (k Key) unknownMetadata() strictjson.Rest {
	if k.Metadata == nil {
		return ""
	}
	return k.Metadata.rest
}

func (k Key) validateMetadata(report func(format string, args ...any)) {
	if len(k.Labels()) > MaxLabels {
		return // see validateSize
	}
	for _, name := range slices.Sorted(maps.Keys(k.Labels())) {
		problem := nameProblem(name, MaxLabelName)
		if problem == "" && strings.Contains(name, "=") {
			problem = plain.Quote(name) + ` contains "=": want it without`
		}
		if problem != "" {
			report("the name of a label %s", problem)
			continue
		}
		value := k.Labels()[name]
		if problem := nameProblem(value, MaxName); value != "" && problem != "" {
			report("the value of label %s %s", plain.Quote(name), problem)
		}
	}
	if id := k.ExternalID(); id != "" {
		if problem := nameProblem(id, MaxName); problem != "" {
			report("the external ID %s", problem)
		}
	}
}
