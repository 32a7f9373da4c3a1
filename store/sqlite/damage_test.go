package sqlite

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/adapter"
)

// Whatever is wrong with a key's row, the key is an error wherever it is asked for, and
// others are as they were (S6, W8).
func TestDamagedKey(t *testing.T) {
	for name, damage := range map[string]string{
		"no record":                  `record = ''`,
		"a null record":              `record = NULL`,
		"a blob":                     `record = CAST(record AS BLOB)`,
		"a number":                   `record = 7`,
		"not JSON":                   `record = 'key'`,
		"something after the record": `record = record || ' {}'`,
		"another key's record":       `record = (SELECT record FROM keys WHERE id = 'second')`,
		"no list":                    `record = json_remove(record, '$.accessList')`,
		"a null list":                `record = json_set(record, '$.accessList', NULL)`,
		"an entry that is none":      `record = json_set(record, '$.accessList[0].address', '192.0.2.999')`,
		"two lists":                  `record = replace(record, '"accessList":', '"accessList":[],"accessList":')`,
		"no secrets":                 `record = json_remove(record, '$.secrets')`,
		"half a hash":                `record = replace(record, '010203', '01')`,
		"no switch":                  `record = json_remove(record, '$.disabled')`,
		"an unknown name":            `record = json_set(record, '$.admin', 1)`,
		"another id in the record":   `record = json_set(record, '$.id', 'third')`,
		"another organization in it": `record = json_set(record, '$.organization', 'other')`,
		"another revision in it":     `record = json_set(record, '$.revision', 1)`,
		"no revision in it":          `record = json_remove(record, '$.revision')`,
		"another organization":       `organization = 'other'`,
		"a missing organization":     `organization = 'gone'`,
		"no organization":            `organization = ''`,
		"a null organization":        `organization = NULL`,
		"another revision":           `revision = 1`,
		"revision zero":              `revision = 0`,
		"both revisions zero":        `revision = 0, record = json_set(record, '$.revision', 0)`,
		"a negative revision":        `revision = -1`,
		"a revision of the future":   `revision = 1 << 62`,
		"a text for a revision":      `revision = 'two'`,
		"a null revision":            `revision = NULL`,
	} {
		t.Run(name, func(t *testing.T) {
			path := twoKeys(t)
			other := putOrganization(t, open(t, path), "other")
			loosen(t, path)
			sqlTo(t, path, "UPDATE keys SET "+damage+" WHERE id = 'first'")
			s := open(t, path)
			wantUnreadableKey(t, s, "first")

			// The change is told, to those who have seen it before and to others. Of
			// others nothing is said but what is.
			for _, after := range []uint64{0, 1} {
				changes, mark := told(t, s, after)
				assert.Equal(t, other.Revision, mark)
				seen := map[apikey.ID]store.Change{}
				for _, change := range changes {
					assert.NotEmpty(t, change.Organization)
					assert.True(t, change.Revision > after && change.Revision <= mark, "revision %d", change.Revision)
					assert.NotContains(t, seen, change.Key)
					if change.Key != "" {
						seen[change.Key] = change
					}
				}
				assert.Len(t, seen, 2)
				require.Error(t, seen["first"].Err)
				assert.Nil(t, seen["first"].KeyRecord)
				require.NoError(t, seen["second"].Err)
				assert.Equal(t, apikey.ID("second"), seen["second"].KeyRecord.ID)
			}
			second, err := s.Key(t.Context(), "second")
			require.NoError(t, err)
			assert.True(t, decide(s, "second", "192.0.2.2").Allowed())
			putKey(t, s, second)

			// It cannot be replaced, since nobody can tell what would be lost, but deleted.
			_, err = s.PutKey(t.Context(), newKey(t, "first", "acme"), store.AllowOpen)
			require.ErrorContains(t, err, `key "first" cannot be read: `)
			require.NoError(t, s.DeleteKey(t.Context(), "first", 0))
			_, err = s.Key(t.Context(), "first")
			require.ErrorIs(t, err, store.ErrNotFound)
			checkIntegrity(t, s)
		})
	}
}

