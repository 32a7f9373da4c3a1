package clients

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/policy/policyhttp"
)

// Names of scenarios that some clients fail.
const (
	onlySHA256   = "SHA-256"
	sha256First  = "SHA-256, MD5"
	digestLast   = "Bearer, Basic, Digest (MD5)"
	staleAtOnce  = "a nonce that expires before its first answer"
	semicolon    = "a path with a semicolon"
	realmOfWords = "a realm with a space"
	realmOfParts = "a realm with a comma"
)

// For each client, what is known to come of a scenario instead of what is right.
var allClients = []client{
	// It is the one that heeds stale=true, but has one nonce for each URL.
	{name: "curl", schemes: []string{"Bearer", "Basic", "Digest"}, prepare: curl},
	// It leaves the parameters of a path out of what it hashes, and gives up at the second
	// 401 in a row, stale or not.
	{
		name: "Python requests", schemes: []string{"Bearer", "Basic", "Digest"}, prepare: pythonClient("requests_client.py"), again: true, replays: true,
		others: map[string]string{semicolon: "400", staleAtOnce: "401, 1 try"},
	},
	// It looks at the first challenge only, raises an exception for what it does not know,
	// and tries a wrong password six times, in which it also follows a stale nonce.
	{
		name: "Python urllib", schemes: []string{"Bearer", "Basic", "Digest"}, prepare: pythonClient("urllib_client.py"), replays: true,
		others: map[string]string{
			"Digest, wrong secret": "401, 6 tries", "Digest, unknown key": "401, 6 tries",
			onlySHA256: "error", sha256First: "error", digestLast: "error",
		},
	},
	// It hashes with MD5 whatever the challenge says, and names the scheme that comes first.
	{
		name: "npm digest-fetch", schemes: []string{"Basic", "Digest"}, prepare: npmClient("digest-fetch"), again: true,
		others: map[string]string{onlySHA256: "401, 1 try", sha256First: "401, 1 try", digestLast: "400", staleAtOnce: "401, 1 try"},
	},
	// It hashes with MD5 whatever the challenge says, and cuts that at every comma.
	{
		name: "npm urllib", schemes: []string{"Bearer", "Basic", "Digest"}, prepare: npmClient("urllib"),
		others: map[string]string{onlySHA256: "401, 1 try", sha256First: "401, 1 try", staleAtOnce: "401, 1 try", realmOfParts: "401, 1 try"},
	},
	{name: "Go net/http", schemes: []string{"Bearer", "Basic"}, prepare: goClient(netHTTP)},
	{
		name: "Go icholy/digest", schemes: []string{"Digest"}, prepare: goClient(icholyDigest), again: true,
		others: map[string]string{staleAtOnce: "401, 1 try"},
	},
	// It looks at the first challenge only, and cuts that at every comma with a blank.
	{
		name: "Go mongodb-forks/digest", schemes: []string{"Digest"}, prepare: goClient(mongodbDigest),
		others: map[string]string{digestLast: "error", staleAtOnce: "401, 1 try", realmOfParts: "error"},
	},
}

// A scenario is a service, what a client sends to it, and what comes of that if all is
// right.
type scenario struct {
	name    string
	table   *table
	schemes []string // which credentials it is about; none: all
	options options
	who     func(*service) account
	calls   []call
	want    string
	check   func(t *testing.T, c *client, s *service, replies []reply) // nil: nothing more
}

var (
	algorithmMD5    = []apikey.DigestAlgorithm{apikey.DigestMD5}
	algorithmSHA256 = []apikey.DigestAlgorithm{apikey.DigestSHA256}
	bothMD5First    = []apikey.DigestAlgorithm{apikey.DigestMD5, apikey.DigestSHA256}
	bothSHA256First = []apikey.DigestAlgorithm{apikey.DigestSHA256, apikey.DigestMD5}
)

// awkward is a target with what clients like to change.
const awkward = "/things/a%2Fb/%C3%A9?name=a%2Fb&space=x%20y&plus=a+b&empty=&list=1,2&signs=a:b;c"

