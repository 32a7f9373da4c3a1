// Package policygrpc is a guard for gRPC servers. Its interceptors read a caller's
// credentials and address by a [policyhttp.Guard], and call a method only if the engine
// allows it.
//
// Use it for a gRPC API with programs and their API keys as callers. Do not use it for calls
// between the parts of one system, where certificates (mutual TLS) are better, or without
// TLS, since the metadata contains the secret itself.
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
// Config.Methods names every method, with its conditions on a key and its [Resource].
// Undeclared methods are denied to everybody, so a method added to a service and forgotten
// here is closed. Health checks and reflection are methods, too: declare them, with Open if
// anybody may call them. [Guard.Undeclared] lists the undeclared methods of a server, for a
// test or the start of the program. There are no patterns: one would open a service's next
// method.
//
// gRPC itself answers UNIMPLEMENTED for methods unknown to the server, before any
// interceptor runs. With grpc.UnknownServiceHandler the guard runs, and denies.
//
// # Credentials
//
// They are in the metadata, under the header's name in lower case, for every scheme of the
// guard: under "authorization" for Bearer ("Bearer " and the text of a secret) and Basic
// ("Basic " and the base64 of the key's ID, a colon and the secret), under its own name for
// a KeyHeader. Two values are malformed, like two headers. Digest is not accepted: it signs
// the method and the target of an HTTP request, and begins with a challenge, unknown to
// clients of gRPC.
//
// # The address
//
// It is found by the guard's declared topology (see [policyhttp.ClientAddress]): the peer of
// the connection, or for a trusted peer the address in its metadata, under the name of the
// header in lower case, such as x-forwarded-for. A balancer of bytes adds no metadata; it
// needs the PROXY protocol, and a listener for it. Only connections of TCP and of Unix
// sockets have an address; others, such as bufconn's, are refused.
//
// # Answers
//
//	INVALID_ARGUMENT   malformed credentials; another spelling of the address's header; no
//	                   organization
//	UNAUTHENTICATED    no credentials; an unknown key, a wrong or invalid secret; a key that
//	                   is switched off, alone or with its organization, expired or not valid yet
//	PERMISSION_DENIED  the access list, the organization, the project, the role; an
//	                   undeclared method
//	UNAVAILABLE        the source, a scheme or the Resource failed; no usable address of a
//	                   trusted peer, or of no peer; the call came in TLS early data
//
// Each has one google.rpc.ErrorInfo as its details. Its reason is the code of
// [policy.Decision.Answer], such as IP_ADDRESS_NOT_ON_ACCESS_LIST, its domain is that of
// Config. For lines 9 to 11 of the rules its metadata has the client's address as
// clientAddress. Before the secret is verified, every denial of lines 4 and 5 is the same to
// the byte (rule D2).
//
// # Not included
//
// A stream is judged once, when it begins: before its first message is read, and not again
// while it lasts. It goes on after its key was revoked. The handler of a long stream calls
// [Guard.Check] now and then, and ends the stream with [Guard.Status].
//
// A unary call is judged after the server has read its message: grpc.MaxRecvMsgSize bounds
// the messages of strangers, and not the guard.
//
// The guard does not look at certificates, at a handler's answer, or at single messages of a
// stream.
package policygrpc
