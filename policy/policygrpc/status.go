package policygrpc

import (
	"net/http"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/sallyport-go/sallyport/policy"
)

// clientAddress is the name of the client's address among the metadata of an ErrorInfo.
const clientAddress = "clientAddress"

// Status returns the caller's side of a decision (rule D1): [policy.Decision.Answer] as a
// status with a google.rpc.ErrorInfo. For an allowed call it is OK, with a nil Err; for a
// denied one it never is.
func (g *Guard) Status(d policy.Decision) *status.Status {
	if d.Allowed() {
		return status.New(codes.OK, "")
	}
	answer := d.Answer()
	info := &errdetails.ErrorInfo{Reason: answer.Code, Domain: defaultDomain}
	if g != nil && g.domain != "" {
		info.Domain = g.domain
	}
	if len(answer.Parameters) > 0 {
		info.Metadata = map[string]string{clientAddress: answer.Parameters[0]}
	}
	s := status.New(codeOf(answer.Status), answer.Message)
	detailed, err := s.WithDetails(info)
	if err != nil {
		return s // a nil status would be OK
	}
	return detailed
}

// codeOf returns the gRPC code for the HTTP status of a denial.
func codeOf(httpStatus int) codes.Code {
	switch httpStatus {
	case http.StatusBadRequest:
		return codes.InvalidArgument
	case http.StatusUnauthorized:
		return codes.Unauthenticated
	case http.StatusForbidden:
		return codes.PermissionDenied
	}
	return codes.Unavailable
}
