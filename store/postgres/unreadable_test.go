package postgres_test

import (
	"fmt"
	"regexp"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/adapter"
	"github.com/sallyport-go/sallyport/store/internal/postgrestest"
)

// doc stands for the document of a row, in a form that can be changed.
var doc = regexp.MustCompile(`\bdoc\b`)

// TestUnreadableKey spoils the document of a key and each column beside it, in each way,
// with nothing in the database to prevent it.
func TestUnreadableKey(t *testing.T) {
	ctx, pool := t.Context(), newPool(t, postgrestest.Shared(t).Database(t))
	s := newStore(t, pool)
	dropConstraints(t, pool)
	exec(t, pool, `CREATE SCHEMA safe`)
	acme, err := s.PutOrganization(ctx, policy.Organization{ID: "acme"})
	require.NoError(t, err)
	_, err = s.PutOrganization(ctx, policy.Organization{ID: "other"})
	require.NoError(t, err)
	mark, err := revisionOf(ctx, s)
	require.NoError(t, err)
	_, err = s.PutKey(ctx, fullKey(t, "key", "acme"))
	require.NoError(t, err)
	sound, err := s.PutKey(ctx, fullKey(t, "sound", "acme"))
	require.NoError(t, err)
	exec(t, pool, `CREATE TABLE safe.keys AS TABLE sallyport.keys`)

	for _, c := range []struct{ spoil, want string }{
		// The columns beside the document.
		{`organization = 'other'`, `want key "key" of organization "other"`},
		{`organization = 'gone'`, `want key "key" of organization "gone"`},
		{`organization = ''`, `want key "key" of organization ""`},
		{`organization = NULL`, `want key "key" of organization ""`},
		{`revision = NULL`, `its revision is not one`},
		{`revision = -5`, `its revision is not one`},
		{`revision = 0`, `its revision is not one`},
		{`revision = revision - 1`, `want key "key" of organization "acme", revision `},
		{`revision = 0, document = doc || '{"revision":0}'`, `its revision is not one`},
		{`entries = NULL`, `its column entries is NULL`},
		{`entries = '{}'`, `its document has 2 entries, and its column entries 0`},
		{`entries = entries[1:1]`, `its document has 2 entries, and its column entries 1`},
		{`entries = entries || '203.0.113.0/24'::cidr`, `its document has 2 entries, and its column entries 3`},
		{`entries = entries || NULL::cidr`, `its document has 2 entries, and its column entries 3`},
		{`entries[2] = NULL`, `entry 2 is 198.51.100.0/24 in its document, and invalid Prefix in its column`},
		{`entries[1] = '192.0.2.2'`, `entry 1 is 192.0.2.1/32 in its document, and 192.0.2.2/32 in its column`},
		{`entries[1] = '192.0.2.0/31'`, `and 192.0.2.0/31 in its column`},
		{`entries[1] = '::ffff:192.0.2.1'`, `and ::ffff:192.0.2.1/128 in its column`},
		{`entries = ARRAY[entries[2], entries[1]]`, `and 198.51.100.0/24 in its column`},

		// The document.
		{`document = NULL`, `its document is NULL`},
		{`document = 'null'`, `want an object with`},
		{`document = '[]'`, `want an object with`},
		{`document = '7'`, `want an object with`},
		{`document = '"key"'`, `want an object with`},
		{`document = '{}'`, `"id" is missing`},
		{`document = doc || '{"admin":1}'`, `unknown name "admin"`},
		{`document = (SELECT document FROM keys WHERE id = 'sound')`, `its document is of key "sound"`},
		{`document = doc || '{"id":"Key"}'`, `its document is of key "Key"`},
		{`document = doc || '{"organization":"other"}'`, `of organization "other"`},
		{`document = doc || '{"revision":1}'`, `revision 1: want key`},
		{`document = doc - 'revision'`, `revision 0: want key`},
		{`document = doc || '{"description":null}'`, `"description" is null`},
		{`document = doc || '{"description":"line\nbreak"}'`, `control character`},
		{`document = doc - 'disabled'`, `"disabled" is missing`},
		{`document = doc || '{"disabled":null}'`, `"disabled" is null`},
		{`document = doc || '{"disabled":"true"}'`, `"disabled"`},
		{`document = doc || '{"notBefore":"infinity"}'`, `"notBefore"`},
		{`document = doc || '{"expires":"infinity"}'`, `"expires"`},
		{`document = doc || '{"expires":null}'`, `"expires" is null`},
		{`document = doc || '{"expires":"0001-01-01T00:00:00Z"}'`, `"expires": "0001-01-01T00:00:00Z": want a time`},
		{`document = doc || '{"expires":"20000-01-01T00:00:00Z"}'`, `"expires"`},
		{`document = doc || jsonb_build_object('expires', doc->'notBefore')`, `never valid`},
		{`document = doc || '{"created":"infinity"}'`, `"created"`},

		{`document = doc - 'accessList'`, `"accessList" is missing`},
		{`document = doc || '{"accessList":null}'`, `"accessList" is null`},
		{`document = doc || '{"accessList":[]}'`, `its document has 0 entries, and its column entries 2`},
		{`document = doc #- '{accessList,1}'`, `its document has 1 entries, and its column entries 2`},
		{`document = replace(document::text, '"accessList":', '"accessList":[],"accessList":')::json`, `"accessList"`},
		{`document = jsonb_set(doc, '{accessList,1}', '{"address":"203.0.113.0/24"}')`, `entry 2 is 203.0.113.0/24 in its document`},
		{`document = jsonb_set(doc, '{accessList,1}', '{"address":"0.0.0.0/0"}')`, `0.0.0.0/0 in its document`},
		{`document = jsonb_set(doc, '{accessList,1}', doc #> '{accessList,0}')`, `duplicate entry`},
		{`document = jsonb_set(doc, '{accessList,0,address}', 'null')`, `"address" is null`},
		{`document = jsonb_set(doc, '{accessList,0,address}', '"0.0.0.0"')`, `0.0.0.0`},
		{`document = jsonb_set(doc, '{accessList,0,address}', '"192.0.2.1/24"')`, `192.0.2.1/24`},
		{`document = jsonb_set(doc, '{accessList,0,address}', '"::ffff:192.0.2.0/120"')`, `IPv4-mapped`},
		{`document = jsonb_set(doc, '{accessList,0,comment}', 'null')`, `"comment" is null`},
		{`document = jsonb_set(doc, '{accessList,0,comment}', '"a\tb"')`, `control character`},
		{`document = jsonb_set(doc, '{accessList,0,comment}', to_jsonb(repeat('x', 1025)))`, `1025 bytes`},
		{`document = jsonb_set(doc, '{accessList,0,expires}', 'null')`, `"expires" is null`},
		{`document = jsonb_set(doc, '{accessList,0,expires}', '"infinity"')`, `infinity`},
		{`document = jsonb_set(doc, '{accessList,0,expires}', '"0001-01-01T00:00:00Z"')`, `0001-01-01`},
		{`document = jsonb_set(doc, '{accessList,0,added}', '"20000-01-01T00:00:00Z"')`, `20000`},
		{`document = jsonb_set(doc, '{accessList,0,Expires}', '"2031-05-06T07:08:09Z"')`, `unknown name "Expires"`},

		{`document = doc || '{"grants":null}'`, `"grants" is null`},
		{`document = jsonb_set(doc, '{grants,0}', 'null')`, `want an object with`},
		{`document = doc #- '{grants,0,role}'`, `"role" is missing`},
		{`document = jsonb_set(doc, '{grants,0,role}', 'null')`, `"role" is null`},
		{`document = jsonb_set(doc, '{grants,0,role}', '" padded"')`, `white space`},
		{`document = jsonb_set(doc, '{grants,1,project}', 'null')`, `"project" is null`},
		{`document = jsonb_set(doc, '{grants,1,project}', '"a\nb"')`, `control character`},
		{`document = jsonb_set(doc, '{grants,2,allProjects}', 'null')`, `"allProjects" is null`},
		{`document = jsonb_set(doc, '{grants,1,allProjects}', 'true')`, `has AllProjects and the project`},

		{`document = doc - 'secrets'`, `"secrets" is missing`},
		{`document = doc || '{"secrets":[]}'`, `0 secrets`},
		{`document = jsonb_set(doc, '{secrets,2}', doc #> '{secrets,0}')`, `secrets`},
		{`document = jsonb_set(doc, '{secrets,0,serverKey}', '"no server key"')`, `server key`},
		{`document = doc #- '{secrets,0,sum}'`, `"sum" is missing`},
		{`document = jsonb_set(doc, '{secrets,0,sum}', 'null')`, `"sum" is null`},
		{`document = jsonb_set(doc, '{secrets,0,sum}', to_jsonb(substr(doc #>> '{secrets,0,sum}', 3)))`, `62 characters`},
		{`document = jsonb_set(doc, '{secrets,0,sum}', to_jsonb(doc #>> '{secrets,0,sum}' || '00'))`, `66 characters`},
		{`document = jsonb_set(doc, '{secrets,0,sum}', to_jsonb(repeat('00', 32)))`, `has no hash`},
		{`document = jsonb_set(doc, '{secrets,1,sum}', doc #> '{secrets,0,sum}')`, `again`},
		{`document = jsonb_set(doc, '{secrets,0,expires}', '"infinity"')`, `"expires"`},
		{`document = jsonb_set(doc, '{secrets,0,created}', '"20000-01-01T00:00:00Z"')`, `"created"`},

		// The primary key: two rows of one ID.
		{``, `several rows for`},
	} {
		t.Run(c.spoil, func(t *testing.T) {
			exec(t, pool, `DELETE FROM sallyport.keys; INSERT INTO sallyport.keys SELECT * FROM safe.keys`)
			spoil := `UPDATE keys SET ` + doc.ReplaceAllString(c.spoil, `document::jsonb`) + ` WHERE id = 'key'`
			if c.spoil == `` {
				spoil = `INSERT INTO keys SELECT * FROM keys WHERE id = 'key'`
			}
			inTables(t, pool, spoil)

			_, _, err := s.Lookup(ctx, "key")
			require.Error(t, err)
			assert.NotErrorIs(t, err, store.ErrNotFound)
			decision := policy.New(s).Decide(ctx, request("key"))
			assert.Equal(t, policy.Unavailable, decision.Reason)
			require.ErrorContains(t, err, `key "key" cannot be read`)
			assert.ErrorContains(t, err, c.want)
			_, err = s.Key(ctx, "key")
			assert.ErrorContains(t, err, c.want)
			_, err = s.PutKey(ctx, fullKey(t, "key", "acme"))
			assert.ErrorContains(t, err, c.want, "a write would be judged by it")
			var owner *string
			require.NoError(t, pool.QueryRow(ctx, `SELECT DISTINCT organization FROM sallyport.keys WHERE id = 'key'`).Scan(&owner))
			if owner != nil {
				page, err := s.Keys(ctx, *owner, store.PageRequest{})
				if *owner == "acme" || *owner == "other" {
					assert.ErrorContains(t, err, "cannot be read")
				}
				assert.Empty(t, page)
			}

			// A watcher is told that it cannot be read, and everything else.
			for _, after := range []uint64{0, mark} {
				told, organizations := map[apikey.ID]store.Change{}, map[string]store.Change{}
				var ended error
				for change, err := range s.Watch(ctx, at(s, after)) {
					if ended = err; err != nil || change.IsMark() {
						break
					}
					if change.Key == "" {
						organizations[change.Organization] = change
					} else {
						told[change.Key] = change
					}
				}
				if after == 0 && (owner == nil || *owner == "" || c.spoil == ``) {
					require.ErrorContains(t, ended, c.want, "a change could not name it, or would name it twice")
					continue
				}
				require.NoError(t, ended)
				require.Contains(t, told, apikey.ID("key"))
				assert.ErrorContains(t, told["key"].Err, c.want)
				assert.Nil(t, told["key"].KeyRecord)
				require.NoError(t, told["sound"].Err)
				assert.Equal(t, &sound, told["sound"].KeyRecord)
				if after == 0 {
					assert.Equal(t, &acme, organizations["acme"].OrganizationRecord)
				}
			}
		})
	}
}

