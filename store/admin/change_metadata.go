package admin

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/internal/plain"
)

// SetLabels replaces all labels of a key, such as "payments" by "team". Keys are found by
// them: see [store.Filter]. See [apikey.Metadata] for their bounds.
func SetLabels(key apikey.ID, labels map[string]string) Change {
	labels = maps.Clone(labels)
	change := ofKey("set_labels", key, func(d *draft) error {
		setMetadata(d.key, func(m *apikey.Metadata) { m.Labels = labels })
		return nil
	}, labelArgs(labels)...)
	change.words = true
	return change.labels(labels)
}

// SetExternalID sets the embedding program's own ID of a key or its owner. It is empty, or a
// name as [apikey.ValidateName] has it. Several keys may have the same.
func SetExternalID(key apikey.ID, id string) Change {
	change := ofKey("set_external_id", key, func(d *draft) error {
		setMetadata(d.key, func(m *apikey.Metadata) { m.ExternalID = id })
		return nil
	}, id)
	change.words = true
	return change.externalID(id)
}

// setMetadata changes metadata of a key. Other metadata, also that of a later version, stays,
// and nothing is shared.
func setMetadata(key *apikey.Key, set func(*apikey.Metadata)) {
	changed := apikey.Metadata{}
	if key.Metadata != nil {
		changed = *key.Metadata
	}
	set(&changed)
	key.Metadata = apikey.Key{Metadata: &changed}.Clone().Metadata
}

// labels checks labels that somebody gave.
func (c Change) labels(labels map[string]string) Change {
	if len(labels) > apikey.MaxLabels {
		return c.wrong(fmt.Sprintf("%d labels are too many: %d are possible.", len(labels), apikey.MaxLabels))
	}
	for _, name := range slices.Sorted(maps.Keys(labels)) {
		if name == "" || len(name) > apikey.MaxLabelName || strings.Contains(name, "=") {
			return c.wrong(fmt.Sprintf("The label name %s is not possible: it has 1 to %d bytes, none of them a =.", plain.Quote(name), apikey.MaxLabelName))
		}
		c = c.named("label name", name)
		if value := labels[name]; value != "" {
			c = c.named("value of the label "+plain.Quote(name), value)
		}
	}
	return c
}

func (c Change) externalID(id string) Change {
	if id == "" {
		return c
	}
	return c.named("external ID", id)
}

// named checks a name.
func (c Change) named(what, name string) Change {
	if err := apikey.ValidateName(what, name); err != nil {
		return c.wrong(capital(plainText(err)) + ".")
	}
	return c
}

func labelArgs(labels map[string]string) []string {
	args := []string{fmt.Sprint(len(labels))}
	for _, name := range slices.Sorted(maps.Keys(labels)) {
		args = append(args, name, labels[name])
	}
	return args
}
