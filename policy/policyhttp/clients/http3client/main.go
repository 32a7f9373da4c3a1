// Http3client sends requests over HTTP/3, each on a connection of its own, for the tests of
// early data:
//
//	http3client FROM TO URL CERTIFICATE
//
// It connects from an IP address to an address with a port, and asks for a URL whose server
// has the certificate in a PEM file. The first line of standard input is the API key's
// secret, and each further one a method: GET, or GET_0RTT, which goes out as early data if
// the server has sent a session ticket before. It prints each answer's status on a line.
//
// It is a program of its own because quic-go's client has a data race when it resumes a
// session: https://github.com/quic-go/quic-go/issues/4303. In the test's process, the race
// detector would find it now and then.
package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
)

func main() {
	log.SetFlags(0)
	log.SetPrefix("http3client: ")
	if len(os.Args) != 5 {
		log.Fatal("want FROM TO URL CERTIFICATE")
	}
	if err := run(os.Args[1], os.Args[2], os.Args[3], os.Args[4], os.Stdin, os.Stdout); err != nil {
		log.Fatal(err)
	}
}

func run(from, to, url, certificate string, in io.Reader, out io.Writer) error {
	address, err := net.ResolveUDPAddr("udp", to)
	if err != nil {
		return err
	}
	pem, err := os.ReadFile(certificate)
	if err != nil {
		return err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return fmt.Errorf("%s has no certificate", certificate)
	}
	sessions := &tls.Config{RootCAs: roots, ClientSessionCache: tls.NewLRUClientSessionCache(1)}
	lines := bufio.NewScanner(in)
	lines.Scan()
	secret := lines.Text()
	for lines.Scan() {
		status, err := send(from, address, sessions, lines.Text(), url, secret)
		if err != nil {
			return err
		}
		fmt.Fprintln(out, status)
	}
	return lines.Err()
}

// send sends a request on a new connection.
func send(from string, to net.Addr, sessions *tls.Config, method, url, secret string) (status int, err error) {
	own, err := net.ListenPacket("udp", net.JoinHostPort(from, "0"))
	if err != nil {
		return 0, err
	}
	defer own.Close()
	transport := &http3.Transport{
		TLSClientConfig: sessions,
		QUICConfig:      &quic.Config{},
		Dial: func(ctx context.Context, _ string, tls *tls.Config, config *quic.Config) (*quic.Conn, error) {
			return quic.DialEarly(ctx, own, to, tls, config)
		},
	}
	defer transport.Close()
	r, err := http.NewRequest(method, url, nil)
	if err != nil {
		return 0, err
	}
	r.Header.Set("Authorization", "Bearer "+secret)
	response, err := transport.RoundTrip(r)
	if err != nil {
		return 0, err
	}
	return response.StatusCode, response.Body.Close()
}
