package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
)

// build is the version and the commit of the program.
type build struct {
	Version string `json:"version"`
	Commit  string `json:"commit,omitempty"`
	Time    string `json:"time,omitempty"`
	Go      string `json:"go"`
	System  string `json:"system"`
}

var builds = listing[build]{
	name: func(b build) string { return b.Version },
	detail: func(b build) [][2]string {
		return [][2]string{{"sallyport", b.Version}, {"commit", b.Commit}, {"committed", b.Time}, {"go", b.Go}, {"system", b.System}}
	},
}

func (s *session) versionCommand() *cobra.Command {
	return &cobra.Command{Use: "version", Short: "Show the version of this program", Args: exactly(0), RunE: func(*cobra.Command, []string) error {
		return show(s, builds, readBuild())
	}}
}

func readBuild() build {
	b := build{Version: "unknown", Go: runtime.Version(), System: runtime.GOOS + "/" + runtime.GOARCH}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return b
	}
	b.Version = info.Main.Version
	for _, setting := range info.Settings {
		switch setting.Key {
		case "vcs.revision":
			b.Commit = setting.Value
		case "vcs.time":
			b.Time = setting.Value
		case "vcs.modified":
			if setting.Value == "true" {
				b.Commit += " (modified)"
			}
		}
	}
	return b
}

func (s *session) manCommand() *cobra.Command {
	return &cobra.Command{Use: "man DIRECTORY", Short: "Write the man pages into a directory", Args: exactly(1), RunE: func(c *cobra.Command, args []string) error {
		date := s.env.now().UTC()
		header := &doc.GenManHeader{Title: "SALLYPORT", Section: "1", Source: "sallyport", Manual: "sallyport", Date: &date}
		c.Root().DisableAutoGenTag = true
		if err := doc.GenManTree(c.Root(), header, args[0]); err != nil {
			return fmt.Errorf("the man pages cannot be written: %w", err)
		}
		return nil
	}}
}
