// Console is a service with a login, two organizations and some weeks of traffic, and the
// console for its people: go run ./examples/console
package main

import (
	"context"
	"crypto/rand"
	"flag"
	"fmt"
	"iter"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"time"

	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/admin"
	"github.com/sallyport-go/sallyport/store/admin/console"
	"github.com/sallyport-go/sallyport/store/memory"
)

// endpoints are those of the service's API, as its guard has them.
var endpoints = []policy.Endpoint{
	{Name: "list clusters", Roles: []string{"owner", "reader"}},
	{Name: "create cluster", Roles: []string{"owner"}},
	{Name: "restore backup", Roles: []string{"owner"}, RequiresAccessList: true},
}

func main() {
	address := flag.String("address", "127.0.0.1:8080", "to listen on")
	password := flag.String("password", rand.Text()[:12], "of the user ann")
	once := flag.Bool("once", false, "end after the start")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *address, *password, *once); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, address, password string, once bool) error {
	keys := memory.New()
	if err := seed(ctx, keys); err != nil {
		return err
	}
	handler, err := newService(keys, password)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	fmt.Printf("http://%s/\nuser: ann\npassword: %s\n", listener.Addr(), password)
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second}
	if once {
		return listener.Close()
	}
	go func() {
		<-ctx.Done()
		_ = server.Close()
	}()
	if err := server.Serve(listener); err != http.ErrServerClosed {
		return err
	}
	return nil
}

// newService returns the service's pages: the login, and the console behind it.
func newService(keys store.Store, password string) (http.Handler, error) {
	a, err := newAdmin(keys)
	if err != nil {
		return nil, err
	}
	people := newLogin("ann", password)
	pages, err := console.New(console.Config{
		Admin: a, Store: keys, Person: people.person, Endpoints: endpoints, Roles: []string{"owner", "reader"},
		Projects: projects, Name: "Northwind Cloud", SignIn: "/login", SignOut: "/logout",
		Observe: func(_ context.Context, err error) { log.Print(err) },
	})
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.Handle("/console/", http.StripPrefix("/console", pages))
	mux.HandleFunc("GET /login", people.show)
	mux.HandleFunc("POST /login", people.signIn)
	mux.HandleFunc("POST /logout", people.signOut)
	mux.Handle("GET /{$}", http.RedirectHandler("/console/", http.StatusSeeOther))
	return http.NewCrossOriginProtection().Handler(mux), nil
}

func newAdmin(keys store.Store, options ...admin.Option) (*admin.Admin, error) {
	return admin.New(keys, append(options, admin.RequireJournal(), admin.WithManagers("owner"), admin.WithPeopleManaging())...)
}

func projects(_ context.Context, organization string) iter.Seq2[admin.Project, error] {
	return func(yield func(admin.Project, error) bool) {
		_ = yield(admin.Project{ID: organization + "-web", Organization: organization, Name: "Web shop"}, nil) &&
			yield(admin.Project{ID: organization + "-data", Organization: organization, Name: "Data platform"}, nil)
	}
}
