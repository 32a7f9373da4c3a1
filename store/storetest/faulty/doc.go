// Package faulty has a store that fails on demand. It is for the tests of programs in
// front of a store: an engine, a cache, a replica, a service. It shows what they do when
// the store fails, hangs, loses a reply, panics or answers wrongly. It is not for testing
// a store: package storetest does that. It needs only the standard library and this
// module.
package faulty
