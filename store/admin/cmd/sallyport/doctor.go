package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
)

// A check is one thing that the doctor looked at.
type check struct {
	Name string `json:"check"`
	OK   bool   `json:"ok"`
	Text string `json:"text"`
}

var checks = listing[check]{
	header: "CHECK RESULT FOUND",
	row: func(c check) []string {
		if c.OK {
			return []string{c.Name, "ok", c.Text}
		}
		return []string{c.Name, "LOOK", c.Text}
	},
	name: func(c check) string { return c.Name },
}

func (s *session) doctorCommand() *cobra.Command {
	c := &cobra.Command{Use: "doctor", Short: "Look for what is wrong in the store: exit status 1 if there is anything", Args: exactly(0)}
	c.Long = `Read every record, and look for what an operator should know: records that cannot be read, calls
that are not counted, suspensions, keys that nobody can use. Exit status 1 if there is anything.`
	c.RunE = func(c *cobra.Command, _ []string) error {
		if err := s.use(c.Context()); err != nil {
			return err
		}
		var found []check
		add := func(name string, ok bool, format string, of ...any) {
			found = append(found, check{name, ok, fmt.Sprintf(format, of...)})
		}
		add("store", true, "%s opened", s.shown)
		s.checkJournal(c.Context(), add)
		s.checkUsage(c.Context(), add)
		s.checkRecords(c.Context(), add)
		wrong := slices.DeleteFunc(slices.Clone(found), func(f check) bool { return f.OK })
		if s.output == "name" {
			found = wrong
		}
		if err := list(s, checks, each(found)); err != nil {
			return err
		}
		if len(wrong) > 0 {
			return errNo
		}
		return nil
	}
	return c
}

func (s *session) checkJournal(ctx context.Context, add func(string, bool, string, ...any)) {
	journal, ok := store.As[store.Journal](s.store)
	if !ok {
		add("events", false, "the store keeps no events")
		return
	}
	page, err := journal.Events(ctx, store.EventRequest{Newest: true, Limit: 1})
	switch {
	case err != nil:
		add("events", false, "they cannot be read: %v", err)
	case len(page.Events) == 0:
		add("events", true, "there are none")
	default:
		add("events", true, "the last: %s, %s", when(page.Events[0].Time), eventText(page.Events[0]))
	}
}

func (s *session) checkUsage(ctx context.Context, add func(string, bool, string, ...any)) {
	recorder, ok := store.As[store.UsageRecorder](s.store)
	if !ok {
		add("usage", false, "the store does not count calls")
		return
	}
	now := s.env.now()
	observed, err := recorder.Observation(ctx)
	late := now.Sub(observed.Until)
	switch {
	case err != nil:
		add("usage", false, "its observation cannot be read: %v", err)
	case observed.Until.IsZero():
		add("usage", false, "no process ever counted calls: previews cannot tell which keys a change breaks")
	case late > store.MaxSilence:
		add("usage", false, "no process counts calls since %s", when(observed.Until))
	default:
		add("usage", true, "calls are counted since %s", when(observed.Coverage(now.Add(-30*24*time.Hour), now).Since))
	}
}

// checkRecords reads every record.
func (s *session) checkRecords(ctx context.Context, add func(string, bool, string, ...any)) {
	now := s.env.now()
	organizations, keys, secrets := 0, 0, map[string]int{}
	for o, err := range store.AllOrganizations(ctx, s.store) {
		if err != nil {
			add("organizations", false, "they cannot be read: %v", err)
			break
		}
		organizations++
		if o.SuspendedUntil.After(now) {
			add("suspension", false, "the requirement of organization %s is suspended until %s", o.ID, when(o.SuspendedUntil))
		}
		if o.Disabled {
			add("organization off", false, "organization %s is switched off, and each of its keys", o.ID)
		}
		for key, err := range store.AllKeys(ctx, s.store, o.ID) {
			if err != nil {
				add("keys", false, "those of organization %s cannot be read: %v", o.ID, err)
				break
			}
			keys++
			s.checkKey(key, o, now, add)
			for _, secret := range key.Secrets {
				secrets[secret.ServerKey]++
			}
		}
	}
	add("records", true, "%s, %s", count(organizations, "organization", "organizations"), count(keys, "key", "keys"))
	if len(secrets) > 1 {
		add("server keys", false, "secrets are hashed under %d of them, or none: see store.CountServerKeys", len(secrets))
	}
}

func (s *session) checkKey(key apikey.Key, o policy.Organization, now time.Time, add func(string, bool, string, ...any)) {
	if key.Status(now) != apikey.StatusActive {
		return
	}
	live := false
	for entry := range key.AccessList.All() {
		live = live || !entry.ExpiredAt(now)
	}
	switch {
	case key.AccessList.IsEmpty() && o.Requirement == policy.Required && !o.SuspendedUntil.After(now):
		add("no list", false, "key %s has no access list, and organization %s requires one: every call is refused", key.ID, o.ID)
	case key.AccessList.IsEmpty():
		add("open key", false, "key %s of organization %s is open to every address", key.ID, o.ID)
	case !live:
		add("expired list", false, "all entries of key %s have expired: every call is refused", key.ID)
	}
	for _, finding := range key.AccessList.Findings(now, accesslist.Evidence{}) {
		if finding.Kind == accesslist.OverBroad {
			add("broad entry", false, "key %s of organization %s lists %s", key.ID, o.ID, finding.Entry)
		}
	}
}
