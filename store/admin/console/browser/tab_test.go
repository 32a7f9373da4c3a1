package browser_test

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/chromedp/cdproto/audits"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"
)

// chrome is the one browser of all tests. Every tab has its own cookies.
var chrome struct {
	once    sync.Once
	ctx     context.Context
	end     context.CancelFunc
	outside net.Listener // the proxy for every address that is not of the loopback
	err     error

	mu      sync.Mutex
	strayed []string // first lines of what was sent to outside
}

// outsider is a host outside, requested by one test.
const outsider = "outside.test"

func TestMain(m *testing.M) {
	code := m.Run()
	if chrome.end != nil {
		chrome.end()
	}
	chrome.mu.Lock()
	defer chrome.mu.Unlock()
	for _, line := range chrome.strayed {
		if !strings.Contains(line, outsider) {
			fmt.Printf("FAIL: the browser sent to the outside: %s\n", line)
			code = 1
		}
	}
	os.Exit(code)
}

// startChrome starts the browser. No name is resolved but localhost, and whatever is not of the
// loopback goes to a proxy. It keeps the requests, and answers none.
func startChrome(path string) {
	var err error
	if chrome.outside, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		chrome.err = err
		return
	}
	go acceptStrayed()
	allocator, cancel := chromedp.NewExecAllocator(context.Background(), append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path), chromedp.Env("LANGUAGE=en_US", "LC_ALL=en_US.UTF-8"), chromedp.NoSandbox, chromedp.DisableGPU, chromedp.WSURLReadTimeout(patience),
		chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-quic", true), chromedp.Flag("no-pings", true), chromedp.Flag("lang", "en-US"),
		// One process for all origins, so that the tab of a page sees the frames of others.
		chromedp.Flag("disable-features", "Translate,IsolateOrigins,site-per-process"), chromedp.Flag("disable-site-isolation-trials", true),
		chromedp.ProxyServer("http://"+chrome.outside.Addr().String()),
		chromedp.Flag("host-resolver-rules", "MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1"))...)
	ctx, end := chromedp.NewContext(allocator)
	chrome.ctx, chrome.end = ctx, func() { end(); cancel(); _ = chrome.outside.Close() }
	chrome.err = chromedp.Do(ctx)
}

// acceptStrayed keeps the requests to the outside.
func acceptStrayed() {
	for {
		connection, err := chrome.outside.Accept()
		if err != nil {
			return
		}
		go func() {
			defer connection.Close()
			line, _ := bufio.NewReader(connection).ReadString('\n') // what came is kept, even if it is not a line
			chrome.mu.Lock()
			defer chrome.mu.Unlock()
			chrome.strayed = append(chrome.strayed, strings.TrimSpace(line))
		}()
	}
}

// A tab is a page of the browser, with cookies of its own.
type tab struct {
	t   *testing.T
	ctx context.Context
	s   *service

	mu        sync.Mutex
	urls      []string // requested
	reported  []string // by the browser: errors, warnings and breaches of policies
	elsewhere []string // origins that the test requests too
}

// newTab opens a tab, without JavaScript.
func newTab(t *testing.T, s *service, elsewhere ...string) *tab {
	t.Helper()
	path := program(t, "chromium-headless-shell") // the whole Chromium calls its maker
	chrome.once.Do(func() { startChrome(path) })
	require.NoError(t, chrome.err)
	b := &tab{t: t, s: s, elsewhere: elsewhere}
	ctx, cancel := chromedp.NewContext(chrome.ctx, chromedp.WithNewBrowserContext(), chromedp.WithListener(b.listen))
	t.Cleanup(cancel)
	b.ctx = ctx
	b.do(chromedp.Steps())
	call(b, log.Enable, cdp.Empty{})
	call(b, audits.Enable, cdp.Empty{})
	b.scripts(false)
	b.look(desktop)
	t.Cleanup(b.wantQuiet)
	return b
}

// call runs a command of the protocol.
func call[P, R any](b *tab, command cdp.Command[P, R], params P) R {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	result, err := chromedp.Call(ctx, command, params)
	require.NoError(b.t, err, command.Method)
	return result
}

// do runs steps.
func (b *tab) do(steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	require.NoError(b.t, chromedp.Do(b.ctx, steps...))
}

// run runs an action and returns its value.
func run[T any](b *tab, action chromedp.Action[T]) T {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	value, err := chromedp.Run(ctx, action)
	require.NoError(b.t, err)
	return value
}

// scripts switches JavaScript on or off, for pages and not for the protocol.
func (b *tab) scripts(on bool) {
	b.t.Helper()
	call(b, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: !on})
}

// listen keeps the requests and the reports of the browser.
func (b *tab) listen(event any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch e := event.(type) {
	case *network.EventRequestWillBeSent:
		if !strings.HasPrefix(e.Request.URL, "data:") { // a picture of the browser's own, in a field for dates
			b.urls = append(b.urls, e.Request.URL)
		}
	case *log.EventEntryAdded:
		// The answers of the console with an error's status are wanted by the tests.
		if e.Entry.Source != log.EntrySourceNetwork || !strings.HasPrefix(e.Entry.Text, "Failed to load resource: the server responded with a status of 4") {
			b.reported = append(b.reported, fmt.Sprintf("%s %s: %s %s", e.Entry.Source, e.Entry.Level, e.Entry.Text, e.Entry.URL))
		}
	case *runtime.EventConsoleAPICalled:
		b.reported = append(b.reported, fmt.Sprintf("console: %v", e.Args))
	case *runtime.EventExceptionThrown:
		b.reported = append(b.reported, "exception: "+e.ExceptionDetails.Text)
	case *audits.EventIssueAdded:
		// Other origins of a test have no policy of their cookies.
		if len(b.elsewhere) == 0 || e.Issue.Code == audits.InspectorIssueCodeContentSecurityPolicyIssue {
			b.reported = append(b.reported, fmt.Sprintf("issue: %s", e.Issue.Code))
		}
	}
}

// reports returns and forgets the reports of the browser.
func (b *tab) reports() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	reported := b.reported
	b.reported = nil
	return reported
}

// wantQuiet fails if the browser has reported anything, or requested anything from an origin
// not of the test.
func (b *tab) wantQuiet() {
	require.Empty(b.t, b.reports(), "the browser's console")
	b.mu.Lock()
	defer b.mu.Unlock()
	require.NotEmpty(b.t, b.urls)
	for _, url := range b.urls {
		require.True(b.t, slices.ContainsFunc(append(b.elsewhere, b.s.url), func(origin string) bool { return strings.HasPrefix(url, origin+"/") }), "requested: %s", url)
	}
}

// A view is how a page is looked at.
type view struct {
	name          string
	width, height int64
	dark          bool
}

var (
	desktop     = view{"desktop-light", 1280, 800, false}
	desktopDark = view{"desktop-dark", 1280, 800, true}
	phone       = view{"320-light", 320, 640, false}
	phoneDark   = view{"320-dark", 320, 640, true}
	views       = []view{desktop, desktopDark, phone, phoneDark}
)

// look changes how the page is looked at. Nothing moves by itself.
func (b *tab) look(v view) {
	b.t.Helper()
	scheme := "light"
	if v.dark {
		scheme = "dark"
	}
	call(b, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{
		{Name: "prefers-color-scheme", Value: scheme}, {Name: "prefers-reduced-motion", Value: "reduce"},
	}})
	call(b, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{Width: v.width, Height: v.height, DeviceScaleFactor: 1, Mobile: v.width < 600})
}
