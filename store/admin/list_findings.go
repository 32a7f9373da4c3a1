package admin

import (
	"context"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/apikey"
)

// A ListReview is the findings about the access list of a key. The names in its JSON do not
// change. An empty list is [] there.
type ListReview struct {
	Key      apikey.ID     `json:"key"`
	Revision uint64        `json:"revision"` // of the key
	Findings []ListFinding `json:"findings"` // in the order of the entries
	Gaps     []string      `json:"gaps"`     // in sentences, what the evidence lacks: an unused entry may not be among the findings
}

// A ListFinding is something to know about an entry, such as that it has expired. See
// [accesslist.List.Findings].
type ListFinding struct {
	Kind  string   `json:"kind"`         // see accesslist.FindingKind
	Entry string   `json:"entry"`        // an address or a block
	By    []string `json:"by,omitempty"` // the entries that cover it, if it is needless
	Text  string   `json:"text"`         // a sentence
}

// ReviewList returns the findings about the access list of a key of the organization. An entry
// is unused if no call from it was served in the window, and all that time was observed.
// internet says that clients come over the Internet: entries of private networks are reported
// then. Usage that cannot be read is no error: Gaps says so. A key of another organization is
// NotFound.
func (a *Admin) ReviewList(ctx context.Context, organization string, id apikey.ID, internet bool) (ListReview, error) {
	key, err := a.keyOf(ctx, organization, id)
	if err != nil {
		return ListReview{}, err
	}
	p := &plan{admin: a, organization: organization, now: moment(a.clock())}
	usage, evidence := p.observed(ctx, key, p.now.Add(-a.rules.window))
	review := ListReview{Key: key.ID, Revision: key.Revision, Findings: []ListFinding{}, Gaps: listed(evidence.gaps())}
	seen := accesslist.Evidence{Usage: usage.Entries, Window: a.rules.window, Internet: internet}
	if !evidence.Unread {
		seen.Since = evidence.Since
	}
	for _, found := range key.AccessList.Findings(p.now, seen) {
		view := ListFinding{Kind: found.Kind.String(), Entry: found.Entry.String(), Text: found.String()}
		for _, by := range found.By {
			view.By = append(view.By, by.String())
		}
		review.Findings = append(review.Findings, view)
	}
	return review, nil
}
