package main

import "strings"

// A page is a Markdown file: its blocks of code, and the rest.
type page struct {
	file   string
	blocks []*block
	prose  []string // the lines outside of blocks and comments, "" in the place of theirs
}

// A block is one of code, between two lines of ```.
type block struct {
	file     string
	line     int // of its first line of code
	lang     string
	text     string
	comments []string // right before it
	frame    string   // the text of the latest comment go:, anywhere before it
	fields   string   // that of the latest comment fields:
	output   *block   // the block of text right below it
}

func (b *block) isGo() bool { return b.lang == "go" }

func (b *block) isShell() bool { return b.lang == "sh" || b.lang == "bash" || b.lang == "shell" }

// directives are the comments before a block, by how they begin. Those with a colon have a
// text.
var directives = []string{"run", "continued", "shape", "before:", "exit", "in the tree", "not run:", "picture:"}

func directive(comment string) bool {
	for _, name := range directives {
		if rest, ok := strings.CutPrefix(comment, name); ok {
			if needs := strings.HasSuffix(name, ":") || name == "exit"; needs == (strings.TrimSpace(rest) != "") {
				return true
			}
		}
	}
	return false
}

// comment returns the text of a directive of the block, and whether there is one.
func (b *block) comment(name string) (text string, ok bool) {
	for _, comment := range b.comments {
		if rest, found := strings.CutPrefix(comment, name); found {
			return strings.TrimSpace(rest), true
		}
	}
	return "", false
}

func parse(file, text string) *page {
	p := &page{file: file}
	var comments []string
	frame, fields := "", ""
	var last *block // with nothing but empty lines since
	lines := strings.Split(text, "\n")
	for i := 0; i < len(lines); i++ {
		line := lines[i]
		trimmed := strings.TrimSpace(line)
		switch {
		case strings.HasPrefix(trimmed, "```"):
			indent := line[:strings.Index(line, "```")]
			lang, _, _ := strings.Cut(strings.TrimSpace(strings.TrimLeft(trimmed, "`")), " ")
			b := &block{file: file, line: i + 2, lang: lang, comments: comments, frame: frame, fields: fields}
			var code []string
			p.prose = append(p.prose, "")
			for i++; i < len(lines) && strings.TrimSpace(lines[i]) != "```"; i++ {
				code = append(code, strings.TrimPrefix(lines[i], indent))
				p.prose = append(p.prose, "")
			}
			b.text = strings.Join(code, "\n") + "\n"
			if lang == "text" && last != nil {
				last.output = b
			}
			p.blocks = append(p.blocks, b)
			comments, last = nil, b
			p.prose = append(p.prose, "")
		case strings.HasPrefix(trimmed, "<!--"):
			comment := trimmed
			p.prose = append(p.prose, "")
			for !strings.Contains(comment, "-->") && i+1 < len(lines) {
				i++
				comment += "\n" + lines[i]
				p.prose = append(p.prose, "")
			}
			comment, _, _ = strings.Cut(strings.TrimPrefix(comment, "<!--"), "-->")
			comment = strings.TrimSpace(comment)
			if text, ok := strings.CutPrefix(comment, "go:"); ok {
				frame = text
			} else if text, ok := strings.CutPrefix(comment, "fields:"); ok {
				fields = strings.TrimSpace(text)
			} else {
				comments = append(comments, comment)
			}
			last = nil
		default:
			if trimmed != "" {
				comments, last = nil, nil
			}
			p.prose = append(p.prose, line)
		}
	}
	return p
}