func wantUnreadableKey(t *testing.T, s *Store, id apikey.ID) {
	t.Helper()
	_, found, err := s.Lookup(t.Context(), id)
	require.ErrorContains(t, err, fmt.Sprintf("store: key %q cannot be read: ", id))
	assert.False(t, found)
	wantUnavailable(t, s, id)
	_, err = s.Key(t.Context(), id)
	require.ErrorContains(t, err, "cannot be read: ")
}

// A record that is cut off anywhere is an error.
func TestTruncatedRecords(t *testing.T) {
	path := twoKeys(t)
	s := open(t, path)
	var key, organization string
	require.NoError(t, s.read.QueryRow("SELECT record FROM keys WHERE id = 'first'").Scan(&key))
	require.NoError(t, s.read.QueryRow("SELECT record FROM organizations").Scan(&organization))
	set := func(table, record string) {
		_, err := s.write.Exec("UPDATE "+table+" SET record = ? WHERE id IN ('first', 'acme')", record)
		require.NoError(t, err)
	}
	for n := range len(key) {
		set("keys", key[:n])
		wantUnreadableKey(t, s, "first")
	}
	set("keys", key)
	for n := range len(organization) {
		set("organizations", organization[:n])
		_, _, err := s.Lookup(t.Context(), "first")
		require.ErrorContains(t, err, `organization "acme" cannot be read: `)
		_, err = s.Organization(t.Context(), "acme")
		require.ErrorContains(t, err, `organization "acme" cannot be read: `)
	}
	set("organizations", organization)
	assert.True(t, decide(s, "first", "192.0.2.1").Allowed())
}

// An organization that cannot be read makes decisions about its keys unavailable: its
// requirement is not known.
func TestDamagedOrganization(t *testing.T) {
	for name, damage := range map[string]string{
		"no record":                      `record = ''`,
		"a null record":                  `record = NULL`,
		"no requirement":                 `record = json_remove(record, '$.requirement')`,
		"an unknown requirement":         `record = json_set(record, '$.requirement', 'none')`,
		"two requirements":               `record = json_replace(record, '$.requirement', 'required') || '' , record = replace(record, '}', ',"requirement":"not_required"}')`,
		"a requirement in other letters": `record = replace(record, '}', ',"Requirement":"not_required"}')`,
		"something after the record":     `record = record || 'x'`,
		"another id in the record":       `record = json_set(record, '$.id', 'other')`,
		"another revision in the record": `record = json_set(record, '$.revision', 2)`,
		"another revision":               `revision = 2`,
		"a revision of the future":       `revision = 1 << 62, record = json_set(record, '$.revision', 1 << 62)`,
		"a text for a revision":          `revision = 'one'`,
	} {
		t.Run(name, func(t *testing.T) {
			path := twoKeys(t)
			loosen(t, path)
			sqlTo(t, path, "UPDATE organizations SET "+damage)
			s := open(t, path)
			if name != "a revision of the future" { // which is only a record to those who know how far the store has come
				_, err := s.Organization(t.Context(), "acme")
				require.ErrorContains(t, err, `store: organization "acme" cannot be read: `)
				_, err = s.Organizations(t.Context(), store.PageRequest{})
				require.ErrorContains(t, err, "cannot be read: ")
				wantUnavailable(t, s, "first")
				wantUnavailable(t, s, "second")
				_, err = s.PutOrganization(t.Context(), policy.Organization{ID: "acme", Revision: 1})
				require.ErrorContains(t, err, "cannot be read: ")
			}
			changes, mark := told(t, s, 0)
			assert.Equal(t, uint64(3), mark)
			require.Len(t, changes, 3)
			assert.Equal(t, "acme", changes[0].Organization)
			assert.Empty(t, changes[0].Key)
			assert.Nil(t, changes[0].OrganizationRecord)
			require.Error(t, changes[0].Err)
			require.NoError(t, changes[1].Err)

			require.NoError(t, s.DeleteKey(t.Context(), "first", 0))
			require.ErrorIs(t, s.DeleteOrganization(t.Context(), "acme", 0), store.ErrNotEmpty)
			require.NoError(t, s.DeleteKey(t.Context(), "second", 0))
			require.NoError(t, s.DeleteOrganization(t.Context(), "acme", 0))
		})
	}
}

