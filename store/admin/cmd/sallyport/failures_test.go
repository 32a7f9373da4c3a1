package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/adapter"
	"github.com/sallyport-go/sallyport/store/memory"
)

// A failing is a store that fails.
type failing struct {
	*memory.Store
	err error
}

func (f failing) Write(context.Context, store.Write) (uint64, error) { return 0, f.err }

// The statuses of writes that fail: changed meanwhile, or unknown.
func TestFailingWrites(t *testing.T) {
	for _, test := range []struct {
		err    error
		status int
		text   string
	}{
		{store.ErrConflict, changed, "The records are being changed by others."},
		{adapter.NotWritten(errors.New("another process has it locked")), unknown, "The store could not write. Nothing was changed. Try again. (another process has it locked)"},
		{errors.New("the disk is on fire"), unknown, "It is not known whether the change was made. Look before you try again. (the disk is on fire)"},
	} {
		s := newScript(t)
		s.store = failing{s.store.(*memory.Store), test.err}
		var stderr bytes.Buffer
		require.Equal(t, test.status, s.do(strings.NewReader(""), io.Discard, &stderr, "keys", "disable", "report", "--yes"))
		require.Contains(t, stderr.String(), test.text)
	}
}

// What cannot be opened is an error, and is not made.
func TestStoresThatCannotBeOpened(t *testing.T) {
	env, dir := ofProcess(), t.TempDir()
	text := filepath.Join(dir, "text")
	require.NoError(t, os.WriteFile(text, bytes.Repeat([]byte("no database "), 1000), 0o600))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for address, want := range map[string]string{
		"sqlite:":                      "has no path",
		"sqlite:" + dir + "/none":      "sallyport migrate",
		"sqlite:" + text:               "text",
		"postgres://127.0.0.1:1/gate":  "context canceled",
		"postgres://127.0.0.1:x/gate":  "is no URL",
		"etcd://127.0.0.1:1,[::1]:1/g": "context canceled",
		"etcd://127.0.0.1/":            "incomplete",
		"etcd:///gate":                 "incomplete",
		"keys.db":                      "unknown",
	} {
		in := t.Context()
		if want == "context canceled" {
			in = ctx
		}
		var stderr bytes.Buffer
		require.Equal(t, unknown, run(in, []string{"org", "list", "--store", address}, strings.NewReader(""), io.Discard, &stderr, env), address)
		require.Contains(t, stderr.String(), want, address)
		require.NotContains(t, stderr.String(), "There is no organization")
	}
	require.NoFileExists(t, dir+"/none")

	// An empty file is no store, and stays empty until migrate is told to make one of it.
	empty, status := filepath.Join(dir, "empty"), func(args ...string) int {
		return run(t.Context(), append(args, "--store", "sqlite:"+filepath.Join(dir, "empty")), strings.NewReader(""), io.Discard, io.Discard, env)
	}
	require.NoError(t, os.WriteFile(empty, nil, 0o600))
	for want, args := range map[int][]string{unknown: {"org", "list"}, no: {"migrate", "--preview"}} {
		require.Equal(t, want, status(args...), args)
		text, err := os.ReadFile(empty)
		require.NoError(t, err)
		require.Empty(t, text, args)
	}
	require.Equal(t, yes, status("migrate", "--yes"))
	require.Equal(t, yes, status("migrate", "--preview"))
	require.Equal(t, yes, status("org", "list"))

	env.getenv = func(name string) string { return map[string]string{"ETCDCTL_CACERT": dir + "/ca"}[name] }
	var stderr bytes.Buffer
	require.Equal(t, unknown, run(t.Context(), []string{"org", "list", "--store", "etcd://127.0.0.1:1/g"}, strings.NewReader(""), io.Discard, &stderr, env))
	require.Contains(t, stderr.String(), "no such file")
}

// A store that fails in the middle of a listing, or cannot be judged by, is no shorter one.
type unread struct {
	*memory.Store
}

var errUnread = errors.New("the disk is on fire")

func (unread) Keys(context.Context, string, store.PageRequest) (store.Page[apikey.Key], error) {
	return store.Page[apikey.Key]{}, errUnread
}
func (unread) Key(context.Context, apikey.ID) (apikey.Key, error) { return apikey.Key{}, errUnread }
func (unread) Events(context.Context, store.EventRequest) (store.EventPage, error) {
	return store.EventPage{}, errUnread
}
func (unread) Observation(context.Context) (store.Observation, error) {
	return store.Observation{}, errUnread
}
func (unread) Lookup(context.Context, apikey.ID) (policy.Subject, bool, error) {
	return policy.Subject{}, false, errUnread
}
func (unread) LookupNow(apikey.ID) (policy.Subject, bool, error) {
	return policy.Subject{}, false, errUnread
}

func TestFailingReads(t *testing.T) {
	s := newScript(t)
	s.store = unread{s.store.(*memory.Store)}
	for _, command := range []string{"keys list", "keys show report", "denials", "denials report", "usage report", "events list", "events export", "events follow", "events list --after 3",
		"list show report", "list findings report", "list suggest report", "keys disable report --yes", "keys disable report --preview", "keys rotate report --overlap 0s --yes --org acme",
		"keys create --org acme --from 203.0.113.7 --yes", "org require acme report-only --yes", "org require acme report-only --preview", "may report",
		"decide report --from 203.0.113.9 --org acme", "explain report --from 203.0.113.9 --org acme"} {
		var stderr bytes.Buffer
		require.Equal(t, unknown, s.do(strings.NewReader(""), io.Discard, &stderr, strings.Fields(command)...), command)
		require.Contains(t, stderr.String(), "the disk is on fire", command)
	}
	var stdout bytes.Buffer
	require.Equal(t, no, s.do(strings.NewReader(""), &stdout, io.Discard, "doctor"))
	require.Equal(t, 4, strings.Count(stdout.String(), "the disk is on fire"), stdout.String())
}

// An unobserved store cannot read its usage.
type unobserved struct{ *memory.Store }

func (unobserved) Usage(context.Context, ...apikey.ID) (map[apikey.ID]store.KeyUsage, error) {
	return nil, errUnread
}
