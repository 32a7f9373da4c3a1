// Package vault is a test module and has nothing to import. It tests package adminhttp with
// HashiCorp Vault's secrets engine for MongoDB Atlas,
// github.com/hashicorp/vault-plugin-secrets-mongodbatlas, in the process of the test: Vault
// itself is not started, and its calls of the engine are made by the tests.
//
// Nothing is skipped. The engine's address of the API is fixed, so the tests replace
// [net/http.DefaultTransport] by one that connects to the loopback and trusts the
// certificate there.
//
// It is a module of its own for the engine's many dependencies.
package vault
