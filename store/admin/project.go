package admin

import "time"

// A Project is one of the embedding program's, for the packages that show and serve projects.
// It belongs to one organization; grants name it by its ID.
type Project struct {
	ID, Organization string
	Name             string    // for people; empty: the ID
	Created          time.Time // zero: unknown
}