// TestUnreadableIsDeleted: what cannot be read can be removed, to create it anew.
func TestUnreadableIsDeleted(t *testing.T) {
	ctx, pool := t.Context(), newPool(t, postgrestest.Shared(t).Database(t))
	s := newStore(t, pool)
	acme, err := s.PutOrganization(ctx, policy.Organization{ID: "acme"})
	require.NoError(t, err)
	for _, spoil := range []string{`document = '{}'`, `entries = '{}'`, `revision = revision - 1`} {
		key, err := s.PutKey(ctx, fullKey(t, "key", "acme"))
		require.NoError(t, err)
		require.NoError(t, s.RecordUsage(ctx, adapter.UsageBatch(usage(key, 1))))
		exec(t, pool, `UPDATE sallyport.keys SET `+spoil)
		_, err = s.Key(ctx, "key")
		require.ErrorContains(t, err, `key "key" cannot be read`)
		require.NoError(t, s.DeleteKey(ctx, "key", 0))
	}
	_, err = s.PutKey(ctx, fullKey(t, "key", "acme"))
	require.NoError(t, err)
	known, err := s.Usage(ctx, "key")
	require.NoError(t, err)
	assert.Empty(t, known["key"].Entries, "which went with the key")
	assert.Empty(t, known["key"].Secrets)
	require.NoError(t, s.DeleteKey(ctx, "key", 0))

	// But not what cannot even be told of.
	_, err = s.PutKey(ctx, newKey(t, "nameless", "acme", "192.0.2.1"))
	require.NoError(t, err)
	dropConstraints(t, pool)
	for _, spoil := range []string{`organization = NULL`, `organization = 'acme', revision = NULL`} {
		exec(t, pool, `UPDATE sallyport.keys SET `+spoil)
		assert.ErrorContains(t, s.DeleteKey(ctx, "nameless", 0), `key "nameless" cannot be read`)
	}
	exec(t, pool, `DELETE FROM sallyport.keys; UPDATE sallyport.organizations SET revision = NULL`)
	assert.ErrorContains(t, s.DeleteOrganization(ctx, "acme", 0), `organization "acme" cannot be read`)
	exec(t, pool, fmt.Sprintf(`UPDATE sallyport.organizations SET revision = %d, document = jsonb_set(document::jsonb, '{requirement}', '"perhaps"')`, acme.Revision))
	_, err = s.Organization(ctx, "acme")
	require.ErrorContains(t, err, "cannot be read")
	require.NoError(t, s.DeleteOrganization(ctx, "acme", acme.Revision))
}

