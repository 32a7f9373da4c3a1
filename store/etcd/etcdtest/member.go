package etcdtest

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"strings"
	"time"

	"go.etcd.io/etcd/client/pkg/v3/types"
	"go.etcd.io/etcd/server/v3/embed"
)

// memberVariable is the environment variable that makes a process a member.
const memberVariable = "SALLYPORT_ETCDTEST_MEMBER"

// binaryVariable is the environment variable that names another test binary to run members
// with: one without the race detector.
const binaryVariable = "SALLYPORT_ETCDTEST_BINARY"

// A memberConfig is what a member's process must know. It is passed as JSON.
type memberConfig struct {
	Name           string
	Dir            string // for the data; the log is beside it
	Client         string // the URL to listen on for clients
	Advertise      string // the URL for clients: the proxy's
	Peer           string // the URL to listen on for other members
	InitialCluster string
	Election       time.Duration // without a leader until one is elected
}

// init makes the process a member if it was started to be one. It is an init function
// because the binary is any package's tests: before their main runs, and with no hook
// in it.
func init() {
	text, ok := os.LookupEnv(memberVariable)
	if !ok {
		return
	}
	if err := runMember(text); err != nil {
		fmt.Fprintln(os.Stderr, "etcdtest: member:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// runMember is a member until its standard input ends: with the test's process, even if
// that is killed. Lines on the input are commands: "cut ID" and "mend ID" with the ID of
// another member.
func runMember(text string) error {
	var config memberConfig
	if err := json.Unmarshal([]byte(text), &config); err != nil {
		return err
	}
	c := embed.NewConfig()
	c.Name, c.Dir = config.Name, config.Dir
	c.InitialCluster, c.InitialClusterToken = config.InitialCluster, "etcdtest"
	c.ElectionMs, c.TickMs = uint(config.Election.Milliseconds()), uint(config.Election.Milliseconds()/10)
	c.LogLevel, c.LogOutputs = "warn", []string{config.Dir + ".log"}
	for to, text := range map[*[]url.URL]string{
		&c.ListenClientUrls: config.Client, &c.AdvertiseClientUrls: config.Advertise,
		&c.ListenPeerUrls: config.Peer, &c.AdvertisePeerUrls: config.Peer,
	} {
		u, err := url.Parse(text)
		if err != nil {
			return err
		}
		*to = []url.URL{*u}
	}
	etcd, err := embed.StartEtcd(c)
	if err != nil {
		return err
	}
	defer etcd.Close()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for commands := bufio.NewScanner(os.Stdin); commands.Scan(); {
			verb, text, _ := strings.Cut(commands.Text(), " ")
			id, err := types.IDFromString(text)
			switch {
			case err != nil:
			case verb == "cut":
				etcd.Server.CutPeer(id)
			case verb == "mend":
				etcd.Server.MendPeer(id)
			}
			fmt.Println("done")
		}
	}()
	select {
	case err := <-etcd.Err():
		return err
	case <-ended:
		return nil
	}
}
