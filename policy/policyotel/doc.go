// Package policyotel shows the decisions of a [policy.Engine] to OpenTelemetry: it counts
// them by reason, puts them on the span that is under way, and measures how long the
// source takes to look a key up.
//
// Use it in a service that has an OpenTelemetry SDK anyway. Do not use it as the audit log:
// metrics have no names in them, and of traces most services keep a sample. That is what
// policyhttp.Log is for; a service without OpenTelemetry counts with policyhttp.Counters.
//
//	telemetry, err := policyotel.New()
//	...
//	engine := policy.New(telemetry.Source(keys), policy.WithObserver(telemetry.Observe))
//
// With no options it takes OpenTelemetry's global providers. It imports OpenTelemetry's
// API and not the SDK: without one, nothing is measured and next to nothing is spent.
//
// # Metrics
//
//	sallyport.decisions          counter, {decision}   the decisions of engines
//	sallyport.decision.duration  histogram, s          what callers of Telemetry.Decide waited
//	sallyport.lookup.duration    histogram, s          what the source took, see Telemetry.Source
//
// The first two have these attributes. Their values come from the rules and from the
// program, and never from a caller: no key, no address, no organization.
//
//	sallyport.allowed     whether the call was allowed
//	sallyport.reason      the line of the rules that answered, such as address_not_listed
//	sallyport.would_deny  what the organization's requirement would answer if it were more
//	                      than reported (rule Q2); left out if it would not
//	sallyport.endpoint    policy.Endpoint.Name, which must be one of a fixed set and not
//	                      made from a request; left out if empty
//
// The third has sallyport.lookup.outcome: found, not_found, timeout, canceled or failed.
//
// # Spans
//
// A decision is put on the span in its context, which is that of the server: the
// attributes above and those below, left out where there is nothing to tell. They are the
// operator's side of a decision (rule D1), so whoever sees traces sees which keys call from
// where. There is never a secret among them. Of several decisions under one span the last
// one stays; a program that makes several gives each its own with [WithSpans] and
// [Telemetry.Decide].
//
//	sallyport.key             the ID that the caller gave
//	sallyport.secret          which of the key's secrets was proven, by its public ID
//	sallyport.client          the client's address
//	sallyport.client_from     where that was found, such as peer or x_forwarded_for
//	sallyport.entry           the entry of the access list that admitted it
//	sallyport.organization    the resource that was called
//	sallyport.project
//	sallyport.requirement     that of the key's organization
//	sallyport.error           the decision's Cause: why, if the reason is invalid_request,
//	                          unavailable or wrong_secret
//
// Nothing is sampled here and no span's status is touched, except that of spans of our
// own: those are in error when access could not be checked.
//
// The names of metrics and attributes are part of the contract and do not change.
package policyotel
