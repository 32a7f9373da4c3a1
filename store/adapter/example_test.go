package adapter_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"iter"
	"sync"
	"time"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/adapter"
)

// A feed is the part of an adapter that Watch needs: a log, a waker and a lock.
type feed struct {
	mu    sync.Mutex
	log   *adapter.Log
	waker adapter.Waker
}

func (f *feed) write(change store.Change) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change.Revision = f.log.Revision() + 1
	f.log.Add(change)
	f.waker.Wake()
}

func (f *feed) since(ctx context.Context, after store.Position) ([]store.Change, store.Position, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return nil, store.Position{}, err
	}
	changes, err := f.log.Since(after)
	return adapter.Latest(changes, adapter.NameOf), f.log.Position(), err
}

func (f *feed) Watch(ctx context.Context, after store.Position) iter.Seq2[store.Change, error] {
	return adapter.Watch(func(deliver adapter.Deliver) error {
		woken, stop := f.waker.Wait()
		defer stop()
		return adapter.Follow(ctx, after, woken, func(after store.Position, deliver adapter.Deliver) (store.Position, error) {
			changes, mark, err := f.since(ctx, after)
			for _, change := range changes {
				if err == nil {
					err = deliver(adapter.Own(change))
				}
			}
			return mark, err
		}, deliver)
	})
}

// Between two marks a watcher receives each record once, as its latest change left it.
func ExampleFollow() {
	f := &feed{log: adapter.NewLog(1000, store.Position{History: rand.Text()})}
	f.write(store.Change{Organization: "acme"})
	f.write(store.Change{Organization: "acme", Key: "backup"})
	f.write(store.Change{Organization: "acme", Key: "deploy"})
	f.write(store.Change{Organization: "acme", Key: "backup", Deleted: true})
	after := f.log.Position()
	after.Revision = 1
	for change, err := range f.Watch(context.Background(), after) {
		if err != nil {
			fmt.Println(err)
			return
		}
		if change.IsMark() {
			fmt.Println("mark", change.Revision)
			break
		}
		fmt.Println(change.Revision, adapter.NameOf(change), change.Deleted)
	}
	// Output:
	// 3 key "deploy" false
	// 4 key "backup" true
	// mark 4
}

// A document that contradicts what stands beside it cannot be read.
func ExampleDecodeKey() {
	key, _, _ := apikey.New("acme")
	key.ID, key.Revision = "backup", 7
	document, _ := adapter.EncodeKey(key)

	_, err := adapter.DecodeKey(document, "backup", "acme", 7)
	fmt.Println(err)
	_, err = adapter.DecodeKey(document, "backup", "globex", 7)
	fmt.Println(adapter.Unreadable(adapter.KeyName("backup"), err))
	// Output:
	// <nil>
	// store: key "backup" cannot be read: its document is of key "backup" of organization "acme", revision 7: want key "backup" of organization "globex", revision 7
}

func ExampleDecodeOrganization() {
	document, _ := adapter.EncodeOrganization(policy.Organization{ID: "acme", Requirement: policy.Required, Revision: 7})
	fmt.Println(string(document))
	organization, err := adapter.DecodeOrganization(document, "acme", 7)
	fmt.Println(organization.Requirement, err)
	// Output:
	// {"id":"acme","requirement":"required","revision":7}
	// required <nil>
}

func ExampleCheckLoad() {
	open, _, _ := apikey.New("acme")
	open.ID = "open"
	listed := open
	listed.ID = "listed"
	listed.AccessList, _ = accesslist.Parse("203.0.113.7")
	organizations := []policy.Organization{{ID: "acme"}}
	fmt.Println(adapter.CheckLoad(organizations, []apikey.Key{listed, open}, store.AllowOpen))
	fmt.Println(errors.Is(adapter.CheckLoad(organizations, []apikey.Key{listed, open}), store.ErrOpensKey))
	fmt.Println(adapter.CheckLoad(organizations, []apikey.Key{listed, listed}))
	// Output:
	// <nil>
	// true
	// store: key "listed": exists already: to replace it, give its revision
}

func ExampleCheckWatch() {
	latest := store.Position{History: "main", Revision: 9}
	fmt.Println(adapter.CheckWatch(store.Position{History: "main", Revision: 5}, 3, latest))
	fmt.Println(adapter.CheckWatch(store.Position{History: "main", Revision: 2}, 3, latest))
	fmt.Println(adapter.CheckWatch(store.Position{History: "main", Revision: 12}, 3, latest))
	fmt.Println(adapter.CheckWatch(store.Position{History: "lost", Revision: 5}, 3, latest))
	// Output:
	// <nil>
	// store: a watch from revision 2, of a store that knows the changes after 3: the history does not reach back so far
	// store: a watch from revision 12, of a store that has come to 9: the history does not reach back so far
	// store: a watch from revision 5 of history "lost", of a store with history "main": the history does not reach back so far
}

// A log that names records is confirmed by the records themselves.
func ExampleConfirm() {
	logged := store.Change{Revision: 4, Organization: "acme", Key: "backup"}
	fmt.Println(adapter.Confirm(logged, nil).Deleted)
	found := store.Change{Revision: 3, Organization: "acme", Key: "backup", KeyRecord: &apikey.Key{ID: "backup"}}
	fmt.Println(adapter.Confirm(logged, &found).Err)
	// Output:
	// true
	// store: key "backup" cannot be read: it has revision 3, and its latest change has 4: it was written by other means than the store
}

// A page has whole writes, and a position to read on from.
func ExampleEventReader() {
	event := store.Event{
		Time: time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC), Type: store.EventKeyDisabled, Organization: "acme", Key: "backup",
		Actor: store.Actor{Kind: store.ActorSystem}, Via: store.ViaLibrary,
	}
	document, _ := adapter.EncodeEvents([]store.Event{event, event}) // beside revision, organization and key

	request := store.EventRequest{Organization: "acme", Limit: 3}
	reader := adapter.NewEventReader(request, store.Position{History: "main", Revision: 9})
	for _, revision := range []uint64{4, 7} { // at most request.Size()+1 rows of one snapshot
		events, err := adapter.DecodeEvents(document, "acme", "backup", revision)
		if err != nil {
			fmt.Println(adapter.UnreadableEvents(revision, err))
			return
		}
		if !reader.Add(events) {
			break
		}
	}
	page := reader.Page()
	fmt.Println(len(page.Events), page.Next.Revision, page.More)
	// Output:
	// 2 4 true
}
