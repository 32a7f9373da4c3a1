package adminhttp

import (
	"cmp"
	"net/url"
	"strconv"
	"strings"
)

const (
	defaultPage = 100
	maxPage     = 500
	maxNumber   = 1 << 31

	// maxCounted bounds the items read for a totalCount. A page of a longer list has none,
	// unless the list ends there.
	maxCounted = 10_000
)

type link struct {
	Href string `json:"href"`
	Rel  string `json:"rel"`
}

// A page is a part of a list, by number. It keeps its own items only, however long the list
// is.
type page struct {
	number, size int
	counts       bool
	seen         int
	results      []any
	follows      bool // an item is known to follow on the next page
	total        int  // of the list, if it was not read to its end; less than 0: too many to count
}

// readPage reads the paging parameters of a query.
func readPage(query url.Values) (*page, error) {
	p := &page{number: 1, size: defaultPage, counts: true, results: []any{}}
	for _, number := range []struct {
		name string
		into *int
		most int
	}{{"pageNum", &p.number, maxNumber}, {"itemsPerPage", &p.size, maxPage}} {
		if text := query.Get(number.name); text != "" {
			n, err := strconv.Atoi(text)
			if err != nil || n < 1 || n > number.most {
				return nil, badQuery(number.name, "The parameter "+number.name+" is "+quote(text)+": want 1 to "+strconv.Itoa(number.most)+".")
			}
			*number.into = n
		}
	}
	if text := query.Get("includeCount"); text != "" {
		var err error
		if p.counts, err = strconv.ParseBool(text); err != nil {
			return nil, badQuery("includeCount", "The parameter includeCount is "+quote(text)+": want true or false.")
		}
	}
	return p, nil
}

// add adds the next item of the list. It is made only if it is on the page. add reports
// whether the list has to be read on.
func (p *page) add(make func() any) bool {
	if p.seen/p.size == p.number-1 {
		p.results = append(p.results, make())
	}
	p.seen++
	return p.counts || !p.more()
}

// begin and end return how many items come before the page, and before the next one.
func (p *page) begin() int { return (p.number - 1) * p.size }
func (p *page) end() int   { return p.number * p.size }

// more reports whether an item follows on the next page.
func (p *page) more() bool { return p.follows || p.seen > p.end() }

// A pageBody is the answer with a page.
type pageBody struct {
	Links      []link `json:"links"`
	Results    []any  `json:"results"`
	TotalCount *int   `json:"totalCount,omitempty"`
}

// pageBody returns the answer, with links to the neighbours.
func (c *call) pageBody(p *page) pageBody {
	query := url.Values{"includeCount": {strconv.FormatBool(p.counts)}, "itemsPerPage": {strconv.Itoa(p.size)}}
	for _, name := range []string{"eventType", "minDate", "maxDate", "includeRaw", "name", "pretty"} {
		if values := c.URL.Query()[name]; len(values) > 0 && c.Method != "POST" {
			query[name] = values
		}
	}
	to := func(number int, rel string) link {
		query.Set("pageNum", strconv.Itoa(number))
		return link{c.base + strings.TrimSuffix(c.URL.EscapedPath(), "/") + "?" + query.Encode(), rel}
	}
	body := pageBody{Links: []link{to(p.number, "self")}, Results: p.results}
	if p.number > 1 {
		body.Links = append(body.Links, to(p.number-1, "previous"))
	}
	if p.more() {
		body.Links = append(body.Links, to(p.number+1, "next"))
	}
	total := cmp.Or(p.total, p.seen)
	if p.counts && total >= 0 {
		body.TotalCount = &total
	}
	return body
}

// href returns the absolute link of a path below the prefix of the call, its segments escaped.
func (c *call) href(segments ...string) string {
	var b strings.Builder
	b.WriteString(c.base + c.prefix)
	for _, segment := range segments {
		b.WriteString("/" + url.PathEscape(segment))
	}
	return b.String()
}
