package admin_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/admin"
)

// A store that fails in the middle of everything: each call of an Admin is made again and
// again, and each time another one of its calls of the store fails, in another way.

// A failing world notes what its store really did.
type failing struct {
	*world
	store  *faulty
	names  []string      // of the calls of the store
	made   []uint64      // revisions of the writes made, zero for a deletion without a Journal
	kept   []store.Event // by the sink
	cancel context.CancelFunc
}

func newFailing(t *testing.T, journal, usage bool) *failing {
	f := &failing{store: newFaulty()}
	var s store.Store = f.store
	switch {
	case !journal && usage:
		s = unjournaled{bare{f.store}, f.store}
	case !journal:
		s = bare{f.store}
	}
	f.world = worldOf(t, s, f.store.Store, admin.WithEvents(func(_ context.Context, events []store.Event) error {
		f.kept = append(f.kept, events...)
		return nil
	}))
	f.ctx, f.cancel = context.WithCancel(t.Context())
	t.Cleanup(f.cancel)
	f.observed(365 * day)
	f.key("boss", "198.51.100.1", "owner")
	f.key("k", "203.0.113.7", "reader")
	f.key("self", "203.0.113.7", "owner")
	f.key("z", "203.0.113.7", "owner")
	f.used("k", "203.0.113.7", time.Hour, 3)
	return f
}

// A way is how a call of the store fails.
type way struct {
	name   string
	err    error
	write  bool // only of writes
	after  bool // after the write was made
	gone   bool // the caller's context ends
	down   bool // every later call fails too
	result admin.Class
	once   bool // the write is judged and made again
}

var ways = []way{
	{name: "an error", err: errFault},
	{name: "down", err: errFault, down: true},
	{name: "an unreadable record", err: fmt.Errorf("key %q: revision 7: the record is half of one", "k")},
	{name: "too late", err: context.DeadlineExceeded},
	{name: "the caller is gone", err: context.Canceled, gone: true},
	{name: "closed", err: store.ErrClosed, down: true},
	{name: "the reply is lost", err: errFault, write: true, after: true},
	{name: "the reply is lost, then down", err: errFault, write: true, after: true, down: true},
	{name: "made too late", err: context.DeadlineExceeded, write: true, after: true},
	{name: "the caller is gone after the write", err: context.Canceled, write: true, after: true, gone: true},
	{name: "a conflict", err: store.ErrConflict, write: true, once: true},
	{name: "absent", err: store.ErrNotFound, write: true, once: true},
	{name: "existing", err: store.ErrExists, write: true, once: true},
	{name: "not empty", err: store.ErrNotEmpty, write: true, once: true},
	{name: "not taken", err: fmt.Errorf("%w: too long", store.ErrInvalid), write: true, result: admin.Invalid},
	{name: "it opens", err: store.ErrOpensKey, write: true, result: admin.Invalid},
}

// breakAt lets the n-th call of the store fail; -1: none.
func (f *failing) breakAt(n int, w way) {
	hit := func() bool {
		i := len(f.names) - 1
		return n >= 0 && (i == n || w.down && i > n)
	}
	fail := func() error {
		if w.gone {
			f.cancel()
		}
		return w.err
	}
	f.store.before = func(call string) error {
		f.names = append(f.names, call)
		if hit() && (!w.after || len(f.names)-1 > n) {
			return fail()
		}
		return nil
	}
	f.store.after = func(string) error {
		f.made = append(f.made, f.position().Revision)
		if hit() {
			return fail()
		}
		return nil
	}
}

// A task is one call of an Admin that changes something.
type task struct {
	name         string
	by           func(f *failing) admin.Actor // nil: ann
	organization string                       // empty: acme
	token        bool                         // of a preview before the failure
	changes      func(f *failing) []admin.Change
}

