package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/policy"
)

// checked checks one file with these lines, in which ~~~ stands for three backquotes.
func checked(t *testing.T, text string) *result {
	t.Helper()
	root, err := filepath.Abs("../..")
	require.NoError(t, err)
	file := filepath.Join(t.TempDir(), "guide.md")
	require.NoError(t, os.WriteFile(file, []byte(strings.ReplaceAll(text, "~~~", "```")), 0o644))
	r, err := check(root, []string{file})
	require.NoError(t, err)
	return r
}

const sound = `# A guide

[itself](guide.md#a-guide) and [out](https://example.com/)

<!-- go: var ctx = context.Background() -->

Some words.

~~~go
keys := memory.New()
unused, err := keys.Organization(ctx, "acme")
fmt.Println(err)
~~~

<!-- continued -->
~~~go
if errors.Is(err, store.ErrNotFound) {
	fmt.Println("absent")
}
~~~

~~~text
…not found…
absent
~~~

~~~go
package main

func main() { println("whole") }
~~~

~~~go
func declared(ctx context.Context, client netip.Addr) error { return nil }
~~~

<!-- fields: policyhttp.Config -->
~~~go
// The owner of the key reads this.
Realm: "things",
~~~

<!-- shape -->
~~~go
admin.Change{…}
~~~

<!-- before: sallyport migrate --yes; echo /var/lib/gate; set +e -->
~~~sh
sallyport org create acme --yes -o name
ls /var/lib/gate/keys.db
false || exit 3
~~~

<!-- not run: it needs a server -->
~~~sh
pg_dump
~~~

<!-- exit 1 -->
~~~sh
sallyport doctor
~~~

~~~text
CHECK …
…
records…1 organization, 0 keys
~~~

~~~json
{}
~~~
`

func TestASoundGuide(t *testing.T) {
	text := strings.Replace(sound, "false || exit 3", "true", 1)
	r := checked(t, text)
	assert.Empty(t, r.problems)
	assert.Equal(t, result{files: 1, blocks: 12, programs: 1, fragments: 4, goRun: 1, shapes: 1, shellRun: 2, compared: 1,
		links: r.links, own: 1, notRun: r.notRun}, *r)
	assert.Greater(t, r.links, 20, "with those in comments of Go")
	require.Len(t, r.notRun, 1)
	assert.Contains(t, r.notRun[0], "it needs a server: pg_dump")
}

// Every kind of lie is found, with the line where it stands.
func TestBrokenGuides(t *testing.T) {
	for name, test := range map[string]struct{ text, want string }{
		"a program that does not compile":      {"~~~go\npackage main\n\nfunc main() { memory.New() }\n~~~\n", "guide.md:4: undefined: memory"},
		"a fragment that does not compile":     {"~~~go\nkeys := memory.Open()\n~~~\n", "guide.md:2: undefined: memory.Open"},
		"a fragment of a nested module":        {"~~~go\nkeys, err := sqlite.Open(\"keys.db\")\n~~~\n", "not enough arguments"},
		"a fragment without its frame":         {"~~~go\nfmt.Println(engine)\n~~~\n", "undefined: engine"},
		"a fragment that is no Go":             {"~~~go\nkeys := := 1\n~~~\n", "guide.md:2:"},
		"a field that a struct lacks":          {"<!-- fields: policyhttp.Config -->\n~~~go\nNone: 1,\n~~~\n", "guide.md:3: unknown field None"},
		"a frame that is no Go":                {"<!-- go: var -->\n~~~go\nfmt.Println()\n~~~\n", "with its frame"},
		"a package that no module has":         {"~~~go\npackage main\n\nimport _ \"example.com/none\"\n\nfunc main() {}\n~~~\n", "no module has all of example.com/none"},
		"another output":                       {"~~~go\nfmt.Println(1)\n~~~\n\n~~~text\n2\n~~~\n", "guide.md:6: the program printed:\n1"},
		"a program that fails":                 {"<!-- run -->\n~~~go\npanic(\"no\")\n~~~\n", "panic: no"},
		"a command that fails":                 {"~~~sh\nsallyport keys list\n~~~\n", "guide.md:2: exit status 2, want 0"},
		"a command of a line in the middle":    {"~~~sh\nfalse\ntrue\n~~~\n", "exit status 1, want 0"},
		"a command that should fail":           {"<!-- exit 1 -->\n~~~sh\ntrue\n~~~\n", "exit status 0, want 1"},
		"another output of a command":          {"~~~sh\necho yes\n~~~\n\n~~~text\nno\n~~~\n", "the commands printed:\nyes"},
		"a preparation that fails":             {"<!-- before: echo why; false -->\n~~~sh\ntrue\n~~~\n", "want 0:\nwhy"},
		"an unknown comment":                   {"<!-- shapes -->\n~~~go\nfmt.Println()\n~~~\n", `unknown comment before a block: "shapes"`},
		"no reason why not":                    {"<!-- not run: -->\n~~~sh\ntrue\n~~~\n", "unknown comment"},
		"a picture made by hand":               {"~~~mermaid\nflowchart TD\n~~~\n", "a picture made by hand"},
		"an old picture":                       {"<!-- picture: request -->\n~~~mermaid\nflowchart TD\n~~~\n", "the picture is not that of the code"},
		"a link to a file that does not exist": {"[a](none.md)\n", "guide.md:1: link to none.md: there is no such file"},
		"a link to a heading that is not":      {"# A\n\n[a](#b)\n", "guide.md:3: link to #b: there is no such heading"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := checked(t, test.text)
			assert.Contains(t, strings.Join(r.problems, "\n"), test.want)
		})
	}
}

