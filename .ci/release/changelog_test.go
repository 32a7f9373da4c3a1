package main

import (
	"testing"
	"time"
)

const intro = "# Changelog\n\nSome words.\n\n"

func TestChangelog(t *testing.T) {
	sections, err := parseChangelog(intro + `## [Unreleased]

### Fixed

- A thing.

## [1.10.0] - 2026-03-02

### Added

- One.
- Two,
  on two lines.

### Removed

- ` + "`policy.Old`" + `.

## [1.9.0] - 2026-03-02

### Security

- A hole.
`)
	must(t, err)
	if len(sections) != 3 || sections[1].version != "v1.10.0" || sections[1].date.Format(time.DateOnly) != "2026-03-02" {
		t.Fatalf("sections: %v", sections)
	}
	wantText(t, sections[1].entries["Removed"], "`policy.Old`")
	if n := len(after(sections, "v1.9.0")); n != 2 {
		t.Errorf("%d sections after v1.9.0: want 2", n)
	}
	if n := len(after(sections, "")); n != 3 {
		t.Errorf("%d sections before the first release: want 3", n)
	}
}

func TestChangelogIsRefused(t *testing.T) {
	const top = intro + "## [Unreleased]\n\n"
	for name, c := range map[string]struct{ text, want string }{
		"empty":              {intro, "has no section"},
		"no Unreleased":      {intro + "## [1.0.0] - 2026-01-02\n", "want [Unreleased]"},
		"no date":            {top + "## [1.0.0]\n", "want [VERSION] - YEAR-MONTH-DAY"},
		"no such date":       {top + "## [1.0.0] - 2026-02-30\n", "out of range"},
		"a v":                {top + "## [v1.0.0] - 2026-01-02\n", "want [VERSION] - YEAR-MONTH-DAY"},
		"unknown kind":       {top + "### New\n\n- One.\n", `heading "New"`},
		"kind twice":         {top + "### Added\n\n- One.\n\n### Added\n\n- Two.\n", `heading "Added"`},
		"no list":            {top + "### Added\n\nOne.\n", "want a list"},
		"text without kind":  {top + "One.\n", "begins with text"},
		"nothing in it":      {top + "## [1.0.0] - 2026-01-02\n", "is empty"},
		"older first":        {top + "## [1.0.0] - 2026-01-02\n\n### Added\n\n- One.\n\n## [1.1.0] - 2026-01-01\n", "want the latest release first"},
		"older with a later": {top + "## [1.1.0] - 2026-01-02\n\n### Added\n\n- One.\n\n## [1.0.0] - 2026-01-03\n", "want the latest release first"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := parseChangelog(c.text)
			wantError(t, err, c.want)
		})
	}
}

func TestReadyFor(t *testing.T) {
	const (
		added = "### Added\n\n- One.\n\n"
		old   = "## [0.1.0] - 2026-01-02\n\n" + added
		next  = "## [0.2.0] - 2026-02-03\n\n" + added
	)
	now := time.Date(2026, 2, 3, 1, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct{ text, last, want string }{
		"ready":              {next + old, "v0.1.0", ""},
		"the first":          {next, "", ""},
		"no section":         {old, "v0.1.0", "want ## [0.2.0] - 2026-02-03"},
		"another section":    {"## [0.3.0] - 2026-02-03\n\n" + added + old, "v0.1.0", "want ## [0.2.0]"},
		"one in between":     {next + "## [0.1.1] - 2026-02-03\n\n" + added + old, "v0.1.0", "no other section"},
		"unreleased entries": {added + next + old, "v0.1.0", "[Unreleased] has entries"},
		"tomorrow":           {"## [0.2.0] - 2026-02-04\n\n" + added + old, "v0.1.0", "in the future"},
	} {
		t.Run(name, func(t *testing.T) {
			sections, err := parseChangelog(intro + "## [Unreleased]\n\n" + c.text)
			must(t, err)
			if err := readyFor(sections, "v0.2.0", c.last, now); c.want != "" {
				wantError(t, err, c.want)
			} else {
				must(t, err)
			}
		})
	}
}
