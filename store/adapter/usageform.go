package adapter

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/internal/strictjson"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
)

// The stored form of a key's usage is one JSON document of at most some 6 KiB, and 60 bytes
// more for each entry and secret. A count in it is a list: the count, the time of the latest
// call in microseconds since 1970, and its address; for an address the count, and the times
// of the first and the latest call.

// EncodeUsage returns the stored form of a key's usage, "{}" if there is none. Times are cut
// to the microsecond. Equal usage has equal forms.
func EncodeUsage(usage store.KeyUsage) ([]byte, error) {
	document, err := json.Marshal(usageForm{
		Entries: forms(usage.Entries, callsForm), Secrets: forms(usage.Secrets, callsForm), Addresses: forms(usage.Addresses, addressForm),
		Dropped: droppedForm(usage.Dropped), Denials: forms(usage.Denials, callsForm), WouldDeny: forms(usage.WouldDeny, callsForm),
	})
	if err != nil {
		return nil, fmt.Errorf("store: usage: %w", err)
	}
	return document, nil
}

type usageForm struct {
	Entries   map[netip.Prefix][]any  `json:"entries,omitempty"`
	Secrets   map[string][]any        `json:"secrets,omitempty"`
	Addresses map[netip.Addr][]any    `json:"addresses,omitempty"`
	Dropped   []any                   `json:"dropped,omitempty"`
	Denials   map[policy.Reason][]any `json:"denials,omitempty"`
	WouldDeny map[policy.Reason][]any `json:"wouldDeny,omitempty"`
}

func forms[K comparable, V any](counts map[K]V, form func(V) []any) map[K][]any {
	all := make(map[K][]any, len(counts))
	for k, v := range counts {
		all[k] = form(v)
	}
	return all
}

func callsForm(u accesslist.Usage) []any { return []any{u.Count, u.Last.UnixMicro(), u.LastAddress} }

func addressForm(u store.AddressUsage) []any {
	return []any{u.Count, u.First.UnixMicro(), u.Last.UnixMicro()}
}

func droppedForm(u accesslist.Usage) []any {
	if u == (accesslist.Usage{}) {
		return nil
	}
	return callsForm(u)
}

// DecodeUsage returns the usage in a document of EncodeUsage. Wrap the error by
// [UnreadableUsage].
func DecodeUsage(document []byte) (store.KeyUsage, error) {
	if u, ok := decodeCanonicalUsage(document); ok {
		return u, nil
	}
	return decodeAnyUsage(document)
}

// decodeAnyUsage reads a document in any form, and words the refusal.
func decodeAnyUsage(document []byte) (store.KeyUsage, error) {
	var u store.KeyUsage
	v, err := strictjson.Parse(document)
	if err == nil {
		err = v.Object(
			strictjson.Field{Name: "entries", Read: readCounts(&u.Entries, netip.ParsePrefix, readCalls)},
			strictjson.Field{Name: "secrets", Read: readCounts(&u.Secrets, func(id string) (string, error) { return id, nil }, readCalls)},
			strictjson.Field{Name: "addresses", Read: readCounts(&u.Addresses, netip.ParseAddr, readAddress)},
			strictjson.Field{Name: "dropped", Read: func(v strictjson.Value) (err error) { u.Dropped, err = readCalls(v); return err }},
			strictjson.Field{Name: "denials", Read: readCounts(&u.Denials, reasonOf, readCalls)},
			strictjson.Field{Name: "wouldDeny", Read: readCounts(&u.WouldDeny, reasonOf, readCalls)},
		)
	}
	if err == nil {
		err = checkUsage(u)
	}
	if err != nil {
		return store.KeyUsage{}, err
	}
	return u, nil
}

func readCounts[K comparable, V any](to *map[K]V, key func(string) (K, error), read func(strictjson.Value) (V, error)) func(strictjson.Value) error {
	return strictjson.Map(to, func(name string, v strictjson.Value) (k K, count V, err error) {
		if k, err = key(name); err == nil {
			count, err = read(v)
		}
		return k, count, err
	})
}

func reasonOf(text string) (reason policy.Reason, err error) {
	err = reason.UnmarshalText([]byte(text))
	return reason, err
}

func readCalls(v strictjson.Value) (u accesslist.Usage, err error) {
	err = readList(v, strictjson.Uint(&u.Count), readMicro(&u.Last), strictjson.Unmarshal(&u.LastAddress))
	return u, err
}

func readAddress(v strictjson.Value) (u store.AddressUsage, err error) {
	err = readList(v, strictjson.Uint(&u.Count), readMicro(&u.First), readMicro(&u.Last))
	return u, err
}

// readList reads an array that has a value for each reader.
func readList(v strictjson.Value, readers ...func(strictjson.Value) error) error {
	items, err := v.Items()
	if err != nil {
		return err
	}
	if len(items) != len(readers) {
		return fmt.Errorf("an array of %d values: want %d", len(items), len(readers))
	}
	var errs []error
	for i, read := range readers {
		errs = append(errs, read(items[i]))
	}
	return errors.Join(errs...)
}

// readMicro reads a time in microseconds since 1970. The zero time is unknown.
func readMicro(to *time.Time) func(strictjson.Value) error {
	return func(v strictjson.Value) error {
		var micro int64
		err := strictjson.Int(&micro)(v)
		*to = time.UnixMicro(micro).UTC()
		return err
	}
}

// EncodeObservation returns the stored form of an observation: one JSON document of at most
// some 48 KiB.
func EncodeObservation(o store.Observation) []byte {
	form := observationForm{Since: o.Since.UnixMicro(), Until: o.Until.UnixMicro()}
	for _, r := range o.Reports {
		form.Reports = append(form.Reports, []any{r.Recorder, r.Since.UnixMicro(), r.From.UnixMicro(), r.Until.UnixMicro(), r.At.UnixMicro(), r.Lost, r.Ended})
	}
	for _, g := range o.Gaps {
		form.Gaps = append(form.Gaps, []any{g.From.UnixMicro(), g.To.UnixMicro(), g.Lost})
	}
	document, _ := json.Marshal(form) // numbers and names: it cannot fail
	return document
}

type observationForm struct {
	Since   int64   `json:"since"`
	Until   int64   `json:"until"`
	Reports [][]any `json:"reports,omitempty"`
	Gaps    [][]any `json:"gaps,omitempty"`
}

// DecodeObservation returns the observation in a document of EncodeObservation. Wrap the
// error by [UnreadableObservation].
func DecodeObservation(document []byte) (store.Observation, error) {
	var o store.Observation
	v, err := strictjson.Parse(document)
	if err == nil {
		err = v.Object(
			strictjson.Field{Name: "since", Required: true, Read: readMicro(&o.Since)},
			strictjson.Field{Name: "until", Required: true, Read: readMicro(&o.Until)},
			strictjson.Field{Name: "reports", Read: strictjson.Slice(&o.Reports, func(v strictjson.Value) (r store.Report, err error) {
				err = readList(v, strictjson.Text(&r.Recorder), readMicro(&r.Since), readMicro(&r.From), readMicro(&r.Until), readMicro(&r.At), strictjson.Uint(&r.Lost), strictjson.Bool(&r.Ended))
				return r, err
			})},
			strictjson.Field{Name: "gaps", Read: strictjson.Slice(&o.Gaps, func(v strictjson.Value) (g store.Gap, err error) {
				err = readList(v, readMicro(&g.From), readMicro(&g.To), strictjson.Uint(&g.Lost))
				return g, err
			})},
		)
	}
	if err != nil {
		return store.Observation{}, err
	}
	return o, nil
}
