package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store/replica"
)

// picture returns a generated picture, in Mermaid's language.
func picture(root, name string) (string, error) {
	switch name {
	case "parts":
		return parts(root)
	case "request":
		return request()
	case "freshness":
		return freshness(), nil
	}
	return "", fmt.Errorf("unknown picture %q: want parts, request or freshness", name)
}

// checkPictures compares the generated pictures with those that the code has now.
func checkPictures(r *result, root string, pages []*page) error {
	for _, p := range pages {
		for _, b := range p.blocks {
			name, ok := b.comment("picture:")
			if !ok {
				if b.lang == "mermaid" {
					r.fail(b, "a picture made by hand: want one of .ci/docs/pictures.go")
				}
				continue
			}
			want, err := picture(root, name)
			if err != nil {
				return err
			}
			r.pictures++
			if b.text != want {
				r.fail(b, "the picture is not that of the code: run go run ./.ci/docs -write")
			}
		}
	}
	return nil
}

// writePictures replaces the generated pictures in the files.
func writePictures(root string, paths []string) error {
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		lines := strings.Split(string(text), "\n")
		blocks := parse(path, string(text)).blocks
		for i := len(blocks) - 1; i >= 0; i-- {
			name, ok := blocks[i].comment("picture:")
			if !ok {
				continue
			}
			made, err := picture(root, name)
			if err != nil {
				return err
			}
			first := blocks[i].line - 1
			last := first + strings.Count(blocks[i].text, "\n")
			if blocks[i].text == "\n" {
				last = first // an empty block
			}
			rest := append([]string{strings.TrimSuffix(made, "\n")}, lines[last:]...)
			lines = append(lines[:first:first], rest...)
		}
		if made := strings.Join(lines, "\n"); made != string(text) {
			if err := os.WriteFile(path, []byte(made), 0o644); err != nil {
				return err
			}
		}
	}
	return nil
}

// stages are the questions of a decision, with the last line of the order that each answers.
var stages = []struct {
	id, question string
	last         policy.Reason
}{
	{"read", "Can the guard read it? Or else", policy.ConsoleForbidden},
	{"known", "Is there such a key? Or else", policy.UnknownKey},
	{"proof", "Is it proven? Or else", policy.WrongSecret},
	{"valid", "Is it valid now? Or else", policy.KeyExpired},
	{"address", "May it call from there? Or else", policy.EndpointRequiresAccessList},
	{"granted", "May it do this here? Or else", policy.RoleMissing},
}

// request is the path of a request through the lines of the order.
func request() (string, error) {
	var b strings.Builder
	b.WriteString("%%{init: {\"flowchart\": {\"wrappingWidth\": 400, \"rankSpacing\": 20}}}%%\n")
	b.WriteString("flowchart TD\n    call([\"a call, from your proxy\"]) --> read\n")
	line := policy.InvalidRequest
	for i, stage := range stages {
		next := "allowed"
		if i+1 < len(stages) {
			next = stages[i+1].id
		}
		fmt.Fprintf(&b, "    %s[\"<b>%s</b>", stage.id, stage.question)
		for ; line <= stage.last; line++ {
			fmt.Fprintf(&b, "<br/>%d %s: %d", line, line, policy.Decision{Reason: line}.Answer().Status)
		}
		fmt.Fprintf(&b, "\"] --> %s\n", next)
	}
	b.WriteString("    allowed([\"")
	for ; line.Allows(); line++ {
		fmt.Fprintf(&b, "%d %s<br/>", line, line)
	}
	b.WriteString("<b>your handler</b>, with the decision\"])\n")
	if text := line.String(); !strings.HasPrefix(text, "reason(") {
		return "", fmt.Errorf("line %d of the order, %s, is in no stage of the picture", line, text)
	}
	return b.String(), nil
}

// freshness is what a replica guarantees, in the order of time.
func freshness() string {
	bound := replica.DefaultMaxStaleness
	return fmt.Sprintf(`%%%%{init: {"sequence": {"actorMargin": 20, "width": 110, "mirrorActors": false}}}%%%%
sequenceDiagram
    participant w as any process
    participant s as store
    participant r as replica
    w->>s: switch a key off
    s-->>w: acknowledged
    s->>r: feed, milliseconds later
    Note over r: the key is denied
    loop every %v
        r->>s: latest position?
        s-->>r: P, asked at T
        Note over r: P is in the copy:<br/>fresh until T + %v
    end
    Note over s,r: connection dead, feed silent,<br/>leader lost, backup restored
    Note over r: from T + %[2]v on:<br/>unavailable, 503
`, bound/10, bound)
}
