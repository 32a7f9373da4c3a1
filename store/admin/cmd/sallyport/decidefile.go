package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strconv"
	"time"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/internal/strictjson"
	"github.com/sallyport-go/sallyport/policy"
)

// A requested is a call in a file.
type requested struct {
	Key                apikey.ID  `json:"key"`
	From               netip.Addr `json:"from"`
	Organization       string     `json:"organization"`
	Project            string     `json:"project,omitempty"`
	Endpoint           string     `json:"endpoint,omitempty"`
	Roles              []string   `json:"roles,omitempty"`
	RequiresAccessList bool       `json:"requiresAccessList,omitempty"`
}

// A judged is the decision on a line.
type judged struct {
	Line     int       `json:"line"`
	Call     requested `json:"call"`
	Decision any       `json:"decision"`

	decided decided
}

var judgements = listing[judged]{
	header: "LINE KEY FROM ORGANIZATION PROJECT ANSWER REASON",
	row: func(j judged) []string {
		verdict := "denied"
		if j.decided.allowed {
			verdict = "allowed"
		}
		return []string{strconv.Itoa(j.Line), string(j.Call.Key), address(j.Call.From), j.Call.Organization, j.Call.Project, verdict, j.decided.reason.String()}
	},
	name: func(j judged) string { return j.decided.reason.String() },
}

// maxCall is the length of the longest line with a call, and maxCalls the number of calls
// decided at once.
const (
	maxCall  = 64 << 10
	maxCalls = 1000
)

// decideFile decides the calls in a file at an instant, now if that is zero. A line that is no
// call ends it, after those before.
func (s *session) decideFile(ctx context.Context, path string, at time.Time) error {
	from, err := s.open(path)
	if err != nil {
		return err
	}
	defer func() { _ = from.Close() }() // it is only read
	r, err := s.records(ctx)
	if err != nil {
		return err
	}
	found, denied, untold := 0, false, 0
	err = list(s, judgements, func(yield func(judged, error) bool) {
		lines := bufio.NewReaderSize(from, maxCall)
		for line, more := 1, true; more; {
			calls, ended := s.readCalls(lines, line)
			decisions, err := r.DecideAll(ctx, requestsOf(calls), at)
			for i, d := range decisions {
				found++
				denied = denied || !d.allowed
				if d.unjudged != nil {
					untold++
				}
				if !yield(judged{line + i, calls[i], d.Decision, d}, nil) {
					return
				}
			}
			if err != nil {
				ended = fmt.Errorf("the calls from line %d on: %w", line+len(decisions), err)
			}
			line += len(calls)
			more = ended == nil
			if ended != nil && !errors.Is(ended, io.EOF) {
				yield(judged{}, ended)
			}
		}
	})
	switch {
	case err != nil:
		return err
	case found == 0: // no yes to nothing
		return fmt.Errorf("there are no calls in %s", path)
	case untold > 0:
		return fmt.Errorf("%s could not be judged", count(untold, "call", "calls"))
	case denied:
		return errNo
	}
	return nil
}

// readCalls reads up to maxCalls lines, with io.EOF after the last.
func (s *session) readCalls(lines *bufio.Reader, line int) (calls []requested, err error) {
	for ; len(calls) < maxCalls; line++ {
		text, err := lines.ReadSlice('\n')
		if errors.Is(err, bufio.ErrBufferFull) {
			return calls, fmt.Errorf("line %d has more than %d bytes", line, maxCall)
		}
		if len(text) == 0 {
			return calls, err
		}
		call, err := readCall(text)
		if err != nil {
			return calls, fmt.Errorf("line %d is no call: %w", line, err)
		}
		if s.isRemote() && (len(call.Roles) > 0 || call.RequiresAccessList) {
			return calls, fmt.Errorf("line %d has roles or requiresAccessList, and with --server they are not available: use --store. %s", line, rolesAreTheServices)
		}
		calls = append(calls, call)
	}
	return calls, nil
}

// readCall reads a call exactly: a role that is lost would be none wanted.
func readCall(text []byte) (call requested, err error) {
	v, err := strictjson.Parse(text)
	if err == nil {
		err = v.Object(
			strictjson.Field{Name: "key", Read: strictjson.Text(&call.Key)},
			strictjson.Field{Name: "from", Read: strictjson.Unmarshal(&call.From)},
			strictjson.Field{Name: "organization", Read: strictjson.Text(&call.Organization)},
			strictjson.Field{Name: "project", Read: strictjson.Text(&call.Project)},
			strictjson.Field{Name: "endpoint", Read: strictjson.Text(&call.Endpoint)},
			strictjson.Field{Name: "roles", Read: strictjson.Slice(&call.Roles, readRole)},
			strictjson.Field{Name: "requiresAccessList", Read: strictjson.Bool(&call.RequiresAccessList)},
		)
	}
	return call, err
}

func readRole(v strictjson.Value) (role string, err error) {
	err = strictjson.Text(&role)(v)
	return role, err
}

// requestsOf returns the requests of calls with the right secret.
func requestsOf(calls []requested) (requests []policy.Request) {
	for _, call := range calls {
		requests = append(requests, policy.Request{Key: call.Key, Client: call.From, Organization: call.Organization, Project: call.Project,
			Endpoint: &policy.Endpoint{Name: call.Endpoint, Roles: call.Roles, RequiresAccessList: call.RequiresAccessList}, Verifier: policy.AlreadyVerified{}})
	}
	return requests
}
