package main

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path"
	"regexp"
	"slices"
	"strings"
)

// parts is the picture of the packages and of what imports what, by go list. An import that
// follows from others is left out. Packages with the same imports and importers are one box, if
// all of them are of nested modules, or none.
func parts(root string) (string, error) {
	imports, nested, err := importGraph(root)
	if err != nil {
		return "", err
	}
	reduce(imports)
	type box struct {
		house, imports, importers string
		nested                    bool
	}
	boxes := map[box][]string{}
	for _, name := range slices.Sorted(maps.Keys(imports)) {
		var importers []string
		for other, imported := range imports {
			if imported[name] {
				importers = append(importers, other)
			}
		}
		slices.Sort(importers)
		house, _, _ := strings.Cut(name, "/")
		key := box{house, strings.Join(slices.Sorted(maps.Keys(imports[name])), " "), strings.Join(importers, " "), nested[name]}
		boxes[key] = append(boxes[key], name)
	}
	id := map[string]string{} // of a package, the name of its box
	houses := map[string][]string{}
	for key, names := range boxes {
		slices.Sort(names)
		houses[key.house] = append(houses[key.house], names[0])
		label := ""
		for _, name := range names {
			id[name] = strings.NewReplacer("/", "_").Replace(names[0])
			star := ""
			if nested[name] {
				star = " *"
			}
			word := path.Base(name) // no two packages have one name
			if name == command {
				word = "command " + word
			}
			label += "<br/>" + word + star
		}
		id["label "+names[0]] = strings.TrimPrefix(label, "<br/>")
	}
	var b strings.Builder
	b.WriteString("%%{init: {\"flowchart\": {\"nodeSpacing\": 15, \"rankSpacing\": 30}}}%%\nflowchart BT\n")
	for _, house := range slices.Sorted(maps.Keys(houses)) {
		slices.Sort(houses[house])
		for _, name := range houses[house] {
			fmt.Fprintf(&b, "    %s[\"%s\"]\n", id[name], id["label "+name])
		}
	}
	for _, house := range slices.Sorted(maps.Keys(houses)) {
		for _, name := range houses[house] {
			seen := map[string]bool{}
			for _, imported := range slices.Sorted(maps.Keys(imports[name])) {
				if !seen[id[imported]] {
					seen[id[imported]] = true
					fmt.Fprintf(&b, "    %s --> %s\n", id[name], id[imported])
				}
			}
		}
	}
	return b.String(), nil
}

// notShown are internal packages, examples, and what only tests use.
var notShown = regexp.MustCompile(`(^|/)(internal|examples|clients|etcdtest|trials)(/|$)|/storetest/`)

// importGraph returns the imports of each public package, by paths within the tree, and the
// packages of nested modules. Internal packages count as a part of those that import them. Tools
// of tests and examples are left out.
func importGraph(root string) (imports map[string]map[string]bool, nested map[string]bool, err error) {
	modules, _, err := readModules(root)
	if err != nil {
		return nil, nil, err
	}
	var own string
	for _, m := range modules {
		if m.dir == root {
			own = m.path
		}
	}
	all := map[string][]string{}
	nested = map[string]bool{}
	for _, m := range modules {
		list := exec.Command("go", "list", "-f", `{{len .GoFiles}} {{index .GoFiles 0}} {{.Name}} {{.ImportPath}} {{join .Imports " "}}`, "./...")
		list.Dir = m.dir
		list.Stderr = os.Stderr
		printed, err := list.Output()
		if err != nil {
			return nil, nil, fmt.Errorf("go list in %s: %w", m.path, err)
		}
		for line := range strings.Lines(string(printed)) {
			words := strings.Fields(line) // how many files, the first, the package's name and path, its imports
			name := strings.TrimPrefix(words[3], own+"/")
			if words[2] == "main" && name != command || words[0] == "1" && words[1] == "doc.go" {
				continue // a program, or nothing but tests
			}
			nested[name] = m.dir != root
			all[name] = []string{}
			for _, imported := range words[4:] {
				if within, ok := strings.CutPrefix(imported, own+"/"); ok {
					all[name] = append(all[name], within)
				}
			}
		}
	}
	imports = map[string]map[string]bool{}
	for name := range all {
		if notShown.MatchString(name) {
			continue
		}
		imports[name] = map[string]bool{}
		through(all, name, imports[name])
	}
	for _, imported := range imports {
		maps.DeleteFunc(imported, func(name string, _ bool) bool { return imports[name] == nil })
	}
	return imports, nested, nil
}

// through adds the imports of a package, and those of the internal packages among them.
func through(all map[string][]string, name string, into map[string]bool) {
	for _, imported := range all[name] {
		if into[imported] {
			continue
		}
		into[imported] = true
		if strings.Contains("/"+imported, "/internal/") {
			through(all, imported, into)
		}
	}
}

// reduce takes out the imports that follow from others.
func reduce(imports map[string]map[string]bool) {
	reaches := map[string]map[string]bool{} // by one import or more
	var reach func(name string) map[string]bool
	reach = func(name string) map[string]bool {
		if reaches[name] == nil {
			reaches[name] = map[string]bool{}
			for imported := range imports[name] {
				reaches[name][imported] = true
				maps.Copy(reaches[name], reach(imported))
			}
		}
		return reaches[name]
	}
	for name := range imports {
		reach(name)
	}
	for _, imported := range imports {
		for direct := range imported {
			for other := range imported {
				if other != direct && reaches[other][direct] {
					delete(imported, direct)
					break
				}
			}
		}
	}
}
