package apikey

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

const (
	maxNameLength        = 256
	maxDescriptionLength = 1024
	maxQuoted            = 80 // characters of a bad value in an error
)

// ValidateName returns nil for a valid name of an organization, a project or a role: 1 to 256 bytes of UTF-8 without
// control characters, with no white space at either end. Names are compared byte by byte. The error calls the name by
// what, for example "organization".
func ValidateName(what, name string) error {
	if problem := nameProblem(name); problem != "" {
		return fmt.Errorf("apikey: the %s %s", what, problem)
	}
	return nil
}

// nameProblem returns why name is invalid, or "".
func nameProblem(name string) string {
	first, _ := utf8.DecodeRuneInString(name)
	last, _ := utf8.DecodeLastRuneInString(name)
	switch {
	case name == "":
		return fmt.Sprintf("is empty: want 1 to %d bytes", maxNameLength)
	case unicode.IsSpace(first) || unicode.IsSpace(last):
		return fmt.Sprintf("%.*q begins or ends with white space: want it without", maxQuoted, name)
	}
	return textProblem(name, maxNameLength)
}

func textProblem(text string, maxLength int) string {
	if len(text) > maxLength {
		return fmt.Sprintf("%.*q... has %d bytes: want at most %d", maxQuoted, text, len(text), maxLength)
	}
	if !utf8.ValidString(text) {
		return fmt.Sprintf("%.*q is not UTF-8: want UTF-8", maxQuoted, text)
	}
	if i := strings.IndexFunc(text, unicode.IsControl); i >= 0 {
		return fmt.Sprintf("%.*q has a control character at byte %d: want it without", maxQuoted, text, i+1)
	}
	return ""
}

// Validate returns nil for a record that can be stored. Otherwise the error joins everything wrong with it. It checks
//   - the ID, the names and the description,
//   - the access list ([accesslist.List.IsValid]),
//   - the grants, each at most once,
//   - the secrets: one or two, with different hashes,
//   - the times, zero or in the years 1 to 9999, and NotBefore before Expires.
func (k Key) Validate() error {
	errs := []error{k.ID.Validate(), ValidateName("organization", k.Organization)}
	report := func(format string, args ...any) { errs = append(errs, fmt.Errorf("apikey: "+format, args...)) }

	if problem := textProblem(k.Description, maxDescriptionLength); problem != "" {
		report("the description %s", problem)
	}
	if problem := yearProblem(k.NotBefore); problem != "" {
		report("NotBefore %s", problem)
	}
	if problem := yearProblem(k.Expires); problem != "" {
		report("Expires %s", problem)
	}
	if problem := yearProblem(k.Created); problem != "" {
		report("Created %s", problem)
	}
	if !k.AccessList.IsValid() {
		errs = append(errs, errors.New("apikey: the access list is invalid: want a list returned without an error"))
	}
	if !k.NotBefore.IsZero() && !k.Expires.IsZero() && !k.NotBefore.Before(k.Expires) {
		report("the key is never valid: NotBefore %s is not before Expires %s: want it before",
			k.NotBefore.Format(time.RFC3339Nano), k.Expires.Format(time.RFC3339Nano))
	}
	validateGrants(k.Grants, report)
	validateSecrets(k.Secrets, report)
	return errors.Join(errs...)
}

func validateGrants(grants []Grant, report func(format string, args ...any)) {
	seen := make(map[Grant]int, len(grants))
	for n, g := range grants {
		if problem := nameProblem(g.Role); problem != "" {
			report("the role of Grants[%d] %s", n, problem)
		}
		if g.Project != "" {
			if problem := nameProblem(g.Project); problem != "" {
				report("the project of Grants[%d] %s", n, problem)
			}
		}
		if g.Project != "" && g.AllProjects {
			report("Grants[%d] has AllProjects and the project %.*q: want one of them", n, maxQuoted, g.Project)
		}
		if earlier, ok := seen[g]; ok {
			report("Grants[%d] is Grants[%d] again, with the role %.*q: want once", n, earlier, maxQuoted, g.Role)
		}
		seen[g] = n
	}
}

func validateSecrets(secrets []StoredSecret, report func(format string, args ...any)) {
	if len(secrets) == 0 || len(secrets) > maxSecrets {
		report("the key has %d secrets: want one, or two during a rotation", len(secrets))
	}
	seen := make(map[[sha256.Size]byte]int, len(secrets))
	for n, s := range secrets {
		if s.ServerKey != "" {
			if problem := wordProblem(s.ServerKey, maxServerKeyIDLength); problem != "" {
				report("the server key's ID of Secrets[%d] %s", n, problem)
			}
		}
		if s.Sum == ([sha256.Size]byte{}) {
			report("Secrets[%d] has no hash: want one from New, Issue or Rotate", n)
		} else if earlier, ok := seen[s.Sum]; ok {
			report("Secrets[%d] is Secrets[%d] again, with the hash %s...: want once", n, earlier, s.ID())
		}
		seen[s.Sum] = n
		if s.FormerID != "" && !isSecretID(s.FormerID) {
			report("FormerID %.*q of Secrets[%d]: want the ID of a stored secret, %d hexadecimal digits", maxQuoted, s.FormerID, n, 2*idBytes)
		}
		if problem := yearProblem(s.Created); problem != "" {
			report("Created of Secrets[%d] %s", n, problem)
		}
		if problem := yearProblem(s.Expires); problem != "" {
			report("Expires of Secrets[%d] %s", n, problem)
		}
	}
}

func isSecretID(text string) bool {
	for i := range len(text) {
		if c := text[i]; !('0' <= c && c <= '9' || 'a' <= c && c <= 'f') {
			return false
		}
	}
	return len(text) == 2*idBytes
}

// yearProblem keeps to the years of RFC 3339 and of databases. The zero time is in the year 1.
func yearProblem(t time.Time) string {
	if year := t.UTC().Year(); year < 1 || year > 9999 {
		return fmt.Sprintf("is in the year %d: want 1 to 9999", year)
	}
	return ""
}
