package etcd

import (
	"errors"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/sallyport-go/sallyport/store"
)

func TestFailures(t *testing.T) {
	for _, c := range []struct {
		err  error
		is   error
		text string
	}{
		{rpctypes.ErrGRPCNoSpace, rpctypes.ErrNoSpace, "disarm the alarm"},
		{rpctypes.ErrGRPCPermissionDenied, rpctypes.ErrPermissionDenied, "grant its role"},
		{rpctypes.ErrGRPCUserEmpty, rpctypes.ErrUserEmpty, "wants a user"},
		{rpctypes.ErrGRPCCorrupt, rpctypes.ErrCorrupt, "replace it"},
		{rpctypes.ErrGRPCTimeoutDueToLeaderFail, rpctypes.ErrTimeoutDueToLeaderFail, "lost their leader"},
		{rpctypes.ErrGRPCRequestTooLarge, store.ErrInvalid, "--max-request-bytes"},
		{rpctypes.ErrGRPCRequestTooLarge, store.ErrInvalid, "MaxCallSendMsgSize"},
		{status.Error(codes.ResourceExhausted, "trying to send message larger than max (3 vs. 2)"), store.ErrInvalid, "(3 vs. 2)"},
		{rpctypes.ErrGRPCRequestTooManyRequests, rpctypes.ErrTooManyRequests, "look for slow disks"},
		{rpctypes.ErrGRPCLeaseNotFound, rpctypes.ErrLeaseNotFound, "lease not found"},
		{rpctypes.ErrGRPCCompacted, store.ErrCompacted, "compacted"},
		{status.Error(codes.Internal, "whatever"), nil, "whatever"},
	} {
		s, f := opened(t)
		f.inject(func(any) error { return c.err }, nil)
		_, err := s.PutKey(t.Context(), newKey("k2"))
		require.ErrorContains(t, err, c.text)
		if c.is != nil {
			require.ErrorIs(t, err, c.is)
		}
	}
}

// TestAdvice has a server answer every error with a known repair. A write and a watch say
// it.
func TestAdvice(t *testing.T) {
	for _, a := range advice {
		s, f := opened(t)
		sent := a.err // as a server sends it
		if known := (rpctypes.EtcdError{}); errors.As(sent, &known) {
			sent = status.Error(known.Code(), known.Error())
		}
		require.Contains(t, a.advice, ": ", "the repair of %v", a.err)
		f.inject(func(any) error { return sent }, nil)
		_, put := s.PutKey(t.Context(), newKey("k2"))
		require.Equal(t, slices.Contains(unwritten, a.err), errors.Is(put, store.ErrNotWritten), "%v", put)
		f.inject(func(request any) error {
			if _, create := request.(*pb.WatchCreateRequest); create {
				return sent
			}
			return nil
		}, nil)
		var watch error
		for _, err := range s.Watch(t.Context(), store.Position{}) {
			if err != nil {
				watch = err
				break
			}
		}
		for _, err := range []error{put, watch} {
			require.ErrorIs(t, err, a.err)
			require.ErrorContains(t, err, a.advice)
		}
	}
}
