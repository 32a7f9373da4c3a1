package main

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

// Settings are what a run works on. Each comes from its flag, or else the environment, or else
// the profile. A profile that was chosen by its flag goes before the environment.
type settings struct {
	store, server string // one of them
	from          string // the flag, variable or profile that has it
	caFile        string
	keyFile       string // of the profile of the server
	managers      []string

	prefix     string   // of the service's secrets
	serverKeys []string // of the service, each ID=FILE
}

// chosen returns the profile that --profile or SALLYPORT_PROFILE names, a zero one if neither
// does.
func (s *session) chosen() (p profile, err error) {
	name, by := s.profile, "--profile"
	if name == "" {
		name, by = s.env.getenv("SALLYPORT_PROFILE"), "SALLYPORT_PROFILE"
	}
	if name == "" {
		return profile{}, nil
	}
	profiles, path, err := readProfiles(s.env.getenv)
	if err != nil {
		return profile{}, usageError{fmt.Errorf("%s is %.40q: %w", by, name, err)}
	}
	p, ok := profiles[name]
	if !ok {
		return profile{}, usageError{fmt.Errorf("%s is %.40q, which is no profile of %s: want %s", by, name, path, namesText(profiles))}
	}
	if p.wrong != nil {
		return profile{}, usageError{fmt.Errorf("%s is %.40q: %w", by, name, p.wrong)}
	}
	return p, nil
}

// namesText is the first names of profiles.
func namesText(profiles map[string]profile) string {
	const most = 10
	var names []string
	for i, name := range slices.Sorted(maps.Keys(profiles)) {
		if i == most {
			names = append(names, "others")
			break
		}
		names = append(names, fmt.Sprintf("%.40q", name))
	}
	if names == nil {
		return "one, as [profiles.NAME]"
	}
	return strings.Join(names, ", ")
}

// resolve finds out, once, whether the command works on a store or through a server.
func (s *session) resolve() error {
	if s.settings.from != "" {
		return nil
	}
	p, err := s.chosen()
	if err != nil {
		return err
	}
	getenv := s.env.getenv
	first, second := inOrder(s,
		settings{store: getenv("SALLYPORT_STORE"), server: getenv("SALLYPORT_SERVER"), from: "SALLYPORT_STORE and SALLYPORT_SERVER"},
		settings{store: p.Store, server: p.Server, from: p.from, caFile: p.CAFile, keyFile: p.KeyFile}) // the key is for this server
	var found settings
	for _, level := range []settings{
		{store: s.address, server: s.serverAddress, from: "--store and --server"}, // no defaults of the flags, which help would print, with passwords
		first, second,
	} {
		if level.store != "" && level.server != "" {
			return usageError{errors.New(level.from + " are both given: want one of them")}
		}
		if level.store+level.server != "" {
			found = level
			break
		}
	}
	of, other, isTwo := strings.Cut(found.from, " and ")
	if found.from = of; isTwo && found.server != "" {
		found.from = other
	}
	caFile, otherFile := inOrder(s, getenv("SALLYPORT_CA_FILE"), found.caFile)
	found.caFile = cmp.Or(s.caFile, caFile, otherFile)
	found.managers = firstOf(s, s.managers, split(getenv("SALLYPORT_MANAGERS")), p.Managers)
	found.prefix = cmp.Or(inOrder(s, getenv("SALLYPORT_PREFIX"), p.Prefix))
	found.serverKeys = firstOf(s, nil, split(getenv("SALLYPORT_SERVER_KEY")), p.ServerKeys)
	switch {
	case found.from == "":
		return usageError{errors.New("which store? want --store sqlite:/path, postgres://… or etcd://h1,h2/prefix, or SALLYPORT_STORE; or --server https://…; or --profile NAME")}
	case found.server == "" && s.caFile != "":
		return usageError{errors.New("--ca-file is for --server: want both")}
	case found.server != "" && len(s.managers) > 0:
		return usageError{errors.New("--managers is for --store: the server has its own")}
	}
	s.settings = found
	return nil
}

// inOrder returns a setting of the environment and that of the profile, the stronger one first.
func inOrder[T any](s *session, environment, profile T) (first, second T) {
	if s.profile != "" {
		return profile, environment
	}
	return environment, profile
}

// firstOf returns the values of a flag, or else those of the environment and the profile in order.
func firstOf(s *session, flag, environment, profile []string) []string {
	first, second := inOrder(s, environment, profile)
	for _, values := range [][]string{flag, first} {
		if len(values) > 0 {
			return values
		}
	}
	return second
}

// isRemote reports whether the command works through a server. resolve was called.
func (s *session) isRemote() bool { return s.settings.server != "" }

// shownFrom is the address of the store or server with what it comes from.
func (s *session) shownFrom() string { return fmt.Sprintf("%s (%s)", s.shown, s.settings.from) }

// setFlags sets -o and --org by the environment or the profile, unless they are given.
func (s *session) setFlags(c *cobra.Command) error {
	p, err := s.chosen()
	if err != nil {
		return err
	}
	for _, of := range []struct{ flag, variable, profile string }{{"output", "SALLYPORT_OUTPUT", p.Output}, {"org", "SALLYPORT_ORG", p.Org}} {
		flag := c.Flags().Lookup(of.flag)
		first, second := inOrder(s, [2]string{s.env.getenv(of.variable), of.variable}, [2]string{of.profile, p.from})
		if first[0] == "" {
			first = second
		}
		value, from := first[0], first[1]
		if flag == nil || flag.Changed || value == "" || of.flag == "output" && isText(c) {
			continue
		}
		if of.flag == "output" && !slices.Contains(formats, value) {
			return usageError{fmt.Errorf("%s has the output %.40q: want table, json, jsonl or name", from, value)}
		}
		if err := c.Flags().Set(of.flag, value); err != nil {
			return err
		}
		s.flagsFrom[of.flag] = from
	}
	return nil
}

// isShells reports whether a command is for shells and manuals, and works on nothing.
func isShells(c *cobra.Command) bool {
	return c.Name() == "man" || strings.HasPrefix(c.Name(), cobra.ShellCompRequestCmd) || c.HasParent() && c.Parent().Name() == "completion"
}

// isText reports whether a command has its output as a text, with --text.
func isText(c *cobra.Command) bool {
	flag := c.Flags().Lookup("text")
	return flag != nil && flag.Changed
}
