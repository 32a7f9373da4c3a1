package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/accesslist/published"
	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/store/admin"
)

func (s *session) listsCommands() *cobra.Command {
	return group("lists", "Read the address lists that others publish, and keep keys up to date by them", s.listsRead(), s.listsRefresh())
}

// A publishedFile is the flags of a published list in a file.
type publishedFile struct {
	path    string
	options published.Options
	format  string
}

func (f *publishedFile) flags(c *cobra.Command) {
	flags := c.Flags()
	inputFlag(c, &f.path, "the list")
	must(c, "file")
	flags.StringVar(&f.format, "format", "", "the `format` required; recognized unless given")
	flags.StringVar(&f.options.Source, "source", "", "the list's `name`, for the comments of its entries")
	flags.StringSliceVar(&f.options.Regions, "region", nil, "ranges of these `regions` only, in the provider's words")
	flags.StringSliceVar(&f.options.Services, "service", nil, "ranges of these `services` only, in the provider's words")
	flags.BoolVar(&f.options.AllowIPv6, "ipv6", false, "take IPv6 ranges, too")
	flags.StringVar(&f.options.Columns.Address, "address-column", "", "of CSV or JSON, the column or member `name` of addresses")
	flags.StringVar(&f.options.Columns.Last, "last-column", "", "of CSV, the column `name` of last addresses")
	flags.StringVar(&f.options.Columns.Region, "region-column", "", "of CSV or JSON, the column or member `name` of regions")
	flags.StringVar(&f.options.Columns.Service, "service-column", "", "of CSV or JSON, the column or member `name` of services")
	var words []string
	for _, format := range published.Formats() {
		words = append(words, string(format))
	}
	complete(c, "format", words...)
}

// flagNames puts flags for the options that errors of package published name.
var flagNames = strings.NewReplacer("published: ", "", "Columns.Address", "--address-column", "another Format or Columns", "another --format, or --address-column",
	"AllowIPv6", "--ipv6", ": want at most MaxBytes", "", ": want at most MaxRanges", "", "want no Columns", "want no --address-column and its like",
	"Columns", "the columns", ": want it looked at, then AllowShrunk", "")

func (f *publishedFile) read(s *session) (published.List, error) {
	f.options.Format = published.Format(f.format)
	from, err := s.open(f.path)
	if err != nil {
		return published.List{}, err
	}
	defer func() { _ = from.Close() }() // it is only read
	read, err := published.Read(from, f.options)
	if err != nil {
		return read, fmt.Errorf("the list in %s cannot be used: %s", f.path, flagNames.Replace(err.Error()))
	}
	return read, nil
}

// A publishedView is a published list as it was read.
type publishedView struct {
	Format      string            `json:"format"`
	Description string            `json:"description"`
	Source      string            `json:"source"`
	IPv4        familyView        `json:"ipv4"`
	IPv6        familyView        `json:"ipv6"`
	Regions     []wordView        `json:"regions"`
	Services    []wordView        `json:"services"`
	LeftOut     []leftOutView     `json:"leftOut"`
	Entries     []admin.EntryView `json:"entries"`
}

type familyView struct {
	Read      int    `json:"read"`
	Taken     int    `json:"taken"`
	Entries   int    `json:"entries"`
	Addresses uint64 `json:"addresses"` // of IPv6, networks of /64
}

type wordView struct {
	Word   string `json:"word"`
	Ranges int    `json:"ranges"`
}

type leftOutView struct {
	Reason   string        `json:"reason"`
	Count    int           `json:"count"`
	Examples []exampleView `json:"examples"`
}

type exampleView struct {
	Place int    `json:"place"`
	Text  string `json:"text"`
	Why   string `json:"why,omitempty"`
}

func viewOf(l published.List) publishedView {
	v := publishedView{Format: string(l.Format), Description: l.Format.Description(), Source: l.Source,
		IPv4: familyView(l.IPv4), IPv6: familyView(l.IPv6), Regions: wordsOf(l.Regions), Services: wordsOf(l.Services),
		LeftOut: []leftOutView{}, Entries: []admin.EntryView{}}
	for _, left := range l.LeftOut {
		examples := make([]exampleView, len(left.Examples))
		for i, example := range left.Examples {
			examples[i] = exampleView(example)
		}
		v.LeftOut = append(v.LeftOut, leftOutView{left.Reason.String(), left.Count, examples})
	}
	for _, entry := range l.Entries {
		v.Entries = append(v.Entries, admin.EntryView{Address: entryText(entry.Prefix()), Comment: entry.Comment})
	}
	return v
}

