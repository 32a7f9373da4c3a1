package adminhttp

import (
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/internal/strictjson"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/admin"
)

// maxPages bounds the pages of a store read for one page of a filtered list.
const maxPages = 20

// A meBody says who calls. It has the permissions of a key from its present address, and not its
// list (rule D1).
type meBody struct {
	Actor        admin.Actor        `json:"actor"`
	Organization string             `json:"organization,omitempty"` // of a key
	Description  string             `json:"description,omitempty"`
	Status       string             `json:"status,omitempty"`
	Grants       []admin.GrantView  `json:"grants,omitempty"`
	NotBefore    time.Time          `json:"notBefore,omitzero"`
	Expires      time.Time          `json:"expires,omitzero"`
	Permissions  *admin.Permissions `json:"permissions,omitempty"`
}

func (h *handler) me(c *call) (any, error) {
	me := meBody{Actor: c.actor}
	if c.person.ID != "" {
		return me, nil
	}
	subject := c.decision.Subject()
	key, now := subject.Key(), c.decision.Time()
	may := admin.May(subject, h.Endpoints, c.decision.Client(), now)
	may.Entry = nil
	me.Organization, me.Description, me.Status, me.NotBefore, me.Expires = key.Organization, key.Description, key.Status(now).String(), key.NotBefore.UTC(), key.Expires.UTC()
	for _, grant := range key.Grants {
		me.Grants = append(me.Grants, admin.GrantView(grant))
	}
	me.Permissions = &may
	return me, nil
}

// readPageRequest reads the cursor and the limit of a query.
func readPageRequest(query url.Values) (request store.PageRequest, err error) {
	request.Cursor = query.Get("cursor")
	request.Limit, err = readNumber(query, "limit", 1, store.MaxPageSize, store.DefaultPageSize)
	return request, err
}

// readNumber reads a number of a query.
func readNumber(query url.Values, name string, least, most, without int) (int, error) {
	if !query.Has(name) {
		return without, nil
	}
	n, err := strconv.Atoi(query.Get(name))
	if err != nil || n < least || n > most {
		return 0, badQuery(name, fmt.Sprintf("The parameter %s is %s: want %d to %d.", name, quote(query.Get(name)), least, most))
	}
	return n, nil
}

// readBool reads a truth value of a query, false if there is none.
func readBool(query url.Values, name string) (value bool, err error) {
	if !query.Has(name) {
		return false, nil
	}
	if value, err = strconv.ParseBool(query.Get(name)); err != nil {
		return false, badQuery(name, "The parameter "+name+" is "+quote(query.Get(name))+": want true or false.")
	}
	return value, nil
}

type organizationList struct {
	Organizations []admin.OrganizationView `json:"organizations"`
	Next          string                   `json:"next,omitempty"` // cursor of the next page; none: this is the last
}

// ownOrganizations lists the organizations that the caller may read: of a key its own.
func (h *handler) ownOrganizations(c *call) (any, error) {
	request, err := readPageRequest(c.URL.Query())
	if err != nil {
		return nil, err
	}
	list := organizationList{Organizations: []admin.OrganizationView{}}
	if c.person.ID == "" {
		if request.Cursor != "" {
			return nil, cursorError(store.ErrInvalid)
		}
		if !hasRole(c.decision.Subject().Key().Grants, h.Roles.Read, "") {
			return list, nil
		}
		found, err := h.Admin.Organization(c.Context(), c.organization)
		list.Organizations = append(list.Organizations, found)
		return list, err
	}
	list.Next, err = pagesOf(request, func(request store.PageRequest) (store.Page[policy.Organization], error) {
		return h.Store.Organizations(c.Context(), request)
	}, func(o policy.Organization) bool {
		taken := c.person.Has(o.ID, admin.Read)
		if taken {
			list.Organizations = append(list.Organizations, h.Admin.View(o))
		}
		return taken
	})
	return list, err
}

// pagesOf reads pages until one has an item that is taken, and returns the cursor of the next.
// A page of a filtered list may be shorter than its limit, and empty after maxPages.
func pagesOf[T any](request store.PageRequest, read func(store.PageRequest) (store.Page[T], error), take func(T) bool) (next string, err error) {
	for range maxPages {
		page, err := read(request)
		if err != nil {
			return "", cursorError(err)
		}
		some := false
		for _, item := range page.Items {
			some = take(item) || some
		}
		if request.Cursor = page.Next; some || page.Next == "" {
			break
		}
	}
	return request.Cursor, nil
}

func (h *handler) ownOrganization(c *call) (any, error) {
	found, err := h.Admin.Organization(c.Context(), c.organization)
	return found, err
}

type keyList struct {
	Keys []admin.KeyView `json:"keys"`
	Next string          `json:"next,omitempty"` // cursor of the next page; none: this is the last
}

var statuses = []string{apikey.StatusActive.String(), apikey.StatusDisabled.String(), apikey.StatusNotYetValid.String(), apikey.StatusExpired.String()}

