package apikey

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/sallyport-go/sallyport/accesslist"
)

// The stored forms. They are apart from Key so that renaming a field of Go never renames one in a database.
type (
	storedKey struct {
		ID           ID              `json:"id"`
		Organization string          `json:"organization"`
		Description  string          `json:"description"`
		Disabled     bool            `json:"disabled"`
		AccessList   accesslist.List `json:"accessList"`
		Grants       []storedGrant   `json:"grants"`
		Secrets      []storedSecret  `json:"secrets"`
		NotBefore    time.Time       `json:"notBefore,omitzero"`
		Expires      time.Time       `json:"expires,omitzero"`
		Created      time.Time       `json:"created,omitzero"`
		Revision     uint64          `json:"revision"`
	}
	storedGrant struct {
		Role        string `json:"role"`
		Project     string `json:"project,omitzero"`
		AllProjects bool   `json:"allProjects,omitzero"`
	}
	storedSecret struct {
		ServerKey string    `json:"serverKey,omitzero"`
		Sum       string    `json:"sum"`
		Created   time.Time `json:"created,omitzero"`
		Expires   time.Time `json:"expires,omitzero"`
	}
)

// MarshalJSON returns the stored form of the key, for a database. It has the hashes of the secrets: do not show it to a
// customer and do not accept it from one. A program's answers need a form of their own.
//
// It is an object with the names id, organization, description, disabled, accessList, grants (each role, project,
// allProjects), secrets (each serverKey, sum in hexadecimal, created, expires), notBefore, expires, created and revision.
// Times are RFC 3339 in UTC with all their nanoseconds; a zero time, project or serverKey is left out. What cannot be
// written so that it reads back the same is an error: text that is not UTF-8, and years beyond four digits. An otherwise
// invalid key is written as it is.
func (k Key) MarshalJSON() ([]byte, error) {
	stored := storedKey{
		ID: k.ID, Organization: k.Organization, Description: k.Description, Disabled: k.Disabled, AccessList: k.AccessList,
		Grants: make([]storedGrant, len(k.Grants)), Secrets: make([]storedSecret, len(k.Secrets)),
		NotBefore: k.NotBefore.UTC(), Expires: k.Expires.UTC(), Created: k.Created.UTC(), Revision: k.Revision,
	}
	texts := []string{string(k.ID), k.Organization, k.Description}
	for n, g := range k.Grants {
		stored.Grants[n] = storedGrant(g)
		texts = append(texts, g.Role, g.Project)
	}
	for n, s := range k.Secrets {
		stored.Secrets[n] = storedSecret{ServerKey: s.ServerKey, Sum: hex.EncodeToString(s.Sum[:]),
			Created: s.Created.UTC(), Expires: s.Expires.UTC()}
		texts = append(texts, s.ServerKey)
	}
	for _, text := range texts {
		if !utf8.ValidString(text) { // encoding/json would put another character in its place
			return nil, fmt.Errorf("apikey: a key with the text %.*q cannot be stored; right would be UTF-8", maxQuoted, text)
		}
	}
	data, err := json.Marshal(stored)
	if err != nil {
		return nil, fmt.Errorf("apikey: a key cannot be stored: %w", err)
	}
	return data, nil
}

// UnmarshalJSON reads the stored form that [Key.MarshalJSON] writes. What it cannot read exactly is an error and never a
// key with less in it (rule A3): names that are unknown, doubled or differ in case, null for any value, text that is not
// UTF-8, anything after the object, a missing id, organization, disabled, accessList or secrets, and a record that does not
// pass [Key.Validate]. The error says which. On an error k is unchanged.
//
// The access list may have IPv6 entries: that was decided when it was let into the database.
func (k *Key) UnmarshalJSON(data []byte) error {
	read, ok := readCanonical(data)
	if !ok {
		var err error
		if read, err = readAny(data); err != nil {
			return err
		}
	}
	*k = read
	return nil
}

// readAny reads the stored form however it is written.
func readAny(data []byte) (Key, error) {
	if !utf8.Valid(data) {
		return Key{}, errors.New("apikey: stored key: not valid UTF-8")
	}
	var raw json.RawMessage // finds every mistake of syntax, so that what is called below need not
	if err := json.Unmarshal(data, &raw); err != nil {
		return Key{}, fmt.Errorf("apikey: stored key: %w", err)
	}
	var read Key
	err := readObject("stored key", raw, []field{
		{name: "id", required: true, read: into(&read.ID)},
		{name: "organization", required: true, read: into(&read.Organization)},
		{name: "description", read: into(&read.Description)},
		{name: "disabled", required: true, read: into(&read.Disabled)},
		{name: "accessList", required: true, read: func(raw []byte) (err error) {
			read.AccessList, err = accesslist.Parser{AllowIPv6: true}.ParseJSON(raw)
			return err
		}},
		{name: "grants", read: intoSlice(&read.Grants, readGrant)},
		{name: "secrets", required: true, read: intoSlice(&read.Secrets, readSecret)},
		{name: "notBefore", read: intoTime(&read.NotBefore)},
		{name: "expires", read: intoTime(&read.Expires)},
		{name: "created", read: intoTime(&read.Created)},
		{name: "revision", read: into(&read.Revision)},
	})
	if err != nil {
		return Key{}, fmt.Errorf("apikey: %w", err)
	}
	if err := read.Validate(); err != nil {
		return Key{}, fmt.Errorf("apikey: stored key: %w", err)
	}
	return read, nil
}

func readGrant(data []byte) (grant Grant, err error) {
	err = readObject("grant", data, []field{
		{name: "role", required: true, read: into(&grant.Role)},
		{name: "project", read: into(&grant.Project)},
		{name: "allProjects", read: into(&grant.AllProjects)},
	})
	return grant, err
}

func readSecret(data []byte) (secret StoredSecret, err error) {
	err = readObject("secret", data, []field{
		{name: "serverKey", read: into(&secret.ServerKey)},
		{name: "sum", required: true, read: func(raw []byte) error { return readSum(&secret.Sum, raw) }},
		{name: "created", read: intoTime(&secret.Created)},
		{name: "expires", read: intoTime(&secret.Expires)},
	})
	return secret, err
}

func readSum(to *[sha256.Size]byte, raw []byte) error {
	var text string
	if err := into(&text)(raw); err != nil {
		return err
	}
	sum, err := hex.DecodeString(text)
	if err != nil || len(sum) != len(to) {
		return fmt.Errorf("a text of %d characters; right would be %d hexadecimal digits", len(text), 2*len(to))
	}
	copy(to[:], sum)
	return nil
}
