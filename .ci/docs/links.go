package main

import (
	"io/fs"
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

// A comment of Go names pages by these two: a link of its documentation, and a word.
var (
	docLink  = regexp.MustCompile(`//.*https://github\.com/sallyport-go/sallyport/blob/main/(\S+)`)
	pageName = regexp.MustCompile(`//(?:.*[^\w./-])?(\w[\w/-]*\.md)\b`)
)

// checkComments finds comments of Go with the name of a page that does not exist, neither
// beside the file nor from the root.
func checkComments(r *result, root string) error {
	return filepath.WalkDir(root, func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && (entry.Name() == "testdata" || name != root && strings.HasPrefix(entry.Name(), ".")) {
			return fs.SkipDir
		}
		if filepath.Ext(name) != ".go" || strings.HasSuffix(name, "_test.go") {
			return nil
		}
		text, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		n := 0
		for line := range strings.Lines(string(text)) {
			n++
			var target string
			if found := docLink.FindStringSubmatch(line); found != nil {
				target = filepath.Join(root, filepath.FromSlash(found[1]))
			} else if found := pageName.FindStringSubmatch(line); found != nil && !strings.Contains(string(text), "["+found[1]+"]: ") {
				target = filepath.Join(filepath.Dir(name), filepath.FromSlash(found[1]))
				if _, err := os.Stat(target); err != nil {
					target = filepath.Join(root, filepath.FromSlash(found[1]))
				}
			} else {
				continue
			}
			r.links++
			if _, err := os.Stat(target); err != nil {
				r.fail(&block{file: name, line: n}, "a comment names %s: there is no such file", target)
			}
		}
		return nil
	})
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
