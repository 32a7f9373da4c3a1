package browser_test

import (
	"bytes"
	"cmp"
	"image/png"
	"os"
	"path/filepath"
	"sync"

	"github.com/chromedp/cdproto/page"
	"github.com/stretchr/testify/require"
)

var pictures struct {
	mu    sync.Mutex
	taken map[string]string // by name: the test
}

// take takes pictures of the page, if there is a directory for them. The page has a name that no
// other page has.
func (b *tab) take(name string) {
	b.t.Helper()
	pictures.mu.Lock()
	if pictures.taken == nil {
		pictures.taken = map[string]string{}
	}
	by := cmp.Or(pictures.taken[name], b.t.Name())
	pictures.taken[name] = by
	pictures.mu.Unlock()
	require.Equal(b.t, b.t.Name(), by, "the picture %s is another test's", name)
	directory := os.Getenv("SALLYPORT_SCREENSHOTS")
	if directory == "" {
		return
	}
	yes := true // the whole page, and not only what is in the window
	for _, v := range []view{desktop, desktopDark, phone} {
		b.look(v)
		picture := call(b, page.CaptureScreenshot, page.CaptureScreenshotParams{CaptureBeyondViewport: &yes, OptimizeForSpeed: &yes})
		size, err := png.DecodeConfig(bytes.NewReader(picture.Data))
		require.NoError(b.t, err)
		require.Equal(b.t, int(v.width), size.Width)
		require.NoError(b.t, os.WriteFile(filepath.Join(directory, name+"-"+v.name+".png"), picture.Data, 0o644))
	}
	b.look(desktop)
}
