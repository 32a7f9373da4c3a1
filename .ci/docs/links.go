package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

var (
	link      = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	heading   = regexp.MustCompile(`^#{1,6} +(.*?) *#*$`)
	notInSlug = regexp.MustCompile(`[^\p{L}\p{N} _-]`)
	linkText  = regexp.MustCompile(`\[([^\]]*)\]\([^)]*\)`)
	code      = regexp.MustCompile("`[^`]*`")
)

// checkLinks checks that files and headings of the tree exist where a link names them.
func checkLinks(r *result, pages []*page) {
	for _, p := range pages {
		text := strings.Join(p.prose, "\n")
		for _, found := range link.FindAllStringSubmatchIndex(code.ReplaceAllStringFunc(text, blank), -1) {
			target := text[found[2]:found[3]]
			if strings.Contains(target, "://") || strings.HasPrefix(target, "mailto:") {
				continue
			}
			r.links++
			at := &block{file: p.file, line: strings.Count(text[:found[0]], "\n") + 1}
			name, anchor, hasAnchor := strings.Cut(target, "#")
			file := p.file
			if name != "" {
				file = filepath.Join(filepath.Dir(p.file), filepath.FromSlash(name))
			}
			if _, err := os.Stat(file); err != nil {
				r.fail(at, "link to %s: there is no such file", target)
				continue
			}
			if hasAnchor && filepath.Ext(file) == ".md" && !hasHeading(file, anchor) {
				r.fail(at, "link to %s: there is no such heading", target)
			}
		}
	}
}

// blank keeps the length of a text.
func blank(text string) string { return strings.Repeat(" ", len(text)) }

// hasHeading reports whether a file has a heading with this anchor, by GitHub's rule.
func hasHeading(file, anchor string) bool {
	text, err := os.ReadFile(file)
	if err != nil {
		return false
	}
	for _, line := range parse(file, string(text)).prose {
		if found := heading.FindStringSubmatch(line); found != nil {
			plain := notInSlug.ReplaceAllString(strings.ToLower(linkText.ReplaceAllString(found[1], "$1")), "")
			if strings.ReplaceAll(plain, " ", "-") == anchor {
				return true
			}
		}
	}
	return false
}
