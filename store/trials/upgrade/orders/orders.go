// Package orders has what a trial and its workers say to each other: one JSON object a line,
// orders in one direction and answers in the other. Answers come in any order.
//
// Its types are plain, with none of the library's: the two programs are built with different
// versions of it.
package orders

import "time"

// An Order asks a worker for one thing. Which fields are used depends on Do.
type Order struct {
	ID int    `json:"id"`
	Do string `json:"do"`

	Address string `json:"address,omitempty"` // of a store
	Path    string `json:"path,omitempty"`    // of a file

	Organization string            `json:"organization,omitempty"`
	Key          string            `json:"key,omitempty"`
	Revision     uint64            `json:"revision,omitempty"`
	Description  string            `json:"description,omitempty"`
	Entries      []string          `json:"entries,omitempty"`
	Disabled     bool              `json:"disabled,omitempty"`
	Labels       map[string]string `json:"labels,omitempty"`
	Requirement  string            `json:"requirement,omitempty"`
	Remembered   bool              `json:"remembered,omitempty"` // put the record as it was last read, and do not read it anew
	Change       string            `json:"change,omitempty"`     // kind of a change by package admin
	Overlap      time.Duration     `json:"overlap,omitempty"`

	Secret        string `json:"secret,omitempty"`
	Client        string `json:"client,omitempty"`
	Replica       bool   `json:"replica,omitempty"`       // decide by the copy
	Authorization string `json:"authorization,omitempty"` // header of a request
	Count         int    `json:"count,omitempty"`
}

// An Answer says what became of an order.
type Answer struct {
	ID    int    `json:"id"`
	Kind  string `json:"kind,omitempty"`  // of the error: see Kinds
	Error string `json:"error,omitempty"` // empty: it was done

	Version  string   `json:"version,omitempty"` // of the library
	Revision uint64   `json:"revision,omitempty"`
	Records  []Record `json:"records,omitempty"`
	Events   []Event  `json:"events,omitempty"`
	Count    uint64   `json:"count,omitempty"`

	// Of a decision: the reason, the revisions it was judged by, and the error behind it.
	Allowed              bool   `json:"allowed,omitempty"`
	Reason               string `json:"reason,omitempty"`
	KeyRevision          uint64 `json:"keyRevision,omitempty"`
	OrganizationRevision uint64 `json:"organizationRevision,omitempty"`
	Cause                string `json:"cause,omitempty"`

	Key    string `json:"key,omitempty"` // created or changed
	Secret string `json:"secret,omitempty"`

	Status     int      `json:"status,omitempty"` // of an answer by HTTP
	Challenges []string `json:"challenges,omitempty"`
}

// Kinds of errors.
const (
	NotFound  = "not_found"
	Exists    = "exists"
	Conflict  = "conflict"
	Invalid   = "invalid"
	Compacted = "compacted"
	Stale     = "stale"
	Newer     = "newer"
	Differs   = "differs"
	Damaged   = "damaged"
	Failed    = "failed" // any other
)

// A Record is a key, or an organization where Key is empty.
type Record struct {
	Organization string            `json:"organization"`
	Key          string            `json:"key,omitempty"`
	Revision     uint64            `json:"revision"`
	Description  string            `json:"description,omitempty"` // the name of an organization
	Disabled     bool              `json:"disabled,omitempty"`
	Entries      []string          `json:"entries,omitempty"`
	Labels       map[string]string `json:"labels,omitempty"`
	Secrets      []string          `json:"secrets,omitempty"` // their IDs
	Requirement  string            `json:"requirement,omitempty"`
}

// An Event is one of the journal.
type Event struct {
	ID           string `json:"id"`
	Revision     uint64 `json:"revision"`
	Type         string `json:"type"`
	Organization string `json:"organization"`
	Key          string `json:"key,omitempty"`
	Actor        string `json:"actor"`
	Document     string `json:"document"` // its JSON
}

// Future begins the names that a trial puts into records, in the place of a later release.
const Future = "future"
