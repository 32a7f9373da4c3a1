package sqlite

import (
	"context"
	"fmt"
	"math"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/adapter"
)

// Whatever is wrong with the row of a write, its events are an error wherever they are
// requested, and those of others are as they were (E7).
func TestDamagedEvents(t *testing.T) {
	for name, damage := range map[string]string{
		"no document":                  `document = ''`,
		"a null document":              `document = NULL`,
		"a blob":                       `document = CAST(document AS BLOB)`,
		"a number":                     `document = 7`,
		"half a document":              `document = substr(document, 1, 100)`,
		"something after the document": `document = document || ' []'`,
		"no events":                    `document = '[]'`,
		"an object":                    `document = json_extract(document, '$[0]')`,
		"an event without a type":      `document = json_remove(document, '$[0].type')`,
		"an unknown field of an actor": `document = json_set(document, '$[0].actor.admin', 1)`,
		"a time that is none":          `document = json_set(document, '$[0].time', 'now')`,
		"a revision in it":             `document = json_set(document, '$[0].revision', 4)`,
		"another key in it":            `document = json_set(document, '$[0].key', 'second')`,
		"another organization in it":   `document = json_set(document, '$[0].organization', 'other')`,
		"another key":                  `key = 'second'`,
		"no key":                       `key = ''`,
		"a null key":                   `key = NULL`,
		"another organization":         `organization = 'other'`,
		"no organization":              `organization = '', key = ''`,
		"a null organization":          `organization = NULL`,
		"a number as organization":     `organization = 7`,
	} {
		t.Run(name, func(t *testing.T) {
			path := twoKeys(t)
			s := open(t, path)
			damaged := write(t, s, newKey(t, "damaged", "acme"))
			write(t, s, newKey(t, "third", "acme"))
			loosen(t, path)
			sqlTo(t, path, fmt.Sprintf("UPDATE events SET %s WHERE revision = %d", damage, damaged))
			for _, request := range []store.EventRequest{{}, {Newest: true}, {Limit: 1, After: at(s, 3)}} {
				page, err := s.Events(t.Context(), request)
				require.ErrorContains(t, err, fmt.Sprintf("store: the events of revision %d cannot be read: ", damaged), "%+v", request)
				assert.Equal(t, store.EventPage{}, page)
			}
			for _, id := range []apikey.ID{"second", "third"} {
				for _, newest := range []bool{true, false} {
					page, err := s.Events(t.Context(), store.EventRequest{Organization: "acme", Key: id, Newest: newest})
					if err == nil { // else it now seems to be of this key
						assert.Len(t, page.Events, 1)
					} else {
						require.ErrorContains(t, err, "cannot be read: ")
					}
				}
			}
			page, err := s.Events(t.Context(), store.EventRequest{After: at(s, damaged)})
			require.NoError(t, err)
			assert.Len(t, page.Events, 1)
			require.NoError(t, s.DeleteKey(t.Context(), "damaged", 0))
			require.NoError(t, forget(t.Context(), s, positionOf(t, s)), "what cannot be read can be forgotten")
			checkIntegrity(t, s)
		})
	}
}

// Without what the row of the progress says about events, none are returned.
func TestDamagedProgressOfEvents(t *testing.T) {
	for _, damage := range []string{"events_forgotten = NULL", "events_forgotten = -1", "events_forgotten = 'three'"} {
		path := twoKeys(t)
		loosen(t, path)
		sqlTo(t, path, "UPDATE progress SET "+damage)
		s := open(t, path)
		for _, request := range []store.EventRequest{{}, {Newest: true}, {After: at(s, 1)}} {
			_, err := s.Events(t.Context(), request)
			wantPrefix(t, err, "store/sqlite: read events: the number ")
		}
	}
	path := twoKeys(t)
	sqlTo(t, path, "UPDATE progress SET revision = 9223372036854775807")
	s := open(t, path)
	err := forget(t.Context(), s, positionOf(t, s))
	wantPrefix(t, err, "store/sqlite: write with events: all 9223372036854775807 revisions were given")
	page, err := s.Events(t.Context(), store.EventRequest{Newest: true})
	require.NoError(t, err)
	assert.Len(t, page.Events, 1)
}

