package replay_test

import (
	"fmt"
	"time"
)

// formatLines make logs in each format, with a client and a status of choice. The guard's is
// the last.
var formatLines = []struct {
	name, head string
	line       func(at time.Time, client, status string) string
	resolved   bool // the client is resolved by the declared topology
	refusals   bool // the log says what was refused
}{
	{name: "common", refusals: true, line: func(at time.Time, client, status string) string {
		return fmt.Sprintf(`%s - - [%s] "GET / HTTP/1.1" %s 1 "-" "curl"`, client, at.Format("02/Jan/2006:15:04:05 -0700"), status)
	}},
	{name: "after syslog", refusals: true, line: func(at time.Time, client, status string) string {
		return fmt.Sprintf(`%s web nginx[7]: %s - - [%s] "GET / HTTP/1.1" %s 1`, at.Format("Jan _2 15:04:05"), client, at.Format("02/Jan/2006:15:04:05 -0700"), status)
	}},
	{name: "Caddy", refusals: true, line: func(at time.Time, client, status string) string {
		return fmt.Sprintf(`{"level":"info","ts":%d.5,"msg":"handled request","request":{"client_ip":"%s"},"status":%s}`, at.Unix(), client, status)
	}},
	{name: "ALB", refusals: true, line: func(at time.Time, client, status string) string {
		return fmt.Sprintf(`https %s app/a/1 %s:2817 10.0.0.1:80 0.0 0.0 0.0 %s 200 34 366 "GET https://a:443/ HTTP/1.1" "curl" a b arn "Root=1" "-" "-" 0 %[1]s "forward" "-" "-" "-" "-" "-" "-"`,
			at.Format("2006-01-02T15:04:05.000000Z"), client, status)
	}},
	{name: "Classic", refusals: true, line: func(at time.Time, client, status string) string {
		return fmt.Sprintf(`%s a %s:2817 10.0.0.1:80 0.0 0.0 0.0 %s 200 34 366 "GET https://a:443/ HTTP/1.1" "curl" - -`, at.Format("2006-01-02T15:04:05.000000Z"), client, status)
	}},
	{name: "NLB", line: func(at time.Time, client, status string) string {
		return fmt.Sprintf(`tls 2.0 %s net/a/1 g3 %s:51341 172.100.100.185:443 5 2 98 246 - arn - a tlsv12 - a - - - -`, at.Format("2006-01-02T15:04:05"), client)
	}},
	{name: "CloudFront", head: "#Fields: date time c-ip sc-status x-forwarded-for\n", refusals: true, line: func(at time.Time, client, status string) string {
		return fmt.Sprintf("%s\t%s\t%s\t-", at.Format("2006-01-02\t15:04:05"), client, status)
	}},
	{name: "IIS", head: "#Fields: date time c-ip sc-status\n", refusals: true, line: func(at time.Time, client, status string) string {
		return fmt.Sprintf("%s %s %s", at.Format("2006-01-02 15:04:05"), client, status)
	}},
	{name: "HAProxy", refusals: true, line: func(at time.Time, client, status string) string {
		return fmt.Sprintf(`%s:33317 [%s] http-in static/srv1 10/0/30/69/109 %s 2750 - - ---- 1/1/1/1/0 0/0 "GET / HTTP/1.1"`, client, at.Format("02/Jan/2006:15:04:05.000"), status)
	}},
	{name: "Envoy", refusals: true, line: func(at time.Time, client, status string) string {
		return fmt.Sprintf(`[%s] "GET / HTTP/2" %s - 154 0 226 100 "192.0.2.66, %s" "curl" "id" "a" "tcp://10.0.2.1:80"`, at.Format("2006-01-02T15:04:05.000Z"), status, client)
	}},
	{name: "guard", resolved: true, refusals: true, line: func(at time.Time, client, status string) string {
		return fmt.Sprintf(`{"time":"%s","level":"INFO","msg":"access decision","allowed":%t,"reason":"x","key":"spk_1","client":"%s","organization":"acme"}`,
			at.Format(time.RFC3339Nano), status == "200", client)
	}},
}
