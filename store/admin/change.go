package admin

import (
	"fmt"
	"strings"
	"time"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/internal/plain"
	"github.com/sallyport-go/sallyport/policy"
)

// A Change is one write before it is made. It is a value: it holds no record, and the same
// Change can be previewed and then applied. It does not name the organization; the call
// does. The zero Change is invalid.
//
// A change without an effect, such as enabling an enabled key, is made without a write and
// without an event.
type Change struct {
	kind     string
	ofKey    bool      // of a key, otherwise of the organization
	key      apikey.ID // empty for a key to create under a new ID
	creates  bool
	deletes  bool
	narrows  bool     // rule M23: never in the way in an emergency
	words    bool     // only texts about a record: no answer changes
	keyless  string   // why no key may ask for it; empty: a key may
	args     []string // for the token
	revision uint64
	problem  string // why the change is wrong in itself
	edit     func(*draft) error
}

// Kind returns the kind of change, such as "add_entries". It is stable.
func (c Change) Kind() string { return c.kind }

// Key returns the key to change. It is empty for a change of the organization, and for a
// key created under a new ID.
func (c Change) Key() apikey.ID { return c.key }

// At returns the change with a condition: the stored record must have this revision, the one
// shown to the actor. Another revision is a Conflict. Zero is no condition.
func (c Change) At(revision uint64) Change {
	c.revision = revision
	return c
}

// String returns the kind and the key, such as `add_entries of key "k3vsg"`.
func (c Change) String() string {
	switch {
	case c.kind == "":
		return "no change"
	case c.key == "":
		return c.kind
	}
	return fmt.Sprintf("%s of key %q", c.kind, c.key)
}

// identity is the content of the change, for a token (rule M17).
func (c Change) identity() []string {
	return append([]string{c.kind, string(c.key), fmt.Sprint(c.revision)}, c.args...)
}

func ofOrganization(kind string, edit func(*draft) error, args ...string) Change {
	return Change{kind: kind, edit: edit, args: args}
}

func ofKey(kind string, key apikey.ID, edit func(*draft) error, args ...string) Change {
	change := Change{kind: kind, ofKey: true, key: key, edit: edit, args: args}
	if key == "" {
		change.problem = "The change names no key."
	}
	return change
}

// wrong notes why the change is wrong in itself. The first reason stays.
func (c Change) wrong(problem string) Change {
	if c.problem == "" {
		c.problem = problem
	}
	return c
}

// check returns why the change is wrong in itself, whatever is stored.
func (c Change) check() error {
	switch {
	case c.edit == nil:
		return invalid("There is no change to make.")
	case c.problem != "":
		return invalid("%s", c.problem)
	}
	return nil
}

// A draft is the records under a change. Edits replace or change them.
type draft struct {
	now    time.Time
	issuer *apikey.Issuer
	id     string // of the organization

	organization *policy.Organization // nil: absent
	key          *apikey.Key          // nil: absent, or the change is of the organization
	secret       apikey.Secret        // handed out by the edit
}

// hand takes a key with a new secret, its times as every store keeps them.
func (d *draft) hand(key apikey.Key, secret apikey.Secret) {
	for i := range key.Secrets {
		s := &key.Secrets[i]
		s.Created, s.Expires = moment(s.Created), moment(s.Expires)
	}
	d.key, d.secret = &key, secret
}

// apply makes a change that check passes to the draft. On an error the draft is not to be
// used.
func (c Change) apply(d *draft) error {
	if err := c.exists(d); err != nil {
		return err
	}
	if err := c.edit(d); err != nil {
		return err
	}
	// The edits check what people get wrong, in words for people. This is the net below.
	if c.ofKey && d.key != nil {
		if err := d.key.Validate(); err != nil {
			return wrap(Invalid, err, "The key would be invalid: %s", plainText(err))
		}
	}
	if !c.ofKey && d.organization != nil {
		if err := d.organization.Validate(); err != nil {
			return wrap(Invalid, err, "The organization would be invalid: %s", plainText(err))
		}
	}
	return nil
}

// exists checks that the record of the change exists, or does not, at the given revision.
func (c Change) exists(d *draft) error {
	var revision uint64
	switch {
	case !c.ofKey && c.creates:
		if d.organization != nil {
			return conflict("The organization %s exists already.", plain.Quote(d.id))
		}
	case d.organization == nil:
		return noOrganization(d.id)
	case !c.ofKey:
		revision = d.organization.Revision
	case c.creates:
		if d.key != nil {
			return taken(c.key)
		}
	case d.key == nil:
		return noKey(c.key)
	default:
		revision = d.key.Revision
	}
	if c.revision != 0 && c.revision != revision {
		return conflict("The record is at revision %d, not %d: it was changed since it was read. Look at it again.", revision, c.revision)
	}
	return nil
}

// taken refuses to create a key under an existing ID, in the same words for every owner.
func taken(id apikey.ID) error {
	return conflict("The key ID %q is taken. Choose another, or leave it out.", id)
}

// plainText returns an error's text without the names of packages.
func plainText(err error) string {
	return strings.NewReplacer("accesslist: ", "", "apikey: ", "", "policy: ", "", "store: ", "").Replace(err.Error())
}

// moment returns a time as every store keeps it: in UTC, to the microsecond.
func moment(t time.Time) time.Time {
	if t.IsZero() {
		return time.Time{}
	}
	return t.UTC().Truncate(time.Microsecond)
}

// stamp is a time in a change's identity.
func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339Nano)
}
