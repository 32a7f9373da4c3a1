// Release makes the commits and tags of a release, of all modules at once. It pushes
// nothing.
//
//	go run . VERSION                       release the branch as VERSION, of the form v1.2.3
//	go run . check                         what .ci/run checks
//	go run . proxy VERSION FOLDER [COMMIT] write the modules of COMMIT (HEAD) as VERSION
//	                                       into FOLDER, a module proxy: GOPROXY=file://FOLDER
//
// Run it in this folder. The list of released modules is in modules.go. A release is one
// commit, with a tag for each module, and a commit that lets the modules replace each other
// again. Both are made and checked without names first: a release that is refused leaves
// branch, tags, index and files as they were.
package main

import (
	"fmt"
	"io"
	"os"
)

const usage = "want VERSION, or check, or proxy VERSION FOLDER [COMMIT]"

func main() {
	if err := run(".", os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "release:", err)
		os.Exit(1)
	}
}

func run(dir string, args []string, out io.Writer) error {
	r, err := open(dir)
	if err != nil {
		return err
	}
	switch {
	case len(args) == 1 && args[0] == "check":
		return check(r, out)
	case len(args) == 1:
		return cut(r, args[0], out)
	case len(args) >= 3 && len(args) <= 4 && args[0] == "proxy":
		return proxy(r, args[1], args[2], append(args[3:], "HEAD")[0])
	}
	return fmt.Errorf("wrong arguments: %s", usage)
}

// proxy writes the modules of a commit as they would be released.
func proxy(r repository, version, folder, commit string) error {
	c, err := prepare(r, commit, version)
	if err != nil {
		return err
	}
	if err := c.verify(r); err != nil {
		return err
	}
	return writeProxy(r, c.commit, version, folder)
}
