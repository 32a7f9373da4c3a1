package storetest

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/store/storetest/internal/fixture"
)

// contract reads the sentences from package store's own documentation: the items of its
// lists that begin with a name, such as "  - S13. ".
func contract(t *testing.T) map[string]string {
	found := map[string]string{}
	item := regexp.MustCompile(`^  - ([ELSUW]\d+)\. (.*)`)
	for _, name := range []string{"doc.go", "load.go", "watch.go", "usage.go", "journal.go"} {
		source, err := os.ReadFile("../" + name)
		require.NoError(t, err)
		current := ""
		for line := range strings.Lines(string(source)) {
			comment, _ := strings.CutPrefix(strings.TrimSpace(line), "//")
			comment = strings.NewReplacer("[", "", "]", "").Replace(strings.TrimPrefix(comment, " "))
			if m := item.FindStringSubmatch(comment); m != nil {
				current = m[1]
				require.NotContains(t, found, current, "the sentence is there twice")
				found[current] = m[2]
			} else if strings.HasPrefix(comment, "    ") && current != "" {
				found[current] += " " + strings.TrimSpace(comment)
			} else {
				current = ""
			}
		}
	}
	return found
}

// The table of clauses has the contract's words, cut where its sentences end, with one
// MUST in a clause at most.
func TestClausesAreThoseOfTheContract(t *testing.T) {
	found := contract(t)
	require.GreaterOrEqual(t, len(found), 32+3+10+15+16)
	for id, words := range found {
		assert.Equal(t, words, fixture.Sentences[id], "clauses.md repeats the words of sentence %s", id)
	}
	assert.Len(t, fixture.Sentences, len(found), "clauses.md has a sentence that is none")
	end := regexp.MustCompile(`\. [A-Z]`)
	for id, clauses := range fixture.Clauses {
		for _, clause := range clauses {
			assert.NotRegexp(t, end, clause.Text, "%s: it is two clauses", id)
			assert.True(t, strings.HasSuffix(clause.Text, "."), "%s: %q is not a whole clause", id, clause.Text)
			assert.LessOrEqual(t, strings.Count(clause.Text, "MUST"), 1, "%s: %q is two clauses", id, clause.Text)
		}
	}
}

// Every clause has a case, and every case a clause of its own sentence.
func TestEveryClauseHasACase(t *testing.T) {
	titles := map[string]bool{}
	for _, c := range cases {
		assert.False(t, titles[c.title()], "case %q is there twice", c.title())
		assert.NotContains(t, c.name, "/", "case %q", c.title())
		titles[c.title()] = true
		assert.True(t, slices.ContainsFunc(fixture.Clauses[c.sentence], func(clause fixture.Clause) bool {
			return slices.Contains(clause.Cases, c.title())
		}), "case %q checks no clause of its sentence in clauses.md", c.title())
	}
	for id, clauses := range fixture.Clauses {
		for _, clause := range clauses {
			demands := strings.Contains(clause.Text, "MUST") || strings.HasPrefix(clause.Text, "No ")
			assert.Equal(t, clause.None == "", len(clause.Cases) > 0, "%s: %q: want a case, or why there is none", id, clause.Text)
			assert.False(t, demands && clause.None != "", "%s: %q demands something and has no case", id, clause.Text)
			for _, title := range clause.Cases {
				assert.True(t, titles[title], "%s: %q has the case %q, which does not exist", id, clause.Text, title)
			}
			assert.Len(t, slices.Compact(slices.Sorted(slices.Values(clause.Cases))), len(clause.Cases), "%s: %q has a case twice", id, clause.Text)
		}
	}
}

// The sentences that nothing but an option shows.
func TestMostSentencesNeedNoOption(t *testing.T) {
	only := map[string]string{"S25": "Reopen", "S26": "Reopen", "S27": "Restore", "S31": "Migrate", "S32": "Migrate", "U8": "Damage.Usage", "W10": "Restore", "E3": "Reopen"}
	for id := range fixture.Sentences {
		i := slices.IndexFunc(cases, func(c testCase) bool { return c.sentence == id && c.needs == only[id] })
		assert.GreaterOrEqual(t, i, 0, "sentence %s has no case that needs %q", id, only[id])
	}
}

// The documentation of store says how many sentences of each kind there are.
func TestRangesOfSentencesAreNamed(t *testing.T) {
	last := map[string]int{}
	for id := range fixture.Sentences {
		n, err := strconv.Atoi(id[1:])
		require.NoError(t, err)
		last[id[:1]] = max(last[id[:1]], n)
	}
	source, err := os.ReadFile("../doc.go")
	require.NoError(t, err)
	words := strings.Join(strings.Fields(strings.ReplaceAll(string(source), "//", "")), " ")
	require.Len(t, last, 5)
	for kind, n := range last {
		assert.Contains(t, words, fmt.Sprintf("%s1 to %s%d", kind, kind, n))
	}
}

// Every ID that the documentation of store names anywhere is one of a sentence.
func TestNoSentenceIsOnlyNamed(t *testing.T) {
	for _, name := range []string{"doc.go", "store.go", "errors.go", "page.go", "adapter/check.go", "adapter/page.go", "adapter/watch.go", "adapter/journal.go", "events.go", "event.go", "load.go", "watch.go", "usage.go", "journal.go"} {
		source, err := os.ReadFile("../" + name)
		require.NoError(t, err)
		for _, id := range regexp.MustCompile(`\b[ELSUW]\d+\b`).FindAllString(string(source), -1) {
			assert.Contains(t, fixture.Sentences, id, "%s names it", name)
		}
	}
}
