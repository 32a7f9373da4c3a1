package main

import (
	"time"

	"github.com/spf13/cobra"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/store/admin"
)

var listFindings = listing[admin.ListFinding]{
	header: "KIND ENTRY FINDING",
	row:    func(f admin.ListFinding) []string { return []string{f.Kind, f.Entry, f.Text} },
	name:   func(f admin.ListFinding) string { return f.Entry },
	none:   "There is nothing to report.",
}

func (s *session) listFindings() *cobra.Command {
	var org string
	var internet bool
	since := length{duration(30 * 24 * time.Hour)}
	c := &cobra.Command{Use: "findings KEY", Short: "Report entries that are expired, unused, shadowed or too broad", Args: exactly(1)}
	c.Long = "Report entries that are expired, unused, shadowed or too broad. Exit status 1 if there are any."
	c.RunE = func(c *cobra.Command, args []string) error {
		r, err := s.since(c, since)
		if err != nil {
			return err
		}
		organization, err := organizationOf(c.Context(), r, apikey.ID(args[0]), org)
		if err != nil {
			return err
		}
		review, err := r.ReviewList(c.Context(), organization, apikey.ID(args[0]), internet)
		if err != nil {
			return err
		}
		if err := list(s, listFindings, each(review.Findings)); err != nil {
			return err
		}
		if err := s.mind(review.Gaps); err != nil {
			return err
		}
		if len(review.Findings) > 0 {
			return errNo
		}
		return nil
	}
	c.Flags().StringVar(&org, "org", "", "the key's `organization`; found by the key unless given")
	c.Flags().Var(&since, "since", "how long an entry is without a call to be unused")
	c.Flags().BoolVar(&internet, "internet", false, "clients come over the Internet: report private addresses")
	return c
}

func (s *session) listSuggest() *cobra.Command {
	var org string
	var options admin.TightenOptions
	since := length{duration(30 * 24 * time.Hour)}
	c := &cobra.Command{Use: "suggest KEY", Short: "Suggest an access list from the addresses that used a key", Args: exactly(1)}
	c.Long = `Suggest an access list from the addresses that used a key. The list is on standard output, as a
file for list replace; what speaks against it is on standard error. Nothing is written.

  sallyport list suggest KEY --budget 5 > list.txt
  sallyport list replace KEY -f list.txt`
	c.RunE = func(c *cobra.Command, args []string) error {
		r, err := s.since(c, since)
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
			s.err.textf("Mind: %s", gap)
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
