// Package races has changes that are harmless alone and a lockout together, and makes them
// at the same moment on any store.Journal: never may all of them be made (rule M19). It is
// for the tests of the stores, and needs only the standard library and this module.
package races