var tasks = []task{
	{name: "create", changes: fixed(admin.CreateKey(admin.NewKey{ID: "new"}))},
	{name: "create under a new ID", changes: fixed(admin.CreateKey(admin.NewKey{}))},
	{name: "rotate", changes: fixed(admin.Rotate("k", time.Hour))},
	{name: "rotate after a leak", by: self, changes: fixed(admin.Rotate("self", 0))},
	{name: "describe", by: self, changes: fixed(admin.Describe("k", "x"))},
	{name: "disable", changes: fixed(admin.DisableKey("boss"))},
	{name: "delete", token: true, changes: fixed(admin.DeleteKey("k"))},
	{name: "require", by: self, token: true, changes: fixed(admin.SetRequirement(policy.Required))},
	{name: "create an organization", organization: "new", changes: fixed(admin.CreateOrganization(policy.Required), admin.SetName("New"))},
	{name: "open", changes: fixed(admin.RemoveEntries("k", prefixes("203.0.113.7")...))},
	{name: "in steps", token: true, changes: fixed(admin.Rotate("k", time.Hour), admin.SetName("Acme"), admin.CreateKey(admin.NewKey{ID: "new"}),
		admin.Describe("k", "x"), admin.DeleteKey("boss"))},
	{name: "in steps, by a key", by: self, changes: fixed(admin.Rotate("self", 0), admin.SetRequirement(policy.Required), admin.CreateKey(admin.NewKey{}), admin.DeleteKey("z"))},
	{name: "an organization and its key", organization: "new", changes: fixed(admin.CreateOrganization(policy.NotRequired), admin.CreateKey(admin.NewKey{ID: "first"}),
		admin.DeleteKey("first"), admin.DeleteOrganization())},
}

func fixed(changes ...admin.Change) func(*failing) []admin.Change {
	return func(*failing) []admin.Change { return changes }
}

func self(f *failing) admin.Actor { return f.by("self", "203.0.113.7") }

// apply makes a task while the n-th call of the store fails.
func (f *failing) apply(task task, n int, w way) (admin.Result, error) {
	actor, organization := ann, "acme"
	if task.by != nil {
		actor = task.by(f)
	}
	if task.organization != "" {
		organization = task.organization
	}
	options := accept(admin.BreaksKey, admin.Opens, admin.LastManager, admin.OrganizationLockout, admin.SelfLockout)
	if task.token {
		preview, err := f.admin.Preview(f.ctx, actor, organization, task.changes(f)...)
		require.NoError(f.t, err)
		options.Token = preview.Token
	}
	f.breakAt(n, w)
	return f.admin.Apply(f.ctx, actor, organization, options, task.changes(f)...)
}

func TestFailingInTheMiddle(t *testing.T) {
	cases := 0
	for _, kind := range []struct{ journal, usage bool }{{true, true}, {false, true}, {false, false}} {
		for _, task := range tasks {
			t.Run(fmt.Sprintf("%s/journal=%v/usage=%v", task.name, kind.journal, kind.usage), func(t *testing.T) {
				whole := newFailing(t, kind.journal, kind.usage)
				result, err := whole.apply(task, -1, way{})
				require.NoError(t, err)
				names := whole.names
				whole.checkMade(kind.journal, result, nil)
				for n, call := range names {
					for _, w := range ways {
						if w.write && !isWrite(call) {
							continue
						}
						cases++
						f := newFailing(t, kind.journal, kind.usage)
						result, err := f.apply(task, n, w)
						context := fmt.Sprintf("call %d of %q fails: %s", n, names, w.name)
						f.checkAnswer(context, len(task.changes(f)), call, w, result, err)
						f.checkMade(kind.journal, result, err)
						f.checkSilence(err)
						f.checkAgain(task)
					}
				}
			})
		}
	}
	t.Log(cases, "failures")
}

