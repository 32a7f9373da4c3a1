package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/admin"
	"github.com/sallyport-go/sallyport/store/memory"
	"github.com/sallyport-go/sallyport/store/sqlite"
)

// A change whose output is lost was made all the same, and the error says so.
func TestMadeAndNotShown(t *testing.T) {
	for _, failure := range []error{syscall.ENOSPC, syscall.EPIPE} {
		s := newScript(t)
		var stderr bytes.Buffer
		require.Equal(t, unknown, s.do(strings.NewReader(""), &broken{0, failure}, &stderr, "keys", "disable", "report", "--yes"))
		require.Equal(t, "Done: key.disabled of key report at revision 8.\nsallyport: the change was made, but could not be shown: "+failure.Error()+"\n", stderr.String())
		key, err := s.store.Key(t.Context(), "report")
		require.NoError(t, err)
		require.True(t, key.Disabled)

		// A preview made nothing.
		stderr.Reset()
		require.Equal(t, unknown, s.do(strings.NewReader(""), &broken{0, failure}, &stderr, "keys", "delete", "report", "--preview"))
		require.NotContains(t, stderr.String(), "was made")
	}
}

// Without any evidence of use a preview and a question say first what would be refused, and a
// preview is no yes.
func TestNothingWasObserved(t *testing.T) {
	s := newScript(t)
	s.store = memory.New()
	require.Equal(t, `
$ sallyport org create acme --require not-required --yes -o name
acme
2> Done: organization.created of organization acme at revision 1.
? 0

$ sallyport keys create --org acme --id listed --role owner --from 203.0.113.7 --yes --secret-file DIR/1 -o name
listed
2> Done: key.created of key listed at revision 2.
2> Done: key.entry_added of key listed 203.0.113.7 at revision 2.
? 0

$ sallyport keys create --org acme --id open --role reader --yes --accept opens --reason trial --secret-file DIR/2 -o name
open
2> Done: key.created of key open at revision 3.
? 0

$ sallyport org require acme required --preview
change  access lists of organization acme: required
effect  nothing was observed: 1 key without a list would be refused from every address
        key open: unknown, open_list then organization_requires_access_list, for calls from every address, for example 192.0.2.1
        usage was never observed, so keys may be in use without being named
token   TOKEN
? 1

$ sallyport keys disable listed --preview
change  organization acme: switch key listed off
effect  nothing was observed: calls of 1 key would be refused
        key listed: unknown, address_listed then key_disabled, for calls from listed addresses, for example 203.0.113.7
        usage was never observed, so keys may be in use without being named
token   TOKEN
? 1

! term 60

$ sallyport org require acme required
< no
2> ␛[1mstore␛[0m   memory:test (SALLYPORT_STORE)
2> ␛[1mas␛[0m      system olga
2> ␛[1mchange␛[0m  access lists of organization acme: required
2> ␛[1meffect␛[0m  nothing was observed: 1 key without a list would be
2>         refused from every address
2>         key open: unknown, open_list then
2>         organization_requires_access_list, for calls from
2>         every address, for example 192.0.2.1
2>         usage was never observed, so keys may be in use
2>         without being named
2> ␛[1mGo ahead? [y/N] ␛[0m␛[1msallyport: ␛[0mnothing was changed: the question was not
2>            answered with yes
? 2

! term 0

$ sallyport org require acme required --yes -o name
acme
2> Mind: nothing was observed: 1 key without a list will be refused from every address.
2> Done: organization.requirement_changed of organization acme at revision 4.
? 0
`, "\n"+s.play(`
$ sallyport org create acme --require not-required --yes -o name
$ sallyport keys create --org acme --id listed --role owner --from 203.0.113.7 --yes --secret-file DIR/1 -o name
$ sallyport keys create --org acme --id open --role reader --yes --accept opens --reason trial --secret-file DIR/2 -o name
$ sallyport org require acme required --preview
$ sallyport keys disable listed --preview
! term 60
$ sallyport org require acme required
< no
! term 0
$ sallyport org require acme required --yes -o name
`))
}