func wordsOf(words []published.Word) []wordView {
	views := make([]wordView, len(words))
	for i, word := range words {
		views[i] = wordView(word)
	}
	return views
}

var wordViews = listing[wordView]{
	header: "WORD RANGES",
	row:    func(w wordView) []string { return []string{w.Word, strconv.Itoa(w.Ranges)} },
	name:   func(w wordView) string { return w.Word },
	none:   "The list has no such words.",
}

var publishedViews = listing[publishedView]{detail: func(v publishedView) [][2]string {
	lines := [][2]string{{"reads as", v.Description}, {"source", v.Source}, {"IPv4", familyText(v.IPv4, "address", "addresses")},
		{"IPv6", familyText(v.IPv6, "network of /64", "networks of /64")}}
	if n := len(v.Regions); n > 0 {
		lines = append(lines, [2]string{"regions", fmt.Sprintf("%d: see --regions", n)})
	}
	if n := len(v.Services); n > 0 {
		lines = append(lines, [2]string{"services", fmt.Sprintf("%d: see --services", n)})
	}
	return append(lines, [2]string{"left out", strings.Join(leftOutText(v.LeftOut), "\n")})
}}

func familyText(f familyView, one, many string) string {
	if f.Read == 0 {
		return ""
	}
	noun := many
	if f.Addresses == 1 {
		noun = one
	}
	return fmt.Sprintf("%s read, %d taken: %s with %d %s", count(f.Read, "range", "ranges"), f.Taken, count(f.Entries, "entry", "entries"), f.Addresses, noun)
}

// reasonTexts say why ranges were left out.
var reasonTexts = map[string]string{
	published.Invalid.String():     "no address, block or range, or not understood",
	published.Denied.String():      "denied, not admitted",
	published.OtherFamily.String(): "IPv6, without --ipv6",
	published.TooWide.String():     "wider than any provider's range",
	published.Filtered.String():    "of another region or service",
	published.Duplicate.String():   "taken already",
	published.Covered.String():     "inside of a range taken",
}

// maxExamples is the largest number of examples shown of ranges left out for a reason.
const maxExamples = 3

// leftOutText says how many ranges were left out and why, with examples where they are lost.
func leftOutText(all []leftOutView) (lines []string) {
	for _, left := range all {
		lines = append(lines, fmt.Sprintf("%d %s: %s", left.Count, left.Reason, reasonTexts[left.Reason]))
		if left.Reason == published.Duplicate.String() || left.Reason == published.Covered.String() || left.Reason == published.Filtered.String() {
			continue
		}
		for _, example := range left.Examples[:min(len(left.Examples), maxExamples)] {
			line := fmt.Sprintf("- at %d: %s", example.Place, cmp.Or(example.Why, example.Text))
			lines = append(lines, line)
		}
	}
	return lines
}

func (s *session) listsRead() *cobra.Command {
	var file publishedFile
	var regions, services, text bool
	c := &cobra.Command{Use: "read -f FILE", Short: "Read a published list, and say what it has and what was left out", Args: exactly(0)}
	c.Long = `Read an address list that others publish: the IP ranges of a cloud, a geofeed, CSV, ranges, text in
many forms. The format is recognized and said. Nothing is written.

  curl -fsS https://ip-ranges.amazonaws.com/ip-ranges.json > aws.json
  sallyport lists read -f aws.json --services
  sallyport lists read -f aws.json --service ROUTE53_HEALTHCHECKS
  sallyport lists read -f aws.json --service ROUTE53_HEALTHCHECKS --source AWS --text > list.txt

-o name prints the entries, one a line; --text has their comments, too. A web page, a list cut
off, and one without ranges are refused with exit status 2.`
	file.flags(c)
	c.Flags().BoolVar(&regions, "regions", false, "show the words for --region instead")
	c.Flags().BoolVar(&services, "services", false, "show the words for --service instead")
	c.Flags().BoolVar(&text, "text", false, "the entries, as a file for list replace")
	c.MarkFlagsMutuallyExclusive("regions", "services", "text")
	c.RunE = func(*cobra.Command, []string) error {
		if text && s.output != "table" {
			return usageError{errors.New("--text is a format itself: want no -o beside it")}
		}
		read, err := file.read(s)
		if err != nil {
			return err
		}
		view := viewOf(read)
		switch {
		case regions:
			return list(s, wordViews, each(view.Regions))
		case services:
			return list(s, wordViews, each(view.Services))
		case text:
			s.told(view)
			return s.listText(view.Entries)
		case s.output == "name":
			s.told(view)
			return list(s, entryViews, each(view.Entries))
		}
		return show(s, publishedViews, view)
	}
	return c
}

