package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/sallyport-go/sallyport/store/admin"
)

// remedies returns the commands that make the changes of an investigation, a line each. Of a
// remedy of several changes they are in their order.
func remedies(found admin.Investigation) (lines []string) {
	for _, remedy := range found.Remedies {
		var accept string
		for _, kind := range remedy.Preview.Needs() {
			accept += " --accept " + string(kind)
		}
		var commands []string
		for _, proposal := range remedy.Proposals {
			if command := remedyCommand(found, proposal); command != "" {
				if accept != "" && !strings.Contains(command, " --reason ") {
					command += " --reason TEXT"
				}
				commands = append(commands, "sallyport "+command+accept)
			}
		}
		if len(commands) == len(remedy.Proposals) {
			lines = append(lines, strings.Join(commands, " && "))
		}
	}
	return lines
}

// remedyCommand returns the command that makes a proposal, "" if there is none.
func remedyCommand(found admin.Investigation, p admin.Proposal) string {
	key, organization := quoted(string(found.Key)), quoted(found.Organization)
	at := func(flag string, t time.Time) string {
		if t.IsZero() {
			return ""
		}
		return fmt.Sprintf(" --%s %s", flag, t.UTC().Format(time.RFC3339Nano))
	}
	switch p.Kind {
	case "set_requirement":
		return fmt.Sprintf("org require %s %s", organization, requirementText(p.Requirement))
	case "suspend_requirement":
		return fmt.Sprintf("org suspend %s%s --reason TEXT", organization, at("until", p.Until))
	case "enable_organization":
		return "org enable " + organization
	case "enable_key":
		return "keys enable " + key
	case "rotate":
		return fmt.Sprintf("keys rotate %s --overlap 0s", key)
	case "set_validity":
		return fmt.Sprintf("keys validity %s%s%s", key, ends(at("not-before", p.NotBefore), "--no-begin"), ends(at("expires", p.Expires), "--no-end"))
	case "add_entries":
		return fmt.Sprintf("list add %s %s%s", key, p.Entry.Address, at("expires", p.Entry.Expires)) + ipv6Flag(p.Entry.Address)
	case "edit_entries":
		return fmt.Sprintf("list edit %s %s%s", key, p.Entry.Address, ends(at("expires", p.Entry.Expires), "--no-end"))
	case "add_grants":
		text := fmt.Sprintf("keys grant %s --role %s", key, quoted(p.Grant.Role))
		if p.Grant.Project != "" {
			text += " --project " + quoted(p.Grant.Project)
		}
		return text
	}
	return ""
}

// ends returns a flag with its time, or the flag for none.
func ends(flag, none string) string {
	if flag == "" {
		return " " + none
	}
	return flag
}

func ipv6Flag(address string) string {
	if strings.Contains(address, ":") {
		return " --ipv6"
	}
	return ""
}

// quoted returns a word for a shell. A word with other characters than those of most names is
// in single quotes, and unseen ones are not taken from the terminal anyway.
func quoted(word string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("._-/@+", r)
	}
	if word != "" && word[0] != '-' && strings.IndexFunc(word, func(r rune) bool { return !plain(r) }) < 0 {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}

// A span is the flags of a begin and an end.
type span struct {
	begin, end       instant
	length           length
	noBegin, forever bool
}

// of returns the span with what is kept of the earlier one.
func (f span) of(begin, end, now time.Time) (time.Time, time.Time) {
	switch {
	case f.noBegin:
		begin = time.Time{}
	case !f.begin.IsZero():
		begin = f.begin.Time
	}
	switch {
	case f.forever:
		end = time.Time{}
	case f.length.duration != 0:
		end = now.Add(time.Duration(f.length.duration)).Truncate(time.Second)
	case !f.end.IsZero():
		end = f.end.Time
	}
	return begin, end
}
