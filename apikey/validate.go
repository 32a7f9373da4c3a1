package apikey

import (
	"crypto/sha256"
	"fmt"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/sallyport-go/sallyport/internal/plain"
)

// The bounds of a key (rule A12). They are fixed: every store keeps a key within them, and every process that shares the
// store reads it. A store's own bound on the entries is lower, and a caller may raise it; see store.MaxEntries.
const (
	// MaxID is the length of the longest ID, in bytes. It is less than the length of any secret, so that a secret is never
	// a valid ID.
	MaxID = 40

	// MaxName is the length of the longest name of an organization, a project or a role, of the longest value of a label
	// and of the longest external ID, in bytes.
	MaxName = 256

	// MaxDescription is the length of the longest description, in bytes.
	MaxDescription = 1024

	// MaxEntries is the largest number of entries of a key, those of AccessList and TrialList together.
	MaxEntries = 10_000

	// MaxGrants is the largest number of grants of a key. A key of more projects has a grant for all projects.
	MaxGrants = 1_000

	// MaxLabels is the largest number of labels of a key.
	MaxLabels = 32

	// MaxLabelName is the length of the longest name of a label, in bytes.
	MaxLabelName = 64

	// MaxText is the size of all texts of a key together, in bytes: the description, the comments of its entries, the
	// roles and projects of its grants, its labels with their names, its external ID, and the JSON of metadata that a later
	// version has added.
	MaxText = 128 << 10
)

// ValidateName returns nil for a valid name of an organization, a project or a role: 1 to [MaxName] bytes of UTF-8, with
// no white space at either end. A name is one line of visible characters: control characters, line separators, invisible
// and direction-changing characters are refused, because different names would look alike. The description of a key and
// the comment of an entry follow the same rule. Names are compared byte by byte. The error calls the name by what, for
// example "organization".
func ValidateName(what, name string) error {
	if problem := nameProblem(name, MaxName); problem != "" {
		return fmt.Errorf("apikey: the %s %s", what, problem)
	}
	return nil
}

// nameProblem returns why name, of at most most bytes, is invalid, or "".
func nameProblem(name string, most int) string {
	first, _ := utf8.DecodeRuneInString(name)
	last, _ := utf8.DecodeLastRuneInString(name)
	switch {
	case name == "":
		return fmt.Sprintf("is empty: want 1 to %d bytes", most)
	case unicode.IsSpace(first) || unicode.IsSpace(last):
		return plain.Quote(name) + " begins or ends with white space: want it without"
	}
	return textProblem(name, most)
}

func textProblem(text string, most int) string {
	if problem := plain.Problem(text, most); problem != "" {
		return plain.Quote(text) + " " + problem
	}
	return ""
}

// Validate returns nil for a record that can be stored. Otherwise the error joins what is wrong with it, up to 20 problems,
// and counts the rest. It checks
//   - the ID, the names and the description,
//   - the access list and the one on trial ([accesslist.List.IsValid]), at most [MaxEntries] together,
//   - the grants, each at most once, at most [MaxGrants],
//   - the labels, at most [MaxLabels], and the external ID,
//   - the texts together, at most [MaxText],
//   - the secrets: one or two, with different hashes,
//   - the times, zero or in the years 1 to 9999, and NotBefore before Expires.
func (k Key) Validate() error {
	var errs plain.Errors
	report := func(format string, args ...any) { errs.Add(fmt.Errorf("apikey: "+format, args...)) }

	errs.Add(k.ID.Validate())
	errs.Add(ValidateName("organization", k.Organization))
	if problem := textProblem(k.Description, MaxDescription); problem != "" {
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
		report("the access list is invalid: want a list returned without an error")
	}
	if !k.TrialList.IsValid() {
		report("the list on trial is invalid: want a list returned without an error")
	}
	if !k.NotBefore.IsZero() && !k.Expires.IsZero() && !k.NotBefore.Before(k.Expires) {
		report("the key is never valid: NotBefore %s is not before Expires %s: want it before",
			k.NotBefore.Format(time.RFC3339Nano), k.Expires.Format(time.RFC3339Nano))
	}
	k.validateSize(report)
	k.validateMetadata(report)
	validateGrants(k.Grants, report)
	validateSecrets(k.Secrets, report)
	return errs.Err("apikey")
}

// validateSize checks the numbers first, and reads no text beyond them.
func (k Key) validateSize(report func(format string, args ...any)) {
	if n := k.Entries(); n > MaxEntries {
		report("the access list has %d entries and the one on trial %d: want at most %d together", k.AccessList.Len(), k.TrialList.Len(), MaxEntries)
		return
	}
	if n := len(k.Grants); n > MaxGrants {
		report("the key has %d grants: want at most %d, or one for all projects", n, MaxGrants)
		return
	}
	if n := len(k.Labels()); n > MaxLabels {
		report("the key has %d labels: want at most %d", n, MaxLabels)
		return
	}
	size := len(k.Description) + k.Metadata.Size()
	for e := range k.AccessList.All() {
		size += len(e.Comment)
	}
	for e := range k.TrialList.All() {
		size += len(e.Comment)
	}
	for _, g := range k.Grants {
		size += len(g.Role) + len(g.Project)
	}
	if size > MaxText {
		report("the description, the comments of entries, the grants and the labels have %d bytes together: want at most %d", size, MaxText)
	}
}

func validateGrants(grants []Grant, report func(format string, args ...any)) {
	grants = grants[:min(len(grants), MaxGrants)]
	seen := make(map[Grant]int, len(grants))
	for n, g := range grants {
		if problem := nameProblem(g.Role, MaxName); problem != "" {
			report("the role of Grants[%d] %s", n, problem)
		}
		if g.Project != "" {
			if problem := nameProblem(g.Project, MaxName); problem != "" {
				report("the project of Grants[%d] %s", n, problem)
			}
		}
		if g.Project != "" && g.AllProjects {
			report("Grants[%d] has AllProjects and the project %s: want one of them", n, plain.Quote(g.Project))
		}
		if earlier, ok := seen[g]; ok {
			report("Grants[%d] is Grants[%d] again, with the role %s: want once", n, earlier, plain.Quote(g.Role))
		}
		seen[g] = n
	}
}

func validateSecrets(secrets []StoredSecret, report func(format string, args ...any)) {
	if len(secrets) == 0 || len(secrets) > maxSecrets {
		report("the key has %d secrets: want one, or two during a rotation", len(secrets))
		return
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
			report("FormerID %s of Secrets[%d]: want the ID of a stored secret, %d hexadecimal digits", plain.Quote(s.FormerID), n, 2*idBytes)
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