// A record says the same in any order and with any white space: a later release may write
// another one.
func TestRecordsWrittenOtherwise(t *testing.T) {
	path := twoKeys(t)
	for _, table := range []string{"keys", "organizations"} {
		sqlTo(t, path, "UPDATE "+table+` SET record = ' ' || json_set(json_remove(record, '$.id'), '$.id', id) || ' '`)
	}
	s := open(t, path)
	assert.True(t, decide(s, "first", "192.0.2.1").Allowed())
	assert.Len(t, contentsOf(t, s).keys, 2)
}

// A revision that cannot be read cannot be compared with the one that is meant.
func TestDeleteByDamagedRevision(t *testing.T) {
	path := twoKeys(t)
	sqlTo(t, path, "UPDATE keys SET revision = 0", "UPDATE organizations SET revision = -1")
	s := open(t, path)
	require.ErrorContains(t, s.DeleteKey(t.Context(), "first", 2), `key "first" cannot be read: its revision is "0": want a number from 1 to 9223372036854775807`)
	require.ErrorContains(t, s.DeleteOrganization(t.Context(), "acme", 1), `organization "acme" cannot be read: its revision is "-1"`)
}

// A revision that the store has not come to is of no write that was made.
func TestKeyOfTheFuture(t *testing.T) {
	path := twoKeys(t)
	sqlTo(t, path, "UPDATE keys SET revision = 7, record = json_set(record, '$.revision', 7) WHERE id = 'first'")
	s := open(t, path)
	for _, after := range []uint64{0, 1} {
		changes, mark := told(t, s, after)
		assert.Equal(t, uint64(3), mark)
		for _, change := range changes {
			if change.Key == "first" {
				require.ErrorContains(t, change.Err, "cannot be read: it has revision 7")
				assert.LessOrEqual(t, change.Revision, mark)
			}
		}
	}
}

func TestMissingOrganization(t *testing.T) {
	path := twoKeys(t)
	sqlTo(t, path, "DELETE FROM organizations")
	s := open(t, path)
	_, found, err := s.Lookup(t.Context(), "first")
	require.ErrorContains(t, err, `key "first" cannot be read: its organization "acme" is absent`)
	assert.False(t, found)
	wantUnavailable(t, s, "first")
}

