// Package policyotel reports the decisions of a [policy.Engine] to OpenTelemetry: it counts
// them by reason, puts them on the current span, and measures the look-ups of the source.
//
// Use it in a service with an OpenTelemetry SDK. Do not use it as the audit log: metrics
// have no names in them, and most services keep a sample of their traces only. policyhttp.Log
// is for audit; a service without OpenTelemetry counts with policyhttp.Counters.
//
//	telemetry, err := policyotel.New()
//	...
//	engine := policy.New(telemetry.Source(keys), policy.WithObserver(telemetry.Observe))
//
// Without options it uses OpenTelemetry's global providers. It imports OpenTelemetry's API
// and not the SDK: without one, nothing is measured and next to nothing is spent.
//
// # Metrics
//
//	sallyport.decisions          counter, {decision}   the decisions of engines
//	sallyport.decision.duration  histogram, s          the time in Telemetry.Decide
//	sallyport.lookup.duration    histogram, s          the time in the source, see Telemetry.Source
//
// The first two have these attributes. Their values come from the rules and from the
// program, and never from a caller: no key, no address, no organization.
//
//	sallyport.allowed     whether the call was allowed
//	sallyport.reason      the answering line of the rules, such as address_not_listed
//	sallyport.kind        apart from others with that reason: no_credentials, stale_nonce,
//	                      caller_gone and the like (see policy.Kind); absent if there is
//	                      no such kind
//	sallyport.would_deny  the reason if a requirement were in force that is report only
//	                      (rule Q2) or suspended (M20), or a list on trial (Q4); absent if
//	                      that denies nothing more
//	sallyport.endpoint    policy.Endpoint.Name, one of a fixed set and not made from a
//	                      request; absent if empty
//
// Alarms leave out the kinds of honest callers: unavailable of the kind caller_gone is no
// failure of the source, and wrong_secret of the kind stale_nonce is a right secret. They keep
// address_not_listed of the kind possible_proxy, which any caller gets by an address header.
//
// The third has sallyport.lookup.outcome: found, not_found, timeout, canceled or failed.
//
// # Spans
//
// A decision is put on the span in its context, the server's: the attributes above and those
// below, without the empty ones. They are the operator's side of a decision (rule D1): a
// reader of traces sees which keys call from where. There is never a secret among them. Of
// several decisions under one span the last one stays; to keep all of them, give each a span
// of its own with [WithSpans] and [Telemetry.Decide].
//
//	sallyport.key             the ID given by the caller
//	sallyport.secret          the public ID of the verified secret of the key
//	sallyport.client          the client's address
//	sallyport.client_from     where that was found, such as peer or x_forwarded_for
//	sallyport.entry           the entry of the access list covering the client
//	sallyport.organization    the judged resource
//	sallyport.project
//	sallyport.requirement     the requirement of the key's organization
//	sallyport.suspended_until the end of the requirement's suspension, if one is in force
//	sallyport.disabled        what is switched off, if the reason is key_disabled: key,
//	                          organization, or key and organization
//	sallyport.error           the decision's Cause: why, if the reason is invalid_request,
//	                          unavailable or wrong_secret; the sign of a possible_proxy
//
// Nothing is sampled, and the status of other spans is not touched. The spans of this
// package are in error when access could not be checked, but for callers who hung up.
//
// The names of metrics and attributes are part of the contract and do not change.
package policyotel
