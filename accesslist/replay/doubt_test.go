package replay_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/accesslist/replay"
)

// The customers of a balancer are none of its addresses: a list of those locks them out.
func TestProxyInTheClientsPlace(t *testing.T) {
	forwarded := func(client any, lists ...string) (requests []request) {
		for _, list := range lists {
			requests = append(requests, request{client: client, extra: ` "` + list + `"`})
		}
		return requests
	}
	var agents []request
	for i := range 12 {
		agents = append(agents, request{client: fmt.Sprintf("198.51.100.%d", i%4), agent: fmt.Sprintf("backup/%d", i)})
	}
	for _, tt := range []struct {
		name, why string
		requests  []request
	}{
		{"one private address", "120 of 120 calls come from private addresses", []request{{client: "10.0.0.5"}}},
		{"two of them, and some callers past them", "240 of 360 calls come from private addresses",
			[]request{{client: "10.0.0.5"}, {client: "10.0.0.6"}, {client: "203.0.113.7"}}},
		{"the same host", "120 of 120 calls come from private addresses", []request{{client: "127.0.0.1"}}},
		{"the same host, by IPv6", "120 of 120 calls come from private addresses", []request{{client: "::1"}}},
		{"a carrier's shared address", "120 of 120 calls come from private addresses", []request{{client: "100.64.0.9"}}},
		{"mapped, with ports", "120 of 120 calls come from private addresses", []request{{client: "[::ffff:172.16.0.9]:40000"}}},
		{"private, with forwarded lists", "240 of 240 calls come from private addresses", forwarded("10.0.0.5", "203.0.113.7", "203.0.113.8")},
		{"public, with forwarded lists", "240 of 240 calls have another address in X-Forwarded-For",
			forwarded("198.51.100.9", "203.0.113.7", "203.0.113.8, 192.0.2.5")},
		{"public, with one customer behind it", "120 of 120 calls have another address in X-Forwarded-For", forwarded("198.51.100.9", "203.0.113.77")},
		{"public, without lists", "4 addresses sent the calls of 12 and more different agents", agents},
	} {
		t.Run(tt.name, func(t *testing.T) {
			log := logOf(120, days, tt.requests...)
			list := parse(t, "203.0.113.7", "192.0.2.1")
			p := reported(t, log, list, replay.Options{Suggest: 3})
			requireNothingConcluded(t, p, replay.Proxy, "The clients look like a proxy: "+tt.why+". ")

			p = reported(t, log, list, replay.Options{Suggest: 3, Client: replay.Client{Peer: true}})
			require.False(t, p.Doubtful(), "who names the peer knows better")
			require.Contains(t, findings(p), "unused 192.0.2.1")
		})
	}
}

// Clients that happen to have one of a proxy's marks.
func TestClientsLikeAProxy(t *testing.T) {
	var agents []request
	for i := range 11 {
		agents = append(agents, request{client: "198.51.100.9", agent: fmt.Sprintf("backup/%d", i)})
	}
	var many []request
	for i := range 36 {
		many = append(many, request{client: fmt.Sprintf("198.51.100.%d", i%5), agent: fmt.Sprintf("backup/%d", i)})
	}
	for _, tt := range []struct {
		name     string
		requests []request
	}{
		{"one customer", []request{{client: "198.51.100.9"}}},
		{"one customer with several programs", agents},
		{"five customers with many programs", many},
		{"as many health checks from within", []request{{client: "10.0.0.5"}, {client: "203.0.113.7"}}},
		{"resolved by the server, which writes the list nevertheless", []request{
			{client: "203.0.113.7", extra: ` "203.0.113.7, 10.0.0.5"`}, {client: "203.0.113.8", extra: ` "203.0.113.8, 10.0.0.5"`}}},
		{"no list", []request{{client: "203.0.113.7", extra: ` "-"`}}},
		{"an address of the server", []request{{client: "203.0.113.7", extra: ` "10.0.0.1"`}}},
		{"upstreams", []request{{client: "203.0.113.7", extra: ` "10.0.0.1:80"`}, {client: "203.0.113.7", extra: ` "10.0.0.2:80"`}}},
		{"half of the lists", []request{{client: "203.0.113.7", extra: ` "192.0.2.1"`}, {client: "203.0.113.7", extra: ` "192.0.2.2"`},
			{client: "203.0.113.7"}, {client: "203.0.113.7"}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := reported(t, logOf(120, days, tt.requests...), parse(t, "192.0.2.1"), replay.Options{Suggest: 3})
			require.Empty(t, p.Doubts)
			require.NotNil(t, p.Suggestion)
			require.Equal(t, []string{"unused 192.0.2.1"}, findings(p))
		})
	}
}

