package trials

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/store"
)

const (
	documentedOrg = "/api/atlas/v2/orgs/" + crowd
	ownOrg        = "/api/sallyport/v1/organizations/" + crowd
	consoleOrg    = "/console/o/" + crowd
)

// newAddress returns another address each time.
var addresses atomic.Int64

func newAddress() string {
	n := addresses.Add(1)
	return fmt.Sprintf("198.%d.%d.%d", 18+n>>16&1, n>>8&255, n&255)
}

// documented measures the documented API.
func (l *loaded) documented() {
	last := (l.keys*9/10 + 1) / 100 // of 100 keys each
	l.gets("documented: a key", documentedOrg+"/apiKeys/"+l.member(1))
	l.gets("documented: first page of keys", documentedOrg+"/apiKeys")
	l.gets("documented: first page, without a count", documentedOrg+"/apiKeys?includeCount=false")
	l.gets("documented: last page of keys", fmt.Sprintf("%s/apiKeys?pageNum=%d", documentedOrg, last))
	l.gets("documented: last page, without a count", fmt.Sprintf("%s/apiKeys?includeCount=false&pageNum=%d", documentedOrg, last))
	l.listing()
	l.asks("documented: the list of a key", func(i int) ask {
		return ask{method: "GET", path: documentedOrg + "/apiKeys/" + l.member(i) + "/accessList"}
	})
	l.gets("documented: settings", documentedOrg+"/settings")
	l.gets("documented: first page of events", documentedOrg+"/events")
	l.gets("documented: last page of events", fmt.Sprintf("%s/events?pageNum=%d&includeCount=false", documentedOrg, of(200, 4)))
	l.asks("documented: add an entry", func(i int) ask {
		return ask{method: "POST", path: documentedOrg + "/apiKeys/" + l.member(i) + "/accessList", body: `[{"ipAddress":"` + newAddress() + `"}]`}
	})
	l.asks("documented: describe a key", func(i int) ask {
		return ask{method: "PATCH", path: documentedOrg + "/apiKeys/" + l.member(i), body: fmt.Sprintf(`{"desc":"worker %d, described again"}`, i)}
	})
	l.asks("documented: create a key", func(i int) ask {
		return ask{method: "POST", path: documentedOrg + "/apiKeys", body: fmt.Sprintf(`{"desc":"created %d","roles":["MEMBER"]}`, i)}
	})
}

// listing reads every page of keys, as clients do: by number, one after the other.
func (l *loaded) listing() {
	began, calls, number := time.Now(), l.counted.calls.Load(), 1
	for more := true; more; number++ {
		answer, err := l.do(ask{method: "GET", path: fmt.Sprintf("%s/apiKeys?itemsPerPage=500&pageNum=%d", documentedOrg, number)})
		require.NoError(l, err)
		more = strings.Contains(answer, `"rel":"next"`)
	}
	l.Logf("%-44s %v for %d pages, %d calls of the store", "documented: every page of keys", time.Since(began).Round(time.Millisecond), number-1, l.counted.calls.Load()-calls)
}

// own measures our own API.
func (l *loaded) own() {
	l.gets("own: a key", ownOrg+"/keys/"+l.member(1))
	l.gets("own: first page of keys", ownOrg+"/keys")
	l.gets("own: last page of keys", ownOrg+"/keys?cursor="+l.lastCursor())
	l.gets("own: search of keys, without a result", ownOrg+"/keys?search=nobody")
	l.gets("own: the list of a key", ownOrg+"/keys/"+l.member(1)+"/list")
	l.gets("own: the usage of a key", ownOrg+"/keys/"+string(crowdKey(4))+"/usage")
	l.gets("own: the organization", ownOrg)
	l.gets("own: first page of events", ownOrg+"/events?order=newest")
	l.asks("own: add an entry", func(i int) ask {
		return ask{method: "POST", path: ownOrg + "/keys/" + l.member(i) + "/list/entries", body: `{"entries":[{"address":"` + newAddress() + `"}]}`}
	})
	l.asks("own: edit a key", func(i int) ask {
		return ask{method: "PATCH", path: ownOrg + "/keys/" + l.member(i), body: fmt.Sprintf(`{"description":"worker %d, edited"}`, i)}
	})
	l.asks("own: create a key", func(int) ask {
		return ask{method: "POST", path: ownOrg + "/keys", body: `{"grants":[],"entries":[{"address":"192.0.2.1"}]}`}
	})
	l.asks("own: preview of a requirement", func(int) ask {
		return ask{method: "PUT", path: ownOrg + "/requirement?preview=true", body: `{"requirement":"required"}`}
	})
	terms := []string{"Sallyport-Accept", "breaks_key, opens", "Sallyport-Reason", "a%20trial"}
	for _, to := range []string{"required", "report_only", "required"} { // the last is the one of the pages
		l.once("own: requirement "+to, ask{method: "PUT", path: ownOrg + "/requirement", body: `{"requirement":"` + to + `"}`, headers: terms})
	}
}

