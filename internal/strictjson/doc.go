// Package strictjson reads stored JSON exactly or not at all. encoding/json folds the case
// of names, takes the last of two values, reads null as nothing and replaces bad text: each
// could lose an expiry, an entry or a requirement without an error (rule A3). This package
// refuses all of it, and says where and what to write instead.
//
// There are two readers:
//
//   - [Parse] and [Value] read JSON however it is written, and give the errors;
//   - [Canonical] reads only the bytes that the Marshal methods of this module write. It is
//     several times faster and gives no errors: use Value for everything it does not read.
//
// Both must read the same value; the packages that use them have a fuzz test for it.
//
// It writes nothing, and it is not for large documents: a Value is held in memory whole.
package strictjson
