package main

import (
	"cmp"
	"errors"
	"io/fs"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

// A configView is the settings in force, each with what it comes from. It has no secret.
type configView struct {
	File       string   `json:"file"`
	Absent     bool     `json:"absent,omitempty"` // there is no such file
	Profiles   []string `json:"profiles"`
	Store      string   `json:"store,omitempty"`
	Server     string   `json:"server,omitempty"`
	From       string   `json:"from"`
	CAFile     string   `json:"caFile,omitempty"`
	Key        string   `json:"keyIn,omitempty"`
	Org        string   `json:"org,omitempty"`
	OrgFrom    string   `json:"orgFrom,omitempty"` // none: its flag
	Output     string   `json:"output"`
	OutputFrom string   `json:"outputFrom,omitempty"` // likewise
	Managers   []string `json:"managers,omitempty"`
	Prefix     string   `json:"prefix,omitempty"` // none: that of the library
	ServerKeys []string `json:"serverKeys,omitempty"`
	Wrong      []string `json:"wrong,omitempty"` // profiles that cannot be used, and why
}

var configs = listing[configView]{
	name: func(v configView) string { return v.File },
	detail: func(v configView) [][2]string {
		from := func(value, from string) string {
			if value == "" || from == "" {
				return oneLine(value)
			}
			return oneLine(value) + " (" + from + ")"
		}
		file := v.File
		if v.Absent {
			file += " (absent)"
		}
		return [][2]string{{"file", file}, {"profiles", oneLine(strings.Join(v.Profiles, ", "))}, {"store", from(v.Store, v.From)}, {"server", from(v.Server, v.From)},
			{"certificates", v.CAFile}, {"key in", v.Key}, {"organization", from(v.Org, v.OrgFrom)}, {"output", from(v.Output, v.OutputFrom)}, {"managers", oneLine(strings.Join(v.Managers, ", "))},
			{"prefix", oneLine(v.Prefix)}, {"server keys", oneLine(strings.Join(v.ServerKeys, ", "))}, {"wrong", strings.Join(v.Wrong, "\n")}}
	},
}

func (s *session) configCommand() *cobra.Command {
	var org string
	c := &cobra.Command{Use: "config", Short: "Show the settings in force, and where each comes from", Args: cobra.NoArgs}
	c.Long = `Show the settings in force, and where each comes from: its flag, or else the profile that --profile
names, or else the environment, or else the profile that SALLYPORT_PROFILE names. Profiles are in
~/.config/sallyport/config.toml, or below XDG_CONFIG_HOME; on Windows below %AppData%:

  [profiles.prod]
  server = "https://gate.example.com"
  key-file = "prod.key"      # beside this file, with mode 0600
  ca-file = "ca.pem"         # if the system does not know its authority
  org = "acme"               # for --org
  output = "table"

  [profiles.night]           # straight in the store, when the service is down
  store = "sqlite:/var/lib/gate/keys.db"
  managers = ["owner"]
  prefix = "acme"                        # of the service's secrets
  server-keys = ["2026-05=server.key"]   # if it has some: the first hashes new secrets

No secret is in this file: an address with a password is refused, and so is a file that others can
write, or one with a key-file that others can read. The key-file is for the server of its own
profile alone. A wrong profile is reported here, and the others can be used.

The environment has SALLYPORT_STORE or SALLYPORT_SERVER, SALLYPORT_CA_FILE, SALLYPORT_ORG,
SALLYPORT_OUTPUT, SALLYPORT_MANAGERS, SALLYPORT_PREFIX and SALLYPORT_SERVER_KEY. --org '' takes no
organization from there.`
	c.RunE = func(*cobra.Command, []string) error {
		profiles, path, err := readProfiles(s.env.getenv)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if err := s.resolve(); err != nil {
			return err
		}
		of := s.settings
		v := configView{File: path, Absent: err != nil, Profiles: append([]string{}, slices.Sorted(maps.Keys(profiles))...), Server: hidePassword(of.server), From: of.from,
			Org: org, OrgFrom: s.flagsFrom["org"], Output: s.output, OutputFrom: s.flagsFrom["output"], Managers: of.managers}
		for _, name := range v.Profiles {
			if wrong := profiles[name].wrong; wrong != nil {
				v.Wrong = append(v.Wrong, wrong.Error())
			}
		}
		if of.store != "" {
			v.Store = hidePassword(of.store)
			v.Prefix, v.ServerKeys = of.prefix, of.serverKeys
		} else {
			v.CAFile = of.caFile
			v.Key = s.keyFrom()
		}
		return show(s, configs, v)
	}
	c.Flags().StringVar(&org, "org", "", "an `organization`, as for other commands")
	return c
}

// keyFrom returns the variable or the file with the key for the server; empty: there is none.
func (s *session) keyFrom() string {
	variable := ""
	if strings.TrimSpace(s.env.getenv("SALLYPORT_KEY")) != "" {
		variable = "SALLYPORT_KEY"
	}
	return cmp.Or(inOrder(s, variable, s.settings.keyFile))
}