// The latest revision that there can be is read in both directions.
func TestEventsOfTheLastRevision(t *testing.T) {
	path := twoKeys(t)
	s := open(t, path)
	write(t, s, newKey(t, "third", "acme"))
	sqlTo(t, path, "UPDATE progress SET revision = 9223372036854775807", "UPDATE events SET revision = 9223372036854775807 WHERE revision > 3")
	for _, newest := range []bool{true, false} {
		page, err := s.Events(t.Context(), store.EventRequest{Newest: newest})
		require.NoError(t, err)
		require.Len(t, page.Events, 2)
		assert.Equal(t, uint64(math.MaxInt64), max(page.Events[0].Revision, page.Events[1].Revision))
	}
	page, err := s.Events(t.Context(), store.EventRequest{Newest: true, After: store.Position{History: positionOf(t, s).History}})
	require.NoError(t, err)
	assert.Empty(t, page.Events, "before revision zero")
}

// No organization and no key has so long a name, and a page of them goes on like another.
func TestEventsOfLongIdentifiers(t *testing.T) {
	s := open(t, twoKeys(t))
	long := strings.Repeat("x", 1<<20)
	for _, request := range []store.EventRequest{{Organization: long}, {Organization: "acme", Key: apikey.ID(long)}} {
		page, err := s.Events(t.Context(), request)
		require.NoError(t, err)
		assert.Equal(t, store.EventPage{Next: positionOf(t, s)}, page)
	}
}

// A Write with a condition on an unreadable key, and one that deletes it, is an error of
// that key.
func TestConditionOnDamagedRevision(t *testing.T) {
	path := twoKeys(t)
	loosen(t, path)
	sqlTo(t, path, "UPDATE keys SET revision = NULL WHERE id = 'second'")
	s := open(t, path)
	key := newKey(t, "third", "acme")
	_, err := s.Write(t.Context(), store.Write{
		PutKey: &key, Options: []store.PutOption{store.AllowOpen}, If: []store.Condition{{Organization: "acme", Key: "second"}},
	})
	require.ErrorContains(t, err, `key "second" cannot be read: `)
	_, err = s.Write(t.Context(), store.Write{Delete: &store.Condition{Organization: "acme", Key: "second", Revision: 3}})
	require.ErrorContains(t, err, `key "second" cannot be read: `)
	_, err = s.Write(t.Context(), store.Write{Delete: &store.Condition{Organization: "other", Key: "second", Revision: 3}})
	require.ErrorIs(t, err, store.ErrNotFound)
}

// BenchmarkEvents measures what an event takes in the file beside its write, and how long it
// takes to forget ten thousand.
func BenchmarkEvents(b *testing.B) {
	writes := fewer(10_000)
	ctx := context.Background()
	s := open(b, filepath.Join(inMemory(b), "keys.db"))
	putOrganization(b, s, "acme")
	key := putKey(b, s, newKey(b, "key", "acme"))
	size := func() (bytes float64) {
		require.NoError(b, s.write.QueryRow("SELECT (page_count - freelist_count) * page_size FROM pragma_page_count, pragma_freelist_count, pragma_page_size").Scan(&bytes))
		return bytes
	}
	grow := func(events ...store.Event) float64 {
		before := size()
		for range writes {
			revision, err := s.Write(ctx, store.Write{PutKey: &key, Options: []store.PutOption{store.AllowOpen}, Events: events})
			require.NoError(b, err)
			key.Revision = revision
		}
		return (size() - before) / float64(writes)
	}
	document, err := adapter.EncodeEvents([]store.Event{eventOf("acme", "key")})
	require.NoError(b, err)
	for b.Loop() {
		without := grow()
		b.ReportMetric(grow(eventOf("acme", "key"))-without, "B/write")
		b.ReportMetric(float64(len(document)), "B/document")
		began := time.Now()
		require.NoError(b, forget(ctx, s, positionOf(b, s)))
		b.ReportMetric(float64(time.Since(began).Microseconds())/1000, "ms-to-forget")
	}
}