func scenarios() []scenario {
	member := func(s *service) account { return s.member }
	get := []call{{Method: "GET", Target: "/things"}}
	onlyDigest := []string{"Digest"}
	offered := func(name string, schemes []string, algorithms []apikey.DigestAlgorithm) scenario {
		return scenario{
			name: name, table: challenges, schemes: onlyDigest, options: options{schemes: schemes, algorithms: algorithms},
			who: member, calls: get, want: "200", check: served,
		}
	}
	sent := func(name string, calls []call, want string, check func(*testing.T, *client, *service, []reply)) scenario {
		return scenario{
			name: name, table: nonces, schemes: onlyDigest, options: options{schemes: onlyDigest, algorithms: bothMD5First},
			who: member, calls: calls, want: want, check: check,
		}
	}
	elsewhere := func(name string, o options, code func(body []byte) string) scenario {
		return scenario{
			name: name, table: signingIn, options: o, who: func(s *service) account { return s.elsewhere }, calls: get,
			want: "403", check: func(t *testing.T, _ *client, s *service, replies []reply) {
				require.Equal(t, "IP_ADDRESS_NOT_ON_ACCESS_LIST", code([]byte(replies[0].Body)), replies[0].Body)
				require.Contains(t, replies[0].Body, "127.0.0.1")
				seen := s.sightings()
				require.Equal(t, policy.AddressNotListed, seen[len(seen)-1].reason)
			},
		}
	}
	atOnce := sent(staleAtOnce, get, "200", nil)
	atOnce.options.staleAnswer = true
	realm := func(name, realm string) scenario {
		sc := offered(name, onlyDigest, bothMD5First)
		sc.options.config.Realm = realm
		return sc
	}

	return []scenario{
		{name: "right secret", table: signingIn, who: member, calls: get, want: "200", check: served},
		{name: "wrong secret", table: signingIn, who: func(s *service) account { return s.mistaken }, calls: get, want: "401, 1 try", check: refused},
		{name: "unknown key", table: signingIn, who: func(s *service) account { return s.stranger }, calls: get, want: "401, 1 try", check: refused},
		elsewhere("off the list", options{}, func(body []byte) string {
			var problem struct{ Code string }
			_ = json.Unmarshal(body, &problem)
			return problem.Code
		}),
		elsewhere("the same, cloud API", options{config: policyhttp.Config{Deny: policyhttp.WriteAtlasError}}, func(body []byte) string {
			var told struct{ ErrorCode string }
			_ = json.Unmarshal(body, &told)
			return told.ErrorCode
		}),
		{
			name: "POST and a query", table: signingIn, who: member, want: "200",
			calls: []call{{Method: "POST", Target: awkward, Body: "name=a thing & more"}},
			check: func(t *testing.T, _ *client, _ *service, replies []reply) {
				require.Equal(t, "POST "+awkward+" name=a thing & more", replies[0].Body)
			},
		},

		offered("MD5", onlyDigest, algorithmMD5),
		offered(onlySHA256, onlyDigest, algorithmSHA256),
		offered("MD5, SHA-256", onlyDigest, bothMD5First),
		offered(sha256First, onlyDigest, bothSHA256First),
		offered("Digest (MD5, SHA-256), Bearer, Basic", []string{"Digest", "Bearer", "Basic"}, bothMD5First),
		offered(digestLast, []string{"Bearer", "Basic", "Digest"}, algorithmMD5),
		realm(realmOfWords, "the api"),
		realm(realmOfParts, "a, b"),

		sent("four calls", []call{
			{Method: "GET", Target: "/things"}, {Method: "POST", Target: "/things?n=1", Body: "a body"},
			{Method: "GET", Target: awkward}, {Method: "PUT", Target: "/things/1", Body: "another"},
		}, "200 200 200 200", counted),
		sent("a nonce that expires between two calls", []call{
			{Method: "GET", Target: "/things"}, {Method: "POST", Target: "/last", Body: "a body"}, {Method: "POST", Target: "/things?n=2", Body: "a body"}, {Method: "GET", Target: "/things"},
		}, "200 200 200 200", expired),
		sent("a request that is sent again", []call{{Method: "GET", Target: "/things"}, {Method: "GET", Target: "/things"}, {Again: true, Method: "GET", Target: "/things"}}, "200 200 200", replayed),
		sent("a target of 3,000 bytes", []call{{Method: "GET", Target: "/things?q=" + strings.Repeat("0123456789", 299)}}, "200", nil),
		sent(semicolon, []call{{Method: "GET", Target: "/things/1;v=2"}}, "200", nil),
		atOnce,
	}
}