func TestUnreadableOrganization(t *testing.T) {
	ctx, pool := t.Context(), newPool(t, postgrestest.Shared(t).Database(t))
	s := newStore(t, pool)
	dropConstraints(t, pool)
	_, err := s.PutOrganization(ctx, policy.Organization{ID: "acme", Requirement: policy.Required})
	require.NoError(t, err)
	_, mark := first(t, s)
	acme, err := s.Organization(ctx, "acme")
	require.NoError(t, err)
	_, err = s.PutOrganization(ctx, acme)
	require.NoError(t, err)
	_, err = s.PutKey(ctx, newKey(t, "key", "acme"), store.AllowOpen)
	require.NoError(t, err)
	exec(t, pool, `CREATE SCHEMA safe; CREATE TABLE safe.organizations AS TABLE sallyport.organizations`)
	const absent = `its organization "acme" is not there`
	for _, c := range []struct{ spoil, want string }{
		{`UPDATE organizations SET document = doc || '{"requirement":null}'`, `"requirement"`},
		{`UPDATE organizations SET document = doc || '{"requirement":"Required"}'`, `requirement "Required"`},
		{`UPDATE organizations SET document = doc || '{"requirement":""}'`, `requirement ""`},
		{`UPDATE organizations SET document = doc - 'requirement'`, `"requirement" is missing`},
		{`UPDATE organizations SET document = doc || '{"Requirement":"not_required"}'`, `"Requirement"`},
		{`UPDATE organizations SET document = doc || '{"id":"other"}'`, `its document is of organization "other"`},
		{`UPDATE organizations SET document = doc || '{"revision":7}'`, `revision 7: want organization`},
		{`UPDATE organizations SET document = doc - 'revision'`, `revision 0: want organization`},
		{`UPDATE organizations SET document = 'null'`, `cannot be read`},
		{`UPDATE organizations SET document = '[]'`, `cannot be read`},
		{`UPDATE organizations SET document = NULL`, `its document is NULL`},
		{`UPDATE organizations SET revision = NULL`, `its revision is not one`},
		{`UPDATE organizations SET revision = 0`, `its revision is not one`},
		{`UPDATE organizations SET revision = revision - 1`, `want organization "acme", revision `},
		{`INSERT INTO organizations SELECT * FROM organizations`, `several rows`},
		{`DELETE FROM organizations`, absent},
		{`UPDATE organizations SET id = 'ACME'`, absent},
	} {
		t.Run(c.spoil, func(t *testing.T) {
			exec(t, pool, `DELETE FROM sallyport.organizations; INSERT INTO sallyport.organizations SELECT * FROM safe.organizations`)
			inTables(t, pool, doc.ReplaceAllString(c.spoil, `document::jsonb`))
			_, _, err := s.Lookup(ctx, "key")
			assert.ErrorContains(t, err, c.want)
			assert.Equal(t, policy.Unavailable, policy.New(s).Decide(ctx, request("key")).Reason)
			_, err = s.Organization(ctx, "acme")
			assert.Error(t, err)
			if c.want == absent {
				return
			}
			assert.ErrorContains(t, err, c.want)
			_, err = s.Organizations(ctx, store.PageRequest{})
			assert.ErrorContains(t, err, c.want)
			_, err = s.PutOrganization(ctx, policy.Organization{ID: "acme"})
			assert.ErrorContains(t, err, c.want)
			_, err = s.PutKey(ctx, newKey(t, "another", "acme"), store.AllowOpen)
			assert.ErrorContains(t, err, c.want)
			for _, after := range []uint64{0, mark} {
				var told, ended error
				for change, err := range s.Watch(ctx, at(s, after)) {
					if ended = err; err != nil || change.IsMark() {
						break
					}
					if change.Key == "" && change.Err != nil {
						told = change.Err
						assert.Nil(t, change.OrganizationRecord)
					}
				}
				if c.want == `several rows` && after == 0 {
					told, ended = ended, nil // it would be told twice
				}
				require.NoError(t, ended)
				assert.ErrorContains(t, told, c.want)
			}
		})
	}
}

