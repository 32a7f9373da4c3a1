// Package etcd is a store.Store in etcd, for services that need more than one machine.
// Every write is on the disks of a majority of the members before it returns. The loss of
// a member, even the leader, loses nothing and stops writes for a second or two.
//
//	client, err := clientv3.New(clientv3.Config{
//		Endpoints:            []string{"https://etcd-1:2379", "https://etcd-2:2379", "https://etcd-3:2379"},
//		DialKeepAliveTime:    10 * time.Second,
//		DialKeepAliveTimeout: 3 * time.Second,
//		TLS:                  …,
//	})
//	…
//	keys, err := etcd.New(ctx, client, "/sallyport/")
//
// Do not use it where one machine is enough: package store/sqlite needs no cluster. Do not
// decide from it directly where a millisecond matters, or the second or two of an election:
// package store/replica decides from a copy in memory. Do not keep tens of millions of keys
// in it: etcd is made for some gigabytes.
//
// It is tested with etcd 3.7 and uses no feature newer than 3.5, but needs at least 3.5.22,
// or 3.6.2. Servers before 3.5.18 may leave a deletion out of a watch that begins at the
// compacted revision (https://github.com/etcd-io/etcd/issues/19179). Servers before 3.5.22
// and 3.6.2 may deliver events from before a watch's beginning
// (https://github.com/etcd-io/etcd/issues/20221).
//
// Set the client's keep-alive, as above. Without it neither a look-up nor a watch notices a
// network that silently drops everything.
//
// # Reads and writes
//
// All reads are linearizable: the member asks the leader. A write through any member is
// seen by the next read through any other. A member that is cut off from the majority never
// answers from its own data. Until it notices, after the time of an election, it holds a
// call until the context ends, or for the server's patience of seven seconds. From then on
// it refuses every call at once.
//
// Reads are retried for five seconds while members come and go, with one of the client's
// members after the other. A write is never retried. Give every call a context with a
// deadline: without one it waits for a lost cluster as long as that is lost.
//
// A write refused because the member has no leader did not happen. Its error matches
// rpctypes.ErrNoLeader, and it can be called again.
//
// A Put or Delete whose answer was lost is an error and may have happened (S3). So may one
// whose context ended. It is waited for a second longer: a request sent to the cluster
// cannot be called back, and might happen after a read that did not see it. Read the record
// to know.
//
// The death of the leader costs an election, about 1.2 to 1.8 seconds with etcd's default
// settings, in which writes and reads wait. A write on its way to the leader fails, at once
// or when its context or the servers' patience of seven seconds ends. A watch served by the
// dead member ends with an error; call it again with the last mark. The death of another
// member costs nothing else.
//
// # Layout
//
// Under the prefix, here /sallyport/, there is:
//
//	/sallyport/layout              1 1 1: the version of this layout, and the oldest versions of programs that may read and write it
//	/sallyport/revision            the name of the history; its revision in etcd is that of the latest write
//	/sallyport/organizations/acme  an organization, the JSON of policy.Organization
//	/sallyport/keys/acme/k1        a key of organization acme, the JSON of apikey.Key
//	/sallyport/ids/k1              acme, the organization of the key
//	/sallyport/journal             the revision up to which events were forgotten
//	/sallyport/events/             the events of each write, see below
//	/sallyport/histories/X         empty; its revision in etcd is that of the latest write in history X
//	/sallyport/usage/k1            {"entries":{"192.0.2.0/24":[12,1935817689123456,"192.0.2.7"]},"secrets":{…}}
//	/sallyport/usage-observation   since when usage is observed, and the gaps
//
// Each transaction compares layout, and a watch delivers it. So a program of an older version
// notices at once when a newer one has changed the layout, and goes on as far as the two
// numbers let it; see package store, "Versions side by side".
//
// Usage is the number of calls, the time of the latest in microseconds since 1970, and its
// address; see adapter.EncodeUsage.
//
// In keys/ the name of the organization has %2F for a slash and %25 for a percent sign. A
// record's revision is that of etcd, and zero in the JSON. A write is one transaction, which
// also writes revision and the name of its history; recording usage does not. Other names are not read.
// A Put with the revision shown by etcdctl replaces an unreadable record.
//
//	etcdctl get --prefix --keys-only /sallyport/keys/acme/
//	etcdctl get /sallyport/keys/acme/k1 -w fields
//
// The events of a write have four names, for two orders of all events and of those of the
// organization. The first has them, as a JSON array, and the others are empty. The number is
// a revision of the cluster before the write, with all bits inverted where the newest come
// first. The revision of journal in etcd is that of the latest write with events.
//
//	/sallyport/events/all/oldest/00000000000004d2/acme/k1
//	/sallyport/events/all/newest/fffffffffffffb2d/acme/k1
//	/sallyport/events/of/acme/oldest/00000000000004d2/k1
//	/sallyport/events/of/acme/newest/fffffffffffffb2d/k1
//
// Values are for looking at. A record changed with etcdctl must still be exactly what
// belongs there. Otherwise it is an error wherever it is requested, as is a key without its
// organization. Decisions are unavailable then, never made from a smaller record.
//
// A look-up finds a key by ids/, which no watch delivers and no replica has. If ids/ names
// an organization that does not have the key, decisions from the store are unavailable, and
// DeleteKey returns an error with the repair. If ids/ does not have the key, it is unknown
// to the store. A replica goes by keys/ in both cases, and there the key is in force. To
// revoke it, put its organization into ids/ and delete it with DeleteKey.
//
// A running watch delivers writes by etcdctl, with a mark later than Position returns, for
// which a replica reloads everything. But a watch that was away resumes from its last mark
// and misses them, unless the store itself has written since. Put revision in the same
// transaction, with the value that it has (etcdctl txn), and every watcher receives it. If
// revision is deleted or emptied, watches and Position fail until the next write of a
// Store.
//
// Events changed with etcdctl are an error wherever they are requested, until they are
// forgotten. Deleted ones are an error too, with one exception: a read of all organizations,
// the oldest first, does not miss them.
//
// Write access under the prefix lets anyone in; read access shows the hashes of the
// secrets, and with the Digest credentials of a key, if it has any, a reader can sign in. With
// authentication, grant the program's role readwrite on the prefix
// (--prefix=true). Read is enough for one that only looks up and watches an existing store.
//
// # Events
//
// The events of a Write are in its transaction. It takes one round trip more than a Put, and
// one and a half times as long. It stores the JSON of the events and some 400 bytes of names.
//
// Writes with events come one after the other, also those of several programs: some
// hundreds a second, where Puts of many goroutines come to thousands. If another program
// was faster, a Write tries again with what it then reads, in one more round trip. Its
// conditions are checked anew. Puts, and Writes without events, are not held up.
//
// A page is a snapshot, and takes a round trip for each hundred writes on it. The events of
// one key are found among those of its organization, a thousand writes in a round trip.
//
// Compaction loses no event and no position of a follower: they are present values and not
// etcd's history. Events stay until a Write forgets them (store.Write.Forget), with the names
// of the histories before them. It first marks them as forgotten, in its transaction; no
// read returns them from then on. Then it deletes them, up to a thousand writes of fifty
// organizations in a transaction. If that fails in the middle, Write returns an error with
// the repair: forget them again. The next Write with Forget, to any position, deletes the
// rest. The cluster has their space back when it is compacted and defragmented.
//
// # Limits
//
// A request, with the key's JSON, must be less than the server's --max-request-bytes, by
// default 1.5 MiB. Every valid key of at most store.MaxEntries entries fits, with all events
// of a Write; ten thousand entries with an expiry each and comments that JSON has to escape
// do not. It must also be less than the MaxCallSendMsgSize of the client's configuration, by
// default 2 MiB. For larger records raise both. A larger record is refused with
// store.ErrInvalid. So is a larger batch of usage, which is one transaction: a hundred keys
// with a hundred and fifty used entries and all their addresses each just fit.
//
// The client's MaxCallRecvMsgSize does not bound reads. A watch from zero reads up to
// thirty-two thousand records at a time, which together must be less than 2 GiB.
//
// Every write keeps the earlier value in etcd's history until that is compacted.
// --quota-backend-bytes, by default 2 GiB, counts it. A million keys with ten entries each
// have about 1 GB, apart from their history: set 8 GiB for them, the most that etcd advises.
// When the quota is used up, no write is taken, not even a deletion, and the error says so;
// reads and decisions go on. Compact, defragment, and disarm the alarm:
//
//	etcdctl compact REVISION && etcdctl defrag --cluster && etcdctl alarm disarm
//
// # Operation
//
// Have the servers compact by themselves, with --auto-compaction-mode=periodic and a
// --auto-compaction-retention of an hour or more. A watch away for longer gets store.ErrCompacted
// and must begin from zero. A watch from zero gets it too, if it takes longer.
// Defragment one member after the other, the leader last: meanwhile it answers nothing.
//
// A restored cluster has the ID and the values of the snapshot, and nothing in it shows
// that writes were lost. So every Store begins a history with its first write: it has a
// random name, the value of revision. Other Stores go on in it, if their own latest write
// is in its past, and watchers go on over restarts. A watch from a lost position gets
// store.ErrCompacted, and a replica reloads. A restored cluster ends every connection: a
// Store that goes on then begins another history. So stop all members before you restore the
// first: a program with a connection to one left running would not notice.
//
// A proxy may keep connections open over a restore. A Store behind it notices only by its
// next write, and only if both hold:
//
//   - a write of its own, or one shown to it by Position, is lost;
//   - the cluster has not come so far again under the same name.
//
// There, end the programs that write before you restore.
//
// The revisions since the snapshot would be given again, to other writes, and a Put or
// Delete with a lost revision could not tell (S27). Restore with etcdutl snapshot restore
// --bump-revision 1000000000 --mark-compacted, and they are not. Bump further if the same
// snapshot is restored again. Give each member its --name and --initial-advertise-peer-urls, and
// all of them the same --initial-cluster and --initial-cluster-token: restored without, each is a
// cluster by itself, and goes its own way. Writes after the snapshot are lost, and so are deletions: keys
// revoked since are back.
//
// S25 and S26 rest on the fsync of the members' disks, and on --unsafe-no-fsync not being
// set.
//
// It is no store.Loader. A transaction of etcd has one revision for all its writes, and a
// hundred operations: it cannot give each record its own revision (L3) nor store a thousand
// at once (L1). Put them from many goroutines instead: the members write waiting
// transactions to their disks together. Sixty-four goroutines stored two to four thousand
// keys a second where one stored some six hundred.
package etcd
