package main

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"regexp"
	"time"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/policy/policyhttp"
	"github.com/sallyport-go/sallyport/policy/policyhttp/digest"
	"github.com/sallyport-go/sallyport/store/memory"
)

// A setting is a guard and the classes of requests that it is asked with. The first two
// classes are the same.
type setting struct {
	name    string
	oneKey  bool // a batch asks for the same key all the time
	handler http.Handler
	classes []class
}

// A class is requests of one kind for different keys.
type class struct {
	name   string
	form   string   // the caller's knowledge without asking
	reads  string   // records of its keys that the guard reads
	values []string // of Authorization
}

const (
	organization = "acme"
	target       = "/things"
)

// Values of form.
const (
	wellFormed  = "well-formed"
	badChecksum = "checksum that does not fit"
	noSecret    = "not like a secret"
	otherUser   = "user and password of two keys"
)

// Values of reads.
const (
	noRecord      = "no record"
	aRecord       = "a record"
	aLargeRecord  = "a large record"
	andADigest    = "a record with Digest credentials"
	andTwoDigests = "a record with Digest credentials for two secrets"
)

func newSettings(keys int) (settings []*setting, err error) {
	s := &stored{store: memory.New()}
	if err := s.fill(max(keys, 3)); err != nil {
		return nil, err
	}
	quiet := policy.New(s.store)
	logged := policy.New(s.store, policy.WithObserver(policyhttp.Log(slog.New(slog.NewJSONHandler(io.Discard, nil)), policyhttp.LogOptions{})))
	httpDigest, err := digest.New(digest.Config{Algorithms: []apikey.DigestAlgorithm{apikey.DigestSHA256}})
	if err != nil {
		return nil, err
	}
	for _, kind := range []struct {
		name    string
		engine  *policy.Engine
		schemes []policyhttp.Scheme
		classes []class
	}{
		{"Bearer", quiet, nil, s.bearer()},
		{"Basic", quiet, nil, s.basic()},
		{"Digest", quiet, []policyhttp.Scheme{httpDigest}, s.digest()},
		{"Bearer with Log", logged, nil, s.bearer()},
	} {
		guard, err := policyhttp.New(policyhttp.Config{Engine: kind.engine, Schemes: kind.schemes})
		if err != nil {
			return nil, err
		}
		resource := func(*http.Request) (policy.Resource, error) { return policy.Resource{Organization: organization}, nil }
		handler := guard.Protect(policy.Endpoint{Name: "things.read"}, resource, http.NotFoundHandler())
		settings = append(settings,
			&setting{kind.name + ", one key", true, handler, kind.classes},
			&setting{kind.name + ", many keys", false, handler, kind.classes})
	}
	return settings, nil
}

// stored is the keys in the store, a third each plain, bare and large, and IDs of unknown ones.
type stored struct {
	store *memory.Store

	plain   []apikey.ID // one secret, one grant, one entry
	bare    []apikey.ID // the same without Digest credentials
	large   []apikey.ID // two secrets, both with Digest credentials, ten grants and a hundred entries
	unknown []apikey.ID // absent; as many as plain
}

func (s *stored) fill(keys int) error {
	ctx := context.Background()
	if _, err := s.store.PutOrganization(ctx, policy.Organization{ID: organization}); err != nil {
		return err
	}
	short, err := accesslist.Parse("203.0.113.7")
	if err != nil {
		return err
	}
	long, err := longList()
	if err != nil {
		return err
	}
	issuer, err := apikey.NewIssuer(apikey.IssuerConfig{DigestAlgorithms: []apikey.DigestAlgorithm{apikey.DigestSHA256}, DigestRealm: policyhttp.DefaultRealm})
	if err != nil {
		return err
	}
	for i := range keys {
		key, _, err := issuer.New(organization, apikey.Grant{Role: "reader"})
		if err != nil {
			return err
		}
		key.AccessList = short
		switch i % 3 {
		case 0:
			s.plain = append(s.plain, key.ID)
			s.unknown = append(s.unknown, apikey.NewID())
		case 1:
			s.bare = append(s.bare, key.ID)
			key.Secrets[0].Digest = apikey.DigestCredentials{}
		case 2:
			s.large = append(s.large, key.ID)
			if key, _, err = issuer.Rotate(key, time.Hour); err != nil {
				return err
			}
			key.AccessList = long
			for i := range 9 {
				key.Grants = append(key.Grants, apikey.Grant{Role: "writer", Project: fmt.Sprint("project", i)})
			}
		}
		if _, err := s.store.PutKey(ctx, key); err != nil {
			return err
		}
	}
	return nil
}

// longList has a hundred entries, one with an expiry, so that the time is asked for.
func longList() (list accesslist.List, err error) {
	for i := range 100 {
		entry, err := accesslist.ParseEntry(fmt.Sprintf("198.51.100.%d", i))
		if err != nil {
			return list, err
		}
		if i == 0 {
			entry.Expires = time.Now().Add(time.Hour)
		}
		if list, err = list.With(entry); err != nil {
			return list, err
		}
	}
	return list, nil
}

