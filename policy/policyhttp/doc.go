// Package policyhttp is a guard for net/http. It reads a caller's credentials and address,
// has a [policy.Engine] decide, and answers denied calls with as much as the caller may
// know.
//
// Use it in front of the handlers of an API for programs with API keys. Do not use it
//
//   - for people in browsers: there are no sessions, and browsers send Basic credentials
//     by themselves with requests that another site caused,
//   - for signed requests, where no secret is sent,
//   - without TLS: Bearer, Basic and KeyHeader send the secret itself.
//
// It does not limit rates. The defence against guessing is the length of a secret, 190
// random bits.
//
// # The smallest use
//
//	guard, err := policyhttp.New(policyhttp.Config{Engine: policy.New(keys)})
//	...
//	mux.Handle("GET /organizations/{org}/things", guard.Protect(
//		policy.Endpoint{Name: "things.list", Roles: []string{"reader"}},
//		policyhttp.PathOrganization("org"),
//		listThings))
//
// [New] finds all mistakes of the configuration. [Guard.Protect] names the endpoint and
// its [Resource], and calls the handler for allowed requests only. The handler gets the
// server's own ResponseWriter, so Flusher, Hijacker and http.ResponseController go on
// working, and the decision in the request's context ([DecisionOf]). The guard starts no
// goroutine. [Route.Check] only judges.
//
// Protect returns an http.Handler, and [Route.Protect] is a middleware: with chi it is
// router.With(route.Protect). With gin, protect a handler that takes the request over and
// calls Next, and abort if the guard did not call it. Put the guard on the route and not on
// the whole router: some routers match the path after their middleware has run,
// [PathOrganization] then finds nothing, and every call is denied with a 400. gin and echo
// have path values of their own: a middleware hands them to Request.SetPathValue, decoded,
// or a [Resource] reads them from the context. (echo.WrapMiddleware of echo 5 hands them
// over still encoded.) examples/middleware/routers has an adapter for each.
//
// # The resource
//
// A [Resource] finds the organization and the project of a request. It is called once, for
// callers with a verified key and an admitted address: nobody else causes a look-up in the
// program's tables, or learns anything from it. Take both names from the resource's own
// record (rule K7). The handler takes them from the decision, and the record from
// [ValueOf], and so serves the judged resource: reading the path again, it may unescape it
// differently.
//
// # Credentials
//
// A request has one header with credentials, of a scheme in Config.Schemes:
//
//   - [Bearer]: the text of a secret in the Authorization header (RFC 6750).
//   - [Basic]: the key's ID as the user, the secret as the password (RFC 7617).
//   - [KeyHeader]: the text of a secret in a header of its own, such as X-API-Key, for
//     clients that cannot send Authorization.
//   - HTTP Digest (RFC 7616) of package digest, for clients that know nothing else. It has
//     a price, and only an issuer with DigestAlgorithms makes keys for it: read its
//     documentation first.
//   - A [Scheme] of the program's own, for keys of another format.
//
// Bearer and Basic are the default; the others are off unless configured. A secret in the
// URL or in a form is never looked for. Malformed credentials (400) are
//
//   - a secret's text of more than 120 bytes, a user and password of more than 162, a
//     header of more than 8192,
//   - two values of a header, or credentials for schemes in Config.Schemes in two headers,
//   - control characters,
//   - an Authorization header without the name of a scheme,
//   - a text of Bearer or KeyHeader other than a token (token68 of RFC 9110 section 11.2),
//   - base64 other than the one encoding of a text in UTF-8 with a colon.
//
// Few clients send these by an honest mistake, and a proxy may have read them differently.
// An Authorization header of an unaccepted scheme is not credentials: beside a KeyHeader it
// is ignored, since it may be for a gateway.
//
// Credentials with a key ID cost one look-up in the source, whether or not the key exists.
// A text with another prefix than the issuer's or a wrong checksum is not a secret and
// names no key: it is refused without a look-up (rule K2).
//
// # The address
//
// [Config].Address declares where the client's address comes from. The zero value is the
// peer of the connection, and no header is read. See [ClientAddress] for services behind
// proxies, and the page [edges.md] for the declaration behind each common edge: nginx,
// HAProxy, Caddy, Traefik, Envoy, AWS, Cloudflare, Azure, Google, Heroku, Fly.io. The page
// [headers.md] is a table of their headers: overwritten, with a port, or the caller's word.
// [TrustedBlocks] are an edge's blocks that change while the guard is in use.
// [Guard.Doctor] shows an operator what the guard makes of a request.
//
// A service behind a proxy without this declaration takes the proxy for every client. A
// denied customer reads the proxy's address in the answer, lists it, and so admits
// everybody. The first denial with a sign of it is a warning in slog's default log. All of
// them have the kind possible_proxy, for the operator only.
//
// The PROXY protocol is not a header, and not read here. Put a listener for it (several
// packages have one) in front of the http.Server. Its connections have the client's address
// as their RemoteAddr, and Config.Address stays the zero value. The listener must
//
//   - take the protocol from the balancer's addresses only, unless nobody else can reach
//     the port,
//   - refuse a connection from there without the protocol or with its LOCAL command,
//     instead of taking the balancer for the client,
//   - limit the time it waits for the protocol.
//
// Otherwise callers choose their own address.
//
// In TLS early data (0-RTT; quic-go's HTTP/3 server accepts it by default) the source
// address is the caller's word, and the request can be replayed. The guard answers such a
// request with 425 (RFC 8470): a client that knows early data sends it again after the
// handshake. It recognizes early data by Request.TLS, and behind an edge by the header
// Early-Data: let an edge that accepts early data send it, or have it refuse early data.
//
// # Answers
//
// A denied call is answered by Config.Deny: [WriteProblem] unless set, [WriteAtlasError]
// for clients of that format, or a function of the program's. Its request body is not
// read.
//
//	status  when                                                      with
//	400     malformed credentials, with the right form; another
//	        spelling of the address header; no organization
//	401     no credentials of an accepted scheme; an unknown key, a   WWW-Authenticate, one
//	        wrong secret or none; a disabled or expired key, or one   line for each challenge
//	        that is not valid yet
//	403     the access list, the organization, the project, the role
//	425     the request came in TLS early data
//	503     the source, a scheme, the Resource or Deny failed; a      Retry-After: 5
//	        trusted proxy sent no usable address
//
// All of them have Cache-Control: no-store. Before the secret is verified, every denial of
// lines 4 and 5 is the same 401 to the byte (rule D2): an unknown key, a wrong secret, an
// invalid secret, a user and a password of different keys. For an existing and an unknown
// key, the same credentials cost the same look-up and the same verification (rule K3).
// Three differences in time remain:
//
//   - A source in memory reads the record of an existing key into a processor's cache,
//     which takes some tenth of the time of the answer where there are many keys.
//   - [Log] writes a longer line for an existing key.
//   - A search that finds no key looks a second time, which takes one percent.
//
// By measuring these a caller learns whether an ID exists: one of 100 random bits, and no
// secret.
//
// HEAD has the headers of GET and no body. OPTIONS is judged like any other method.
// Browsers send CORS preflights without credentials, so answer these before the guard: by
// a CORS middleware around it, or under http.ServeMux by a handler for the pattern
// "OPTIONS /" beside patterns with methods. The middleware also adds its headers to denied
// answers; without them a browser hides the answer from the script.
//
// # Audit and metrics
//
// [Log] and [Counters] are observers for [policy.WithObserver]. They see every decision of
// the engine, with its Cause: why a request was unreadable, or a source failed. Both tell
// honest callers from others by the decision's [policy.Kind].
//
// # Not included
//
// The guard does not remember callers, cache decisions or keys, or lock out a guesser. It
// does not look at a handler's answer. A long allowed request goes on after its key was
// revoked, and so does a hijacked connection.
//
// [edges.md]: https://github.com/sallyport-go/sallyport/blob/main/policy/policyhttp/edges.md
// [headers.md]: https://github.com/sallyport-go/sallyport/blob/main/policy/policyhttp/headers.md
package policyhttp
