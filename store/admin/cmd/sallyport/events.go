package main

import (
	"context"
	"fmt"
	"iter"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/store"
)

var eventViews = listing[store.Event]{
	header: "TIME REVISION EVENT ORGANIZATION KEY ENTRY BY VIA REASON",
	row: func(e store.Event) []string {
		entry := ""
		if e.Entry.IsValid() {
			entry = entryText(e.Entry)
		}
		reason := e.Reason
		if len(e.Accepted) > 0 {
			reason += " (accepted " + strings.Join(e.Accepted, ", ") + ")"
		}
		return []string{when(e.Time), strconv.FormatUint(e.Revision, 10), string(e.Type), e.Organization, string(e.Key), entry,
			string(e.Actor.Kind) + " " + e.Actor.ID, string(e.Via), strings.TrimSpace(reason)}
	},
	name: func(e store.Event) string { return e.ID() },
	none: "There are no events.",
}

// eventText says what happened to what.
func eventText(e store.Event) string {
	text := fmt.Sprintf("%s of organization %s", e.Type, e.Organization)
	if e.Key != "" {
		text = fmt.Sprintf("%s of key %s", e.Type, e.Key)
	}
	if e.Entry.IsValid() {
		text += " " + entryText(e.Entry)
	}
	return fmt.Sprintf("%s at revision %d", text, e.Revision)
}

func (s *session) eventCommands() *cobra.Command {
	return group("events", "Show who changed what, and keep it elsewhere", s.eventsList(), s.eventsFollow(), s.eventsExport(), s.eventsVerify())
}

// An eventQuery selects events, by flags.
type eventQuery struct {
	org, key, after string
}

func (q *eventQuery) flags(c *cobra.Command) {
	c.Flags().StringVar(&q.org, "org", "", "only events of this `organization`")
	c.Flags().StringVar(&q.key, "key", "", "only events of this `key`; of a deleted one with --org")
	c.Flags().StringVar(&q.after, "after", "", "only events after this `revision`, as the last output had it")
}

// request opens the store, or reaches the server, and returns the request.
func (q *eventQuery) request(ctx context.Context, s *session) (from records, r store.EventRequest, err error) {
	if from, err = s.records(ctx); err != nil {
		return nil, r, err
	}
	r.Organization, r.Key = q.org, apikey.ID(q.key)
	if q.key != "" {
		if r.Organization, err = organizationOf(ctx, from, r.Key, q.org); err != nil {
			return nil, r, fmt.Errorf("%w (for a deleted key give --org)", err)
		}
	}
	if r.After, err = readPosition(ctx, from, r.Organization, q.after); err != nil {
		return nil, r, err
	}
	_, err = from.Events(ctx, store.EventRequest{Organization: r.Organization, Limit: 1}) // there are events
	return from, r, err
}

// allEvents yields the events of all pages.
func allEvents(ctx context.Context, from records, request store.EventRequest) iter.Seq2[store.Event, error] {
	return func(yield func(store.Event, error) bool) {
		for more := true; more; {
			page, err := from.Events(ctx, request)
			if err != nil {
				yield(store.Event{}, err)
				return
			}
			for _, event := range page.Events {
				if !yield(event, nil) {
					return
				}
			}
			request.After, more = page.Next, page.More
		}
	}
}

// readPosition reads REVISION@HISTORY. Without a history it is the present one.
func readPosition(ctx context.Context, from records, organization, text string) (p store.Position, err error) {
	if text == "" || text == "0" {
		return p, nil
	}
	number, history, _ := strings.Cut(text, "@")
	if p.Revision, err = strconv.ParseUint(number, 10, 64); err != nil {
		return p, usageError{fmt.Errorf("--after %.40q: want a revision, such as 17 or 17@HISTORY", text)}
	}
	if p.History = history; history == "" {
		page, err := from.Events(ctx, store.EventRequest{Organization: organization, Limit: 1})
		p.History = page.Next.History
		return p, err
	}
	return p, nil
}

func (s *session) eventsList() *cobra.Command {
	var q eventQuery
	var limit int
	var newest bool
	c := &cobra.Command{Use: "list", Short: "List events, the oldest first", Args: exactly(0)}
	c.RunE = func(c *cobra.Command, _ []string) error {
		from, request, err := q.request(c.Context(), s)
		if err != nil {
			return err
		}
		request.Newest, request.Limit = newest, store.MaxPageSize
		return list(s, eventViews, first(limit, allEvents(c.Context(), from, request)))
	}
	q.flags(c)
	c.Flags().BoolVar(&newest, "newest", false, "the newest first")
	c.Flags().IntVar(&limit, "limit", 0, "the largest `number` of events; 0: all")
	return c
}

// first yields the first n of a sequence, all if n is 0.
func first[T any](n int, all iter.Seq2[T, error]) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		i := 0
		for item, err := range all {
			if i++; !yield(item, err) || i == n {
				return
			}
		}
	}
}

func (s *session) eventsFollow() *cobra.Command {
	var q eventQuery
	c := &cobra.Command{Use: "follow", Short: "Print events as they happen, until interrupted", Args: exactly(0)}
	c.Long = `Print events as they happen, one a line, until interrupted. The last line on standard error has
the revision to go on from, for --after.`
	c.RunE = func(c *cobra.Command, _ []string) error {
		from, request, err := q.request(c.Context(), s)
		if err != nil {
			return err
		}
		for page, err := range from.Follow(c.Context(), request) {
			if err != nil {
				if c.Context().Err() != nil {
					s.err.printf("Go on with: --after %d@%s\n", request.After.Revision, request.After.History)
					return nil
				}
				return err
			}
			for _, event := range page.Events {
				if err := s.printEvent(event); err != nil {
					return err
				}
			}
			if err := s.out.flush(); err != nil {
				return err
			}
			request.After = page.Next
		}
		return nil
	}
	q.flags(c)
	return c
}

// printEvent prints an event in one line.
func (s *session) printEvent(e store.Event) error {
	switch s.output {
	case "table":
		s.out.printf("%s  %s by %s %s", when(e.Time), eventText(e), e.Actor.Kind, oneLine(e.Actor.ID))
		if e.Reason != "" {
			s.out.printf(": %s", oneLine(e.Reason))
		}
		s.out.print("\n")
	case "name":
		s.out.print(e.ID() + "\n")
	default:
		return s.json(e, "")
	}
	return nil
}