// checkAnswer checks the class of the answer.
func (f *failing) checkAnswer(context string, changes int, call string, w way, result admin.Result, err error) {
	f.t.Helper()
	evidence := call == "Usage" || call == "Observation"
	switch {
	case err == nil:
		require.Equal(f.t, changes, result.Made, context)
		settled := isWrite(call) && w.after && !w.down && slices.ContainsFunc(result.Events, func(e store.Event) bool {
			return e.Type == store.EventKeyCreated || e.Type == store.EventKeyRotated
		})
		require.True(f.t, evidence || w.once || settled, "%s: no error", context)
	case evidence && !w.gone && !w.down:
		// Findings that need the usage were not known to be there, or are not any more.
		require.Contains(f.t, []admin.Class{admin.Conflict, admin.Changed}, admin.ClassOf(err), "%s: %v", context, err)
	case evidence && admin.ClassOf(err) == admin.Changed:
	case w.result != admin.Unavailable:
		requireClass(f.t.(*testing.T), w.result, err)
	default:
		requireClass(f.t.(*testing.T), admin.Unavailable, err)
	}
	if err != nil {
		require.Less(f.t, result.Made, changes, context)
		if !w.once && !evidence {
			require.ErrorIs(f.t, err, w.err, context)
		}
	}
}

// checkMade checks that the result and the error tell of every write what became of it.
func (f *failing) checkMade(journal bool, result admin.Result, err error) {
	f.t.Helper()
	names := strings.Join(f.names, " ")
	f.breakAt(-1, way{})
	f.ctx = f.t.Context()
	// Every event of a write, in a journal with the write.
	if journal {
		require.NotContains(f.t, names, "Put", "a write without its events")
		require.NotContains(f.t, names, "Delete", "a write without its events")
		require.Empty(f.t, f.kept)
		f.kept = f.events()
		revisions := map[uint64]bool{}
		for _, event := range f.kept {
			revisions[event.Revision] = true
		}
		require.Len(f.t, revisions, len(f.made), "writes with events")
		for _, revision := range f.made {
			require.True(f.t, revisions[revision], "the write of revision %d has no event", revision)
		}
		for _, event := range result.Events {
			require.True(f.t, slices.ContainsFunc(f.kept, func(kept store.Event) bool { return same(kept, event) }), "an event that is not kept: %v", event)
		}
	} else {
		require.Equal(f.t, result.Events, f.kept)
	}
	// Only the last write may be in doubt, and then the error says so.
	inDoubt := len(f.made)
	for _, event := range result.Events {
		if event.Index == 0 { // the first one of a write
			inDoubt--
		}
	}
	require.Contains(f.t, []int{0, 1}, inDoubt, "writes that nothing tells of")
	if inDoubt == 1 {
		require.ErrorContains(f.t, err, "It is not known whether the change was made. Look before you try again.")
	}
	if err != nil && strings.Contains(err.Error(), "Nothing was changed") {
		require.Empty(f.t, f.made)
		require.Zero(f.t, result.Made)
	}
	if err != nil && len(f.made) == 0 {
		require.Zero(f.t, result.Made)
		require.Empty(f.t, result.Events)
		require.Empty(f.t, result.Secrets)
	}
	// What was returned is stored.
	for _, secret := range result.Secrets {
		stored, err := f.memory.Key(f.ctx, secret.Key)
		if inDoubt == 1 && err != nil {
			continue // the write in doubt is its deletion
		}
		require.NoError(f.t, err)
		_, err = secret.Secret.Verify(stored.Secrets, f.now)
		require.NoError(f.t, err, "a secret that is not stored")
	}
	for i, view := range result.Keys {
		last := !slices.ContainsFunc(result.Keys[i+1:], func(later admin.KeyView) bool { return later.ID == view.ID })
		stored, err := f.memory.Key(f.ctx, view.ID)
		if err == nil && last && inDoubt == 0 {
			require.Equal(f.t, stored.Revision, view.Revision)
			looked, err := f.admin.Key(f.ctx, stored.Organization, view.ID)
			require.NoError(f.t, err)
			require.Equal(f.t, looked, view)
		}
	}
}

func same(a, b store.Event) bool {
	one, _ := json.Marshal(a)
	other, _ := json.Marshal(b)
	return string(one) == string(other)
}

// checkSilence checks that nothing that may be logged or shown has a secret.
func (f *failing) checkSilence(err error) {
	f.t.Helper()
	var text strings.Builder
	data, problem := json.Marshal([]any{err, f.kept})
	require.NoError(f.t, problem)
	fmt.Fprintf(&text, "%v %s", err, data)
	for _, notice := range f.notices {
		fmt.Fprintf(&text, " %v", notice.LogValue())
	}
	require.NotContains(f.t, text.String(), apikey.DefaultPrefix+"_")
	require.NotContains(f.t, text.String(), "sha256")
}