// An error of several lines, as libraries make them, is one line without unseen characters.
func TestErrorIsOneLine(t *testing.T) {
	env := newScript(t).environment()
	env.open = func(context.Context, string, func(string) string, bool) (opened, error) {
		return opened{}, errors.New("failed to connect to `user=u`:\n\tdb: dial error: refused\n\n\tdb2: dial error: refused\r\nIt is so.\nAnd so")
	}
	var stderr bytes.Buffer
	require.Equal(t, unknown, run(t.Context(), []string{"keys", "list"}, strings.NewReader(""), io.Discard, &stderr, env))
	require.Equal(t, "sallyport: failed to connect to `user=u`: db: dial error: refused; db2: dial error: refused; It is so. And so (SALLYPORT_STORE)\n", stderr.String())
}

// A store that is new is known since it is observed, and not for the whole window.
func TestObservedSinceShortly(t *testing.T) {
	s := newScript(t)
	s.store = memory.New()
	require.Contains(t, s.play("$ sallyport org create acme --require not-required --yes -o name\n$ sallyport keys create --org acme --id k --role owner --from 203.0.113.7 --yes --secret-file DIR/1 -o name"), "? 0\n")
	recorder, ok := store.As[store.UsageRecorder](s.store)
	require.True(t, ok)
	since := s.now.Add(-31 * time.Second)
	require.NoError(t, recorder.RecordObservation(t.Context(), store.Report{Recorder: "r1", Since: since, From: since, Until: s.now, At: s.now}))
	require.Contains(t, s.play("$ sallyport keys disable k --preview"), "usage is known from "+when(since)+" to "+when(s.now)+" only: keys may be in use without being named\n")
	require.NoError(t, recorder.RecordUsage(t.Context(), map[apikey.ID]store.KeyUsage{"k": {Secrets: map[string]accesslist.Usage{"27d8c920": {Count: 1, Last: since}}}}))
	require.Contains(t, s.play("$ sallyport usage k"), "ID: 1 call, the last "+when(since)+" (ended)\n") // one that the key has no more
	require.Contains(t, s.play("$ sallyport usage k"), "Usage was observed for 31s of the last 30 days.\n")
}

// A process that ended in good order counts no more calls, from its last moment on.
func TestDoctorAfterTheLastRecorder(t *testing.T) {
	s := newScript(t)
	s.store = memory.New()
	recorder, ok := store.As[store.UsageRecorder](s.store)
	require.True(t, ok)
	report := store.Report{Recorder: "r1", Since: s.now.Add(-time.Hour), From: s.now.Add(-time.Hour), Until: s.now.Add(-time.Second), At: s.now.Add(-time.Second)}
	require.NoError(t, recorder.RecordObservation(t.Context(), report))
	require.Contains(t, s.play("$ sallyport doctor"), "ok      calls are counted since "+when(report.Since)+"\n")
	ended := report
	ended.From, ended.Ended = report.Until, true
	require.NoError(t, recorder.RecordObservation(t.Context(), ended))
	require.Contains(t, s.play("$ sallyport doctor"), "LOOK    no process counts calls since "+when(ended.Until)+"\n")
}

// Usage that cannot be read is another thing than usage that was not observed.
func TestUsageThatCannotBeRead(t *testing.T) {
	s := newScript(t)
	s.store = unobserved{s.store.(*memory.Store)}
	require.Contains(t, s.run("sallyport keys disable owner --preview", ""), "effect  usage could not be read: calls of 1 key would be refused\n")
}