// Of each format: a log with a balancer in the client's place, a log that changes to another
// format in the middle, and a log of refused calls draw no conclusion.
func TestNoFalseConclusionInAnyFormat(t *testing.T) {
	list := parse(t, "203.0.113.7", "192.0.2.1")
	options := replay.Options{Suggest: 3}
	for i, f := range formatLines {
		t.Run(f.name, func(t *testing.T) {
			log := func(n int, client string, status string) string {
				var b strings.Builder
				b.WriteString(f.head)
				for i := range n {
					b.WriteString(f.line(timeOf(i, n, days), client, status) + "\n")
				}
				return b.String()
			}
			good := reported(t, log(200, "203.0.113.7", "200"), list, options)
			require.Equal(t, uint64(200), good.Calls)
			require.Empty(t, good.Doubts)
			require.Equal(t, []string{"203.0.113.7"}, entries(good.Suggestion.List))
			require.Equal(t, []string{"unused 192.0.2.1"}, findings(good))

			balanced := reported(t, log(200, "10.0.0.5", "200"), list, options)
			if f.resolved {
				require.Empty(t, balanced.Doubts, "the guard knows its topology")
			} else {
				requireNothingConcluded(t, balanced, replay.Proxy, "200 of 200 calls come from private addresses")
			}

			if f.refusals {
				refused := reported(t, log(200, "198.51.100.9", "403"), list, options)
				require.Zero(t, refused.Calls)
				require.Equal(t, uint64(200), refused.AlreadyRefused)
				require.Nil(t, refused.Suggestion)
				require.Empty(t, refused.RefusedClients)
				counted := reported(t, log(200, "198.51.100.9", "403"), list, replay.Options{Suggest: 3, CountRefused: true})
				require.Equal(t, []string{"198.51.100.9/32 200"}, clients(counted))
				require.Nil(t, counted.Suggestion, "a refused call is no success")
			}

			// A few lines of the other format are less than one percent, and are told all the
			// same.
			other := formatLines[(i+1)%len(formatLines)]
			for _, n := range []int{1, 200} {
				changed := log(200, "203.0.113.7", "200") + other.head
				for i := range n {
					changed += other.line(timeOf(i, n, days), "198.51.100.9", "200") + "\n"
				}
				p := reported(t, changed, list, options)
				requireNothingConcluded(t, p, replay.FormatChanged, "The log reads as "+good.Logs[0].ReadsAs+", and line ")
				require.Equal(t, uint64(200), p.Calls)
				require.Equal(t, uint64(200), p.Served)
				require.Empty(t, p.RefusedClients)
				require.Equal(t, uint64(201+strings.Count(f.head+other.head, "\n")), p.Logs[0].Changed)
			}
		})
	}
}

// The client in another field is another format, whatever share of the lines has it.
func TestJSONFieldsChange(t *testing.T) {
	var log strings.Builder
	line := func(i int, field, client string) {
		fmt.Fprintf(&log, `{"ts":%d,"msg":"request","status":200,"%s":"%s"}`+"\n", timeOf(i, 1000, days).Unix(), field, client)
	}
	for i := range 1000 {
		line(i, "remote_addr", "203.0.113.7")
	}
	list := parse(t, "203.0.113.7", "192.0.2.1")
	require.Empty(t, reported(t, log.String(), list, replay.Options{Suggest: 3}).Doubts)
	line(1000, "client_ip", "192.0.2.1")
	p := reported(t, log.String(), list, replay.Options{Suggest: 3})
	requireNothingConcluded(t, p, replay.FormatChanged, "The log reads as JSON, client in remote_addr, and line 1,001 of it as JSON, client in client_ip. ")
	require.Equal(t, uint64(1), p.BadLines)

	// A client that no known field has makes another message of a request.
	for i := range 1001 {
		fmt.Fprintf(&log, `{"ts":%d,"msg":"request","peer":"192.0.2.1"}`+"\n", timeOf(i, 1000, days).Unix())
	}
	p = reported(t, log.String(), list, replay.Options{Suggest: 3})
	require.Equal(t, uint64(1001), p.Other)
	require.Equal(t, []replay.DoubtKind{replay.FormatChanged, replay.OtherLines}, kinds(p))
	requireNothingConcluded(t, p, replay.FormatChanged, "")
	require.Contains(t, p.Doubts[1].Text, "The log: 1,001 of 2,002 lines are no requests by their fields: ")
}

