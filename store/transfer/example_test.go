package transfer_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/memory"
	"github.com/sallyport-go/sallyport/store/transfer"
)

// A move is an export, an import, and nothing to fear if it has to be done again.
func Example() {
	ctx := context.Background()
	from := memory.New()
	_, _ = from.PutOrganization(ctx, policy.Organization{ID: "acme", Requirement: policy.Required})
	key, _, _ := apikey.New("acme", apikey.Grant{Role: "backup.admin"})
	key.AccessList, _ = accesslist.Parse("203.0.113.7", "198.51.100.0/24")
	_, _ = from.PutKey(ctx, key)

	var file bytes.Buffer // as a rule an os.File that nobody else can read
	counts, err := transfer.Export(ctx, from, &file)
	fmt.Println("exported:", counts.Organizations, counts.Keys, err)

	to := memory.New()
	result, err := transfer.Import(ctx, to, bytes.NewReader(file.Bytes()))
	fmt.Println("written:", result.Written.Organizations, result.Written.Keys, err)
	result, err = transfer.Import(ctx, to, bytes.NewReader(file.Bytes()))
	fmt.Println("again:", result.Written.Organizations, result.Written.Keys, err)
	// Output:
	// exported: 1 1 <nil>
	// written: 1 1 <nil>
	// again: 0 0 <nil>
}

// Events are not moved. Here those of the old store are kept as JSON Lines beside the file.
func Example_events() {
	ctx := context.Background()
	from := memory.New()
	_, err := from.Write(ctx, store.Write{
		PutOrganization: &policy.Organization{ID: "acme", Requirement: policy.Required},
		Events: []store.Event{{Time: time.Now(), Type: store.EventOrganizationCreated, Organization: "acme",
			Actor: store.Actor{Kind: store.ActorPerson, ID: "ann@example.com"}, Via: store.ViaConsole}},
	})
	fmt.Println("created:", err)

	var file, events bytes.Buffer
	_, err = transfer.Export(ctx, from, &file)
	fmt.Println("exported:", err)
	lines := json.NewEncoder(&events) // one event a line
	for event, err := range store.AllEvents(ctx, from, store.EventRequest{}) {
		if err == nil {
			err = lines.Encode(event)
		}
		if err != nil {
			fmt.Println(err)
			return
		}
	}
	fmt.Println(bytes.Count(events.Bytes(), []byte("\n")), "event kept")

	to := memory.New()
	_, err = transfer.Import(ctx, to, bytes.NewReader(file.Bytes()))
	page, _ := to.Events(ctx, store.EventRequest{})
	fmt.Println(len(page.Events), "events moved", err)
	// Output:
	// created: <nil>
	// exported: <nil>
	// 1 event kept
	// 0 events moved <nil>
}

// Verify finds what is not in the store as it is in the file.
func ExampleVerify() {
	ctx := context.Background()
	keys := memory.New()
	acme, _ := keys.PutOrganization(ctx, policy.Organization{ID: "acme", Requirement: policy.Required})
	var file bytes.Buffer
	_, _ = transfer.Export(ctx, keys, &file)

	_, err := transfer.Verify(ctx, keys, bytes.NewReader(file.Bytes()))
	fmt.Println(err)

	acme.Requirement = policy.NotRequired
	_, _ = keys.PutOrganization(ctx, acme)
	_, err = transfer.Verify(ctx, keys, bytes.NewReader(file.Bytes()))
	fmt.Println(errors.Is(err, transfer.ErrDiffers), err)

	_, err = transfer.Verify(ctx, keys, bytes.NewReader(file.Bytes()[:file.Len()-10]))
	fmt.Println(errors.Is(err, transfer.ErrDamaged), err)
	// Output:
	// <nil>
	// true store/transfer: verify: the store differs from the file: organization "acme" has the requirement not_required instead of required
	// true store/transfer: verify: line 3: not a whole and unaltered export: the file was cut short: want its last line
}
