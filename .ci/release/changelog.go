package main

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"golang.org/x/mod/semver"
)

// A section of CHANGELOG.md is a release, or what is not released.
type section struct {
	version string            // "" for [Unreleased]
	date    time.Time         // zero for [Unreleased]
	entries map[string]string // text by kind
}

// kinds are the headings that https://keepachangelog.com/en/1.1.0/ names.
var kinds = []string{"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}

var heading = regexp.MustCompile(`^\[(\d+\.\d+\.\d+)\] - (\d{4}-\d\d-\d\d)$`)

// parseChangelog reads CHANGELOG.md: [Unreleased] first, then releases, the latest first.
func parseChangelog(text string) ([]section, error) {
	var sections []section
	kind := ""
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\n")
		if title, ok := strings.CutPrefix(line, "## "); ok {
			s, err := parseHeading(title, sections)
			if err != nil {
				return nil, err
			}
			sections, kind = append(sections, s), ""
			continue
		}
		if len(sections) == 0 {
			continue
		}
		s := sections[len(sections)-1]
		if title, ok := strings.CutPrefix(line, "### "); ok {
			if _, twice := s.entries[title]; twice || !slices.Contains(kinds, title) {
				return nil, fmt.Errorf("CHANGELOG.md: heading %q in section %q: want one of %s, once", title, s.name(), strings.Join(kinds, ", "))
			}
			kind = title
			s.entries[kind] = ""
		} else if kind != "" {
			s.entries[kind] += line + "\n"
		} else if strings.TrimSpace(line) != "" {
			return nil, fmt.Errorf("CHANGELOG.md: section %q begins with text: want a heading such as ### Added", s.name())
		}
	}
	if len(sections) == 0 {
		return nil, errors.New("CHANGELOG.md has no section: want ## [Unreleased]")
	}
	for _, s := range sections {
		for kind, entries := range s.entries {
			if !strings.HasPrefix(strings.TrimSpace(entries), "- ") {
				return nil, fmt.Errorf("CHANGELOG.md: %s in section %q: want a list", kind, s.name())
			}
		}
		if s.version != "" && len(s.entries) == 0 {
			return nil, fmt.Errorf("CHANGELOG.md: section %q is empty", s.name())
		}
	}
	return sections, nil
}

// parseHeading reads the heading of a section that follows others.
func parseHeading(title string, before []section) (section, error) {
	s := section{entries: map[string]string{}}
	if len(before) == 0 {
		if title != "[Unreleased]" {
			return s, fmt.Errorf("CHANGELOG.md: the first section is %q: want [Unreleased]", title)
		}
		return s, nil
	}
	parts := heading.FindStringSubmatch(title)
	if parts == nil {
		return s, fmt.Errorf("CHANGELOG.md: section %q: want [VERSION] - YEAR-MONTH-DAY", title)
	}
	s.version = "v" + parts[1]
	var err error
	if s.date, err = time.Parse(time.DateOnly, parts[2]); err != nil {
		return s, fmt.Errorf("CHANGELOG.md: section %q: %w", title, err)
	}
	last := before[len(before)-1]
	if last.version != "" && (semver.Compare(s.version, last.version) >= 0 || s.date.After(last.date)) {
		return s, fmt.Errorf("CHANGELOG.md: section %q follows %q: want the latest release first", title, last.name())
	}
	return s, nil
}

func (s section) name() string {
	if s.version == "" {
		return "Unreleased"
	}
	return s.version
}

// after returns the sections of what follows a release, "" for none.
func after(sections []section, last string) []section {
	end := slices.IndexFunc(sections, func(s section) bool { return s.version == last && last != "" })
	if end < 0 {
		return sections
	}
	return sections[:end]
}

// readyFor checks that the changelog describes a version, the next one after a release.
func readyFor(sections []section, version, last string, now time.Time) error {
	open := after(sections, last)
	if len(open) != 2 || open[1].version != version {
		return fmt.Errorf("CHANGELOG.md: want ## [%s] - %s below [Unreleased], and no other section since the last release",
			strings.TrimPrefix(version, "v"), now.Format(time.DateOnly))
	}
	if len(open[0].entries) > 0 {
		return fmt.Errorf("CHANGELOG.md: [Unreleased] has entries: want them in the section of %s", version)
	}
	if open[1].date.After(now) {
		return fmt.Errorf("CHANGELOG.md: the date of %s is in the future", version)
	}
	return nil
}
