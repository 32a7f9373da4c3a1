package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

// A repository is a working tree of git.
type repository struct {
	dir   string // top of the working tree
	index string // another index file, if not empty
}

// open finds the repository that contains a folder.
func open(dir string) (repository, error) {
	top, err := repository{dir: dir}.line("rev-parse", "--show-toplevel")
	return repository{dir: top}, err
}

func (r repository) git(stdin []byte, args ...string) ([]byte, error) {
	cmd := exec.Command("git", args...)
	cmd.Dir = r.dir
	cmd.Stdin = bytes.NewReader(stdin)
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	if r.index != "" {
		cmd.Env = append(cmd.Env, "GIT_INDEX_FILE="+r.index)
	}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("git %s: %w: %s", args[0], err, bytes.TrimSpace(stderr.Bytes()))
	}
	return out, nil
}

// line runs a command that prints one line.
func (r repository) line(args ...string) (string, error) {
	out, err := r.git(nil, args...)
	return strings.TrimSuffix(string(out), "\n"), err
}

// lines runs a command that prints a list.
func (r repository) lines(args ...string) ([]string, error) {
	out, err := r.git(nil, args...)
	return strings.FieldsFunc(string(out), func(c rune) bool { return c == '\n' }), err
}

func (r repository) tags() ([]string, error) { return r.lines("tag", "--list") }

// files lists the names of all files of a commit or tree.
func (r repository) files(tree string) ([]string, error) {
	out, err := r.git(nil, "ls-tree", "-r", "-z", "--name-only", "--full-tree", tree)
	return strings.FieldsFunc(string(out), func(c rune) bool { return c == 0 }), err
}

func (r repository) read(tree, name string) ([]byte, error) {
	return r.git(nil, "cat-file", "blob", tree+":"+name)
}

// readAll reads files of a commit or tree at once.
func (r repository) readAll(tree string, names []string) ([][]byte, error) {
	var asked strings.Builder
	for _, name := range names {
		fmt.Fprintf(&asked, "%s:%s\n", tree, name)
	}
	out, err := r.git([]byte(asked.String()), "cat-file", "--batch=%(objectsize)")
	if err != nil {
		return nil, err
	}
	var texts [][]byte
	for range names {
		header, rest, _ := bytes.Cut(out, []byte("\n"))
		size, err := strconv.Atoi(string(header))
		if err != nil || size >= len(rest) {
			return nil, fmt.Errorf("git cat-file: %s", header)
		}
		texts, out = append(texts, rest[:size]), rest[size+1:]
	}
	return texts, nil
}

// extract writes the files of a commit into a folder.
func (r repository) extract(commit, dir string) error {
	archive, err := r.git(nil, "archive", "--format=tar", commit)
	if err != nil {
		return err
	}
	tar := exec.Command("tar", "-x", "-f", "-", "-C", dir)
	tar.Stdin = bytes.NewReader(archive)
	if out, err := tar.CombinedOutput(); err != nil {
		return fmt.Errorf("tar: %w: %s", err, out)
	}
	return nil
}

// main returns the folder with the folder .git: in a linked working tree, the main one.
func (r repository) main() (string, error) {
	common, err := r.line("rev-parse", "--path-format=absolute", "--git-common-dir")
	return filepath.Dir(common), err
}

// workingTree returns a tree of the files as they are, without those that git ignores.
func (r repository) workingTree() (string, error) {
	temporary, err := os.MkdirTemp("", "release")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(temporary)
	name, err := r.line("rev-parse", "--path-format=absolute", "--git-path", "index")
	if err != nil {
		return "", err
	}
	index, err := os.ReadFile(name) // it knows which files did not change
	if err != nil {
		return "", err
	}
	r.index = filepath.Join(temporary, "index")
	if err := os.WriteFile(r.index, index, 0o600); err != nil {
		return "", err
	}
	if _, err := r.git(nil, "add", "--all", "."); err != nil {
		return "", err
	}
	return r.line("write-tree")
}

// replaced returns a tree like another one, except for the content of some files. It
// changes neither the index nor the working tree.
func (r repository) replaced(tree string, contents map[string][]byte) (string, error) {
	temporary, err := os.MkdirTemp("", "release")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(temporary)
	r.index = filepath.Join(temporary, "index")
	if _, err := r.git(nil, "read-tree", tree); err != nil {
		return "", err
	}
	var entries bytes.Buffer
	for name, content := range contents {
		blob, err := r.git(content, "hash-object", "-w", "--stdin")
		if err != nil {
			return "", err
		}
		fmt.Fprintf(&entries, "100644 %s\t%s\x00", bytes.TrimSpace(blob), name)
	}
	if _, err := r.git(entries.Bytes(), "update-index", "-z", "--add", "--index-info"); err != nil {
		return "", err
	}
	return r.line("write-tree")
}

// commit returns a commit of a tree that no branch contains.
func (r repository) commit(tree, parent, message string) (string, error) {
	return r.line("commit-tree", "-p", parent, "-m", message, tree)
}

// annotatedTag returns a tag object that has no name in the repository.
func (r repository) annotatedTag(commit, name, message string) (string, error) {
	tagger, err := r.line("var", "GIT_COMMITTER_IDENT")
	if err != nil {
		return "", err
	}
	out, err := r.git(fmt.Appendf(nil, "object %s\ntype commit\ntag %s\ntagger %s\n\n%s\n", commit, name, tagger, message), "mktag")
	return string(bytes.TrimSpace(out)), err
}
