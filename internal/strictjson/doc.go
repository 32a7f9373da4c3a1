// Package strictjson reads stored JSON exactly or not at all. encoding/json folds the case
// of names, takes the last of two values, reads null as nothing and replaces bad text: each
// could lose an expiry, an entry or a requirement without an error (rule A3). This package
// refuses all of it. The error names the place and the repair.
//
// There are two readers:
//
//   - [Parse] and [Value] read JSON in any form, and return the errors;
//   - [Canonical] reads the output of json.Marshal only, several times faster and without
//     errors. For everything else use Value.
//
// Both must read the same value: each package with both has a test of it.
//
// The package writes nothing but the members that [Value.Open] kept ([Rest]). It is not for large documents: a Value is whole in memory.
package strictjson
