package replay_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/accesslist/replay"
)

const exampleLog = `198.51.100.20 - - [05/Jan/2026:12:00:00 +0000] "GET /api/backups HTTP/1.1" 200 512 "-" "backup/1.4"
203.0.113.9 - - [05/Jan/2026:13:00:00 +0000] "GET /api/backups HTTP/1.1" 200 512 "-" "curl/8.5.0"
203.0.113.9 - - [05/Jan/2026:14:00:00 +0000] "GET /api/backups HTTP/1.1" 200 512 "-" "curl/8.5.0"
192.0.2.66 - - [05/Jan/2026:15:00:00 +0000] "GET /api/backups HTTP/1.1" 401 0 "-" "-"
`

func ExampleRead() {
	list, err := accesslist.Parse("198.51.100.0/24")
	if err != nil {
		panic(err)
	}
	report, err := replay.Read(strings.NewReader(exampleLog), list, replay.Options{Suggest: 2})
	if err != nil {
		panic(err)
	}
	fmt.Println("reads as:", report.Logs[0].ReadsAs)
	fmt.Println("served:", report.Served, "refused:", report.Refused, "refused before:", report.AlreadyRefused)
	for _, c := range report.RefusedClients {
		fmt.Println(c.Prefix, c.Calls, c.Last)
	}
	for _, d := range report.Doubts {
		fmt.Println("doubt:", d.Text)
	}
	for e := range report.Suggestion.List.All() {
		fmt.Println("suggested:", e)
	}
	// Output:
	// reads as: Common or Combined Log Format
	// served: 1 refused: 2 refused before: 1
	// 203.0.113.9/32 2 2026-01-05 14:00:00 +0000 UTC
	// doubt: The logs have 3 calls: want 100 at least.
	// suggested: 198.51.100.20
	// suggested: 203.0.113.9
}

// Several logs make one report. Options.Counts chooses the calls of one client program.
func ExampleReplay() {
	list, err := accesslist.Parse("198.51.100.0/24")
	if err != nil {
		panic(err)
	}
	r, err := replay.New(list, replay.Options{
		Counts: func(r *replay.Record) bool { return bytes.HasPrefix(r.Path, []byte("/api/")) },
	})
	if err != nil {
		panic(err)
	}
	r.Read("monday.log", strings.NewReader(exampleLog))
	r.Read("tuesday.log", strings.NewReader(`{"ts":1767718800,"status":200,"request":{"client_ip":"10.0.0.5","uri":"/health"}}`))
	report := r.Report()
	for _, log := range report.Logs {
		fmt.Println(log.Name, "reads as:", log.ReadsAs)
	}
	fmt.Println("left out:", report.LeftOut)
	// Output:
	// monday.log reads as: Common or Combined Log Format
	// tuesday.log reads as: JSON as of Caddy, client in request.client_ip
	// left out: 1
}

// A proxy's address in the client's place is a doubt: nothing is suggested.
func ExampleReport_WriteText() {
	log := strings.ReplaceAll(exampleLog, "203.0.113.9", "10.0.0.5")
	report, err := replay.Read(strings.NewReader(log), accesslist.List{}, replay.Options{Suggest: 2})
	if err != nil {
		panic(err)
	}
	if err := report.WriteText(os.Stdout, 10); err != nil {
		panic(err)
	}
	// Output:
	// Read         3 calls in 4 lines
	//              The log reads as: Common or Combined Log Format
	// Time         2026-01-05T12:00:00Z to 2026-01-05T14:00:00Z
	// Client       auto
	// Not read     0 lines
	// Left out     1 call that the log says was refused
	//
	// CAUTION      The clients look like a proxy: 2 of 3 calls come from
	//              private addresses. Anything said about them is about the
	//              proxy: want a log with the clients (nginx:
	//              ngx_http_realip_module, Apache: mod_remoteip), the client
	//              forwarded:1 if the log has X-Forwarded-For, or peer if
	//              these are the clients.
	// Mind         The logs have 3 calls: want 100 at least.
	// Not said     which list to suggest: see CAUTION.
	//
	// List         0 entries; an empty list refuses nobody
	// Judged       each call at its own time, and as if its key had been
	//              verified
	// Served       3 of 3 calls (100.0%)
	// Refused      0 of 3 calls (0.0%)
	//
	// Findings on the list as of 2026-01-05T14:00:00Z
	//           none
	//
	// No suggestion: see CAUTION above.
}

// A Reader has the requests themselves.
func ExampleReader() {
	r := replay.NewReader(strings.NewReader(exampleLog + "garbage\n"))
	for {
		record, err := r.Read()
		if err == io.EOF {
			break
		}
		var line *replay.LineError
		if errors.As(err, &line) {
			fmt.Println("not read: line", line.Line)
			continue
		}
		if err != nil {
			panic(err)
		}
		fmt.Printf("%v %d %s %s refused=%t\n", record.Client, record.Status, record.Method, record.Path, record.Refused())
	}
	fmt.Println("reads as:", r.Log().ReadsAs)
	// Output:
	// 198.51.100.20 200 GET /api/backups refused=false
	// 203.0.113.9 200 GET /api/backups refused=false
	// 203.0.113.9 200 GET /api/backups refused=false
	// 192.0.2.66 401 GET /api/backups refused=true
	// not read: line 5
	// reads as: Common or Combined Log Format
}