// An import reads its file twice, also from standard input, and leaves nothing behind.
func TestImportFromStandardInput(t *testing.T) {
	s := newScript(t)
	t.Setenv("TMPDIR", t.TempDir())
	var file, stderr bytes.Buffer
	require.Equal(t, yes, s.do(strings.NewReader(""), &file, io.Discard, "export", "-f", "-"))
	exported := file.String()
	to := newScript(t)
	to.store = memory.New()
	require.Equal(t, yes, to.do(strings.NewReader(exported), io.Discard, &stderr, "import", "-f", "-", "--yes"), stderr.String())
	require.Contains(t, stderr.String(), "Written: 2 organizations, 4 keys")
	require.Equal(t, yes, to.do(strings.NewReader(exported), io.Discard, &stderr, "verify", "-f", "-"))

	stderr.Reset()
	require.Equal(t, unknown, to.do(failingReader{}, io.Discard, &stderr, "import", "-f", "-", "--yes"))
	require.Contains(t, stderr.String(), "standard input cannot be kept to be read twice: the line is down")
	t.Setenv("TMPDIR", "/nowhere")
	require.Equal(t, unknown, to.do(strings.NewReader(exported), io.Discard, &stderr, "import", "-f", "-", "--yes"))
	require.Contains(t, stderr.String(), "/nowhere")
}

func TestDidYouMean(t *testing.T) {
	known := []string{"list", "disable", "enable", "organization_lockout"}
	for word, want := range map[string]string{
		"lsit": "list", "lst": "list", "LIST": "list", "list": "", "diable": "disable", "dsiabel": "disable", "org": "organization_lockout", "or": "", "x": "", "": "",
		"enables": "enable", "nothing": "", strings.Repeat("list", 100): "", "ünable": "enable",
	} {
		if want != "" {
			want = ": did you mean " + want + "?"
		}
		require.Equal(t, want, didYouMean(word, known), word)
	}
	require.Equal(t, 0, distance("", ""))
	require.Equal(t, 3, distance("", "abc"))
	require.Equal(t, 1, distance("abc", "acb"))
	require.Equal(t, 3, distance("kitten", "sitting"))
}

// A flag that must be given has no default.
func TestOverlapHasNoDefault(t *testing.T) {
	got := newScript(t).run("sallyport keys rotate --help", "")
	require.Contains(t, got, "how long the earlier secret stays valid; 0s: it ends at once\n")
}

// A store that was just made was not brought up to date.
func TestMigrateSaysWhatItDid(t *testing.T) {
	for want, before := range map[string]error{"memory:test was made.\n": absent(fs.ErrNotExist), "memory:test was brought up to date.\n": fmt.Errorf("store/sqlite: %w", sqlite.ErrOlder), "memory:test is up to date.\n": nil} {
		s := newScript(t)
		env := s.environment()
		working := env.open
		env.open = func(ctx context.Context, address string, getenv func(string) string, migrate bool) (opened, error) {
			if !migrate && before != nil {
				return opened{}, before
			}
			return working(ctx, address, getenv, migrate)
		}
		var stdout bytes.Buffer
		require.Equal(t, yes, run(t.Context(), []string{"migrate", "--yes"}, strings.NewReader(""), &stdout, io.Discard, env))
		require.Equal(t, want, stdout.String())
	}
}

// A service that declares no endpoints says so, and has no empty table.
func TestNoEndpointsAreDeclared(t *testing.T) {
	may := admin.Permissions{Key: "k", Organization: "acme", Reason: policy.OpenList, Places: []admin.Place{{}}}
	require.Regexp(t, `open_list\nno endpoints are declared$`, permissionsText(may))
	require.NotContains(t, permissionsText(may), "\norganization")
	may.Places[0].Endpoints = []admin.Permission{{Endpoint: "things.list", Reason: policy.OpenList, Allowed: true}}
	require.Contains(t, permissionsText(may), "things.list")
	require.NotContains(t, permissionsText(may), "declared")
}