// checkAgain asks for the same once more: whatever became of the first time, the answer is
// certain.
func (f *failing) checkAgain(task task) {
	f.t.Helper()
	if task.by != nil || task.token {
		return // the proof or the preview may be out of date
	}
	if _, err := f.apply(task, -1, way{}); err != nil {
		require.Contains(f.t, []admin.Class{admin.Conflict, admin.NotFound, admin.Invalid}, admin.ClassOf(err), err)
	}
}

// A look or a preview that meets a failure is unavailable, or the same as without.
func TestFailingLooks(t *testing.T) {
	looks := map[string]func(f *failing) (any, error){
		"Organization": func(f *failing) (any, error) { return f.admin.Organization(f.ctx, "acme") },
		"Key":          func(f *failing) (any, error) { return f.admin.Key(f.ctx, "acme", "k") },
		"Keys":         func(f *failing) (any, error) { return f.admin.Keys(f.ctx, "acme", store.PageRequest{}) },
		"no keys": func(f *failing) (any, error) {
			return f.admin.Keys(f.ctx, "acme", store.PageRequest{Filter: store.Filter{Label: "team"}})
		},
	}
	call := admin.Call{Key: "k", Client: netip.MustParseAddr("192.0.2.9"), Endpoint: manage, Resource: policy.Resource{Organization: "acme"}, Time: start.Add(-time.Hour)}
	for name, look := range map[string]func(f *failing) (any, error){
		"May": func(f *failing) (any, error) {
			return f.admin.May(f.ctx, "acme", "k", []policy.Endpoint{manage}, call.Client)
		},
		"Investigate": func(f *failing) (any, error) {
			return f.admin.Investigate(f.ctx, ann, "acme", call)
		},
		"Rotation": func(f *failing) (any, error) {
			return f.admin.Rotation(f.ctx, "acme", "k", time.Hour)
		},
		"Tighten": func(f *failing) (any, error) {
			return f.admin.Tighten(f.ctx, ann, "acme", "k", admin.TightenOptions{})
		},
	} {
		looks[name] = look
	}
	for _, task := range tasks {
		looks["Preview: "+task.name] = func(f *failing) (any, error) {
			actor, organization := ann, "acme"
			if task.by != nil {
				actor = task.by(f)
			}
			if task.organization != "" {
				organization = task.organization
			}
			return f.admin.Preview(f.ctx, actor, organization, task.changes(f)...)
		}
	}
	for name, look := range looks {
		t.Run(name, func(t *testing.T) {
			whole := newFailing(t, true, true)
			whole.breakAt(-1, way{})
			want, err := look(whole)
			require.NoError(t, err)
			require.NotNil(t, want)
			for n, call := range whole.names {
				for _, w := range ways {
					if w.write {
						continue
					}
					f := newFailing(t, true, true)
					before := f.position()
					f.breakAt(n, w)
					got, err := look(f)
					evidence := call == "Usage" || call == "Observation"
					switch {
					case evidence && err == nil:
						data, err := json.Marshal(got)
						require.NoError(t, err)
						require.Regexp(t, `"unread":true|"Some usage could not be read."`, string(data), "call %d of %q fails: %s", n, whole.names, w.name)
						require.False(t, w.gone && strings.HasPrefix(name, "Preview"))
					default:
						require.Error(t, err, "call %d of %q fails: %s", n, whole.names, w.name)
						requireClass(t, admin.Unavailable, err)
						if evidence && name == "Tighten" {
							break // there is nothing to suggest without the usage
						}
						require.ErrorIs(t, err, w.err)
						require.ErrorContains(t, err, "The records could not be read. Nothing was changed. Try again later.")
					}
					f.ctx = t.Context()
					require.Equal(t, before, f.position())
					require.Empty(t, f.made)
					f.checkSilence(err)
				}
			}
		})
	}
}
