// Docs checks every Markdown file of the tree by doing what it says:
//
//   - Go: every block is compiled; one with a block of text right below it is run, and has to
//     print that text.
//   - Shell: every block is run in a folder of the file's own, with the command sallyport on
//     the path and SALLYPORT_STORE set to an SQLite store there; or it names why not.
//   - Pictures: the generated ones are those that the code has now.
//   - Links: files and headings of the tree exist, and so do pages named in comments of Go.
//
// The flag -write makes the pictures anew.
//
// A fragment of Go needs no imports: packages are found by their names. Statements may use
// return, and need not use what they define. The comment
//
//	<!-- go: DECLARATIONS -->
//
// has what stands beside each fragment from there on in the file, and fields: TYPE says of
// which struct fragments like "Name: value," are. A comment right before a
// block, invisible to readers, says how that block is checked:
//
//	<!-- run -->                is run, though nothing is compared
//	<!-- continued -->          the fragment goes on where the one before it ended
//	<!-- shape -->              shows a form only; counted, and not compiled
//	<!-- before: COMMANDS -->   run first, without a word
//	<!-- exit N -->             the shell's exit status, 0 unless given
//	<!-- in the tree -->        run in the root of the repository
//	<!-- not run: REASON -->    the shell block is not run
//	<!-- picture: NAME -->      the block is generated
//
// In expected text … stands for anything within a line, and a line of it alone for any lines.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

func main() {
	write := flag.Bool("write", false, "make the pictures anew")
	flag.Parse()
	if err := run(os.Stdout, *write); err != nil {
		fmt.Fprintln(os.Stderr, "docs:", err)
		os.Exit(1)
	}
}

func run(out io.Writer, write bool) error {
	root, err := os.Getwd()
	if err != nil {
		return err
	}
	paths, err := markdown(root)
	if err != nil {
		return err
	}
	if write {
		return writePictures(root, paths)
	}
	result, err := check(root, paths)
	if err != nil {
		return err
	}
	result.print(out, root)
	if len(result.problems) > 0 {
		return fmt.Errorf("%d problems", len(result.problems))
	}
	return result.enough()
}

// markdown returns the Markdown files below the root.
func markdown(root string) (paths []string, err error) {
	err = filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && (entry.Name() == ".git" || entry.Name() == "testdata" || entry.Name() == "node_modules"):
			return fs.SkipDir
		case filepath.Ext(path) == ".md":
			paths = append(paths, path)
		}
		return nil
	})
	return paths, err
}

// A result counts what was checked.
type result struct {
	files, blocks                            int
	programs, fragments, goRun, shapes       int
	shellRun, compared, pictures, links, own int // own: blocks of other languages
	notRun                                   []string
	problems                                 []string
}

func (r *result) fail(b *block, format string, arguments ...any) {
	r.problems = append(r.problems, fmt.Sprintf("%s:%d: %s", b.file, b.line, fmt.Sprintf(format, arguments...)))
}

func (r *result) print(out io.Writer, root string) {
	short := strings.NewReplacer(root+string(filepath.Separator), "")
	for _, text := range r.notRun {
		fmt.Fprintln(out, "not run:", short.Replace(text))
	}
	for _, text := range r.problems {
		fmt.Fprintln(out, short.Replace(text))
	}
	fmt.Fprintf(out, "%d files, %d blocks\n", r.files, r.blocks)
	fmt.Fprintf(out, "Go: %d programs and %d fragments compiled, %d run, %d shapes only\n", r.programs, r.fragments, r.goRun, r.shapes)
	fmt.Fprintf(out, "shell: %d blocks run, %d with their output, %d not run\n", r.shellRun, r.compared, len(r.notRun))
	fmt.Fprintf(out, "%d pictures, %d links, %d blocks of other languages\n", r.pictures, r.links, r.own)
}

// enough fails where a reader of this program would find that hardly anything was checked.
func (r *result) enough() error {
	if r.goRun < 1 || r.programs+r.fragments < 20 || r.shellRun < 10 || r.compared < 5 || r.pictures < 3 || r.links < 50 {
		return errors.New("too little was checked: want at least 20 blocks of Go, 1 of them run, 10 of shell, 5 outputs, 3 pictures, 50 links")
	}
	return nil
}

// check checks these files. The root is that of the repository.
func check(root string, paths []string) (*result, error) {
	r := &result{}
	var pages []*page
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		p := parse(path, string(text))
		pages = append(pages, p)
		r.files++
		r.blocks += len(p.blocks)
		for _, b := range p.blocks {
			for _, comment := range b.comments {
				if !directive(comment) {
					r.fail(b, "unknown comment before a block: %q", comment)
				}
			}
		}
	}
	work, err := os.MkdirTemp("", "docs")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(work) }()
	if err := checkGo(r, root, work, pages); err != nil {
		return nil, err
	}
	if err := checkShell(r, root, work, pages); err != nil {
		return nil, err
	}
	if err := checkPictures(r, root, pages); err != nil {
		return nil, err
	}
	checkLinks(r, pages)
	if err := checkComments(r, root); err != nil {
		return nil, err
	}
	for _, p := range pages {
		for _, b := range p.blocks {
			if !b.isGo() && !b.isShell() && b.lang != "text" && b.lang != "mermaid" {
				r.own++
			}
		}
	}
	return r, nil
}

// matches reports whether a printed text is the expected one, with … in it.
func matches(want, got string) bool {
	return matchLines(strings.Split(strings.TrimSpace(want), "\n"), strings.Split(strings.TrimSpace(got), "\n"))
}

func matchLines(want, got []string) bool {
	if len(want) == 0 {
		return len(got) == 0
	}
	if want[0] == "…" {
		for i := range len(got) + 1 {
			if matchLines(want[1:], got[i:]) {
				return true
			}
		}
		return false
	}
	return len(got) > 0 && matchLine(strings.TrimRight(want[0], " "), strings.TrimRight(got[0], " ")) && matchLines(want[1:], got[1:])
}

func matchLine(want, got string) bool {
	before, after, wild := strings.Cut(want, "…")
	if !wild {
		return want == got
	}
	rest, ok := strings.CutPrefix(got, before)
	if !ok {
		return false
	}
	for i := range len(rest) + 1 {
		if matchLine(after, rest[i:]) {
			return true
		}
	}
	return false
}
