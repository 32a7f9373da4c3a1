package policy

import (
	"errors"
	"fmt"
)

// A Kind tells apart the decisions of one Reason where that matters to the operator: a
// request without credentials is no attack, and a caller who hung up is no failure of the
// source. It is the kind of the decision's Cause, a label of low cardinality for logs and
// metrics. The caller's side does not show it (rule D2). All other decisions have the zero
// Kind, with an empty text.
type Kind uint8

// The kinds, each of the error with its name. Their texts do not change.
const (
	NoCredentials        Kind = iota + 1 // [ErrNoCredentials]
	MalformedCredentials                 // [ErrMalformedCredentials]
	InvalidCredentials                   // [ErrInvalidCredentials]
	UndeclaredEndpoint                   // [ErrUndeclaredEndpoint]
	TooEarly                             // [ErrTooEarly]
	StaleNonce                           // [ErrStaleNonce]
	Replayed                             // [ErrReplayed]
	CallerGone                           // [ErrCallerGone]
	UnknownClient                        // [ErrUnknownClient]
	PossibleProxy                        // [ErrPossibleProxy]
	RequestExpired                       // [ErrRequestExpired]

	EndOfKinds // one more than the last kind
)

// kinds are the text and the error of each kind.
var kinds = [EndOfKinds]struct {
	text string
	err  error
}{
	NoCredentials:        {"no_credentials", ErrNoCredentials},
	MalformedCredentials: {"malformed_credentials", ErrMalformedCredentials},
	InvalidCredentials:   {"invalid_credentials", ErrInvalidCredentials},
	UndeclaredEndpoint:   {"undeclared_endpoint", ErrUndeclaredEndpoint},
	TooEarly:             {"too_early", ErrTooEarly},
	StaleNonce:           {"stale_nonce", ErrStaleNonce},
	Replayed:             {"replayed", ErrReplayed},
	CallerGone:           {"caller_gone", ErrCallerGone},
	UnknownClient:        {"unknown_client", ErrUnknownClient},
	PossibleProxy:        {"possible_proxy", ErrPossibleProxy},
	RequestExpired:       {"request_expired", ErrRequestExpired},
}

// String returns the kind's text, such as "no_credentials"; "" for the zero Kind and
// "kind(99)" for an unknown one.
func (k Kind) String() string {
	if k < EndOfKinds {
		return kinds[k].text
	}
	return fmt.Sprintf("kind(%d)", uint8(k))
}

// Kind returns the kind of the decision's Cause, and zero if it has none.
func (d Decision) Kind() (kind Kind) {
	if d.Cause == nil {
		return 0
	}
	// A method of the error may panic, such as a nil pointer's: the denial must be recorded
	// all the same.
	defer func() {
		if recover() != nil {
			kind = 0
		}
	}()
	for kind := Kind(1); kind < EndOfKinds; kind++ {
		if errors.Is(d.Cause, kinds[kind].err) {
			return kind
		}
	}
	return 0
}