func TestMatches(t *testing.T) {
	for _, test := range []struct {
		want, got string
		matches   bool
	}{
		{"a\nb", "a\nb\n", true},
		{"a\nb", "a", false},
		{"a", "a\nb", false},
		{"a…c…", "abc", true},
		{"a…c", "abcd", false},
		{"…b", "ab", true},
		{"…\nb", "a\na\nb", true},
		{"…\nb", "b", true},
		{"a\n…", "a\nb\nc", true},
		{"a\n…\nc", "a\nb", false},
		{"", "", true},
	} {
		assert.Equal(t, test.matches, matches(test.want, test.got), "%q %q", test.want, test.got)
	}
}

func TestPicturesAreWritten(t *testing.T) {
	root, err := filepath.Abs("../..")
	require.NoError(t, err)
	file := filepath.Join(t.TempDir(), "guide.md")
	const text = "one\n\n<!-- picture: request -->\n```mermaid\n```\n\ntwo\n\n<!-- picture: freshness -->\n```mermaid\nold\nolder\n```\n\nthree\n"
	require.NoError(t, os.WriteFile(file, []byte(text), 0o644))
	require.NoError(t, writePictures(root, []string{file}))
	r, err := check(root, []string{file})
	require.NoError(t, err)
	assert.Empty(t, r.problems)
	assert.Equal(t, 2, r.pictures)
	written, err := os.ReadFile(file)
	require.NoError(t, err)
	assert.NotContains(t, string(written), "old")
	for _, word := range []string{"one\n\n", "\n\ntwo\n\n", "\n\nthree\n"} {
		assert.Contains(t, string(written), word)
	}
}

// The picture of a request has every line of the order, once and in order.
func TestRequestHasEveryLine(t *testing.T) {
	made, err := request()
	require.NoError(t, err)
	at := 0
	for line := policy.InvalidRequest; !strings.HasPrefix(line.String(), "reason("); line++ {
		found := strings.Index(made[at:], line.String())
		require.GreaterOrEqual(t, found, 0, line)
		at += found
		assert.Equal(t, 1, strings.Count(made, line.String()), line)
	}
}

// The picture of the parts has the packages that the design is made of, and no import that
// it forbids.
func TestPartsAreOneWay(t *testing.T) {
	root, err := filepath.Abs("../..")
	require.NoError(t, err)
	imports, nested, err := importGraph(root)
	require.NoError(t, err)
	require.Greater(t, len(imports), 18)
	assert.True(t, nested["store/sqlite"])
	assert.False(t, nested["store/memory"])
	assert.True(t, imports["policy"]["apikey"])
	order := []string{"accesslist", "apikey", "policy", "store", "store/admin"}
	for i, name := range order {
		for _, later := range order[i+1:] {
			assert.False(t, imports[name][later], "%s imports %s", name, later)
		}
	}
	assert.False(t, imports["store/admin/console"]["store/admin/adminhttp"])

	made, err := parts(root)
	require.NoError(t, err)
	assert.Contains(t, made, `["etcd *<br/>postgres *<br/>sqlite *"]`)
	assert.Contains(t, made, `["transfer"]`, "no store, though it imports what they import")
}

func TestTooLittle(t *testing.T) {
	assert.Error(t, (&result{}).enough())
	assert.NoError(t, (&result{goRun: 1, programs: 1, fragments: 19, shellRun: 10, compared: 5, pictures: 3, links: 50}).enough())
}
