package main

import (
	"context"
	"iter"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/admin"
)

var keys = listing[admin.KeyView]{
	header: "ID ORGANIZATION STATUS ENTRIES GRANTS EXPIRES DESCRIPTION",
	row: func(k admin.KeyView) []string {
		return []string{string(k.ID), k.Organization, k.Status, entriesText(k), grantsText(k, ", "), when(k.Expires), k.Description}
	},
	name: func(k admin.KeyView) string { return string(k.ID) },
	none: "There are no such keys.",
	detail: func(k admin.KeyView) [][2]string {
		return [][2]string{{"key", string(k.ID)}, {"organization", k.Organization}, {"description", oneLine(k.Description)}, {"status", k.Status},
			{"not before", when(k.NotBefore)}, {"expires", when(k.Expires)}, {"created", when(k.Created)},
			{"grants", grantsText(k, "\n")}, {"access list", listText(k.Entries, "none: open to every address while nothing requires a list")},
			{"list on trial", listText(k.TrialEntries, "")}, {"secrets", secretsText(k)}, {"labels", labelsText(k)},
			{"external ID", oneLine(k.ExternalID)}, {"revision", strconv.FormatUint(k.Revision, 10)}}
	},
}

func entriesText(k admin.KeyView) string {
	if len(k.Entries) == 0 {
		return "none"
	}
	return strconv.Itoa(len(k.Entries))
}

func grantsText(k admin.KeyView, between string) string {
	var texts []string
	for _, grant := range k.Grants {
		text := grant.Role
		switch {
		case grant.AllProjects:
			text += " in all projects"
		case grant.Project != "":
			text += " in " + grant.Project
		}
		texts = append(texts, oneLine(text))
	}
	return strings.Join(texts, between)
}

func listText(entries []admin.EntryView, none string) string {
	var texts []string
	for _, entry := range entries {
		texts = append(texts, viewDetail(entry))
	}
	if len(texts) == 0 {
		return none
	}
	return strings.Join(texts, "\n")
}

func secretsText(k admin.KeyView) string {
	var texts []string
	for _, secret := range k.Secrets {
		text := secret.ID
		if !secret.Created.IsZero() {
			text += ", made " + when(secret.Created)
		}
		if !secret.Expires.IsZero() {
			text += ", until " + when(secret.Expires)
		}
		if secret.Digest {
			text += ", with HTTP Digest"
		}
		texts = append(texts, text)
	}
	return strings.Join(texts, "\n")
}

func labelsText(k admin.KeyView) string {
	var texts []string
	for _, name := range slices.Sorted(maps.Keys(k.Labels)) {
		texts = append(texts, oneLine(name+"="+k.Labels[name]))
	}
	return strings.Join(texts, "\n")
}

func (s *session) keyCommands() *cobra.Command {
	return group("keys", "Show keys, and change them", s.keysList(), s.keysShow(), s.keysCreate(), s.keysDescribe(), s.keysGrant(),
		s.keysDisable(), s.keysEnable(), s.keysValidity(), s.keysRotate(), s.keysEndSecret(), s.keysDelete())
}

func (s *session) keysList() *cobra.Command {
	var org, status string
	var filter store.Filter
	c := &cobra.Command{Use: "list", Short: "List the keys of an organization, or of all", Args: exactly(0)}
	c.RunE = func(c *cobra.Command, _ []string) error {
		r, err := s.records(c.Context())
		if err != nil {
			return err
		}
		return list(s, keys, func(yield func(admin.KeyView, error) bool) {
			for key, err := range views(c.Context(), r, org, filter) {
				if err == nil && status != "" && key.Status != status {
					continue
				}
				if !yield(key, err) {
					return
				}
			}
		})
	}
	c.Flags().StringVar(&org, "org", "", "only keys of this `organization`")
	c.Flags().StringVar(&filter.Label, "label", "", "only keys with this label, `NAME` or NAME=VALUE")
	c.Flags().StringVar(&filter.ExternalID, "external-id", "", "only keys with this external `ID`")
	c.Flags().StringVar(&status, "status", "", "only keys with this `status`: active, disabled, not_yet_valid or expired")
	complete(c, "status", "active", "disabled", "not_yet_valid", "expired")
	return c
}

// views yields the keys of an organization, or of all.
func views(ctx context.Context, r records, organization string, filter store.Filter) iter.Seq2[admin.KeyView, error] {
	return func(yield func(admin.KeyView, error) bool) {
		for id, err := range organizationIDs(ctx, r, organization) {
			if err != nil {
				yield(admin.KeyView{}, err)
				return
			}
			for key, err := range pages(ctx, r, id, filter) {
				if !yield(key, err) || err != nil {
					return
				}
			}
		}
	}
}

// pages yields the keys of all pages of an organization.
func pages(ctx context.Context, r records, organization string, filter store.Filter) iter.Seq2[admin.KeyView, error] {
	return func(yield func(admin.KeyView, error) bool) {
		request := store.PageRequest{Limit: store.MaxPageSize, Filter: filter}
		for more := true; more; more = request.Cursor != "" {
			page, err := r.Keys(ctx, organization, request)
			if err != nil {
				yield(admin.KeyView{}, err)
				return
			}
			for _, key := range page.Items {
				if !yield(key, nil) {
					return
				}
			}
			request.Cursor = page.Next
		}
	}
}

// organizationIDs yields the given organization, which must exist, or all.
func organizationIDs(ctx context.Context, r records, given string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		if given != "" {
			_, err := r.Organization(ctx, given)
			yield(given, err)
			return
		}
		for o, err := range r.Organizations(ctx) {
			if !yield(o.ID, err) {
				return
			}
		}
	}
}

func (s *session) keysShow() *cobra.Command {
	var org string
	c := &cobra.Command{Use: "show KEY", Short: "Show a key", Args: exactly(1), RunE: func(c *cobra.Command, args []string) error {
		key, err := s.keyOf(c.Context(), args[0], org)
		if err != nil {
			return err
		}
		return show(s, keys, key)
	}}
	c.Flags().StringVar(&org, "org", "", "the key's `organization`; found by the key unless given")
	return c
}