func (s *stored) bearer() []class {
	all := func(ids []apikey.ID, text func(apikey.ID) string) (values []string) {
		for _, id := range ids {
			values = append(values, "Bearer "+text(id))
		}
		return values
	}
	return []class{
		{"wrong secret", wellFormed, aRecord, all(s.plain, otherSecret)},
		{"wrong secret again", wellFormed, aRecord, all(s.plain, otherSecret)},
		{"unknown key", wellFormed, noRecord, all(s.unknown, otherSecret)},
		{"wrong secret of a large key", wellFormed, aLargeRecord, all(s.large, otherSecret)},
		{"bad checksum, stored key", badChecksum, noRecord, all(s.plain, mistyped)},
		{"bad checksum, unknown key", badChecksum, noRecord, all(s.unknown, mistyped)},
		{"no key ID", noSecret, noRecord, all(s.unknown, withoutID)},
	}
}

func (s *stored) basic() []class {
	all := func(users []apikey.ID, password func(apikey.ID) string) (values []string) {
		for _, user := range users {
			values = append(values, "Basic "+base64.StdEncoding.EncodeToString([]byte(string(user)+":"+password(user))))
		}
		return values
	}
	ofAnother := func(apikey.ID) string { return otherSecret(apikey.NewID()) }
	return []class{
		{"wrong secret", wellFormed, aRecord, all(s.plain, otherSecret)},
		{"wrong secret again", wellFormed, aRecord, all(s.plain, otherSecret)},
		{"unknown key", wellFormed, noRecord, all(s.unknown, otherSecret)},
		{"wrong secret of a large key", wellFormed, aLargeRecord, all(s.large, otherSecret)},
		{"bad checksum, stored key", badChecksum, aRecord, all(s.plain, mistyped)},
		{"bad checksum, unknown key", badChecksum, noRecord, all(s.unknown, mistyped)},
		{"no key ID, stored key", noSecret, aRecord, all(s.plain, withoutID)},
		{"no key ID, unknown key", noSecret, noRecord, all(s.unknown, withoutID)},
		{"another key's secret, stored key", otherUser, aRecord, all(s.plain, ofAnother)},
		{"another key's secret, unknown key", otherUser, noRecord, all(s.unknown, ofAnother)},
	}
}

func (s *stored) digest() []class {
	all := func(users []apikey.ID) (values []string) {
		for _, user := range users {
			values = append(values, digestOf(user))
		}
		return values
	}
	return []class{
		{"wrong response", wellFormed, andADigest, all(s.plain)},
		{"wrong response again", wellFormed, andADigest, all(s.plain)},
		{"unknown key", wellFormed, noRecord, all(s.unknown)},
		{"no digest credential", wellFormed, aRecord, all(s.bare)},
		{"wrong response of a large key", wellFormed, andTwoDigests, all(s.large)},
	}
}

// otherSecret returns the text of a new secret for a key. It is stored nowhere.
func otherSecret(id apikey.ID) string {
	_, secret, err := apikey.Issue(apikey.Key{ID: id, Organization: organization})
	if err != nil {
		panic(err) // the ID is that of a key
	}
	return secret.Reveal()
}

// mistyped returns one with another character at its end.
func mistyped(id apikey.ID) string {
	text := []byte(otherSecret(id))
	if last := &text[len(text)-1]; *last == '0' {
		*last = '1'
	} else {
		*last = '0'
	}
	return string(text)
}

// withoutID returns a text of the same length in no form of a secret.
func withoutID(id apikey.ID) string {
	text := []byte(otherSecret(id))
	text[0] = 'x'
	return string(text)
}

// digestOf returns a response to a nonce the guard has not made. A wrong response is refused
// before its nonce is looked at.
func digestOf(user apikey.ID) string {
	random := func(n int) string {
		b := make([]byte, n)
		rand.Read(b) // never returns an error
		return hex.EncodeToString(b)
	}
	return fmt.Sprintf(`Digest username=%q, realm="api", nonce=%q, uri=%q, response=%q, qop=auth, nc=00000001, cnonce=%q, algorithm=SHA-256`,
		string(user), random(20), target, random(32), random(4))
}

var newNonce = regexp.MustCompile(`nonce="[^"]*"`)

// check returns an error if the answers to two classes differ in more than the nonces of
// challenges: comparing their times would be pointless.
func (s *setting) check() error {
	a, first := newAsking(), ""
	for _, c := range s.classes {
		for _, value := range c.values[:min(10, len(c.values))] {
			a.prepare(value)
			s.handler.ServeHTTP(a.writer, a.request)
			if a.writer.status != http.StatusUnauthorized {
				return fmt.Errorf("%s: %s is answered with %d; want %d", s.name, c.name, a.writer.status, http.StatusUnauthorized)
			}
			answer := newNonce.ReplaceAllString(fmt.Sprint(a.writer.header), "") + string(a.writer.body)
			if first == "" {
				first = answer
			}
			if answer != first {
				return errors.New(s.name + ": " + c.name + " is answered unlike " + s.classes[0].name + ": " + answer)
			}
		}
	}
	return nil
}