// The row that counts revisions is needed by whoever writes and whoever watches.
func TestDamagedProgress(t *testing.T) {
	for _, damage := range []string{
		"DELETE FROM progress", "UPDATE progress SET revision = NULL", "UPDATE progress SET revision = -1", "UPDATE progress SET revision = 'three'",
	} {
		t.Run(damage, func(t *testing.T) {
			path := twoKeys(t)
			loosen(t, path)
			sqlTo(t, path, damage)
			s := open(t, path)
			_, err := revisionOf(t.Context(), s)
			wantPrefix(t, err, "store/sqlite: read the latest revision: ")
			_, err = s.PutOrganization(t.Context(), policy.Organization{ID: "other"})
			wantPrefix(t, err, "store/sqlite: put an organization: ")
			for _, after := range []uint64{0, 1} {
				wantPrefix(t, watchError(t, s, after), "store/sqlite: watch: ")
			}
			// Without its row nobody knows who may read the file.
			assert.Equal(t, damage != "DELETE FROM progress", decide(s, "first", "192.0.2.1").Allowed())
		})
	}
	path := twoKeys(t)
	sqlTo(t, path, "UPDATE progress SET forgotten = -1")
	require.ErrorContains(t, watchError(t, open(t, path), 1), `the number "-1" in the file: want one from 0 to 9223372036854775807`)

	// A copy of a store that has records and no revision would have nothing, and seem to be
	// up to date.
	path = twoKeys(t)
	sqlTo(t, path, "UPDATE progress SET revision = 0, forgotten = 0")
	require.ErrorContains(t, watchError(t, open(t, path), 0), `store/sqlite: watch: there is a record, "acme", and the store has come to revision 0: want that of its latest write`)

	path = twoKeys(t)
	sqlTo(t, path, "UPDATE progress SET revision = 9223372036854775807")
	s := open(t, path)
	_, err := s.PutOrganization(t.Context(), policy.Organization{ID: "other"})
	require.ErrorContains(t, err, "store/sqlite: put an organization: all 9223372036854775807 revisions were given")
	_, err = s.PutKey(t.Context(), newKey(t, "third", "acme"), store.AllowOpen)
	require.ErrorContains(t, err, "revisions were given")
	require.ErrorContains(t, s.DeleteKey(t.Context(), "first", 0), "revisions were given")
	sqlTo(t, path, "DELETE FROM keys")
	require.ErrorContains(t, s.DeleteOrganization(t.Context(), "acme", 0), "revisions were given")

	// A revision that was set back is not given again.
	path = twoKeys(t)
	sqlTo(t, path, "UPDATE progress SET revision = 1")
	s = open(t, path)
	assert.Greater(t, putOrganization(t, s, "other").Revision, uint64(3))
	require.ErrorContains(t, firstError(t, s, 1), "the change of revision 1 cannot be read: there is one of revision 3")
	changes, _ := told(t, s, 0)
	assert.Len(t, changes, 4)
}

// A feed that has lost a change says so, instead of leaving it out (W2).
func TestDamagedChanges(t *testing.T) {
	for _, damage := range []struct{ statement, want string }{
		{"DELETE FROM changes WHERE revision = 2", "store/sqlite: watch: the change of revision 2 is absent, and the store has come to 3"},
		{"DELETE FROM changes WHERE revision = 3", "store/sqlite: watch: the change of revision 3 cannot be read: there is one of revision 2"},
		{"UPDATE changes SET revision = 4 WHERE revision = 3", "the change of revision 3 cannot be read: there is one of revision 4"},
		{"UPDATE changes SET organization = ''", `the change of revision 3 cannot be read: there is one of revision 3, organization ""`},
		{"UPDATE changes SET organization = NULL", "store/sqlite: watch: "},
	} {
		path := twoKeys(t)
		loosen(t, path)
		sqlTo(t, path, damage.statement)
		s := open(t, path)
		err := firstError(t, s, 1)
		require.ErrorContains(t, err, damage.want, damage.statement)
		_, mark := told(t, s, 0)
		assert.Equal(t, uint64(3), mark)
	}
}

// What a change says was deleted and is there cannot be read, nor what it says was
// written and is older.
func TestChangesThatAreNotSo(t *testing.T) {
	path := twoKeys(t)
	sqlTo(t, path, "UPDATE changes SET deleted = 1 WHERE revision = 2",
		"UPDATE keys SET revision = 1, record = json_set(record, '$.revision', 1) WHERE id = 'second'",
		"INSERT INTO changes VALUES (4, 'acme', 'second', 0), (5, 'acme', '', 0)", "UPDATE progress SET revision = 5")
	changes, mark := told(t, open(t, path), 1)
	assert.Equal(t, uint64(5), mark)
	require.Len(t, changes, 3)
	for i, key := range []apikey.ID{"", "second", "first"} {
		assert.Equal(t, key, changes[i].Key)
		require.ErrorContains(t, changes[i].Err, "cannot be read: ")
		assert.False(t, changes[i].Deleted)
	}
}

