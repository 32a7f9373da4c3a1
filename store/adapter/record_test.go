package adapter_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/adapter"
)

func TestKeyRecord(t *testing.T) {
	key := newKey(t, "key", "acme", "192.0.2.1")
	key.Revision, key.Expires = 7, time.Date(2031, 1, 2, 3, 4, 5, 6, time.UTC)
	document, err := adapter.EncodeKey(key)
	require.NoError(t, err)
	read, err := adapter.DecodeKey(document, "key", "acme", 7)
	require.NoError(t, err)
	assert.True(t, read.Equal(key))

	for want, decode := range map[string]func() error{
		`want key "other" of`:    func() error { _, err := adapter.DecodeKey(document, "other", "acme", 7); return err },
		`of organization "Acme"`: func() error { _, err := adapter.DecodeKey(document, "key", "Acme", 7); return err },
		`"acme", revision 0`:     func() error { _, err := adapter.DecodeKey(document, "key", "acme", 0); return err },
		`unexpected end`:         func() error { _, err := adapter.DecodeKey(document[:40], "key", "acme", 7); return err },
		`accessList`: func() error {
			_, err := adapter.DecodeKey(without(document, `accessList`), "key", "acme", 7)
			return err
		},
		`after top-level value`:      func() error { _, err := adapter.DecodeKey(append(document, '1'), "key", "acme", 7); return err },
		`revision 7: want key "key"`: func() error { _, err := adapter.DecodeKey(document, "key", "acme", 8); return err },
	} {
		assert.ErrorContains(t, decode(), want)
	}
	key.Expires = time.Date(12345, 1, 1, 0, 0, 0, 0, time.UTC) // which JSON cannot have
	_, err = adapter.EncodeKey(key)
	assert.ErrorContains(t, err, `key "key"`)
}

func TestOrganizationRecord(t *testing.T) {
	document, err := adapter.EncodeOrganization(policy.Organization{ID: "acme", Requirement: policy.Required, Disabled: true, Revision: 7})
	require.NoError(t, err)
	read, err := adapter.DecodeOrganization(document, "acme", 7)
	require.NoError(t, err)
	assert.Equal(t, policy.Organization{ID: "acme", Requirement: policy.Required, Disabled: true, Revision: 7}, read)

	_, err = adapter.DecodeOrganization(document, "Acme", 7)
	assert.ErrorContains(t, err, `want organization "Acme", revision 7`)
	_, err = adapter.DecodeOrganization(document, "acme", 8)
	assert.ErrorContains(t, err, `revision 7: want organization "acme", revision 8`)
	_, err = adapter.DecodeOrganization(without(document, "requirement"), "acme", 7)
	assert.ErrorContains(t, err, "requirement")
	_, err = adapter.EncodeOrganization(policy.Organization{ID: "acme", Requirement: 9})
	assert.ErrorContains(t, err, `organization "acme"`)
}

// without returns a document in which a field has another name.
func without(document []byte, field string) []byte {
	return []byte(strings.Replace(string(document), `"`+field+`"`, `"`+field+`s"`, 1))
}

func TestNames(t *testing.T) {
	assert.Equal(t, `key "abc"`, adapter.KeyName("abc").String())
	const secret = "sp_bbzwyxit3eylkdeqgytw_S1Dg4mM4KZlV7KHGtSGLf39kg0V4ObTZ3zaMkX"
	assert.Equal(t, `key "[invalid key ID]"`, adapter.KeyName(secret).String(), "most often the secret (rule K2)")
	assert.Equal(t, `organization "acme"`, adapter.OrganizationName("acme").String())
	assert.Equal(t, `key ""`, adapter.Name{}.String())
	assert.Less(t, len(adapter.OrganizationName(strings.Repeat("long", 1000)).String()), 400)
	written := store.Change{Revision: 1, Organization: "acme", Key: "key"}
	moved := store.Change{Revision: 2, Organization: "other", Key: "key", Deleted: true}
	assert.Equal(t, adapter.NameOf(written), adapter.NameOf(moved), "a key is one record, whatever its organization (W6)")
	assert.Equal(t, adapter.OrganizationName("acme"), adapter.NameOf(store.Change{Organization: "acme"}))
	assert.Zero(t, adapter.NameOf(store.Change{Revision: 3}))
}

func TestErrors(t *testing.T) {
	key := newKey(t, "key", "acme")
	wantError(t, adapter.NotFound(adapter.KeyName("key")), store.ErrNotFound)
	wantError(t, adapter.Exists(adapter.KeyName("key")), store.ErrExists)
	wantError(t, adapter.NoOrganization(key), store.ErrNotFound)
	wantError(t, adapter.NotEmpty("acme"), store.ErrNotEmpty)
	assert.EqualError(t, adapter.NoOrganization(key), `store: key "key": its organization "acme": not found`)
	assert.ErrorContains(t, adapter.NotEmpty("acme"), `store: organization "acme"`)
	err := adapter.Unreadable(adapter.OrganizationName("acme"), store.ErrClosed)
	assert.ErrorIs(t, err, store.ErrClosed)
	assert.ErrorContains(t, err, `store: organization "acme" cannot be read: `)
}
