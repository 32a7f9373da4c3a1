// Package transfer moves organizations, keys and their usage between stores of any kind
// by way of a file: [Export] writes it, [Import] reads it into a store and compares the
// store with it, and [Verify] only compares. The file is also a backup of a store without
// a better one.
//
// Do not use it to keep two stores alike while both are used: the file says nothing about
// deletions. For a copy of a store in use see package store/replica; back up a database
// with the database's own tools.
//
// Events stay behind: the file has none, and an Import keeps none (E8). The old journal goes
// on answering who changed what before the move, so keep the old store, or a copy of its
// events: store.AllEvents yields them, and each has a JSON form; see the example Events.
// The new journal begins with the first change after the move. Its revisions are others, so
// a follower of the old one reads to its end, and then begins anew (E6).
//
// The file is sensitive. It has no secrets, but their hashes, the access lists, and the
// addresses of use: protect it like the database. With the Digest credentials of a key, if it
// has any, a reader of the file can sign in. A secret hashed with a server key
// (apikey.ServerKey) can be verified after the move only with that key, and the key is
// not in the file.
//
// # The format
//
// A file is text in UTF-8, in lines that end with a line feed, and each line is one JSON
// object (RFC 8259) without line breaks:
//
//	{"sallyport":{"format":1}}
//	{"organization":{…}}
//	{"key":{…}}
//	{"key":{…},"usage":{"entries":[…],"secrets":[…]}}
//	{"end":{"organizations":1,"keys":2,"usage":1,"sha256":"…"}}
//
// The first line has the version of the format. The last line has the number of
// organizations, keys, and keys with usage, and the SHA-256 (FIPS 180-4) of all bytes
// before it in lower-case hexadecimal. Both lines have exactly the bytes shown, without
// spaces and in this order. So a file cut short or altered is refused. This protects from
// accidents, not from an attacker with a new last line.
//
// Between them come the organizations in ascending order of their IDs' bytes, each
// followed by its keys in ascending order of theirs. An organization is the JSON of
// policy.Organization, a key the JSON of apikey.Key, both with their revision in the
// exported store. A key's line has its usage if there was any:
//
//	{"entry":"198.51.100.0/24","count":3,"last":"2031-05-06T07:08:09.123456Z","lastAddress":"198.51.100.7"}
//	{"secret":"5ec2e700","count":3,"last":"2031-05-06T07:08:09.123456Z","lastAddress":"198.51.100.7"}
//	{"address":"198.51.100.7","count":3,"first":"2031-05-06T07:08:09.123456Z","last":"2031-05-06T07:08:09.123456Z"}
//	{"reason":"address_not_listed","count":3,"last":"2031-05-06T07:08:09.123456Z","lastAddress":"203.0.113.7"}
//
// for the used entries, as CIDR blocks in the order of the list, for the used secrets, by
// their IDs in the key's order, for "addresses" in ascending order, and for "denials" and
// "wouldDeny" in the order of the reasons. The calls of "dropped" addresses have no name.
// Unknown first, last and lastAddress are left out. Usage of entries and secrets no longer
// on the key is not exported (U5). Nor is the store's Observation: in another store usage
// shows what was used, and never that something was not.
//
// A reader refuses:
//   - unknown names, except in the metadata of an organization or a key;
//   - known names in another case, and names twice;
//   - null, and a missing name of a required value;
//   - invalid records, and a key or an organization twice;
//   - a line of more than [MaxLine] bytes.
//
// The same records with the same revisions make the same file. The contents change only
// with the number of the format, except for metadata. Later versions of this package read
// format 1.
//
// A file of a later version is read by an earlier one under the rules of package store,
// "Versions side by side". Metadata that the earlier one does not know is imported with its
// record, and compared like the rest. Anything else that it does not know, a later format
// included, is [ErrDamaged], with the number of the line: nothing is imported, since the whole
// file is checked first.
package transfer
