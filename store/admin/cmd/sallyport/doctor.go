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
	"github.com/sallyport-go/sallyport/store/admin"
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
that are not counted, suspensions, keys that nobody can use. Exit status 1 if there is anything.
With --server it looks at the organizations that the caller may read, and at the server's clock and
certificate; which server keys the secrets have can be seen in the store alone.`
	c.RunE = func(c *cobra.Command, _ []string) error {
		r, err := s.records(c.Context())
		if err != nil {
			return err
		}
		d := &doctor{session: s, records: r}
		d.checkRecords(c.Context())
		found := d.found // after what holds of all of them
		d.found = nil
		switch r := r.(type) {
		case *server:
			if err := d.checkServer(c.Context(), r); err != nil {
				return err
			}
		case *local:
			d.checkStore(c.Context())
		}
		found = append(d.found, found...)
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

// A doctor looks at records, and keeps what it found.
type doctor struct {
	*session
	records records
	found   []check

	organizations []string
	key           admin.KeyView // any; zero: there is none
}

// lost adds what could not be read.
func (d *doctor) lost(name, what string, err error) {
	_, text := outcome(err)
	d.add(name, false, "%s cannot be read: %s", what, text)
}

func (d *doctor) add(name string, ok bool, format string, of ...any) {
	d.found = append(d.found, check{name, ok, fmt.Sprintf(format, of...)})
}

// checkRecords reads every record.
func (d *doctor) checkRecords(ctx context.Context) {
	keys, read := 0, true
	for o, err := range d.records.Organizations(ctx) {
		if err != nil {
			d.lost("organizations", "they", err)
			read = false
			break
		}
		d.organizations = append(d.organizations, o.ID)
		if !o.SuspendedUntil.IsZero() {
			d.add("suspension", false, "the requirement of organization %s is suspended until %s", o.ID, when(o.SuspendedUntil))
		}
		if o.Disabled {
			d.add("organization off", false, "organization %s is switched off, and each of its keys", o.ID)
		}
		for key, err := range pages(ctx, d.records, o.ID, store.Filter{}) {
			if err != nil {
				d.lost("keys", "those of organization "+o.ID, err)
				read = false
				break
			}
			keys++
			d.key = key
			d.checkKey(key, o)
		}
	}
	d.add("records", true, "%s, %s", count(len(d.organizations), "organization", "organizations"), count(keys, "key", "keys"))
	if _, isLocal := d.records.(*local); isLocal && read {
		d.checkServerKeys(ctx)
	}
}

func (d *doctor) checkKey(key admin.KeyView, o admin.OrganizationView) {
	if key.Status != apikey.StatusActive.String() {
		return
	}
	live := slices.ContainsFunc(key.Entries, func(e admin.EntryView) bool { return !e.Expired })
	switch {
	case len(key.Entries) == 0 && o.Requirement == policy.Required && o.SuspendedUntil.IsZero():
		d.add("no list", false, "key %s has no access list, and organization %s requires one: every call is refused", key.ID, o.ID)
	case len(key.Entries) == 0:
		d.add("open key", false, "key %s of organization %s is open to every address", key.ID, o.ID)
	case !live:
		d.add("expired list", false, "all entries of key %s have expired: every call is refused", key.ID)
	}
	list, err := listOfViews(key.Entries)
	if err != nil {
		d.lost("list", "that of key "+string(key.ID), err)
	}
	for _, finding := range list.Findings(d.env.now(), accesslist.Evidence{}) {
		if finding.Kind == accesslist.OverBroad {
			d.add("broad entry", false, "key %s of organization %s lists %s", key.ID, o.ID, finding.Entry)
		}
	}
}

func (d *doctor) checkServerKeys(ctx context.Context) {
	counts, err := store.CountServerKeys(ctx, d.store, d.env.now())
	switch {
	case err != nil:
		d.lost("server keys", "the secrets", err)
	case len(counts) > 1:
		d.add("server keys", false, "secrets are hashed under %d of them, or none: see store.CountServerKeys", len(counts))
	}
}

// checkStore looks at what the opened store keeps beside records.
func (d *doctor) checkStore(ctx context.Context) {
	d.add("store", true, "%s opened", d.shown)
	page, err := d.records.Events(ctx, store.EventRequest{Newest: true, Limit: 1})
	d.checkEvents(page.Events, err)
	recorder, ok := store.As[store.UsageRecorder](d.store)
	if !ok {
		d.add("usage", false, "the store does not count calls")
		return
	}
	observed, err := recorder.Observation(ctx)
	now := d.env.now()
	d.checkUsage(observed.Coverage(now.Add(-30*24*time.Hour), now).Since, observed.Until, err)
}

func (d *doctor) checkEvents(newest []store.Event, err error) {
	switch {
	case err != nil:
		d.lost("events", "they", err)
	case len(newest) == 0:
		d.add("events", true, "there are none")
	default:
		d.add("events", true, "the last: %s, %s", when(newest[0].Time), eventText(newest[0]))
	}
}

// checkUsage is given a zero since if no process counts calls now; until is when the last one did.
func (d *doctor) checkUsage(since, until time.Time, err error) {
	switch {
	case err != nil:
		d.lost("usage", "its observation", err)
	case until.IsZero():
		d.add("usage", false, "no process ever counted calls: previews cannot tell which keys a change breaks")
	case since.IsZero():
		d.add("usage", false, "no process counts calls since %s", when(until))
	default:
		d.add("usage", true, "calls are counted since %s", when(since))
	}
}