func TestSeveralKeys(t *testing.T) {
	guard := formatLines[len(formatLines)-1]
	log := ""
	for i := range 210 {
		log += strings.Replace(guard.line(timeOf(i, 210, days), "203.0.113.7", "200"), "spk_1", fmt.Sprintf("spk_%d", i%7), 1) + "\n"
	}
	list := parse(t, "203.0.113.7", "192.0.2.1")
	p := reported(t, log, list, replay.Options{Suggest: 3})
	requireNothingConcluded(t, p, replay.SeveralKeys, `several keys: "spk_0", "spk_1", "spk_2", "spk_3", "spk_4", and others.`)

	p = reported(t, log, list, replay.Options{Suggest: 3, Counts: func(r *replay.Record) bool { return string(r.Key) == "spk_3" || string(r.Key) == "spk_4" }})
	requireNothingConcluded(t, p, replay.SeveralKeys, `several keys: "spk_3", "spk_4".`)

	p = reported(t, log, list, replay.Options{Suggest: 3, Counts: func(r *replay.Record) bool { return string(r.Key) == "spk_3" }})
	require.Equal(t, uint64(30), p.Calls)
	require.Equal(t, uint64(180), p.LeftOut)
	require.Equal(t, []replay.DoubtKind{replay.Short}, kinds(p))
	require.NotNil(t, p.Suggestion)
}

func kinds(report replay.Report) (kinds []replay.DoubtKind) {
	for _, d := range report.Doubts {
		kinds = append(kinds, d.Kind)
	}
	return kinds
}

func TestSampledGuardLog(t *testing.T) {
	guard := formatLines[len(formatLines)-1]
	log := ""
	for i := range 200 {
		log += strings.Replace(guard.line(timeOf(i, 200, days), "203.0.113.7", "200"), `"allowed"`, `"left_out":9,"allowed"`, 1) + "\n"
	}
	requireNothingConcluded(t, reported(t, log, parse(t, "203.0.113.7", "192.0.2.1"), replay.Options{Suggest: 3}), replay.Sampled,
		"The guard left 1,800 allowed calls out of its log, whose addresses are unknown: ")
}

// An entry is called unused after enough calls, enough time, and enough of the lines.
func TestUnused(t *testing.T) {
	list := parse(t, "192.0.2.1", "192.0.2.2")
	log := func(n int, span time.Duration) string { return logOf(n, span, request{client: "192.0.2.1"}) }
	for _, tt := range []struct{ name, log, because string }{
		{"enough", log(100, 24*time.Hour), ""},
		{"too little time", log(100, 24*time.Hour-time.Second), "The logs cover 23h59m59s: want a day at least."},
		{"too few calls", log(99, 24*time.Hour), "The logs have 99 calls: want 100 at least."},
		{"1 % bad lines", log(198, 24*time.Hour) + "\n\n", ""},
		{"more than 1 %", log(197, 24*time.Hour) + "\n\n", "The log: 2 of 199 lines could not be read. The first is line 198: an empty line: want one request a line."},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := reported(t, tt.log, list, replay.Options{})
			if tt.because == "" {
				require.Empty(t, p.Withheld)
				require.Equal(t, []string{"unused 192.0.2.2"}, findings(p))
				return
			}
			require.Equal(t, []replay.Withheld{{Conclusion: replay.UnusedEntries, Because: tt.because}}, p.Withheld)
			require.Empty(t, p.Findings)
			require.Contains(t, flat(textOf(t, p)), "Not said which entries are unused: ")
		})
	}
	require.Empty(t, reported(t, log(10, time.Hour), parse(t, "192.0.2.1"), replay.Options{}).Withheld, "nothing to withhold")
	require.NotNil(t, reported(t, log(1, 0), list, replay.Options{Suggest: 1}).Suggestion, "a suggestion of a short log")
}

// In a log with ports 2001:db8::1:443 may be 2001:db8::1.
func TestPorts(t *testing.T) {
	list := parse(t, "192.0.2.1", "192.0.2.2")
	ports := logOf(120, days, request{client: "192.0.2.1:50001"}, request{client: "[2001:db8::1]:443"}, request{client: "2001:db8:1:2:3:4:5:6"})
	p := reported(t, ports, list, replay.Options{})
	require.Equal(t, uint64(120), p.Served)
	require.Equal(t, []string{"2001:db8::/64 120", "2001:db8:1:2::/64 120"}, clients(p))

	p = reported(t, ports+logLine("2001:db8::1:443"), list, replay.Options{})
	require.Equal(t, uint64(1), p.BadLines)
	require.Contains(t, p.Logs[0].FirstBad[0], "the client 2001:db8::1:443 may end in a port, as others do: want IPv6 with a port in brackets")

	requireNothingConcluded(t, reported(t, logLine("2001:db8::1:443")+ports, list, replay.Options{Suggest: 3}), replay.Ports,
		"The log: 240 addresses with a port, 1 IPv6 address without brackets that may be one with a port: want IPv6 in brackets.")

	r, err := replay.New(list, replay.Options{})
	require.NoError(t, err)
	r.Read("1.log", strings.NewReader(logLine("2001:db8::1:443")))
	r.Read("2.log", strings.NewReader(ports))
	report := r.Report()
	require.False(t, report.Doubtful(), "each log has its own format")
}
