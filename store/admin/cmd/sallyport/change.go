package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store/admin"
)

// A changer is a command that changes an organization or a key.
type changer struct {
	*session
	command *cobra.Command
	records records

	preview, yes  bool
	accept        []string
	reason, token string

	needsReason bool
	unasked     func(admin.Preview) error // refuses without a question what the preview has; nil: nothing
	secrets     *secretSink               // where new secrets go; nil: the change makes none
}

// kinds are the findings that can be accepted.
var kinds = []string{string(admin.BreaksKey), string(admin.LastManager), string(admin.OrganizationLockout), string(admin.Opens), string(admin.OverBroad)}

// changing adds the flags of a change to a command.
func (s *session) changing(c *cobra.Command) *changer {
	ch := &changer{session: s, command: c}
	flags := c.Flags()
	flags.BoolVar(&ch.preview, "preview", false, "show the effect and write nothing; exit status 1 for findings, and for keys that may be in use")
	flags.BoolVar(&ch.yes, "yes", false, "do not ask; this accepts no finding")
	flags.StringSliceVar(&ch.accept, "accept", nil, "accept findings of this `kind`: "+strings.Join(kinds, ", ")+"; needs --reason")
	flags.StringVar(&ch.reason, "reason", "", "why, in one line `text`, for the events")
	flags.StringVar(&ch.token, "token", "", "apply only if the preview with this `token` still holds")
	complete(c, "accept", kinds...)
	return ch
}

// make previews changes, or asks and makes them. The text says what they do.
func (ch *changer) make(ctx context.Context, organization, text string, changes ...change) error {
	for _, kind := range ch.accept {
		if !slices.Contains(kinds, kind) && kind != string(admin.SelfLockout) {
			return usageError{fmt.Errorf("--accept %.40q is no kind of finding%s: want %s", kind, didYouMean(kind, kinds), strings.Join(kinds, ", "))}
		}
	}
	if ch.preview {
		preview, err := ch.records.Preview(ctx, organization, changes...)
		if err != nil {
			return err
		}
		return ch.showPreview(text, preview)
	}
	if !ch.yes {
		if err := ch.askFor(ctx, organization, text, changes); err != nil {
			return err
		}
	}
	if ch.needsReason && strings.TrimSpace(ch.reason) == "" {
		return usageError{errors.New("why? want --reason TEXT, for the events")}
	}
	if ch.yes && ch.unasked != nil {
		preview, err := ch.records.Preview(ctx, organization, changes...)
		if err != nil {
			return err
		}
		if err := ch.unasked(preview); err != nil {
			return err
		}
		ch.token = cmp.Or(ch.token, preview.Token) // so that it holds for what is changed
	}
	return ch.apply(ctx, organization, changes)
}

// apply makes the changes. It is not interrupted: it would not be known whether they were made.
func (ch *changer) apply(ctx context.Context, organization string, changes []change) (err error) {
	if err := ch.secrets.prepare(); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, ch.secrets.close()) }()
	ctx = context.WithoutCancel(ctx)
	if !ch.isRemote() { // a server's own bound is longer
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, changing)
		defer cancel()
	}
	options := admin.ApplyOptions{Token: ch.token, Reason: ch.reason}
	for _, kind := range ch.accept {
		options.Accept = append(options.Accept, admin.Kind(kind))
	}
	result, err := ch.records.Apply(ctx, organization, options, changes...)
	failed := ch.secrets.write(ch.session, result.secrets)
	if err != nil {
		if result.Made > 0 {
			ch.err.textf("Only the first %d of %d changes were made.", result.Made, len(changes))
		}
		return errors.Join(ch.refused(err), failed)
	}
	ch.made = true
	if text := doubtText(result.Preview); ch.yes && text != "" && len(result.Events) > 0 {
		ch.err.textf("Mind: %s.", strings.ReplaceAll(text, "would", "will"))
	}
	if len(result.Events) == 0 {
		ch.err.print("Nothing was changed: it was so before.\n")
	}
	for _, event := range result.Events {
		ch.err.textf("Done: %s.", eventText(event))
	}
	if result.late {
		ch.err.print("Mind: it is stored, and not yet in force everywhere.\n")
	}
	return errors.Join(ch.showResult(result.Result), failed)
}

// refused explains a refusal, or the new preview, on standard error, and returns the error.
func (ch *changer) refused(err error) error {
	refusal, ok := errors.AsType[*admin.Error](err)
	if !ok || refusal.Preview == nil {
		return err
	}
	told := *refusal.Preview
	if refusal.Class == admin.Refused {
		told.Findings = nil // they are in the error's text
	}
	if len(told.Findings)+len(told.Keys) > 0 {
		ch.err.text(effectText(told, maxKeys))
	}
	var accept []string
	for _, finding := range refusal.Findings {
		if flag := "--accept " + string(finding.Kind); finding.Acceptable && !slices.Contains(accept, flag) {
			accept = append(accept, flag)
		}
	}
	if len(accept) > 0 {
		ch.err.textf("To go ahead all the same: %s --reason TEXT", strings.Join(accept, " "))
	}
	return err
}

// showPreview prints a preview, and returns errNo if it has findings, or would refuse calls that
// were made or may have been.
func (ch *changer) showPreview(text string, preview admin.Preview) error {
	err := show(ch.session, listing[admin.Preview]{
		name: func(p admin.Preview) string { return p.Token },
		detail: func(p admin.Preview) [][2]string {
			return [][2]string{{"change", text}, {"effect", strings.TrimSuffix(effectText(p, admin.MaxListed), "\n")}, {"token", p.Token}}
		},
	}, preview)
	if t := preview.Totals; err == nil && len(preview.Findings)+t.Breaks+t.MayBreak+t.Unknown > 0 {
		err = errNo
	}
	return err
}

