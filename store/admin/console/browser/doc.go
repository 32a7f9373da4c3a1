// Package browser is a test module and has nothing to import. It tests package console in a
// real browser, Debian's chromium-headless-shell, driven by github.com/chromedp/chromedp. A
// real nginx mounts the console under a prefix. [install.sh] installs what is missing on Debian.
//
//	./install.sh && go test .
//
// The tests are:
//
//   - every flow of the console, by mouse and keys, without JavaScript. The result is read
//     from the page, and then asked of an engine on the same store.
//   - one flow by the keyboard alone, with a visible focus at every step
//   - forms and frames of other origins, which are refused
//   - every page that links and previews lead to, by axe-core, in light and dark mode, 1280
//     and 320 pixels wide
//   - that the browser requests nothing from elsewhere, and reports no error
//
// A missing browser, nginx or axe-core skips the tests, with a line in the log. With
// SALLYPORT_CLIENTS=required in the environment it fails them.
//
// # Screenshots
//
// With SALLYPORT_SCREENSHOTS the tests take pictures of every kind of page: wide in light mode,
// wide in dark mode, and 320 pixels wide. They are PNG files in that directory:
//
//	SALLYPORT_SCREENSHOTS=/somewhere go test -count=1 .
//
// [install.sh]: install.sh
package browser
