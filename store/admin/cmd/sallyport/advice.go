package main

import (
	"context"
	"errors"
	"time"

	"github.com/spf13/cobra"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/admin"
)

// A listFinding is a finding of package accesslist.
type listFinding struct {
	Kind  string   `json:"kind"`
	Entry string   `json:"entry"`
	By    []string `json:"by,omitempty"`
	Text  string   `json:"text"`
}

var listFindings = listing[listFinding]{
	header: "KIND ENTRY FINDING",
	row:    func(f listFinding) []string { return []string{f.Kind, f.Entry, f.Text} },
	name:   func(f listFinding) string { return f.Entry },
	none:   "There is nothing to report.",
}

func (s *session) listFindings() *cobra.Command {
	var internet bool
	since := duration(30 * 24 * time.Hour)
	c := &cobra.Command{Use: "findings KEY", Short: "Report entries that are expired, unused, shadowed or too broad", Args: exactly(1)}
	c.Long = "Report entries that are expired, unused, shadowed or too broad. Exit status 1 if there are any."
	c.RunE = func(c *cobra.Command, args []string) error {
		if err := s.use(c.Context()); err != nil {
			return err
		}
		r, err := s.records(c.Context())
		if err != nil {
			return err
		}
		key, err := s.store.Key(c.Context(), apikey.ID(args[0]))
		if errors.Is(err, store.ErrNotFound) {
			err = noKeyError{apikey.ID(args[0]), s.shown}
		}
		if err != nil {
			return nearKey(c.Context(), r, "", apikey.ID(args[0]), err)
		}
		evidence, err := s.listEvidence(c.Context(), key.ID, time.Duration(since))
		if err != nil {
			return err
		}
		evidence.Internet = internet
		var found []listFinding
		for _, f := range key.AccessList.Findings(s.env.now(), evidence) {
			view := listFinding{Kind: f.Kind.String(), Entry: f.Entry.String(), Text: f.String()}
			for _, by := range f.By {
				view.By = append(view.By, by.String())
			}
			found = append(found, view)
		}
		if err := list(s, listFindings, each(found)); err != nil {
			return err
		}
		if len(found) > 0 {
			return errNo
		}
		return nil
	}
	c.Flags().Var(&since, "since", "how long an entry is without a call to be unused")
	c.Flags().BoolVar(&internet, "internet", false, "clients come over the Internet: report private addresses")
	return c
}

// listEvidence returns the usage of a key's entries, as far as it was observed.
func (s *session) listEvidence(ctx context.Context, id apikey.ID, window time.Duration) (evidence accesslist.Evidence, err error) {
	recorder, ok := store.As[store.UsageRecorder](s.store)
	if !ok {
		return evidence, nil
	}
	usage, err := recorder.Usage(ctx, id)
	if err != nil {
		return evidence, err
	}
	observed, err := recorder.Observation(ctx)
	now := s.env.now()
	return accesslist.Evidence{Usage: usage[id].Entries, Since: observed.Coverage(now.Add(-window), now).Since, Window: window}, err
}

func (s *session) listSuggest() *cobra.Command {
	var org string
	var options admin.TightenOptions
	since := duration(30 * 24 * time.Hour)
	c := &cobra.Command{Use: "suggest KEY", Short: "Suggest an access list from the addresses that used a key", Args: exactly(1)}
	c.Long = `Suggest an access list from the addresses that used a key. The list is on standard output, as a
file for list replace; what speaks against it is on standard error. Nothing is written.

  sallyport list suggest KEY --budget 5 > list.txt
  sallyport list replace KEY -f list.txt`
	c.RunE = func(c *cobra.Command, args []string) error {
		if err := s.storeOnly(c, "since"); err != nil {
			return err
		}
		r, err := s.records(c.Context(), admin.WithWindow(time.Duration(since)))
		if err != nil {
			return err
		}
		organization, err := organizationOf(c.Context(), r, apikey.ID(args[0]), org)
		if err != nil {
			return err
		}
		t, err := r.Tighten(c.Context(), organization, apikey.ID(args[0]), options)
		if err != nil {
			return err
		}
		for _, gap := range t.Gaps {
			s.err.printf("Mind: %s\n", gap)
		}
		for _, left := range t.LeftOut {
			s.err.printf("Left out: %s, with %s\n", left.Address, count(int(left.Count), "call", "calls"))
		}
		s.err.printf("%s, to cover %s: %d added, %d removed.\n", count(len(t.Entries), "entry", "entries"), count(len(t.Observed), "address", "addresses"), len(t.Added), len(t.Removed))
		switch s.output {
		case "table":
			return s.listText(t.Entries)
		case "json":
			return s.json(t, "  ")
		case "jsonl":
			return s.json(t, "")
		}
		return list(s, entryViews, each(t.Entries))
	}
	c.Flags().IntVar(&options.Budget, "budget", admin.DefaultBudget, "the largest `number` of entries")
	c.Flags().Var(&since, "since", "how far back calls count")
	c.Flags().BoolVar(&options.AllowIPv6, "ipv6", false, "suggest IPv6 entries, too")
	c.Flags().StringVar(&org, "org", "", "the key's `organization`; found by the key unless given")
	return c
}