// TestOtherColumns has a column that is of another type than it was made with.
func TestOtherColumns(t *testing.T) {
	ctx, pool := t.Context(), newPool(t, postgrestest.Shared(t).Database(t))
	s := newStore(t, pool)
	acme(t, s)
	exec(t, pool, `ALTER TABLE sallyport.keys ALTER revision TYPE numeric; UPDATE sallyport.keys SET revision = 2::numeric ^ 64`)
	pool.Reset()
	_, _, err := s.Lookup(ctx, "key")
	assert.ErrorContains(t, err, "can't scan")
	assert.Equal(t, policy.Unavailable, policy.New(s).Decide(ctx, request("key")).Reason)
	assert.ErrorContains(t, watchError(t, s), "can't scan")
	exec(t, pool, `ALTER TABLE sallyport.keys DROP COLUMN entries`)
	pool.Reset()
	_, _, err = s.Lookup(ctx, "key")
	assert.ErrorContains(t, err, "of another version: run Migrate")
}

// TestTruncatedDocument has a column that takes any text, and in it a document that ends
// anywhere.
func TestTruncatedDocument(t *testing.T) {
	ctx, pool := t.Context(), newPool(t, postgrestest.Shared(t).Database(t))
	s := newStore(t, pool)
	acme(t, s)
	key, err := s.PutKey(ctx, fullKey(t, "full", "acme"))
	require.NoError(t, err)
	exec(t, pool, `ALTER TABLE sallyport.keys ALTER document TYPE text`)
	pool.Reset()
	got, err := s.Key(ctx, "full")
	require.NoError(t, err, "a text that is whole is a document")
	assert.Equal(t, key, got)
	document, err := key.MarshalJSON()
	require.NoError(t, err)
	for n := range document {
		exec(t, pool, `UPDATE sallyport.keys SET document = $1 WHERE id = 'full'`, string(document[:n]))
		_, _, err := s.Lookup(ctx, "full")
		require.ErrorContains(t, err, `key "full" cannot be read`, "%d bytes", n)
	}
	exec(t, pool, `UPDATE sallyport.keys SET document = $1 WHERE id = 'full'`, string(document)+" {}")
	_, _, err = s.Lookup(ctx, "full")
	require.ErrorContains(t, err, `key "full" cannot be read`)
}

