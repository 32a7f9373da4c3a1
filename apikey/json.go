package apikey

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/internal/plain"
	"github.com/sallyport-go/sallyport/internal/strictjson"
)

// The stored forms. They are separate from Key, so that renaming a Go field never renames one in a database.
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
		TrialList    accesslist.List `json:"trialList,omitzero"`
		Metadata     json.RawMessage `json:"metadata,omitempty"`
		Revision     uint64          `json:"revision"`
	}
	storedMetadata struct {
		Labels     map[string]string `json:"labels,omitempty"`
		ExternalID string            `json:"externalId,omitzero"`
	}
	storedGrant struct {
		Role        string `json:"role"`
		Project     string `json:"project,omitzero"`
		AllProjects bool   `json:"allProjects,omitzero"`
	}
	storedSecret struct {
		ServerKey string       `json:"serverKey,omitzero"`
		Sum       string       `json:"sum"`
		FormerID  string       `json:"formerId,omitzero"`
		Created   time.Time    `json:"created,omitzero"`
		Expires   time.Time    `json:"expires,omitzero"`
		Digest    storedDigest `json:"digest,omitzero"`
	}
	storedDigest struct {
		Realm  string `json:"realm"`
		MD5    string `json:"md5,omitzero"`
		SHA256 string `json:"sha256,omitzero"`
	}
)

// MarshalJSON returns the stored form of the key, for a database. It has the hashes of the secrets, and their Digest
// credentials, with which its reader can sign in: do not show it to a customer and do not accept it from one. Give a
// program's answers a form of their own.
//
// It is an object with the names id, organization, description, disabled, accessList, grants (each role, project,
// allProjects), secrets (each serverKey, sum in hexadecimal, formerId, created, expires, digest with realm, md5 and sha256),
// notBefore, expires, created, trialList, metadata (labels, externalId, and the names of a later version that were read) and
// revision. Times are RFC 3339 in UTC with all their nanoseconds; a zero time, project, serverKey or formerId, an absent
// digest or hash of one, and an empty trialList, metadata, labels or externalId are left out. Text in another encoding than
// UTF-8 and years beyond four digits are errors, because they would not be read back the same. An otherwise invalid key is
// written as it is.
func (k Key) MarshalJSON() ([]byte, error) {
	stored := storedKey{
		ID: k.ID, Organization: k.Organization, Description: k.Description, Disabled: k.Disabled, AccessList: k.AccessList,
		Grants: make([]storedGrant, len(k.Grants)), Secrets: make([]storedSecret, len(k.Secrets)),
		NotBefore: k.NotBefore.UTC(), Expires: k.Expires.UTC(), Created: k.Created.UTC(),
		TrialList: k.TrialList, Revision: k.Revision,
	}
	texts := []string{string(k.ID), k.Organization, k.Description, k.ExternalID()}
	for name, value := range k.Labels() {
		texts = append(texts, name, value)
	}
	for n, g := range k.Grants {
		stored.Grants[n] = storedGrant(g)
		texts = append(texts, g.Role, g.Project)
	}
	for n, s := range k.Secrets {
		stored.Secrets[n] = storedSecret{ServerKey: s.ServerKey, Sum: hex.EncodeToString(s.Sum[:]), FormerID: s.FormerID,
			Created: s.Created.UTC(), Expires: s.Expires.UTC(), Digest: digestForm(s.Digest)}
		texts = append(texts, s.ServerKey, s.FormerID)
	}
	for _, text := range texts {
		if !utf8.ValidString(text) { // encoding/json would replace characters
			return nil, fmt.Errorf("apikey: a key with the text %s cannot be stored: want UTF-8", plain.Quote(text))
		}
	}
	if metadata := k.Metadata.clone(); metadata != nil {
		written, _ := json.Marshal(storedMetadata{metadata.Labels, metadata.ExternalID}) // texts never fail
		stored.Metadata = metadata.rest.Append(written)
	}
	data, err := json.Marshal(stored)
	if err != nil {
		return nil, fmt.Errorf("apikey: a key cannot be stored: %w", err)
	}
	return data, nil
}

func digestForm(c DigestCredentials) storedDigest {
	hashes := c.hashes()
	return storedDigest{Realm: hashes.realm, MD5: hashes.md5, SHA256: hashes.sha256}
}

// UnmarshalJSON reads the output of [Key.MarshalJSON], exactly or not at all (rule A3). Errors, each with the name, are:
//   - an unknown name, also a known one in another case, a name twice, and null for a known one;
//   - a missing id, organization, disabled, accessList or secrets;
//   - text in another encoding than UTF-8, and anything after the object;
//   - a record refused by [Key.Validate].
//
// One place may have unknown names: metadata, since no decision depends on it. A later version may have written them. They
// stay with the key, [Key.MarshalJSON] writes them again, and nothing shows them. Their JSON counts for [MaxText].
//
// On an error k is unchanged. The lists may have IPv6 entries (see [accesslist.Entry.UnmarshalJSON]).
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

