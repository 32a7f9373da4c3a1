package published

import "errors"

// Errors to tell apart with errors.Is. Each is wrapped with the value and the repair.
var (
	// ErrNotList is returned for a document that is no list of addresses: a web page, an
	// error message, a compressed or binary file, another format than the one required, or
	// one with more invalid ranges than valid ones.
	ErrNotList = errors.New("not a list of addresses")

	// ErrTruncated is returned for JSON that ends early.
	ErrTruncated = errors.New("truncated")

	// ErrTooLarge is returned for more bytes or ranges than [Options] allow.
	ErrTooLarge = errors.New("too large")

	// ErrUnknownWord is returned for a filter by a region or service that the list does not
	// have. A typing error would otherwise make a shorter list.
	ErrUnknownWord = errors.New("unknown word")

	// ErrNoRanges is returned if no range was taken.
	ErrNoRanges = errors.New("no ranges")

	// ErrTooWide is returned if the ranges cover more than half of the IPv4 addresses, or of
	// the IPv6 addresses assigned so far (2000::/3).
	ErrTooWide = errors.New("too wide")

	// ErrDenies is returned for a list that denies some of the addresses it admits, or denies what
	// cannot be read. An access list has no deny entries.
	ErrDenies = errors.New("denies addresses it admits")

	// ErrShrunk is returned by [Comparison.List] for a new edition that lost half.
	ErrShrunk = errors.New("lost half")
)
