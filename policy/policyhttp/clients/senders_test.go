package clients_test

import (
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	icholy "github.com/icholy/digest"
	mongodb "github.com/mongodb-forks/digest"
	"github.com/stretchr/testify/require"
)

// A job is what one client does, one call after the other: as one program with one
// session would.
type job struct {
	URL    string `json:"url"`
	Scheme string `json:"scheme"`
	User   string `json:"user"`
	Secret string `json:"secret"`
	Calls  []call `json:"calls"`
}

type call struct {
	Method string `json:"method"`
	Target string `json:"target"` // begins with a slash
	Body   string `json:"body"`

	// Again sends the request of the call before once more: the same object, in those
	// libraries that have them and keep the credentials in it.
	Again bool `json:"again"`
}

// A reply is what a program gets from its client library for a call.
type reply struct {
	Status int    `json:"status"`
	Body   string `json:"body"`
	Error  string `json:"error"` // instead of the others
}

// A client is a way to send requests.
type client struct {
	name    string
	schemes []string

	// prepare skips the test where the client is not installed, and returns what does the
	// jobs and gives the replies to the calls of each.
	prepare func(*testing.T) func(*testing.T, []job) [][]reply

	// again says that the client answers a nonce as long as it can, instead of asking for
	// a challenge in every call.
	again bool

	// replays says that a request object that is sent again has its old credentials.
	replays bool

	// others is what comes of a scenario for this client where it is not what is right, by
	// the scenario's name or by "scheme, name".
	others map[string]string
}

func curl(t *testing.T) func(*testing.T, []job) [][]reply {
	path := program(t, "curl")
	return eachJob(func(t *testing.T, j job) []reply {
		directory := t.TempDir()
		body := func(i int) string { return filepath.Join(directory, strconv.Itoa(i)) }
		var args []string
		for i, c := range j.Calls {
			if i > 0 {
				args = append(args, "--next")
			}
			args = append(args, "--silent", "--max-time", "60", "--write-out", "%{http_code}\n", "--output", body(i), "--request", c.Method)
			switch j.Scheme {
			case "Bearer":
				args = append(args, "--header", "Authorization: Bearer "+j.Secret)
			case "Basic":
				args = append(args, "--user", j.User+":"+j.Secret)
			case "Digest":
				args = append(args, "--digest", "--user", j.User+":"+j.Secret)
			}
			if c.Body != "" {
				args = append(args, "--data-binary", c.Body)
			}
			args = append(args, j.URL+c.Target)
		}
		var replies []reply
		for i, status := range strings.Fields(run(t, "", path, append([]string{"--disable"}, args...)...)) {
			code, err := strconv.Atoi(status)
			require.NoError(t, err)
			text, err := os.ReadFile(body(i))
			require.NoError(t, err)
			replies = append(replies, reply{Status: code, Body: string(text)})
		}
		return replies
	})
}

func eachJob(do func(*testing.T, job) []reply) func(*testing.T, []job) [][]reply {
	return func(t *testing.T, jobs []job) (all [][]reply) {
		for _, j := range jobs {
			all = append(all, do(t, j))
		}
		return all
	}
}

// throughJSON has one process do all jobs, since interpreters take long to start.
func throughJSON(path string, args ...string) func(*testing.T, []job) [][]reply {
	return func(t *testing.T, jobs []job) (all [][]reply) {
		asked, err := json.Marshal(jobs)
		require.NoError(t, err)
		require.NoError(t, json.Unmarshal([]byte(run(t, string(asked), path, args...)), &all))
		return all
	}
}

func pythonClient(script string) func(*testing.T) func(*testing.T, []job) [][]reply {
	return func(t *testing.T) func(*testing.T, []job) [][]reply {
		return throughJSON(python(t), filepath.Join("testdata", script))
	}
}

func npmClient(name string) func(*testing.T) func(*testing.T, []job) [][]reply {
	return func(t *testing.T) func(*testing.T, []job) [][]reply {
		return throughJSON(program(t, "node"), filepath.Join("testdata", "npm_client.mjs"), npmModules(t), name)
	}
}

// goClient has a transport sign in, or the request itself.
func goClient(transport func(job, *http.Transport) http.RoundTripper) func(*testing.T) func(*testing.T, []job) [][]reply {
	return func(*testing.T) func(*testing.T, []job) [][]reply {
		return eachJob(func(t *testing.T, j job) (replies []reply) {
			connections := new(http.Transport)
			defer connections.CloseIdleConnections()
			c := &http.Client{Transport: transport(j, connections), Timeout: patience}
			for _, asked := range j.Calls {
				replies = append(replies, send(t, c, j, asked))
			}
			return replies
		})
	}
}

func send(t *testing.T, c *http.Client, j job, asked call) reply {
	request, err := http.NewRequestWithContext(t.Context(), asked.Method, j.URL+asked.Target, strings.NewReader(asked.Body))
	require.NoError(t, err)
	switch j.Scheme {
	case "Bearer":
		request.Header.Set("Authorization", "Bearer "+j.Secret)
	case "Basic":
		request.SetBasicAuth(j.User, j.Secret)
	}
	response, err := c.Do(request)
	if err != nil {
		return reply{Error: err.Error()}
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return reply{Status: response.StatusCode, Body: string(body)}
}

func netHTTP(_ job, connections *http.Transport) http.RoundTripper { return connections }

func icholyDigest(j job, connections *http.Transport) http.RoundTripper {
	return &icholy.Transport{Username: j.User, Password: j.Secret, Transport: connections}
}

func mongodbDigest(j job, connections *http.Transport) http.RoundTripper {
	return mongodb.NewTransportWithHTTPTransport(j.User, j.Secret, connections)
}
