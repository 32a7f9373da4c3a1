package adminhttp

import (
	"errors"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/store/admin"
)

// An entryBody is an entry of an access list in the documented form. Its comment and its end
// have none.
type entryBody struct {
	Block       string `json:"cidrBlock"`
	Count       uint64 `json:"count"`
	Created     string `json:"created,omitempty"`
	Address     string `json:"ipAddress,omitempty"`
	LastUsed    string `json:"lastUsed,omitempty"`
	LastAddress string `json:"lastUsedAddress,omitempty"`
	Links       []link `json:"links"`
}

// entryBody returns an entry with its use.
func (c *call) entryBody(key admin.KeyView, entry admin.EntryView, usage map[netip.Prefix]accesslist.Usage) entryBody {
	prefix := prefixOf(entry)
	used := usage[prefix]
	body := entryBody{
		Block: prefix.String(), Count: used.Count, Created: seconds(entry.Added), LastUsed: seconds(used.Last),
		Links: []link{{c.href("orgs", key.Organization, "apiKeys", string(key.ID), "accessList", entry.Address), "self"}},
	}
	if prefix.IsSingleIP() {
		body.Address = prefix.Addr().String()
	}
	if used.LastAddress.IsValid() {
		body.LastAddress = used.LastAddress.String()
	}
	return body
}

// prefixOf returns the block of an entry.
func prefixOf(view admin.EntryView) netip.Prefix { return entryOf(view).Prefix() }