// ownKeys lists keys, those with a label or an external ID by the store's own search. status
// and search select among those.
func (h *handler) ownKeys(c *call) (any, error) {
	query := c.URL.Query()
	request, err := readPageRequest(query)
	if err != nil {
		return nil, err
	}
	status, search := query.Get("status"), query.Get("search")
	if query.Has("status") && !slices.Contains(statuses, status) {
		return nil, badQuery("status", "The parameter status is "+quote(status)+": want one of "+strings.Join(statuses, ", ")+".")
	}
	request.Filter = store.Filter{Label: query.Get("label"), ExternalID: query.Get("externalId")}
	list := keyList{Keys: []admin.KeyView{}}
	list.Next, err = pagesOf(request, func(request store.PageRequest) (store.Page[admin.KeyView], error) {
		return h.Admin.Keys(c.Context(), c.organization, request)
	}, func(key admin.KeyView) bool {
		taken := (status == "" || key.Status == status) && key.Has(search)
		if taken {
			list.Keys = append(list.Keys, key)
		}
		return taken
	})
	return list, err
}

// pathKey returns the ID in the path, of a key that exists in the organization.
func (h *handler) pathKey(c *call) (admin.KeyView, error) {
	return h.Admin.Key(c.Context(), c.organization, apikey.ID(c.PathValue("key")))
}

func (h *handler) ownKey(c *call) (any, error) {
	key, err := h.pathKey(c)
	return key, err
}

type listBody struct {
	Key          apikey.ID         `json:"key"`
	Entries      []admin.EntryView `json:"entries"`
	TrialEntries []admin.EntryView `json:"trialEntries"`
	Revision     uint64            `json:"revision"`
}

func (h *handler) ownList(c *call) (any, error) {
	key, err := h.pathKey(c)
	return listBody{key.ID, key.Entries, key.TrialEntries, key.Revision}, err
}

// suggest suggests a list from observation. Its token is that of replacing the list by these
// entries, with the If-Match of this answer.
func (h *handler) suggest(c *call) (any, error) {
	query := c.URL.Query()
	within, err := h.within(query)
	if err != nil {
		return nil, err
	}
	budget, err := readNumber(query, "budget", 1, store.MaxEntries, admin.DefaultBudget)
	if err != nil {
		return nil, err
	}
	ipv6, err := readBool(query, "allowIPv6")
	if err != nil {
		return nil, err
	}
	ipv6 = ipv6 && h.hasIPv6(c, c.PathValue("key")) // the change would refuse them
	found, err := within.Tighten(c.Context(), c.actor, c.organization, apikey.ID(c.PathValue("key")), admin.TightenOptions{Budget: budget, AllowIPv6: ipv6})
	return found, err
}

// reviewList reports what to know about an access list.
func (h *handler) reviewList(c *call) (any, error) {
	query := c.URL.Query()
	within, err := h.within(query)
	if err != nil {
		return nil, err
	}
	internet, err := readBool(query, "internet")
	if err != nil {
		return nil, err
	}
	review, err := within.ReviewList(c.Context(), c.organization, apikey.ID(c.PathValue("key")), internet)
	return review, err
}

// within returns the Admin with the window of a query, or its own.
func (h *handler) within(query url.Values) (*admin.Admin, error) {
	seconds, err := readNumber(query, "windowSeconds", 1, int(min(seconds64, 1<<31-1)), 0)
	return h.Admin.Within(time.Duration(seconds) * time.Second), err
}

func (h *handler) secrets(c *call) (any, error) {
	idle, err := readNumber(c.URL.Query(), "idleSeconds", 1, int(min(seconds64, 1<<31-1)), int(admin.DefaultIdle/time.Second))
	if err != nil {
		return nil, err
	}
	rotation, err := h.Admin.Rotation(c.Context(), c.organization, apikey.ID(c.PathValue("key")), time.Duration(idle)*time.Second)
	return rotation, err
}

func (h *handler) keyUsage(c *call) (any, error) {
	within, err := h.within(c.URL.Query())
	if err != nil {
		return nil, err
	}
	usage, err := within.Usage(c.Context(), c.organization, apikey.ID(c.PathValue("key")))
	return usage, err
}

func (h *handler) permissions(c *call) (any, error) {
	var address netip.Addr
	if query := c.URL.Query(); query.Has("address") {
		var err error
		if address, err = netip.ParseAddr(query.Get("address")); err != nil || address.Zone() != "" {
			return nil, badQuery("address", "The parameter address is "+quote(query.Get("address"))+": want an IP address.")
		}
	}
	may, err := h.Admin.May(c.Context(), c.organization, apikey.ID(c.PathValue("key")), h.Endpoints, address)
	return may, err
}

func (h *handler) investigate(c *call) (any, error) {
	var secret string
	var at time.Time
	var unproven, proxy bool
	in, err := h.readCall(c,
		strictjson.Field{Name: "time", Read: strictjson.Time(&at)},
		strictjson.Field{Name: "secret", Read: strictjson.Text(&secret)},
		strictjson.Field{Name: "unproven", Read: strictjson.Bool(&unproven)},
		strictjson.Field{Name: "possibleProxy", Read: strictjson.Bool(&proxy)},
	)
	if err != nil {
		return nil, err
	}
	found, err := h.Admin.Investigate(c.Context(), c.actor, c.organization, admin.Call{
		Key: in.key, Client: in.address, Endpoint: in.endpoint, Resource: policy.Resource{Organization: c.organization, Project: in.project},
		Time: at, Secret: secret, Unproven: unproven, PossibleProxy: proxy,
	})
	return found, err
}