func TestUnreadableUsage(t *testing.T) {
	ctx, pool := t.Context(), newPool(t, postgrestest.Shared(t).Database(t))
	s := newStore(t, pool)
	dropConstraints(t, pool)
	_, err := s.PutOrganization(ctx, policy.Organization{ID: "acme"})
	require.NoError(t, err)
	key, err := s.PutKey(ctx, newKey(t, "key", "acme", "192.0.2.1"))
	require.NoError(t, err)
	for _, spoil := range []string{
		`UPDATE sallyport.usage SET document = '7'`, `UPDATE sallyport.usage SET document = '{"secrets":{"x":[-1,0,""]}}'`,
		`UPDATE sallyport.usage SET document = '{"entries":{"192.0.2.1":[1,0,""]}}'`,
	} {
		exec(t, pool, `DELETE FROM sallyport.usage; ALTER TABLE sallyport.usage DROP CONSTRAINT IF EXISTS u; ALTER TABLE sallyport.usage ADD CONSTRAINT u PRIMARY KEY (key)`)
		require.NoError(t, s.RecordUsage(ctx, adapter.UsageBatch(usage(key, 1))))
		_, err := s.Usage(ctx, "key")
		require.NoError(t, err)
		exec(t, pool, spoil)
		_, err = s.Usage(ctx, "key")
		assert.ErrorContains(t, err, "the usage of key", spoil)
		assert.ErrorContains(t, s.RecordUsage(ctx, adapter.UsageBatch(usage(key, 1))), "the usage of key", spoil)
	}
	at := moment
	report := store.Report{Recorder: "one", Since: at, From: at, Until: at, At: at}
	for _, spoil := range []string{`UPDATE sallyport.observation SET document = '{}'`, `DELETE FROM sallyport.observation`} {
		exec(t, pool, spoil)
		_, err := s.Observation(ctx)
		assert.ErrorContains(t, err, "the observation of usage cannot be read", spoil)
		assert.ErrorContains(t, s.RecordObservation(ctx, report), "the observation of usage cannot be read", spoil)
	}
}
