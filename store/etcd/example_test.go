package etcd_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/etcd"
)

// The client is the program's, which may use it for other things too. The keep-alive is
// what notices a network that carries nothing any more.
func Example() {
	client, err := clientv3.New(clientv3.Config{
		Endpoints:            []string{"https://etcd-1:2379", "https://etcd-2:2379", "https://etcd-3:2379"},
		DialKeepAliveTime:    10 * time.Second,
		DialKeepAliveTimeout: 3 * time.Second,
		Username:             "sallyport",
		Password:             "from the program's configuration",
	})
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()

	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	keys, err := etcd.New(ctx, client, "/sallyport/")
	if err != nil {
		log.Fatal(err)
	}
	defer keys.Close()

	organization, err := keys.PutOrganization(ctx, policy.Organization{ID: "acme", Requirement: policy.Required})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(organization.ID, "is stored by a majority of the members")
}

// A watch ends when its member does, and goes on from the last mark. Package
// store/replica does this, and proves how fresh the copy is.
func ExampleStore_Watch() {
	var (
		ctx   context.Context
		keys  *etcd.Store
		apply func(changes []store.Change)
	)
	var mark store.Position
	for ctx.Err() == nil {
		var changes []store.Change
		for change, err := range keys.Watch(ctx, mark) {
			switch {
			case errors.Is(err, store.ErrCompacted):
				mark = store.Position{} // what is applied next is everything, to a new copy
			case err != nil:
				log.Print(err)
			case change.IsMark():
				apply(changes)
				changes, mark = nil, change.Position()
			default:
				changes = append(changes, change)
			}
		}
	}
}