// once measures a call that cannot be made twice.
func (l *loaded) once(name string, a ask) {
	l.Helper()
	calls, took := l.counted.calls.Load(), l.timed(a)
	l.Logf("%-44s %v, %d calls of the store", name, took, l.counted.calls.Load()-calls)
}

// pages measures the routes of the console.
func (l *loaded) pages() {
	key := consoleOrg + "/keys/" + string(crowdKey(4)) // with a list, and used
	form := func(pairs ...string) string {
		values := url.Values{}
		for i := 0; i < len(pairs); i += 2 {
			values.Add(pairs[i], pairs[i+1])
		}
		return values.Encode()
	}
	revision := func() string {
		stored, err := l.counted.Key(l.Context(), crowdKey(4))
		require.NoError(l, err)
		return fmt.Sprint(stored.Revision)
	}()
	var figures []figure
	for _, page := range []struct {
		name string
		ask
	}{
		{"organizations", ask{method: "GET", path: "/console/"}},
		{"overview", ask{method: "GET", path: consoleOrg}},
		{"keys, first page", ask{method: "GET", path: consoleOrg + "/keys"}},
		{"keys, last page", ask{method: "GET", path: consoleOrg + "/keys?cursor=" + l.lastCursor()}},
		{"keys, search without a result", ask{method: "GET", path: consoleOrg + "/keys?q=nobody"}},
		{"keys without a list", ask{method: "GET", path: consoleOrg + "/keys?list=without"}},
		{"key", ask{method: "GET", path: key}},
		{"events, first page", ask{method: "GET", path: consoleOrg + "/events"}},
		{"events, search without a result", ask{method: "GET", path: consoleOrg + "/events?type=key.deleted"}},
		{"create", ask{method: "GET", path: consoleOrg + "/create"}},
		{"create, preview", ask{method: "POST", path: consoleOrg + "/create/preview", body: form("id", "new", "description", "new", "entries", "192.0.2.1")}},
		{"edit", ask{method: "GET", path: key + "/edit?do=replace"}},
		{"edit, preview", ask{method: "POST", path: key + "/preview", body: form("do", "describe", "revision", revision, "description", "other")}},
		{"tighten", ask{method: "GET", path: key + "/tighten"}},
		{"settings", ask{method: "GET", path: consoleOrg + "/settings"}},
		{"settings, preview", ask{method: "POST", path: consoleOrg + "/preview", body: form("steps", `[{"kind":"set_requirement","requirement":"report_only"}]`)}},
		{"investigate", ask{method: "GET", path: consoleOrg + "/investigate"}},
		{"investigate, address not listed", ask{method: "GET", path: consoleOrg + "/investigate?key=" + string(crowdKey(4)) + "&address=192.0.2.7"}},
		{"investigate, list required", ask{method: "GET", path: consoleOrg + "/investigate?key=" + string(crowdKey(0)) + "&address=192.0.2.7"}},
	} {
		figures = append(figures, l.asks("console: "+page.name, func(int) ask { return page.ask }))
	}
	slices.SortFunc(figures, func(a, b figure) int { return int(b.median - a.median) })
	l.Logf("the slowest pages: %s %v, %s %v, %s %v", figures[0].name, figures[0].median, figures[1].name, figures[1].median, figures[2].name, figures[2].median)
}

// lastCursor returns the cursor of the last keys.
func (l *loaded) lastCursor() (last string) {
	request := store.PageRequest{Limit: store.MaxPageSize}
	for {
		page, err := l.counted.Store.Keys(l.Context(), crowd, request)
		require.NoError(l, err)
		if page.Next == "" {
			return last
		}
		last, request.Cursor = page.Next, page.Next
	}
}

// maxHeld bounds what one call holds at any moment, however many keys there are: a thousand of
// them take some 4 MB, and all keys of the crowd some 300 MB.
const maxHeld = 16 << 20

// bounded makes the calls that read most keys. Each holds a bounded part of them at a time.
func (l *loaded) bounded() {
	var held, before uint64
	for _, a := range []ask{
		{method: "GET", path: documentedOrg + "/apiKeys"},
		{method: "GET", path: fmt.Sprintf("%s/apiKeys?itemsPerPage=50&includeCount=false&pageNum=%d", documentedOrg, l.keys*9/10/50)},
		{method: "GET", path: ownOrg + "/keys?search=nobody"},
		{method: "PUT", path: ownOrg + "/requirement?preview=true", body: `{"requirement":"report_only"}`},
		{method: "GET", path: consoleOrg + "/keys?cursor=" + l.lastCursor()},
		{method: "GET", path: consoleOrg + "/keys?q=nobody"},
		{method: "GET", path: consoleOrg},
		{method: "GET", path: consoleOrg + "/settings"},
	} {
		before, held = heap(), 0
		l.counted.during = func() { held = max(held, heap()) }
		_, err := l.do(a)
		l.counted.during = nil
		require.NoError(l, err)
		held -= min(held, before)
		l.Logf("%-44s holds %d KiB at most", a.path[:min(len(a.path), 44)], held>>10)
		require.Less(l, held, uint64(maxHeld), a.path)
	}
}