// A change whose record is gone, or is as no change has made it, is told, though it seems
// that another change followed (W2).
func TestChangesThatNoneFollowed(t *testing.T) {
	for name, c := range map[string]struct {
		damage  []string
		deleted bool
	}{
		"its row is gone": {[]string{"INSERT INTO changes VALUES (4, 'acme', 'first', 0)", "DELETE FROM keys WHERE id = 'first'"}, true},
		"its row is gone, and it was written twice": {[]string{
			"INSERT INTO changes VALUES (4, 'acme', 'first', 0), (5, 'acme', 'first', 0)", "DELETE FROM keys WHERE id = 'first'"}, true},
		"its row is gone, and it was deleted before": {[]string{
			"INSERT INTO changes VALUES (4, 'acme', 'first', 1), (5, 'acme', 'first', 0)", "DELETE FROM keys WHERE id = 'first'"}, true},
		"its row has the revision of another change": {[]string{
			"INSERT INTO changes VALUES (4, 'acme', 'first', 0), (5, 'acme', 'acme', 1)",
			"UPDATE keys SET revision = 5, record = json_set(record, '$.revision', 5) WHERE id = 'first'"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			path := twoKeys(t)
			s := open(t, path)
			sqlTo(t, path, append(c.damage, "UPDATE progress SET revision = (SELECT max(revision) FROM changes)")...)
			changes, _ := told(t, s, 3)
			var first []store.Change
			for _, change := range changes {
				if change.Key == "first" {
					first = append(first, change)
				}
			}
			require.Len(t, first, 1)
			assert.Equal(t, "acme", first[0].Organization)
			assert.Equal(t, c.deleted, first[0].Deleted)
			assert.Nil(t, first[0].KeyRecord)
			if !c.deleted {
				require.ErrorContains(t, first[0].Err, `"first" cannot be read: it has revision 5, and its latest change has 4`)
			}
		})
	}
}

// A row whose ID is gone cannot be told as anybody's, nor deleted but by hand. What only
// says no organization can.
func TestRecordWithoutAName(t *testing.T) {
	for _, table := range []string{"keys", "organizations"} {
		path := twoKeys(t)
		sqlTo(t, path, "UPDATE "+table+" SET id = '' WHERE id IN ('second', 'acme')")
		s := open(t, path)
		require.ErrorContains(t, firstError(t, s, 0), `store/sqlite: watch: a record has no name: its ID is "", of type string: want a text that is not empty`)
		remove := func() error { return s.DeleteKey(t.Context(), "", 0) }
		if table == "organizations" {
			remove = func() error { return s.DeleteOrganization(t.Context(), "", 0) }
		}
		require.ErrorContains(t, remove(), "its ID is empty, and no watcher could be told that it is gone: want it deleted by hand")
		sqlTo(t, path, "DELETE FROM "+table+" WHERE typeof(id) <> 'text' OR id = ''")
		_, mark := told(t, s, 0)
		assert.Equal(t, uint64(3), mark)
	}

	path := twoKeys(t)
	sqlTo(t, path, "UPDATE keys SET organization = '' WHERE id = 'second'")
	s := open(t, path)
	_, mark := told(t, s, 0)
	require.NoError(t, s.DeleteKey(t.Context(), "second", 0))
	changes, _ := told(t, s, mark)
	assert.Equal(t, []store.Change{{Revision: positionOf(t, s).Revision, Organization: unnamed, Key: "second", Deleted: true}}, changes)
	require.Error(t, apikey.ValidateName("organization", unnamed))
}

