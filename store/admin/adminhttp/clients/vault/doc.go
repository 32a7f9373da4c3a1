// Package vault is a test module and has nothing to import. It tests package adminhttp with
// HashiCorp Vault's secrets engine for MongoDB Atlas,
// github.com/hashicorp/vault-plugin-secrets-mongodbatlas, in the process of the test: Vault
// itself is not started, and its calls of the engine are made by the tests.
//
// Nothing is skipped. The engine has a fixed address of the API, so the tests replace
// [net/http.DefaultTransport]: theirs connects to the loopback, and trusts a certificate of
// their own.
//
// Two shortcomings are the engine's, and tests say so: its rollback does not
// delete the key of an interrupted creation, and it cannot revoke a project's deleted key.
//
// It is a module of its own for the engine's many dependencies. The versions of those are raised
// above the engine's, to ones without known vulnerabilities.
package vault