// told says on standard error what was read.
func (s *session) told(v publishedView) { s.err.details(publishedViews.detail(v)) }

func (s *session) listsRefresh() *cobra.Command {
	var file publishedFile
	var shrunk bool
	c := &cobra.Command{Use: "refresh KEY -f FILE --source NAME", Short: "Bring the entries of a key up to date by a new edition of a published list", Args: exactly(1)}
	c.Long = `Bring the entries of a key up to date by a new edition of a published list. The entries with a
comment that begins with the source's name are the list's; all others stay. Entries that are in
both editions keep their comment, expiry and time. With - the list is read from standard input, and --yes is needed.

  sallyport lists refresh KEY -f aws.json --source AWS --service ROUTE53_HEALTHCHECKS --preview

Give the same filters as the last time. A web page, a list cut off, and one without ranges are
refused with exit status 2. An edition that lost half of its entries or addresses is refused with
1, unless --allow-shrunk is given.`
	ch := s.changing(c)
	org := ch.keyFlags(c)
	file.flags(c)
	must(c, "source")
	c.Flags().BoolVar(&shrunk, "allow-shrunk", false, "take an edition that lost half")
	c.RunE = func(c *cobra.Command, args []string) error {
		read, err := file.read(s)
		if err != nil {
			return err
		}
		return ch.refresh(c.Context(), args[0], *org, read, shrunk)
	}
	return c
}

// refresh replaces the list of a key by one with the new edition.
func (ch *changer) refresh(ctx context.Context, id, organization string, edition published.List, shrunk bool) error {
	var err error
	if ch.records, err = ch.session.records(ctx); err != nil {
		return err
	}
	key, err := keyOf(ctx, ch.records, id, organization)
	if err != nil {
		return err
	}
	organization = key.Organization
	listed, err := listOfViews(key.Entries)
	if err != nil {
		return err
	}
	view := viewOf(edition)
	view.Regions, view.Services = nil, nil // there is no flag to see them
	ch.told(view)
	compared := edition.Compare(listed, edition.Owns)
	var options []published.ListOption
	if shrunk {
		options = append(options, published.AllowShrunk)
	}
	whole, err := compared.List(options...)
	if errors.Is(err, published.ErrShrunk) {
		ch.err.print(comparedText(compared) + "\nTo go ahead all the same: --allow-shrunk\n")
		return noError{errors.New(flagNames.Replace(err.Error()) + "; nothing was changed")}
	}
	if err != nil {
		return err
	}
	for _, entry := range compared.ExpiriesLost {
		ch.err.printf("Mind: an expiry is lost with %s\n", entryDetail(entry))
	}
	made := slices.Collect(whole.All())
	change := sent(admin.ReplaceEntries(key.ID, made...), entryObjects(made))
	if err := ch.tie(ctx, organization, key.ID, key.Revision, change); err != nil {
		return err
	}
	text := fmt.Sprintf("organization %s: refresh the entries of %s on the list of key %s: %s", organization, edition.Source, key.ID, comparedText(compared))
	return ch.make(ctx, organization, text, change)
}

// tie lets a change apply only to the revision of the key that it was made from, since it
// replaces the whole list: an entry added meanwhile would be lost.
func (ch *changer) tie(ctx context.Context, organization string, id apikey.ID, revision uint64, made change) error {
	if ch.preview || ch.token != "" {
		return nil
	}
	preview, err := ch.records.Preview(ctx, organization, made)
	if err != nil {
		return err
	}
	now, err := ch.records.Key(ctx, organization, id)
	if err != nil {
		return err
	}
	if now.Revision != revision {
		return &admin.Error{Class: admin.Changed, Message: "The key was changed meanwhile. Look at its list, and try again."}
	}
	ch.token = preview.Token
	return nil
}

func comparedText(c published.Comparison) string {
	return fmt.Sprintf("%d added, %d removed, %d unchanged, %d from elsewhere stay", len(c.Added), len(c.Removed), len(c.Unchanged), len(c.Others)) +
		markedText("+", "added", c.Added) + markedText("-", "removed", c.Removed)
}

// maxMarked is the largest number of entries shown with the same mark.
const maxMarked = 20

// markedText returns entries, each on a line of its own behind a mark.
func markedText(mark, done string, entries []accesslist.Entry) string {
	var b strings.Builder
	for _, entry := range entries[:min(len(entries), maxMarked)] {
		b.WriteString("\n" + mark + " " + entryDetail(entry))
	}
	if more := len(entries) - maxMarked; more > 0 {
		fmt.Fprintf(&b, "\nand %d more %s", more, done)
	}
	return b.String()
}