// A store that cannot be reached is not one to be made.
func TestMigrateNeedsAnAnswer(t *testing.T) {
	for cause, want := range map[error]int{
		errors.New("connection refused"):            unknown,
		context.DeadlineExceeded:                    unknown,
		store.ErrNewer:                              unknown,
		&pgconn.PgError{Code: "28P01"}:              unknown, // a wrong password
		&pgconn.PgError{Code: "3F000"}:              no,
		&pgconn.PgError{Code: "42P01"}:              no,
		&pgconn.PgError{Code: "42703"}:              no,
		fmt.Errorf("x: %w", sqlite.ErrOlder):        no,
		absent(fmt.Errorf("x: %w", fs.ErrNotExist)): no,
	} {
		env := newScript(t).environment()
		env.open = func(context.Context, string, func(string) string, bool) (opened, error) { return opened{}, cause }
		var stdout, stderr bytes.Buffer
		require.Equal(t, want, run(t.Context(), []string{"migrate", "--preview"}, strings.NewReader(""), &stdout, &stderr, env), cause)
		if want == unknown {
			require.Empty(t, stdout.String())
			require.Contains(t, stderr.String(), cause.Error())
			require.Equal(t, unknown, run(t.Context(), []string{"migrate", "--yes"}, strings.NewReader(""), &stdout, io.Discard, env), cause)
		} else {
			require.Contains(t, stdout.String(), "The store would be made, or changed")
		}
	}
}

// A value that is empty or no time is that of a variable that is not set. It never means: none.
func TestEmptyValuesAreRefused(t *testing.T) {
	s := newScript(t)
	for _, args := range []string{
		"decide report --from 203.0.113.9 --org acme --role ''", "decide report --from 203.0.113.9 --org acme --role reader --project ''",
		"decide report --from 203.0.113.9 --org acme --secret-file ''", "explain report --from 203.0.113.9 --org acme --role ''",
		"keys create --org acme --role reader --from '' --yes --accept opens --reason x", "keys create --org acme --role reader --project '' --yes",
		"keys list --status ''", "org list --ca-file ''", "org list --store ''", "may report --endpoint ''",
		"replay access.log --list list --path '' --path /api", "decide report --from 203.0.113.9 --org acme --role ,",
	} {
		got := s.run("sallyport "+args, "")
		require.Contains(t, got, " is empty: want a value, or no such flag", args)
		require.Contains(t, got, "? 2", args)
	}
	for _, args := range []string{"may report --endpoint things.read=", "may report --endpoint =reader", "may report --endpoint ' '", "may report --endpoint things.read=,"} {
		got := s.run("sallyport "+args, "")
		require.Contains(t, got, "want NAME=ROLE,ROLE, or NAME if it needs no role", args)
		require.Contains(t, got, "? 2", args)
	}
	for _, args := range []string{"list add report 192.0.2.1 --for 0s --yes", "list edit report 203.0.113.9 --for 0d --yes", "keys validity report --for 0h --yes", "list add report 192.0.2.1 --for -1h --yes",
		"org suspend acme --for 0s --yes", "list findings report --since 0s", "usage report --since 0d"} {
		got := s.run("sallyport "+args, "")
		require.Contains(t, got, "want a time above zero", args)
		require.Contains(t, got, "? 2", args)
	}
}

// A line of calls is read exactly, or is none: what is lost of it would be judged as not wanted.
func TestCallsAreReadExactly(t *testing.T) {
	const right = `{"key":"report","from":"203.0.113.9","organization":"acme","project":"p1","roles":["reader"]}`
	for _, line := range []string{
		right + ` {"key":"absent"}`, right + `]]`, `{"key":"report","from":"203.0.113.9","organization":"acme","ROLES":["owner"]}`,
		`{"key":"report","from":"203.0.113.9","organization":"acme","roles":["owner"],"roles":["reader"]}`, `{"key":"report","from":"203.0.113.9","organization":"acme","roles":null}`,
		`{"key":"report","from":"203.0.113.9","organization":"acme","roles":[null]}`, `null`, `[]`, right[:20],
	} {
		s := newScript(t)
		var stdout, stderr bytes.Buffer
		require.Equal(t, unknown, s.do(strings.NewReader(right+"\n"+line+"\n"), &stdout, &stderr, "decide", "-f", "-"), line)
		require.Contains(t, stderr.String(), "line 2 is no call: ", line)
	}
	s := newScript(t)
	require.Equal(t, yes, s.do(strings.NewReader(right+"\n"+right), io.Discard, io.Discard, "decide", "-f", "-"))
}