// TestClients has every client go through every scenario of its credentials.
func TestClients(t *testing.T) {
	for i := range allClients {
		c := &allClients[i]
		t.Run(c.name, func(t *testing.T) {
			do := c.prepare(t)
			type attempt struct {
				scenario
				scheme  string
				service *service
			}
			var attempts []attempt
			var jobs []job
			for _, scheme := range c.schemes {
				for _, sc := range scenarios() {
					if sc.schemes != nil && !slices.Contains(sc.schemes, scheme) {
						continue
					}
					if sc.schemes == nil && scheme == "Digest" {
						sc.options.schemes, sc.options.algorithms = []string{"Digest"}, bothMD5First
					}
					s := newService(t, sc.options)
					who := sc.who(s)
					attempts = append(attempts, attempt{sc, scheme, s})
					jobs = append(jobs, job{URL: s.url, Scheme: scheme, User: who.user, Secret: who.secret, Calls: sc.calls})
				}
			}
			all := do(t, jobs)
			require.Len(t, all, len(jobs))
			for i, a := range attempts {
				t.Run(a.scheme+"/"+a.name, func(t *testing.T) { judge(t, c, a.scenario, a.scheme, a.service, all[i]) })
			}
		})
	}
}

// judge compares what came of a scenario with what is right, or known of the client.
func judge(t *testing.T, c *client, sc scenario, scheme string, s *service, replies []reply) {
	require.Len(t, replies, len(sc.calls))
	row := c.name
	if sc.table == signingIn {
		row += ", " + scheme
	}
	got := outcome(s, replies)
	want, known := c.others[sc.name]
	if !known {
		want, known = c.others[scheme+", "+sc.name]
	}
	if !known {
		want = sc.want
	}
	sc.table.set(row, sc.name, got)
	require.Equal(t, want, got, "if it is this client that has changed: what is known of it is said here and in digest.Config; replies: %+v", replies)
	if sc.check != nil && !known {
		sc.check(t, c, s, replies)
	}
}

// outcome is the statuses of the replies, and after a 401 how often the client tried.
func outcome(s *service, replies []reply) string {
	var got []string
	for _, r := range replies {
		switch {
		case r.Error != "":
			got = append(got, "error")
		case r.Status == http.StatusUnauthorized:
			got = append(got, tries(s))
		default:
			got = append(got, fmt.Sprint(r.Status))
		}
	}
	return strings.Join(got, " ")
}

func tries(s *service) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, saw := range s.seen {
		if saw.scheme != "" {
			n++
		}
	}
	switch n {
	case 0:
		return "401, no try"
	case 1:
		return "401, 1 try"
	}
	return fmt.Sprintf("401, %d tries", n)
}

// served checks that the key was let in from its address.
func served(t *testing.T, _ *client, s *service, replies []reply) {
	require.Equal(t, "GET /things ", replies[0].Body)
	seen := s.sightings()
	last := seen[len(seen)-1]
	require.Equal(t, policy.AddressListed, last.reason)
	require.Equal(t, policy.OriginPeer, last.from)
	require.LessOrEqual(t, len(seen), 2)
}

// refused checks that a wrong secret and an unknown key are told the same.
func refused(t *testing.T, _ *client, _ *service, replies []reply) {
	require.JSONEq(t, `{"type":"about:blank","title":"Unauthorized","status":401,"detail":"The API key is not valid.","code":"INVALID_API_KEY","parameters":[]}`, replies[0].Body)
}

