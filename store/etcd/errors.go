package etcd

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/adapter"
)

// errTooLarge is returned when a request has more bytes than the client sends, or the
// server takes.
var errTooLarge = errors.New("the request is larger than the server takes or the client sends: raise the server's --max-request-bytes, by default 1.5 MiB, and the client's Config.MaxCallSendMsgSize, by default 2 MiB")

// advice is the repair of the servers' errors, for their operator. The errors are those of
// package rpctypes.
var advice = []struct {
	err    error
	advice string
}{
	{rpctypes.ErrNoSpace, "the cluster has used up its space and takes no writes: compact its history (etcdctl compact), defragment every member (etcdctl defrag --cluster) and disarm the alarm (etcdctl alarm disarm); then raise --quota-backend-bytes, or shorten --auto-compaction-retention"},
	{rpctypes.ErrCorrupt, "a member has found its data damaged: replace it (etcdctl member remove and add, with an empty data directory)"},
	{rpctypes.ErrPermissionDenied, "the client's user may not do this: grant its role the prefix, readwrite (etcdctl role grant-permission --prefix=true ROLE readwrite PREFIX)"},
	{rpctypes.ErrAuthFailed, "the client's user or password is wrong: want those of etcdctl user add in Config.Username and Config.Password"},
	{rpctypes.ErrUserEmpty, "the cluster wants a user and a password, and the client has none: set Config.Username and Config.Password"},
	{rpctypes.ErrAuthNotEnabled, "the client has a user, and the cluster no authentication: enable it (etcdctl auth enable), or leave Config.Username empty"},
	{rpctypes.ErrInvalidAuthToken, "the client is not, or no longer, known to the cluster, as after a member's restart: try again, or make another client"},
	{rpctypes.ErrAuthOldRevision, "users or roles have changed since the client was let in: try again"},
	{rpctypes.ErrNoLeader, "the member that was asked has no leader, since it is cut off from the others or too few run: bring back a majority of the members, and give the client the endpoints of all"},
	{rpctypes.ErrLeaderChanged, "the leader has changed in the meantime: try again after reading the record"},
	{rpctypes.ErrTimeout, "the members did not agree in time: bring back a majority of them, or look for slow disks and an overload (etcdctl endpoint status)"},
	{rpctypes.ErrTimeoutDueToLeaderFail, "the members did not agree in time, since they have lost their leader: try again after reading the record"},
	{rpctypes.ErrTimeoutDueToConnectionLost, "the members did not agree in time, since they do not reach each other: check the network between their peer URLs"},
	{rpctypes.ErrTimeoutWaitAppliedIndex, "the member that was asked is too far behind the others: look for a slow disk or an overload of it"},
	{rpctypes.ErrTooManyRequests, "the cluster has more writes waiting than it takes: look for slow disks, or write less at a time"},
	{rpctypes.Error(rpctypes.ErrGRPCNotSupportedForLearner), "the member that was asked is a learner: leave its endpoint out of the client's, or promote it (etcdctl member promote)"},
	{rpctypes.ErrTooManyOps, "the servers take fewer operations in a transaction than the hundred of this package: want --max-txn-ops 128, the default, or more"},
}

// unwritten are errors with which a server refuses a transaction before it has an effect.
var unwritten = []error{rpctypes.ErrNoSpace, rpctypes.ErrCorrupt, rpctypes.ErrPermissionDenied, rpctypes.ErrAuthFailed, rpctypes.ErrUserEmpty,
	rpctypes.ErrAuthNotEnabled, rpctypes.ErrInvalidAuthToken, rpctypes.ErrAuthOldRevision, rpctypes.ErrTooManyRequests, rpctypes.ErrTooManyOps,
	rpctypes.Error(rpctypes.ErrGRPCNotSupportedForLearner), errTooLarge}

// writeFailure returns the error of a failed write.
func writeFailure(ctx context.Context, err error) error {
	err = failure(ctx, err)
	if slices.ContainsFunc(unwritten, func(refusal error) bool { return errors.Is(err, refusal) }) {
		return adapter.NotWritten(err)
	}
	return err
}

// failure returns the error of a failed call. It matches the error of a done
// context, and an error of package rpctypes.
func failure(ctx context.Context, err error) error {
	text := status.Convert(err).Message()
	done := ctx.Err()
	if done == nil && status.Code(err) == codes.DeadlineExceeded {
		done = context.DeadlineExceeded // the server has the same deadline, and may be first
	}
	switch {
	case done != nil && text == done.Error():
		return fmt.Errorf("store/etcd: %w", done)
	case done != nil: // with the last failure
		return fmt.Errorf("store/etcd: %w (%s)", done, text)
	}
	known := rpctypes.Error(err)
	for _, a := range advice {
		if errors.Is(known, a.err) {
			return fmt.Errorf("store/etcd: %s: %w", a.advice, known)
		}
	}
	var ofServer rpctypes.EtcdError
	switch {
	case errors.Is(known, rpctypes.ErrCompacted):
		return fmt.Errorf("store/etcd: %w: %w", store.ErrCompacted, known)
	case errors.Is(known, rpctypes.ErrRequestTooLarge), !errors.As(known, &ofServer) && status.Code(err) == codes.ResourceExhausted:
		return fmt.Errorf("store/etcd: %w (%s)", errTooLarge, text)
	}
	return fmt.Errorf("store/etcd: %w", known)
}

// inconsistent returns the error of a state that no writes of this package lead to. The
// record exists and cannot be read (S6).
func inconsistent(name, problem string) error {
	return fmt.Errorf("store/etcd: %s %s: it was changed by other means than this package", name, problem)
}
