// Package etcd is a store.Store in etcd, for those for whom one machine is not enough:
// every write is on a majority of the members' disks before it returns, and the loss of
// a member, the leader included, loses nothing and stops writes for a second or two.
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
// Do not use it where one machine would do: package store/sqlite needs no cluster. Do
// not decide from it directly where a millisecond matters, or the second or two of an
// election: package store/replica keeps a copy in memory by the change feed, to decide
// from. And do not keep tens of millions of keys in it: etcd is made for some gigabytes.
//
// It is tested with etcd 3.7, and uses nothing that 3.5 does not have, but needs 3.5.22, or
// 3.6.2, at least: servers before 3.5.18 may leave a deletion out of a watch that begins at
// the revision to which the history was compacted
// (https://github.com/etcd-io/etcd/issues/19179), and those before 3.5.22 and 3.6.2 may tell
// a watch of what was before its beginning
// (https://github.com/etcd-io/etcd/issues/20221).
//
// Set the client's keep-alive, as above: without it a network that silently carries nothing
// any more is noticed by nobody, neither by a look-up nor by a watch.
//
// # What is read when
//
// All reads are linearizable, for which the member that is asked asks the leader: what
// was written through any member is seen by the next read through any other. A member
// that is cut off from the majority never answers from what it has. Until it notices,
// after the time of an election, it holds what it is asked until the context ends, or the
// server's patience of seven seconds; from then on it refuses every call at once. Reads
// are tried again for five seconds while members come and go, with one member of the
// client's after the other; a write never is. Give every call a context with a deadline:
// without one it waits for a cluster that is gone for as long as that is gone.
//
// A write that was refused because the member has no leader did not happen. Its error
// matches rpctypes.ErrNoLeader, and it can be called again.
//
// A Put or Delete whose answer got lost is an error, and may have happened (S3). So may
// one whose context ended: it is waited for, for a second more, because what was sent
// to the cluster cannot be called back and might happen after a read that did not see
// it. Read the record to know.
//
// The death of the leader costs what an election takes: about 1.2 to 1.8 seconds with
// etcd's own settings, in which writes and reads wait. A write that was on its way to it
// fails, at once or when its context or the servers' patience of seven seconds ends. A
// watch that the dead member served ends with an error, and goes on by being called
// again with the last mark. The death of another member costs nothing but that.
//
// # Layout
//
// Under the prefix, here /sallyport/, there is:
//
//	/sallyport/version             1, the version of this layout
//	/sallyport/revision            nothing; etcd's own revision of it is that of the latest write
//	/sallyport/organizations/acme  an organization, the JSON of policy.Organization
//	/sallyport/keys/acme/k1        a key of organization acme, the JSON of apikey.Key
//	/sallyport/ids/k1              acme, the organization that has the key
//	/sallyport/usage/k1            {"entries":{"192.0.2.0/24":[12,1935817689123456,"192.0.2.7"]},"secrets":{…}}
//
// Usage is the count of the calls, and the time of the latest in microseconds since 1970
// with the address that it came from.
//
// In keys/ the name of the organization has %2F for a slash and %25 for a percent sign.
// A record's revision is that of etcd, and zero in the JSON. A write is one transaction,
// which also writes revision; recording usage does not. Other names are not read.
//
//	etcdctl get --prefix --keys-only /sallyport/keys/acme/
//	etcdctl get /sallyport/keys/acme/k1 -w fields
//
// Values are for looking at. A record that was changed with etcdctl and does not read as
// exactly what belongs there is an error wherever it is asked for, as is a key without
// its organization: decisions are unavailable then, never made from a smaller record.
//
// A look-up finds a key by ids/, which a watch does not tell of and a replica does not
// have. If ids/ names an organization that does not have the key, decisions from the store
// are unavailable, and DeleteKey returns an error that says what to do. If ids/ has
// nothing of the key, it is unknown to the store. A replica goes by what is in keys/ in
// both cases, and there the key is in force. To revoke it, put its organization into ids/
// and delete it with DeleteKey.
//
// What is written with etcdctl is told to a watch that is running, with a mark later than
// what Revision returns, for which a replica loads everything again. But a watch that was
// away goes on from its last mark and is never told of it, unless the store itself has
// written since that mark. If it must be, write it in one transaction with revision, as
// this package does (etcdctl txn): then everyone is told.
//
// Whoever may write under the prefix may let anyone in; whoever may read it sees the
// hashes of the secrets. With authentication, grant the program's role readwrite on the
// prefix (--prefix=true); read is enough for one that only looks up and watches a store
// that exists.
//
// # Limits
//
// A key's JSON and all else in a request must be less than the server's
// --max-request-bytes, 1.5 MiB unless set: some ten thousand entries of a list, or a
// thousand with the longest comments. It must be less, too, than the MaxCallSendMsgSize of
// the client's configuration, 2 MiB unless set: for larger records raise both. A larger
// record is refused with store.ErrInvalid. So is a larger batch of usage, which is one
// transaction: that of a hundred keys, of which two hundred entries each are used, is just
// as large as it may be.
//
// What is read is not bounded by the client's MaxCallRecvMsgSize. A watch from zero reads
// up to thirty-two thousand records at a time, which together must be less than 2 GiB.
//
// Every write keeps the earlier value in etcd's history until that is compacted, and
// --quota-backend-bytes, 2 GiB unless set, counts it. A million keys with ten entries
// each have about 1 GB, apart from their history: for so many set 8 GiB, the most that
// etcd advises. When the quota is used up, no write is taken, deletions included, and
// the error says so; reads and decisions go on. Compact, defragment, and disarm the
// alarm:
//
//	etcdctl compact REVISION && etcdctl defrag --cluster && etcdctl alarm disarm
//
// # Running it
//
// Have the servers compact by themselves, with --auto-compaction-mode=periodic and a
// --auto-compaction-retention of an hour or more. A watch that was away for longer is
// told store.ErrCompacted and must begin from zero; so is a watch from zero that takes
// longer than that. Defragment one member after the other, the leader last: one that is
// being defragmented answers nothing.
//
// A cluster restored from a snapshot gives out revisions again that it had given since
// the snapshot, to other writes, and neither a watch nor a Put can tell (S26). Restore
// with etcdutl snapshot restore --bump-revision 1000000000 --mark-compacted, and every
// watch begins from zero. What was written after the snapshot is lost, and so is what
// was deleted: keys that were revoked since are there again.
//
// S25 and S26 rest on the members' disks doing what fsync says, and on
// --unsafe-no-fsync not being set.
//
// It is no store.Loader. A transaction of etcd has one revision for all that it writes,
// and a hundred operations: it cannot give each record one of its own (L3), nor store a
// thousand at once (L1). Put them from many goroutines instead: the members write the
// transactions that wait to their disks together, and sixty-four goroutines stored two
// to four thousand keys a second where one stored some six hundred.
package etcd