// counted checks that every call was accepted with a count of its own, and how many
// challenges that took.
func counted(t *testing.T, c *client, s *service, replies []reply) {
	require.Equal(t, "POST /things?n=1 a body", replies[1].Body)
	require.Equal(t, "GET "+awkward+" ", replies[2].Body)
	require.Equal(t, "PUT /things/1 another", replies[3].Body)
	asked, counts := rising(t, s)
	if c.again {
		require.Equal(t, 1, asked)
		require.Len(t, counts, 1)
	} else {
		require.Equal(t, 4, asked)
		require.Len(t, counts, 4)
	}
	nonces.set(c.name, "nonces and counts of four calls", describe(counts))
}

// expired checks that the client tried again by itself where it was told that its nonce
// had expired, and not for a nonce of its own.
func expired(t *testing.T, c *client, s *service, replies []reply) {
	require.Equal(t, "POST /things?n=2 a body", replies[2].Body)
	stale := 0
	for _, saw := range s.sightings() {
		if saw.stale {
			stale++
			require.Equal(t, http.StatusUnauthorized, saw.status)
		}
	}
	if c.again {
		require.Equal(t, 1, stale)
	} else {
		require.Zero(t, stale)
	}
}

// replayed checks that a used response was not accepted again, and that the client helped
// itself.
func replayed(t *testing.T, c *client, s *service, _ []reply) {
	replays := 0
	for _, saw := range s.sightings() {
		if errors.Is(saw.err, policy.ErrReplayed) {
			replays++
			require.True(t, saw.stale)
			require.Equal(t, http.StatusUnauthorized, saw.status)
		}
	}
	if c.replays {
		require.Equal(t, 1, replays)
	} else {
		require.Zero(t, replays)
	}
}

// rising returns how often a client came without credentials, and the counts that were
// accepted of each nonce in turn, which have to rise.
func rising(t *testing.T, s *service) (asked int, counts [][]string) {
	last := ""
	for _, saw := range s.sightings() {
		switch {
		case saw.scheme == "":
			asked++
		case saw.status != http.StatusOK:
		case saw.nonce == last:
			of := counts[len(counts)-1]
			require.Greater(t, saw.count, of[len(of)-1]) // both have 8 digits
			counts[len(counts)-1] = append(of, saw.count)
		default:
			last = saw.nonce
			counts = append(counts, []string{saw.count})
		}
	}
	return asked, counts
}

func describe(counts [][]string) string {
	var all []string
	for _, of := range counts {
		for i := range of {
			of[i] = strings.TrimLeft(of[i], "0")
		}
		all = append(all, strings.Join(of, " "))
	}
	return strings.Join(all, "; ")
}

// TestDigestOverSeveralConnections has requests overtake each other, whose counts were
// given out in turn: none is refused, and no count is taken twice.
func TestDigestOverSeveralConnections(t *testing.T) {
	s := newService(t, options{schemes: []string{"Digest"}, algorithms: bothMD5First})
	connections := &http.Transport{MaxIdleConnsPerHost: 8}
	defer connections.CloseIdleConnections()
	c := &http.Client{Transport: icholyDigest(job{User: s.member.user, Secret: s.member.secret}, connections), Timeout: patience}
	var callers sync.WaitGroup
	statuses := make([]int, 64)
	for i := range 8 {
		callers.Go(func() {
			for j := i; j < len(statuses); j += 8 {
				statuses[j] = send(t, c, job{URL: s.url, Scheme: "Digest"}, call{Method: "GET", Target: fmt.Sprint("/things/", j)}).Status
			}
		})
	}
	callers.Wait()
	require.NotContains(t, fmt.Sprint(statuses), "401")
	taken := map[string]bool{}
	for _, saw := range s.sightings() {
		if saw.status == http.StatusOK {
			require.False(t, taken[saw.nonce+saw.count])
			taken[saw.nonce+saw.count] = true
		}
		require.NotErrorIs(t, saw.err, policy.ErrReplayed)
	}
	require.Len(t, taken, len(statuses))
}
