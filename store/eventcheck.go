package store

import (
	"bytes"
	"cmp"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/internal/plain"
	"github.com/sallyport-go/sallyport/internal/strictjson"
	"github.com/sallyport-go/sallyport/policy"
)

// Validate returns the first reason why the event is invalid, or nil.
func (e Event) Validate() error {
	err := cmp.Or(
		e.validateTime(),
		wordError("type", e.Type),
		e.validateSubject(),
		e.Actor.validate(),
		e.validateOrigin(),
		wordError("way in (Via)", e.Via),
		textError("correlation", e.Correlation, MaxCorrelation),
		textError("reason", e.Reason, MaxReason),
		e.validateAccepted(),
		objectError("Before", e.Before),
		objectError("After", e.After),
	)
	if err != nil {
		return fmt.Errorf("store: event: %w", err)
	}
	return nil
}

func (e Event) validateTime() error {
	if year := e.Time.UTC().Year(); e.Time.IsZero() || year < 1 || year > 9999 {
		return fmt.Errorf("the time is zero or in the year %d: want the time of the change, in the years 1 to 9999", year)
	}
	return nil
}

func (e Event) validateSubject() error {
	if e.Key != "" && e.Organization == "" {
		return fmt.Errorf("key %q without an organization: want both", e.Key)
	}
	var errs [3]error
	if e.Organization != "" {
		errs[0] = apikey.ValidateName("organization", e.Organization)
	}
	if e.Key != "" {
		errs[1] = e.Key.Validate()
	}
	if e.Project != "" {
		errs[2] = apikey.ValidateName("project", e.Project)
	}
	return cmp.Or(errs[:]...)
}

func (e Event) validateOrigin() error {
	entry := e.Entry
	switch {
	case e.Address.Zone() != "":
		return fmt.Errorf("the address %s has a zone: want it without", plain.Quote(e.Address.String()))
	case e.Origin > policy.OriginHeader:
		return fmt.Errorf("the origin is %v: want one of policy's", e.Origin)
	case entry != netip.Prefix{} && entry != entry.Masked():
		return fmt.Errorf("the entry %s has host bits or no length: want a block such as 203.0.113.0/24", plain.Quote(entry.String()))
	}
	return nil
}

func (e Event) validateAccepted() error {
	if n := len(e.Accepted); n > MaxAccepted {
		return fmt.Errorf("%d accepted findings: want at most %d", n, MaxAccepted)
	}
	for _, finding := range e.Accepted {
		if err := wordError("accepted finding", finding); err != nil {
			return err
		}
	}
	return nil
}

func (a Actor) validate() error {
	var err error
	switch {
	case a.Kind == ActorKey:
		err = apikey.ID(a.ID).Validate()
	case a.Kind == ActorPerson || a.ID != "":
		err = apikey.ValidateName("actor's ID", a.ID)
	}
	err = cmp.Or(wordError("kind", a.Kind), err)
	if sum, wrong := hex.DecodeString(a.Secret); a.Secret != "" && (a.Kind == ActorPerson || a.Kind == ActorSystem || wrong != nil || len(sum) != secretIDBytes) {
		// Not quoted: by mistake it is the secret (rule K2).
		err = cmp.Or(err, fmt.Errorf("the secret has %d bytes: want the ID of a stored secret, %d hexadecimal digits, and only of a key", len(a.Secret), 2*secretIDBytes))
	}
	if err = cmp.Or(err, textError("name", a.Name, apikey.MaxName)); err != nil {
		return fmt.Errorf("the actor: %w", err)
	}
	return nil
}

// secretIDBytes is the length of the part of a hash that a secret's ID shows.
const secretIDBytes = 4

