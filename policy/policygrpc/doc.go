// Package policygrpc is a guard for gRPC servers: interceptors that have a
// [policyhttp.Guard] find out who is calling and from where, and call a method only if the
// engine allows it.
//
// Use it where the callers of a gRPC API are programs with API keys. Do not use it for
// calls between the parts of one system, which certificates (mutual TLS) tell apart better,
// or without TLS on the way, since the metadata has the secret itself in it.
//
//	guard, err := policygrpc.New(policygrpc.Config{
//		Guard: httpGuard, // the one of the service's HTTP handlers, or another
//		Methods: map[string]policygrpc.Method{
//			"/backups.v1.Backups/Restore":   {Endpoint: policy.Endpoint{Roles: []string{"backup.admin"}}, Resource: ownerOfBackup},
//			"/grpc.health.v1.Health/Check":  {Open: true},
//		},
//	})
//	...
//	server := grpc.NewServer(guard.ServerOptions()...)
//
// # Methods
//
// Every method is named in Config.Methods, with what it asks of a key and what it is about.
// One that is not is denied to everybody, so that a method that was added to a service and
// forgotten here is closed. That goes for health checks and reflection too: name those that
// anybody may call, and set Open. [Guard.Undeclared] lists what a server has and the guard
// does not know, for a test or the start of the program. There are no patterns: a service's
// next method would be open by one.
//
// gRPC itself answers UNIMPLEMENTED for what the server does not have, before any
// interceptor is asked. With grpc.UnknownServiceHandler it asks the guard, which denies.
//
// # Credentials
//
// They are in the metadata under "authorization", as policyhttp reads them from the header
// of that name: "Bearer " and the text of a secret, or "Basic " and the base64 of the key's
// ID, a colon and the secret. Two values are malformed, like two headers. Digest is not
// read, whatever schemes the guard has: it signs the method and the target of an HTTP
// request, and there is a challenge to be answered first, which clients of gRPC do not do.
//
// # The address
//
// It is found by the guard's declared topology (see [policyhttp.ClientAddress]): the peer of
// the connection, or for a trusted peer what its metadata say, under the name of the header
// in lower case, such as x-forwarded-for. A balancer that forwards bytes and not calls adds
// no metadata; it needs the PROXY protocol, and a listener that speaks it. A connection that
// is neither of TCP nor of a Unix socket, such as bufconn's, has no address and is refused.
//
// # Answers
//
//	INVALID_ARGUMENT   malformed credentials; no address or no resource can be made out
//	UNAUTHENTICATED    no credentials; an unknown key, a wrong secret or one that is none; a
//	                   key that is switched off, expired or not valid yet
//	PERMISSION_DENIED  the access list, the organization, the project, the role; a method
//	                   that is not declared
//	UNAVAILABLE        the source or the Resource failed
//
// Each has one google.rpc.ErrorInfo as its details: the code of [policy.Decision.Answer] as the
// reason, such as IP_ADDRESS_NOT_ON_ACCESS_LIST, the domain of Config, and where the
// address was what was judged (lines 9 to 11 of the rules) the client's address as
// clientAddress in its metadata. Before the secret was proven every failure of it is the
// same to the byte (rule D2).
//
// # What it does not do
//
// A stream is judged once, when it begins: before its first message is read, and not again
// while it lasts, so it goes on after its key was revoked. A handler whose streams are long
// asks [Guard.Check] now and then, and ends the stream with [Guard.Status].
//
// A unary call is judged with its message at hand, which the server has read by then: what
// strangers may send is bounded by grpc.MaxRecvMsgSize, and not by the guard.
//
// It does not look at certificates, at what a handler answers, or at single messages of a
// stream.
package policygrpc
