package main

import (
	"context"
	"time"

	"github.com/sallyport-go/sallyport/store"
)

// The bounds of a server's clock and certificate.
const (
	maxOff   = 5 * time.Second     // between the clocks: ours sets the ends of suspensions and entries
	minValid = 14 * 24 * time.Hour // left of the certificate
)

// checkServer looks at a server, and at what it keeps beside records. It is an error if the
// server does not say as whom it answers.
func (d *doctor) checkServer(ctx context.Context, v *server) error {
	me, err := v.Who(ctx)
	if err != nil {
		return err
	}
	d.add("server", true, "%s answers, as %s", v.shown, me.Actor)
	switch off := v.off.Round(time.Second); {
	case off.Abs() > maxOff:
		d.add("clock", false, "the server's is off this machine's by %s: the ends given by --for are off, too", off)
	default:
		d.add("clock", true, "the server's is this machine's")
	}
	if !v.expires.IsZero() {
		d.add("certificate", v.expires.Sub(d.env.now()) >= minValid, "it ends %s", when(v.expires))
	}
	d.checkEvents(d.newest(ctx))
	if d.key.ID == "" {
		return nil // usage is that of keys
	}
	used, err := v.Usage(ctx, d.key.Organization, d.key.ID)
	d.checkUsage(used.Evidence.Since, used.Evidence.Until, err)
	return nil
}

// newest returns the newest event of all organizations.
func (d *doctor) newest(ctx context.Context) (newest []store.Event, err error) {
	for _, organization := range d.organizations {
		page, err := d.records.Events(ctx, store.EventRequest{Organization: organization, Newest: true, Limit: 1})
		if err != nil {
			return nil, err
		}
		if len(newest) == 0 || len(page.Events) > 0 && newest[0].Revision < page.Events[0].Revision {
			newest = page.Events
		}
	}
	return newest, nil
}
