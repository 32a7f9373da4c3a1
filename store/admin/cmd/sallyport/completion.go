package main

import (
	"context"
	"iter"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/admin"
)

// The shell waits so long for names, and takes so many. Then it has those that came.
const (
	completing = 2 * time.Second
	maxNames   = 500
)

// completeNames completes the arguments of a command and of those below it, by their names in
// Use, and the flags that name records.
func (s *session) completeNames(c *cobra.Command) {
	for _, below := range c.Commands() {
		s.completeNames(below)
	}
	for flag, kind := range map[string]string{"org": "ORG", "key": "KEY"} {
		if c.LocalNonPersistentFlags().Lookup(flag) != nil {
			s.completeFlag(c, flag, kind)
		}
	}
	var kinds []string
	many := false
	for _, word := range strings.Fields(c.Use)[1:] {
		if strings.HasPrefix(word, "-") {
			break
		}
		many = strings.HasSuffix(word, "...")
		kinds = append(kinds, strings.Trim(word, "[]."))
	}
	if kinds == nil || c.Name() == "create" { // of a new name
		c.ValidArgsFunction = cobra.NoFileCompletions
		return
	}
	c.ValidArgsFunction = func(c *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		if len(args) >= len(kinds) && !many {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return s.names(c, kinds[min(len(args), len(kinds)-1)], args)
	}
}

func (s *session) completeFlag(c *cobra.Command, flag, kind string) {
	err := c.RegisterFlagCompletionFunc(flag, func(c *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		return s.names(c, kind, args)
	})
	if err != nil {
		panic(err) // there is no such flag
	}
}

// names returns the names of a kind of argument. It asks nothing and writes nothing, and an error
// is no name.
func (s *session) names(c *cobra.Command, kind string, args []string) ([]string, cobra.ShellCompDirective) {
	ctx, cancel := context.WithTimeout(c.Context(), completing)
	defer cancel()
	var found []string
	add := func(name, about string) bool {
		found = append(found, strings.TrimSuffix(oneLine(name)+"\t"+oneLine(about), "\t"))
		return len(found) < maxNames
	}
	switch {
	case strings.Contains(kind, "|"):
		return strings.Split(kind, "|"), cobra.ShellCompDirectiveNoFileComp
	case kind == "LOG":
		return nil, cobra.ShellCompDirectiveDefault
	case kind == "DIRECTORY":
		return nil, cobra.ShellCompDirectiveFilterDirs
	case kind == "PROFILE":
		profiles, _, _ := readProfiles(s.env.getenv)
		for _, name := range slices.Sorted(maps.Keys(profiles)) {
			add(name, hidePassword(profiles[name].Store+profiles[name].Server))
		}
	case kind == "ORG":
		if r, err := s.records(ctx); err == nil {
			take(r.Organizations(ctx), func(o admin.OrganizationView) bool { return add(o.ID, o.Name) })
		}
	case kind == "KEY":
		if r, err := s.records(ctx); err == nil {
			take(views(ctx, r, s.orgOf(c), store.Filter{}), func(key admin.KeyView) bool { return add(string(key.ID), key.Description) })
		}
	case kind == "ADDRESS" && c.Name() != "add":
		for _, entry := range s.keyNamed(ctx, c, args[0]).Entries {
			add(entry.Address, entry.Comment)
		}
	case kind == "SECRET-ID":
		for _, secret := range s.keyNamed(ctx, c, args[0]).Secrets {
			add(secret.ID, "made "+when(secret.Created))
		}
	}
	return found, cobra.ShellCompDirectiveNoFileComp
}

// take gives items to a function until that has enough, or an error ends them.
func take[T any](items iter.Seq2[T, error], add func(T) bool) {
	for item, err := range items {
		if err != nil || !add(item) {
			return
		}
	}
}

// orgOf returns the organization of a command's flag, or that of the environment or the profile.
func (s *session) orgOf(c *cobra.Command) string {
	_ = s.setFlags(c) // without them all keys are offered
	flag := c.Flags().Lookup("org")
	if flag == nil {
		return ""
	}
	return flag.Value.String()
}

// keyNamed returns a key, a zero one if it cannot be read.
func (s *session) keyNamed(ctx context.Context, c *cobra.Command, id string) (key admin.KeyView) {
	if r, err := s.records(ctx); err == nil {
		key, _ = keyOf(ctx, r, id, s.orgOf(c))
	}
	return key
}