// seconds returns a time as documented, empty for the zero time.
func seconds(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

// usageOf returns the use of a key's entries. Without a recorder nothing is known.
func (h *handler) usageOf(c *call, key apikey.ID) (map[netip.Prefix]accesslist.Usage, error) {
	if h.usage == nil {
		return nil, nil
	}
	usage, err := h.usage.Usage(c.Context(), key)
	return usage[key].Entries, err
}

func (h *handler) entries(c *call) (any, error) {
	p, err := readPage(c.URL.Query())
	if err != nil {
		return nil, err
	}
	key, err := h.findKey(c)
	if err != nil {
		return nil, err
	}
	usage, err := h.usageOf(c, key.ID)
	if err != nil {
		return nil, err
	}
	return c.entryPage(p, key, usage), nil
}

func (c *call) entryPage(p *page, key admin.KeyView, usage map[netip.Prefix]accesslist.Usage) pageBody {
	for _, entry := range key.Entries {
		p.add(func() any { return c.entryBody(key, entry, usage) })
	}
	return c.pageBody(p)
}

// findEntry returns the entry in the path, by exact entry (rule A9).
func (h *handler) findEntry(c *call) (key admin.KeyView, entry admin.EntryView, err error) {
	if key, err = h.findKey(c); err != nil {
		return key, entry, err
	}
	entry, found := c.listed(key)
	if !found {
		err = noEntry(c.PathValue("entry"), key.ID)
	}
	return key, entry, err
}

// listed returns the entry of a list that the path names.
func (c *call) listed(key admin.KeyView) (admin.EntryView, bool) {
	asked, err := (accesslist.Parser{AllowIPv6: true}).ParseEntry(c.PathValue("entry"))
	i := slices.IndexFunc(key.Entries, func(e admin.EntryView) bool { return err == nil && prefixOf(e) == asked.Prefix() })
	if i < 0 {
		return admin.EntryView{}, false
	}
	return key.Entries[i], true
}

func noEntry(text string, key apikey.ID) *apiError {
	return &apiError{status: http.StatusNotFound, code: "API_KEY_ACCESS_LIST_NOT_FOUND", detail: "The address or block " + cut(text) + " is not on the access list of the API key " + string(key) + ".", parameters: []string{cut(text), string(key)}}
}

func (h *handler) entry(c *call) (any, error) {
	key, entry, err := h.findEntry(c)
	if err != nil {
		return nil, err
	}
	usage, err := h.usageOf(c, key.ID)
	if err != nil {
		return nil, err
	}
	return c.entryBody(key, entry, usage), nil
}

// deleteEntry removes an entry. The call goes ahead if it denies callers, and not if it opens
// the key.
func (h *handler) deleteEntry(c *call) (any, error) {
	key, entry, err := h.findEntry(c)
	if err != nil {
		return nil, err
	}
	_, err = h.apply(c, []admin.Kind{admin.BreaksKey}, admin.RemoveEntries(key.ID, prefixOf(entry)))
	if errors.Is(err, accesslist.ErrNotListed) { // removed meanwhile
		err = noEntry(entry.Address, key.ID)
	}
	return nil, err
}

// An entryInput is an entry to add.
type entryInput struct {
	Address *string `json:"ipAddress"`
	Block   *string `json:"cidrBlock"`
}

// read checks the entry.
func (in entryInput) read() (accesslist.Entry, error) {
	if in.Address == nil && in.Block == nil {
		return accesslist.Entry{}, &apiError{status: http.StatusBadRequest, code: "MISSING_ONE_OF_ATTRIBUTES", detail: "Every entry needs one of ipAddress and cidrBlock.", parameters: []string{"ipAddress", "cidrBlock"}}
	}
	var read []accesslist.Entry
	for _, given := range []struct {
		name string
		text *string
	}{{"ipAddress", in.Address}, {"cidrBlock", in.Block}} {
		if given.text == nil {
			continue
		}
		entry, err := accesslist.ParseEntry(*given.text)
		if err != nil {
			return entry, badEntry(given.name, *given.text, err)
		}
		if given.name == "ipAddress" && !entry.IsSingle() {
			return entry, withParameters(badField("INVALID_IP_ADDRESS_OR_CIDR_NOTATION", given.name, "is a block: want cidrBlock for it"), *given.text)
		}
		read = append(read, entry)
	}
	if read[0].Prefix() != read[len(read)-1].Prefix() {
		return accesslist.Entry{}, &apiError{status: http.StatusBadRequest, code: "BAD_ACCESS_LIST_ADD_REQUEST", detail: "An entry has an ipAddress and another cidrBlock: want one of them.", parameters: []string{}}
	}
	return read[0], nil
}

// badEntry is the answer for a text that is no entry.
func badEntry(name, text string, err error) *apiError {
	problem := strings.TrimPrefix(err.Error(), "accesslist: ")
	code := "INVALID_IP_ADDRESS_OR_CIDR_NOTATION"
	address, _, _ := strings.Cut(text, "/")
	switch addr, err := netip.ParseAddr(address); {
	case err != nil:
	case addr.Is6():
		code = "IPV6_UNSUPPORTED"
	case addr.IsUnspecified():
		code = "CANNOT_ADD_IP_ADDRESS_TO_API_KEY_ACCESS_LIST"
	}
	return withParameters(badField(code, name, "cannot be taken: "+problem), text)
}

// withParameters sets the parameters of an error to texts of the caller.
func withParameters(e *apiError, texts ...string) *apiError {
	e.parameters = nil
	for _, text := range texts {
		e.parameters = append(e.parameters, cut(text))
	}
	return e
}

// addEntries adds entries to the list, and answers with its first page. A wide block is what
// the caller wrote. The first entry of a key that is called from elsewhere is refused.
func (h *handler) addEntries(c *call) (any, error) {
	in, err := readBody[[]entryInput](c)
	if err != nil {
		return nil, err
	}
	if len(in) == 0 {
		return nil, &apiError{status: http.StatusBadRequest, code: "BAD_ACCESS_LIST_ADD_REQUEST", detail: "The body has no entry: want a list of objects with ipAddress or cidrBlock."}
	}
	key, err := h.findKey(c)
	if err != nil {
		return nil, err
	}
	listed, given := map[netip.Prefix]bool{}, map[netip.Prefix]bool{}
	for _, entry := range key.Entries {
		listed[prefixOf(entry)] = true
	}
	var entries []accesslist.Entry
	for _, one := range in {
		entry, err := one.read()
		switch {
		case err != nil:
			return nil, err
		case given[entry.Prefix()]:
			return nil, withParameters(&apiError{status: http.StatusBadRequest, code: "DUPLICATE_ADDRESSES_IN_INPUT", detail: "The entry " + entry.String() + " is in the request twice."}, entry.String())
		case listed[entry.Prefix()]:
			return nil, alreadyListed(entry.String())
		}
		given[entry.Prefix()] = true
		entries = append(entries, entry)
	}
	usage, err := h.usageOf(c, key.ID) // before the change: after it there is no failing any more
	if err != nil {
		return nil, err
	}
	result, err := h.apply(c, []admin.Kind{admin.OverBroad}, admin.AddEntries(key.ID, entries...))
	if errors.Is(err, accesslist.ErrDuplicate) { // added meanwhile
		err = alreadyListed(entries[0].String())
	}
	if err != nil {
		return nil, err
	}
	p, _ := readPage(url.Values{}) // the query of this call is ignored
	return c.entryPage(p, result.Keys[0], usage), nil
}

func alreadyListed(entry string) *apiError {
	return withParameters(&apiError{status: http.StatusConflict, code: "ADDRESS_ALREADY_IN_ACCESS_LIST", detail: "The entry " + entry + " is on the access list already. Nothing was added."}, entry)
}
