// Package kept runs the go command on the worker as it is built with the kept release.
package kept

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Module is the module of the root folder. The modules of stores are below it.
const Module = "github.com/sallyport-go/sallyport"

// Proxy and Required are the folders of the module proxy and of the worker's go.mod, from
// that of the module upgrade. Every path here is from there.
const Proxy, Required = "testdata/proxy", "testdata/older"

// Go runs the go command in a folder with the sources of the worker, which it copies there.
// Modules come from the kept proxy first, and then from the one in use.
func Go(folder string, arguments ...string) error {
	for _, name := range []string{"worker", "orders"} {
		sources, err := filepath.Glob(name + "/*.go")
		if err != nil || len(sources) == 0 {
			return fmt.Errorf("no sources in the folder %s: %w", name, err)
		}
		if err := Copy(filepath.Join(folder, name), sources...); err != nil {
			return err
		}
	}
	proxy, err := filepath.Abs(Proxy)
	if err != nil {
		return err
	}
	usual, err := Run(".", nil, "go", "env", "GOPROXY")
	if err != nil {
		return err
	}
	// The kept modules are in no database of checksums; go.sum has theirs.
	environment := []string{"GOPROXY=file://" + filepath.ToSlash(proxy) + "," + strings.TrimSpace(usual), "GONOSUMDB=" + Module, "GONOPROXY=none", "GOWORK=off", "GOFLAGS=-mod=mod -buildvcs=false"}
	_, err = Run(folder, environment, "go", arguments...)
	return err
}

// Copy copies files into a folder, which it makes.
func Copy(folder string, files ...string) error {
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err == nil {
			err = os.WriteFile(filepath.Join(folder, filepath.Base(file)), data, 0o644)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// Run runs a command in a folder, with additions to the environment, and returns what it
// prints.
func Run(folder string, environment []string, name string, arguments ...string) (string, error) {
	command := exec.Command(name, arguments...)
	command.Dir, command.Env = folder, append(os.Environ(), environment...)
	var problem bytes.Buffer
	command.Stderr = &problem
	printed, err := command.Output()
	if err != nil {
		return "", fmt.Errorf("%s %s: %w: %s", name, strings.Join(arguments, " "), err, problem.String())
	}
	return string(printed), nil
}