// objectError returns why text is not a JSON object. Empty text is valid.
func objectError(what string, text json.RawMessage) error {
	if len(text) == 0 {
		return nil
	}
	if len(text) > MaxEventBytes {
		return fmt.Errorf("%s has %d bytes: want at most %d", what, len(text), MaxEventBytes)
	}
	v, err := strictjson.Parse(text)
	if err == nil {
		var fields map[string]struct{}
		err = strictjson.Map(&fields, func(name string, _ strictjson.Value) (string, struct{}, error) { return name, struct{}{}, nil })(v)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

func textError(what, text string, most int) error {
	if problem := plain.Problem(text, most); problem != "" {
		return fmt.Errorf("the %s %s %s", what, plain.Quote(text), problem)
	}
	return nil
}

func wordError[T ~string](what string, word T) error {
	if !isWord(string(word)) {
		return fmt.Errorf("the %s is %s: want 1 to %d of a-z, 0-9, ., _ and -", what, plain.Quote(word), maxWord)
	}
	return nil
}

func isWord(text string) bool {
	for i := range len(text) {
		switch c := text[i]; {
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9', c == '_', c == '-', c == '.':
		default:
			return false
		}
	}
	return 0 < len(text) && len(text) <= maxWord
}

// Validate returns the first reason why the Write is invalid whatever is stored, or nil. It
// does not check the record, which a Put checks.
func (w Write) Validate() error {
	err := cmp.Or(w.validateChange(), w.validateConditions(), w.validateEvents())
	if err != nil {
		return fmt.Errorf("store: Write: %w", err)
	}
	return nil
}

func (w Write) validateChange() error {
	set := 0
	for _, given := range []bool{w.PutOrganization != nil, w.PutKey != nil, w.Delete != nil, w.Forget != nil} {
		if given {
			set++
		}
	}
	switch {
	case set != 1:
		return fmt.Errorf("%d changes: want exactly one of PutOrganization, PutKey, Delete and Forget", set)
	case w.Delete != nil && w.Delete.Revision == 0:
		return errors.New("it deletes at revision 0: want the revision of the stored record")
	case w.Delete != nil:
		return w.Delete.validate()
	case w.Forget != nil && w.Forget.History == "":
		return fmt.Errorf("it forgets up to revision %d of no history: want the Next of a page", w.Forget.Revision)
	}
	return nil
}

func (w Write) validateConditions() error {
	if n := len(w.If); n > MaxConditions {
		return fmt.Errorf("%d conditions: want at most %d", n, MaxConditions)
	}
	for i, condition := range w.If {
		if err := condition.validate(); err != nil {
			return fmt.Errorf("condition %d: %w", i, err)
		}
	}
	return nil
}

func (c Condition) validate() error {
	err := apikey.ValidateName("organization", c.Organization)
	if c.Key != "" {
		err = cmp.Or(err, c.Key.Validate())
	}
	return err
}

// Subject returns the organization and the key of the written record, and so of each event.
// Both are empty for Forget.
func (w Write) Subject() (organization string, key apikey.ID) {
	switch {
	case w.PutOrganization != nil:
		return w.PutOrganization.ID, ""
	case w.PutKey != nil:
		return w.PutKey.Organization, w.PutKey.ID
	case w.Delete != nil:
		return w.Delete.Organization, w.Delete.Key
	}
	return "", ""
}

func (w Write) validateEvents() error {
	if n := len(w.Events); n > MaxEvents {
		return fmt.Errorf("%d events: want at most %d, or one that counts them", n, MaxEvents)
	}
	total := 0
	for i, event := range w.Events {
		size, err := w.validateEvent(event)
		if err != nil {
			return fmt.Errorf("event %d: %w", i, err)
		}
		total += size
	}
	if total > MaxWriteBytes {
		return fmt.Errorf("its events have %d bytes in JSON: want at most %d", total, MaxWriteBytes)
	}
	return nil
}

// validateEvent returns the size of a valid event.
func (w Write) validateEvent(event Event) (size int, err error) {
	if event.Revision != 0 || event.Index != 0 {
		return 0, fmt.Errorf("revision %d and index %d: want zero, the store sets them", event.Revision, event.Index)
	}
	switch kind := event.Actor.Kind; kind {
	case ActorKey, ActorPerson, ActorSystem:
	default: // only a reader knows of a later version
		return 0, fmt.Errorf("the actor: the kind is %s: want %q, %q or %q", plain.Quote(kind), ActorKey, ActorPerson, ActorSystem)
	}
	if organization, key := w.Subject(); event.Organization != organization || event.Key != key {
		return 0, fmt.Errorf("organization %s and key %q: want those of the Write, %s and %q", plain.Quote(event.Organization), event.Key, plain.Quote(organization), key)
	}
	written, err := event.MarshalJSON()
	if err != nil {
		return 0, err
	}
	if len(written) > MaxEventBytes {
		return 0, fmt.Errorf("%d bytes in JSON: want at most %d", len(written), MaxEventBytes)
	}
	if id := w.hashIn(written); id != "" {
		return 0, fmt.Errorf("it has the hash of secret %s: want the ID alone (rule M27)", id)
	}
	return len(written), nil
}

// hashIn returns the ID of the written key's secret with its hash, or one of its Digest credentials, in the JSON, or "".
func (w Write) hashIn(text []byte) string {
	if w.PutKey == nil {
		return ""
	}
	text = unescaped(bytes.ToLower(text))
	for _, secret := range w.PutKey.Secrets {
		for _, hash := range []string{hex.EncodeToString(secret.Sum[:]), secret.Digest.Hash(apikey.DigestMD5), secret.Digest.Hash(apikey.DigestSHA256)} {
			if hash != "" && bytes.Contains(text, []byte(hash)) {
				return secret.ID()
			}
		}
	}
	return ""
}

// unescaped returns JSON in lower case with the characters of escapes such as \u0061. It is for
// searching, and no JSON.
func unescaped(text []byte) []byte {
	escape := []byte(`\u00`)
	if !bytes.Contains(text, escape) {
		return text
	}
	var all []byte
	for {
		before, after, found := bytes.Cut(text, escape)
		all = append(all, before...)
		if !found {
			return bytes.ToLower(all)
		}
		var character [1]byte
		if _, err := hex.Decode(character[:], after[:min(2, len(after))]); err != nil { // a backslash, and u00
			all, text = append(all, escape...), after
			continue
		}
		all, text = append(all, character[0]), after[2:]
	}
}