// readAny reads the stored form in any JSON.
func readAny(data []byte) (Key, error) {
	var read Key
	v, err := strictjson.Parse(data)
	if err == nil {
		err = v.Object(
			strictjson.Field{Name: "id", Required: true, Read: strictjson.Text(&read.ID)},
			strictjson.Field{Name: "organization", Required: true, Read: strictjson.Text(&read.Organization)},
			strictjson.Field{Name: "description", Read: strictjson.Text(&read.Description)},
			strictjson.Field{Name: "disabled", Required: true, Read: strictjson.Bool(&read.Disabled)},
			strictjson.Field{Name: "accessList", Required: true, Read: func(v strictjson.Value) error { return read.AccessList.UnmarshalJSON(v) }},
			strictjson.Field{Name: "grants", Read: strictjson.Slice(&read.Grants, readGrant)},
			strictjson.Field{Name: "secrets", Required: true, Read: strictjson.Slice(&read.Secrets, readSecret)},
			strictjson.Field{Name: "notBefore", Read: strictjson.Time(&read.NotBefore)},
			strictjson.Field{Name: "expires", Read: strictjson.Time(&read.Expires)},
			strictjson.Field{Name: "created", Read: strictjson.Time(&read.Created)},
			strictjson.Field{Name: "trialList", Read: func(v strictjson.Value) error { return read.TrialList.UnmarshalJSON(v) }},
			strictjson.Field{Name: "metadata", Read: func(v strictjson.Value) error { return readMetadata(&read.Metadata, v) }},
			strictjson.Field{Name: "revision", Read: strictjson.Uint(&read.Revision)},
		)
	}
	if err == nil {
		err = read.Validate()
	}
	if err != nil {
		return Key{}, fmt.Errorf("apikey: stored key: %w", err)
	}
	return read, nil
}

func readGrant(v strictjson.Value) (grant Grant, err error) {
	err = v.Object(
		strictjson.Field{Name: "role", Required: true, Read: strictjson.Text(&grant.Role)},
		strictjson.Field{Name: "project", Read: strictjson.Text(&grant.Project)},
		strictjson.Field{Name: "allProjects", Read: strictjson.Bool(&grant.AllProjects)},
	)
	return grant, err
}

func readMetadata(to **Metadata, v strictjson.Value) error {
	var read Metadata
	err := v.Open(&read.rest,
		strictjson.Field{Name: "labels", Read: strictjson.Map(&read.Labels, readLabel)},
		strictjson.Field{Name: "externalId", Read: strictjson.Text(&read.ExternalID)},
	)
	*to = read.clone()
	return err
}

func readLabel(name string, v strictjson.Value) (sameName, value string, err error) {
	err = strictjson.Text(&value)(v)
	return name, value, err
}

func readSecret(v strictjson.Value) (secret StoredSecret, err error) {
	err = v.Object(
		strictjson.Field{Name: "serverKey", Read: strictjson.Text(&secret.ServerKey)},
		strictjson.Field{Name: "sum", Required: true, Read: func(v strictjson.Value) error { return readSum(&secret.Sum, v) }},
		strictjson.Field{Name: "formerId", Read: strictjson.Text(&secret.FormerID)},
		strictjson.Field{Name: "created", Read: strictjson.Time(&secret.Created)},
		strictjson.Field{Name: "expires", Read: strictjson.Time(&secret.Expires)},
		strictjson.Field{Name: "digest", Read: func(v strictjson.Value) error { return readDigest(&secret.Digest, v) }},
	)
	return secret, err
}

func readDigest(to *DigestCredentials, v strictjson.Value) error {
	var realm, md5, sha256 string
	err := v.Object(
		strictjson.Field{Name: "realm", Required: true, Read: strictjson.Text(&realm)},
		strictjson.Field{Name: "md5", Read: strictjson.Text(&md5)},
		strictjson.Field{Name: "sha256", Read: strictjson.Text(&sha256)},
	)
	if err == nil {
		*to, err = NewDigestCredentials(realm, md5, sha256)
	}
	return err
}

func readSum(to *[sha256.Size]byte, v strictjson.Value) error {
	var text string
	if err := strictjson.Text(&text)(v); err != nil {
		return err
	}
	sum, err := hex.DecodeString(text)
	if err != nil || len(sum) != len(to) {
		return fmt.Errorf("a string of %d characters: want %d hexadecimal digits", len(text), 2*len(to))
	}
	copy(to[:], sum)
	return nil
}