// showResult prints the records as they are now. A secret has standard output to itself.
func (ch *changer) showResult(result admin.Result) error {
	switch {
	case ch.secrets.onStdout():
		return nil
	case ch.output == "json":
		return ch.json(result, "  ")
	case ch.output == "jsonl":
		return ch.json(result, "")
	case ch.output == "name":
		for _, o := range result.Organizations {
			ch.out.print(oneLine(o.ID) + "\n")
		}
		for _, k := range result.Keys {
			ch.out.print(oneLine(string(k.ID)) + "\n")
		}
		return nil
	}
	for _, o := range result.Organizations {
		ch.out.details(organizations.detail(o))
	}
	for _, k := range result.Keys {
		ch.out.details(keys.detail(k))
	}
	return nil
}

// maxKeys is the largest number of keys shown in a question.
const maxKeys = 20

// effectText says what changes would do: the findings, the keys, and how sure it is.
func effectText(p admin.Preview, most int) string {
	var b strings.Builder
	if text := doubtText(p); text != "" {
		b.WriteString(text + "\n")
	}
	if p.Suspension != nil {
		b.WriteString(suspensionText(*p.Suspension) + "\n")
	}
	for _, finding := range p.Findings {
		verb := "mind"
		if finding.Refuses {
			verb = "in the way"
		}
		fmt.Fprintf(&b, "%s: %s\n", verb, finding)
	}
	for i, effect := range p.Keys {
		if i == most {
			fmt.Fprintf(&b, "and %s more: see --preview\n", count(len(p.Keys)-most, "key", "keys"))
			break
		}
		b.WriteString(keyEffectText(effect) + "\n")
	}
	if len(p.Keys) == 0 && len(p.Findings) == 0 && p.Suspension == nil {
		b.WriteString("no call is answered otherwise\n")
	}
	if t := p.Totals; t.Breaks+t.MayBreak+t.Unused+t.Unknown > 0 {
		b.WriteString(evidenceText(p.Evidence) + "\n")
	}
	return b.String()
}

func keyEffectText(e admin.KeyEffect) string {
	id := string(e.Key)
	if id == "" {
		id = "(new)"
	}
	text := fmt.Sprintf("key %s: %s, %s then %s", id, strings.ReplaceAll(string(e.Class), "_", " "), e.Before, e.After)
	if !e.At.IsZero() {
		text += " from " + when(e.At)
	}
	if e.Address.IsValid() {
		text += ", for calls from " + callersText(e)
	}
	if e.AddressCount > 0 {
		text += fmt.Sprintf(" (%s used)", count(e.AddressCount, "address", "addresses"))
	}
	if e.Description != "" {
		text += fmt.Sprintf(" %q", e.Description)
	}
	return text
}

// callersText says from where the calls of an effect come. Only an address seen in the window is
// one of a caller: any other one was made up to show the effect.
func callersText(e admin.KeyEffect) string {
	address := e.Address.String()
	switch {
	case e.Class == admin.KeyBreaks:
		return address
	case e.Before == policy.AddressListed || e.After == policy.AddressListed:
		return "listed addresses, for example " + address
	case e.After == policy.AddressNotListed:
		return "addresses outside the list, for example " + address
	}
	return "every address, for example " + address
}

// doubtText says of how many keys it is not known whether they are in use, and what becomes of
// them; "" if there are none.
func doubtText(p admin.Preview) string {
	listless, others := 0, p.Totals.Unknown
	for _, e := range p.Keys {
		if e.Class == admin.KeyUnknown && e.Before == policy.OpenList && e.After == policy.OrganizationRequiresAccessList {
			listless++
			others--
		}
	}
	var parts []string
	if listless > 0 {
		parts = append(parts, count(listless, "key", "keys")+" without a list would be refused from every address")
	}
	if others > 0 {
		parts = append(parts, "calls of "+count(others, "key", "keys")+" would be refused")
	}
	if len(parts) == 0 {
		return ""
	}
	seen := "not all calls were observed"
	switch {
	case p.Evidence.Unread:
		seen = "usage could not be read"
	case p.Evidence.Until.IsZero():
		seen = "nothing was observed"
	}
	return seen + ": " + strings.Join(parts, ", and ")
}

// suspensionText has both ends of a suspension as the command prints times.
func suspensionText(m admin.MovedSuspension) string {
	switch {
	case m.Will.IsZero():
		return fmt.Sprintf("the suspension until %s would end now", when(m.Was))
	case m.Will.Before(m.Was):
		return fmt.Sprintf("the suspension until %s would end earlier, at %s", when(m.Was), when(m.Will))
	}
	return fmt.Sprintf("the suspension until %s would go on until %s", when(m.Was), when(m.Will))
}

// evidenceText says how complete the usage is that a preview was judged by.
func evidenceText(e admin.Evidence) string {
	switch {
	case e.Unread:
		return "usage could not be read, so keys may be in use without being named"
	case e.Until.IsZero():
		return "usage was never observed, so keys may be in use without being named"
	case e.Missing > admin.MaxMissing && e.Missing >= e.Since.Sub(e.Begin) && e.Since.After(e.Begin) && e.Lost == 0: // and before Since nothing is
		return fmt.Sprintf("usage is known from %s to %s only: keys may be in use without being named", when(e.Since), when(e.Until))
	case e.Missing > admin.MaxMissing || e.Lost > 0:
		return fmt.Sprintf("usage is known from %s to %s, with gaps: keys may be in use without being named", when(e.Begin), when(e.Until))
	}
	return fmt.Sprintf("usage is known from %s to %s", when(e.Begin), when(e.Until))
}
