// Package transfer moves organizations, keys and their usage from one store to another,
// of whatever kinds, by way of a file: [Export] writes one, [Import] reads it into a
// store and compares what it then finds there, and [Verify] only compares. The file also
// does as a backup of a store that has no better.
//
// Do not use it to keep two stores alike while both are used: it says nothing of what was
// deleted. For a copy that follows a store there is package store/replica, and for the
// backup of a database the database's own.
//
// The file is sensitive. It has no secret's text, which no store has, but it has their
// hashes, the access lists, and where keys were used from: keep it as you would keep the
// database. Secrets that were hashed with a server key (apikey.ServerKey) can be proven
// after the move only by a program that has that key, which is not in the file.
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
// The first line has the version of the format. The last has how many organizations, keys
// and keys with usage there are, and the SHA-256 (FIPS 180-4), in lower-case hexadecimal,
// of all bytes before it. Both have just the bytes shown: there is no space in them, and no
// other order. So a file that was cut short or altered is refused. That is against
// accidents; whoever means to alter it can make a new last line.
//
// Between them come the organizations in ascending order of their IDs' bytes, each
// followed by its keys in ascending order of theirs. An organization is as
// policy.Organization's JSON, a key as apikey.Key's, both with the revision that they had.
// A key's line has its usage if there was any:
//
//	{"entry":"198.51.100.0/24","count":3,"last":"2031-05-06T07:08:09.123456Z","lastAddress":"198.51.100.7"}
//	{"secret":"5ec2e700","count":3,"last":"2031-05-06T07:08:09.123456Z","lastAddress":"198.51.100.7"}
//
// for the entries that were used, as CIDR blocks and in the order of the list, and for the
// secrets, by their IDs and in the key's order; last and lastAddress are left out where
// they are not known. Usage of entries and secrets that the key no longer has is not
// exported (U5).
//
// A reader refuses names that it does not know, that are there twice or differ in case,
// null, records that their Validate refuses, and a key or an organization that is there
// twice. The same records, with the same revisions, make the same file.
//
// What a file may have changes with the number of the format only. Later versions of this
// package read format 1.
package transfer