func TestDamagedUsage(t *testing.T) {
	for _, damage := range []struct{ set, want string }{
		{"'{'", "want one JSON value"},
		{"x'00'", "a document of type []uint8: want a text"},
		{"'7'", "the number 7: want an object"},
		{"'{\"entries\":{\"x\":[1,2,\"\"]}}'", "netip.ParsePrefix"},
	} {
		path := twoKeys(t)
		loosen(t, path)
		sqlTo(t, path, "UPDATE usage SET document = "+damage.set)
		s := open(t, path)
		_, err := s.Usage(t.Context(), "first")
		require.ErrorContains(t, err, `store: the usage of key "first" cannot be read: `)
		require.ErrorContains(t, err, damage.want)
		require.ErrorContains(t, s.RecordUsage(t.Context(), adapter.UsageBatch(calls(1, time.Time{}, ""))), damage.want)
		_, err = s.Usage(t.Context(), "second")
		require.NoError(t, err)
	}
}

func TestDamagedObservation(t *testing.T) {
	at := time.Date(2031, 1, 2, 3, 4, 5, 0, time.UTC)
	report := store.Report{Recorder: "one", Since: at, From: at, Until: at, At: at}
	for _, damage := range []struct{ document, want string }{
		{"'{'", "want one JSON value"},
		{"x'00'", "a document of type []uint8: want a text"},
	} {
		path := twoKeys(t)
		loosen(t, path)
		sqlTo(t, path, "INSERT INTO observation VALUES (1, "+damage.document+")")
		s := open(t, path)
		_, err := s.Observation(t.Context())
		require.ErrorContains(t, err, "store: the observation of usage cannot be read: ")
		require.ErrorContains(t, err, damage.want)
		require.ErrorContains(t, s.RecordObservation(t.Context(), report), damage.want)
	}
}

// A file of which a part was lost or overwritten is an error as soon as that part is
// needed. Whatever it has become, nobody is let in who was not before.
func TestDamagedFile(t *testing.T) {
	path := twoKeys(t)
	whole, err := os.ReadFile(path)
	require.NoError(t, err)
	const page = 4096
	random := rand.NewChaCha8([32]byte{})
	for i := range len(whole) / page {
		for name, damage := range map[string]func(data []byte) []byte{
			"cut off":   func(data []byte) []byte { return data[:i*page] },
			"cut":       func(data []byte) []byte { return data[:i*page+page/2] },
			"zeros":     func(data []byte) []byte { clear(data[i*page:][:page]); return data },
			"half zero": func(data []byte) []byte { clear(data[i*page+page/2:][:page/2]); return data },
			"noise":     func(data []byte) []byte { _, _ = random.Read(data[i*page:][:page]); return data },
			"the next":  func(data []byte) []byte { copy(data[i*page:][:page], data[(i+1)*page%len(data):][:page]); return data },
		} {
			if i == 0 && name == "cut off" {
				continue // an empty file is one to be made
			}
			t.Run(fmt.Sprintf("page %d %s", i, name), func(t *testing.T) {
				path := newPath(t)
				require.NoError(t, os.WriteFile(path, damage(append([]byte(nil), whole...)), 0o600))
				s, err := Open(t.Context(), path)
				if err != nil {
					require.ErrorContains(t, err, "store/sqlite: open "+path)
					return
				}
				defer func() { _ = s.Close() }()
				for _, id := range []apikey.ID{"first", "second"} {
					assert.False(t, decide(s, id, "203.0.113.9").Allowed())
					d := decide(s, id, "192.0.2.1")
					assert.Contains(t, []policy.Reason{policy.AddressListed, policy.AddressNotListed, policy.Unavailable, policy.UnknownKey}, d.Reason)
				}
				for change, err := range s.Watch(t.Context(), store.Position{}) {
					if err != nil {
						assert.NotErrorIs(t, err, context.Canceled)
						break
					}
					if change.IsMark() {
						break
					}
				}
				_, err = s.PutKey(t.Context(), newKey(t, "third", "acme"), store.AllowOpen)
				if err == nil {
					_, err = s.Key(t.Context(), "third")
				}
				if err != nil && !errors.Is(err, store.ErrNotFound) {
					assert.ErrorContains(t, err, "store")
				}
			})
		}
	}
}
