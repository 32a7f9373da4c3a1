package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/policy/policyhttp"
	"github.com/sallyport-go/sallyport/store/replica"
	"github.com/sallyport-go/sallyport/store/sqlite"
	"github.com/sallyport-go/sallyport/store/usage"
)

func main() {
	slog.SetDefault(slog.New(slog.NewJSONHandler(os.Stderr, nil))) // replica, recorder and net/http log there too
	database := flag.String("database", "keys.db", "`file` with the keys, on a local disk")
	api := flag.String("listen", "127.0.0.1:8080", "`address` for the proxy")
	operators := flag.String("operators", "8081", "`port` for operators, on the loopback only")
	showDemo := flag.Bool("demo", false, "answer some requests with a temporary database, and end")
	create := flag.String("create", "", "create the `organization` with a key that manages it, print its secret, and end")
	var addresses []string
	flag.Func("from", "`address` or block from which that key is used; repeat it for each", func(text string) error {
		addresses = append(addresses, text)
		return nil
	})
	var proxies []netip.Prefix
	flag.Func("proxy", "`prefix` of a trusted proxy, such as 10.0.0.4/32; repeat it for each proxy", func(text string) error {
		proxy, err := netip.ParsePrefix(text)
		proxies = append(proxies, proxy)
		return err
	})
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	var err error
	switch {
	case flag.NArg() > 0:
		err = fmt.Errorf("service: argument %q is not a flag: want -h for the flags", flag.Arg(0))
	case *showDemo:
		err = demo(ctx, os.Stdout)
	case *create != "":
		var secret apikey.Secret
		if secret, err = setUp(ctx, *database, *create, "", addresses...); err == nil {
			_, err = fmt.Println(secret.Reveal())
		}
	default:
		err = run(ctx, *database, proxies, *api, *operators, func(api, operators string) {
			slog.Info("serving", "api", api, "operators", operators)
		})
	}
	if err != nil {
		slog.Error("the service failed", "error", err)
		os.Exit(1)
	}
}

// newIssuer returns the issuer of the service's secrets, which begin with "example_".
func newIssuer() (*apikey.Issuer, error) {
	return apikey.NewIssuer(apikey.IssuerConfig{Prefix: "example"})
}

// run serves until ctx ends, and calls started with the addresses of both listeners. At
// the end the servers finish their requests, the recorder writes its last counts, the
// replica stops reading the store, and the store is closed: deferred calls run in reverse.
func run(ctx context.Context, database string, proxies []netip.Prefix, api, operators string, started func(api, operators string)) (err error) {
	starting, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	keys, err := sqlite.Open(starting, database)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, keys.Close()) }()
	copied, err := replica.New(keys)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, copied.Close()) }()
	if err := copied.Ready(starting); err != nil {
		return err
	}
	recorder, counters := usage.New(keys), new(policyhttp.Counters)
	defer func() {
		ending, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		err = errors.Join(err, recorder.Close(ending))
	}()
	issuer, err := newIssuer()
	if err != nil {
		return err
	}
	administration, err := newAdmin(keys)
	if err != nil {
		return err
	}
	guard, err := policyhttp.New(policyhttp.Config{
		Engine: policy.New(copied,
			policy.WithObserver(recorder.Observe),
			policy.WithObserver(counters.Observe),
			policy.WithObserver(policyhttp.Log(nil, policyhttp.LogOptions{AllowEvery: 100}))), // and every denial
		Issuer:  issuer,
		Address: policyhttp.FromTrustedProxies(policyhttp.XForwardedFor, proxies...),
	})
	if err != nil {
		return err
	}

	show := guard.Route(policy.Endpoint{Name: "projects.show", Roles: []string{"reader"}}, findProject)
	list := guard.Route(policy.Endpoint{Name: "projects.list", Roles: []string{"reader"}}, policyhttp.PathOrganization("organization"))
	public, private := http.NewServeMux(), http.NewServeMux()
	public.Handle("GET /projects/{project}", show.Protect(http.HandlerFunc(showProject)))
	public.Handle("GET /organizations/{organization}/projects", list.Protect(http.HandlerFunc(listProjects)))
	managing := policyhttp.PathOrganization("organization")
	readKeys := guard.Route(policy.Endpoint{Name: "keys.read", Roles: []string{"owner", "auditor"}}, managing)
	changeKeys := guard.Route(policy.Endpoint{Name: "keys.change", Roles: []string{"owner"}, RequiresAccessList: true}, managing)
	sameOrigin := http.NewCrossOriginProtection() // browsers send a session, and Basic credentials, with what another site asks for
	manage := management{administration, keys, copied}
	manage.routes(public, byKey, readKeys.Protect, func(h http.Handler) http.Handler { return sameOrigin.Handler(changeKeys.Protect(h)) })
	manage.routes(private, byPerson, sameOrigin.Handler, sameOrigin.Handler)
	private.Handle("GET /doctor/projects/{project}", guard.Doctor(isOperator, show))
	private.HandleFunc("GET /counters", func(w http.ResponseWriter, r *http.Request) {
		if !isOperator(r) {
			http.NotFound(w, r)
			return
		}
		write(w, json.RawMessage(counters.String()))
	})

	publicListener, err := net.Listen("tcp", api)
	if err != nil {
		return err
	}
	privateListener, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", operators))
	if err != nil {
		return errors.Join(err, publicListener.Close())
	}
	publicServer, privateServer := newServer(public), newServer(private)
	failed := make(chan error, 2)
	go func() { failed <- publicServer.Serve(publicListener) }()
	go func() { failed <- privateServer.Serve(privateListener) }()
	started(publicListener.Addr().String(), privateListener.Addr().String())
	select {
	case <-ctx.Done():
	case err = <-failed:
	}
	ending, cancelEnding := context.WithTimeout(context.Background(), 30*time.Second) // for requests to finish
	defer cancelEnding()
	return errors.Join(err, publicServer.Shutdown(ending), privateServer.Shutdown(ending), publicServer.Close(), privateServer.Close())
}

func newServer(handler http.Handler) *http.Server {
	return &http.Server{Handler: handler, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 15 * time.Second,
		WriteTimeout: 30 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 1 << 16}
}
