package admin_test

import (
	"context"
	"encoding/json"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/admin"
	"github.com/sallyport-go/sallyport/store/memory"
)

// paged is a store that returns pages in its own way.
type paged struct {
	*memory.Store
	turn func(page store.Page[apikey.Key]) (store.Page[apikey.Key], error)
	page int // the most keys of a page
}

func (p *paged) Keys(ctx context.Context, organization string, request store.PageRequest) (store.Page[apikey.Key], error) {
	request.Limit = min(request.Size(), p.page)
	page, err := p.Store.Keys(ctx, organization, request)
	if err != nil {
		return page, err
	}
	return p.turn(page)
}

// A page that is not whole is never judged as if it were.
func TestFailingPages(t *testing.T) {
	type pageOf = store.Page[apikey.Key]
	calls := map[string]func(w *world) (any, error){
		"require": func(w *world) (any, error) {
			return w.admin.Preview(w.ctx, ann, "acme", admin.SetRequirement(policy.Required))
		},
		"delete": func(w *world) (any, error) {
			preview, err := w.admin.Preview(w.ctx, ann, "acme", admin.DeleteKey("boss"))
			preview.Evidence.Revision = 0 // of the keys seen in search of another manager
			return preview, err
		},
		"delete the organization": func(w *world) (any, error) {
			return w.admin.Preview(w.ctx, ann, "acme", admin.DeleteKey("boss"), admin.DeleteOrganization())
		},
		"list": func(w *world) (any, error) {
			var all []admin.KeyView
			for request := (store.PageRequest{}); ; {
				page, err := w.admin.Keys(w.ctx, "acme", request)
				if all = append(all, page.Items...); err != nil || page.Next == "" {
					return all, err
				}
				request.Cursor = page.Next
			}
		},
	}
	setup := func(t *testing.T) (*world, *paged) {
		p := &paged{Store: memory.New(), page: store.MaxPageSize, turn: func(page pageOf) (pageOf, error) { return page, nil }}
		w := worldOf(t, p, p.Store)
		w.organization("globex", policy.NotRequired)
		w.keyOf("globex", "foreign", "", mark)
		for _, key := range []string{"a", "b", "boss", "k", "z"} {
			key, err := w.memory.PutKey(w.ctx, samekey(key), store.AllowOpen)
			require.NoError(t, err)
			require.NotZero(t, key.Revision)
		}
		return w, p
	}
	for name, call := range calls {
		t.Run(name, func(t *testing.T) {
			whole, _ := setup(t)
			want, wantErr := call(whole)

			for size := 1; size < 5; size++ {
				w, p := setup(t)
				p.page = size
				got, err := call(w)
				require.Equal(t, wantErr, err)
				require.Equal(t, want, got, "pages of %d", size)

				// A page fails, with a part of it.
				for n := 1; n <= 2; n++ {
					w, p := setup(t)
					p.page = size
					pages := 0
					p.turn = func(page pageOf) (pageOf, error) {
						if pages++; pages == n {
							return pageOf{Items: page.Items[:1], Next: page.Next}, errFault
						}
						return page, nil
					}
					_, err := call(w)
					if pages >= n {
						requireClass(t, admin.Unavailable, err)
						require.ErrorIs(t, err, errFault)
					}
				}

				// A page has a key of another organization.
				w, p = setup(t)
				p.page = size
				p.turn = func(page pageOf) (pageOf, error) {
					page.Items = append(slices.Clone(page.Items), w.stored("foreign"))
					return page, nil
				}
				got, err = call(w)
				requireClass(t, admin.Unavailable, err)
				require.ErrorContains(t, err, "the store returned another record than the one asked for")
				data, problem := json.Marshal([]any{got, err})
				require.NoError(t, problem)
				require.NotContains(t, string(data)+err.Error(), mark)
			}
		})
	}
}

// samekey is a key that is the same in every world.
func samekey(id string) apikey.Key {
	return apikey.Key{
		ID: apikey.ID(id), Organization: "acme", Grants: []apikey.Grant{{Role: "owner"}}, Created: start,
		Secrets: []apikey.StoredSecret{{Sum: [32]byte{1, 2, 3}, Created: start}},
	}
}
