// Package policyhttp is a guard for net/http: it finds out who is calling and from
// where, has a [policy.Engine] decide, and tells the caller no more than the caller may
// know.
//
// Use it in front of the handlers of an API whose callers are programs with API keys. Do
// not use it for people in browsers (there are no sessions, and browsers send Basic
// credentials by themselves with requests that another site caused), for signed
// requests, where no secret is sent, or without TLS on the way, since Bearer and Basic
// send the secret itself. It does not limit rates; the one defence against guessing is
// that a secret has 190 random bits.
//
// # The smallest use
//
//	guard, err := policyhttp.New(policyhttp.Config{Engine: policy.New(keys)})
//	...
//	mux.Handle("GET /organizations/{org}/things", guard.Protect(
//		policy.Endpoint{Name: "things.list", Roles: []string{"reader"}},
//		policyhttp.PathValues("org", ""),
//		listThings))
//
// [New] finds all mistakes of the configuration. [Guard.Protect] names what is called and
// where the organization and the project come from, and calls the handler for what is
// allowed only: with the ResponseWriter that it was given itself, so that Flusher,
// Hijacker and http.ResponseController go on working, and with the decision in the
// context ([DecisionOf]). It starts no goroutine. [Route.Check] only judges.
//
// What Protect returns is an http.Handler, and [Route.Protect] is a middleware: with chi
// it is router.With(route.Protect), with echo echo.WrapMiddleware(route.Protect). With
// gin, protect a handler that takes the request over and calls Next, and abort when it
// was not called. Put the guard on the route and not on the whole router: where a router
// matches the path after its middleware has run, [PathValues] finds nothing, and every
// call is denied with a 400. gin and echo have path values of their own; a [Resource]
// reads them from the context if a middleware puts them there, or [PathValues] if one
// hands them to Request.SetPathValue.
//
// # Credentials
//
// There is one Authorization header, of a scheme in Config.Schemes:
//
//   - [Bearer]: the text of a secret (RFC 6750).
//   - [Basic]: the key's ID as the user, the secret as the password (RFC 7617).
//   - [Digest]: a response to a challenge (RFC 7616), for clients that can do nothing else.
//     It has a price, and keys opt in to it one by one: read its documentation first.
//
// A secret in the URL or in a form is never looked for. A secret's text has at most 120
// bytes, a user and password together 161, and the whole header 8192; what is longer is
// malformed. So are two headers, control characters, base64 that is not exactly that of
// a text, and no colon in it: nobody sends these by an honest mistake, and a proxy may
// have read them otherwise.
//
// # The address
//
// [Config].Address declares where the client's address comes from; the zero value is the
// peer of the connection, and no header is read. See [ClientAddress] for services behind
// proxies. [Guard.Doctor] shows an operator what the guard makes of a request.
//
// The PROXY protocol is not a header and not read here. A listener that understands it
// (several packages have one) stands in front of the http.Server and returns connections
// whose RemoteAddr is the client's; Config.Address stays the zero value. What must be
// true of it: it takes the protocol from the balancer's addresses only, or nobody else
// can reach the port; it refuses a connection from there without one, or of its LOCAL
// command, rather than taking the balancer for the client; and it limits the time to wait
// for it. Otherwise whoever reaches the port is whoever they say.
//
// # Answers
//
// A denied call is answered by Config.Deny: [WriteProblem] unless set, [WriteCloudAPI] for
// clients of that form, or a function of the program's. Its request body is not read.
//
//	status  when                                                      with
//	400     malformed credentials; no address or no resource can be
//	        made out of the request
//	401     no credentials of an accepted scheme; an unknown key, a   WWW-Authenticate, one
//	        wrong secret or none; a key that is switched off,         line for each challenge
//	        expired or not valid yet
//	403     the access list, the organization, the project, the role
//	503     the source, the Resource or Deny failed                   Retry-After: 5
//
// All of them have Cache-Control: no-store. Before the secret was proven every failure of
// it is the same 401 to the byte (rule D2): an unknown key, a wrong secret, a text that is
// no secret, a user who is not the one of the password. Each takes one look-up in the
// source, and one proof of the same work (rule K3). A mistyped secret is therefore
// looked up too, under the ID that was shown or the ID "not-a-secret". What is left is what
// a source does for a key that it has: in memory, among many keys, its record is read into
// a processor's cache, which takes some tenth of the time of the answer. [Log] adds to it,
// since its line for a key that exists is longer, and so does [Digest], by a few percent.
// Whoever can measure that learns that an ID exists; it is one of 100 random bits, and no
// secret.
//
// HEAD has the headers of GET and no body. OPTIONS is judged like any other method; so a
// CORS preflight, which browsers send without credentials, must be answered before the
// guard is asked: by a CORS middleware around it, or under http.ServeMux by a handler for
// the pattern "OPTIONS /", beside patterns that name their methods. The middleware also
// adds its headers to denied answers, without which a browser does not show them to the
// script.
//
// # Audit and metrics
//
// [Log] and [Counters] are observers for [policy.WithObserver]. They see every decision of
// the engine, and with Log the operator also sees why a request could not be read.
//
// # What it does not do
//
// It does not remember callers, cache decisions or keys, or lock out who guesses. It does
// not look at what a handler answers. An allowed request whose handler takes long goes on
// after its key was revoked, and so does a hijacked connection.
package policyhttp
