package etcd

import (
	"context"
	"errors"
	"fmt"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/sallyport-go/sallyport/store"
)

// errTooLarge is returned when a request has more bytes than the client sends, or the
// server takes.
var errTooLarge = errors.New("the request is larger than the server takes, which is 1.5 MiB unless its --max-request-bytes says otherwise, or than the client sends, which is 2 MiB unless its MaxCallSendMsgSize says otherwise")

// advice is the meaning of the servers' errors for their operator. The errors are those of
// package rpctypes.
var advice = []struct {
	err    error
	advice string
}{
	{rpctypes.ErrNoSpace, "the cluster has used up its space and takes no writes: compact its history, defragment every member, and disarm the alarm NOSPACE"},
	{rpctypes.ErrCorrupt, "a member has found its data damaged: replace it"},
	{rpctypes.ErrPermissionDenied, "the client's user may not do this: grant its role the prefix, readwrite"},
	{rpctypes.ErrAuthFailed, "the client's user or password is wrong"},
	{rpctypes.ErrUserEmpty, "the cluster wants a user and a password, and the client has none"},
	{rpctypes.ErrInvalidAuthToken, "the client is not, or no longer, known to the cluster"},
	{rpctypes.ErrNoLeader, "the member that was asked has no leader: it is cut off from the others, or there are too few of them"},
	{rpctypes.ErrTimeout, "the members did not agree in time: there are too few of them, or they are overloaded"},
	{rpctypes.ErrTimeoutDueToLeaderFail, "the members did not agree in time, since they have lost their leader"},
	{rpctypes.ErrTimeoutDueToConnectionLost, "the members did not agree in time, since they do not reach each other"},
	{rpctypes.ErrTimeoutWaitAppliedIndex, "the member that was asked is too far behind the others"},
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
