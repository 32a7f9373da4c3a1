// Package console is a web console for people who manage API keys: an [http.Handler] with
// pages of organizations, their keys and events, of why a call was refused, and of every change
// before it is made. It is rendered on the server from embedded templates, and has one style
// sheet, no script and no font.
//
// Mount it under any prefix. All links are relative, so no option names the prefix:
//
//	mux.Handle("/console/", http.StripPrefix("/console", handler))
//
// # Who may do what
//
// The package signs nobody in. [Config].Person returns who is behind a request, and their
// accesses to organizations. Without a person every page is refused. An organization that
// the person may not read is answered like an absent one. A request with an Authorization
// header is refused: API keys cannot use the console.
//
// Every page of an organization needs admin.Read there, and a change admin.Manage as well. A
// ReadOnly console makes no changes.
//
// # Security
//
//   - GET and HEAD change nothing. A POST from another site is refused by
//     [http.CrossOriginProtection]; see Config.TrustedOrigins for a proxy that rewrites Host.
//   - The Content-Security-Policy permits the console's own style sheet and forms, and nothing
//     else: no script, no frame, no image.
//   - Pages are never cached.
//   - Listings are read page by page. A search reads a bounded number of records and says
//     where it stopped.
//
// Use it for people. Programs have their API in store/admin/adminhttp.
package console
