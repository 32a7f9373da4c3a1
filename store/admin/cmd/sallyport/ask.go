package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// errDeclined is a question that was not answered with yes.
var errDeclined = errors.New("nothing was changed: the question was not answered with yes")

// ask shows what is about to happen, where and by whom. Without a terminal it is an error.
func (s *session) ask(as, text string) error {
	if !s.interactive {
		return usageError{fmt.Errorf("there is no terminal to ask on: want %s to go ahead, or --preview", s.goAhead)}
	}
	where := "store"
	if s.isRemote() {
		where = "server"
	}
	s.err.details([][2]string{{where, s.shownFrom()}, {"as", as}, {"change", text}})
	return nil
}

// confirm asks whether to go ahead.
func (s *session) confirm(ctx context.Context) error {
	answer, err := s.question(ctx, "Go ahead? [y/N] ")
	if err == nil && answer != "y" && answer != "yes" {
		err = errDeclined
	}
	return err
}

// question returns the line typed after a question, without spaces around it.
func (s *session) question(ctx context.Context, text string) (string, error) {
	s.err.strong(text)
	if err := s.err.flush(); err != nil {
		return "", err
	}
	type reply struct {
		line string
		err  error
	}
	replies := make(chan reply, 1)
	go func() {
		line, err := s.lines.ReadString('\n')
		replies <- reply{line, err}
	}()
	select {
	case <-ctx.Done(): // the goroutine ends with the process
		return "", errDeclined
	case r := <-replies:
		if r.err != nil {
			s.err.print("\n")
			return "", errDeclined
		}
		return strings.TrimSpace(r.line), nil
	}
}

// askFor shows the effect of changes on the terminal, has each finding in the way typed by its
// name, and the reason, and asks. The changes are then tied to this preview.
func (ch *changer) askFor(ctx context.Context, organization, text string, changes []change) error {
	me, err := ch.records.Who(ctx)
	if err != nil {
		return err
	}
	if ch.needsReason {
		ch.goAhead = "--yes --reason TEXT, with --accept KIND for each finding of --preview,"
	}
	if err := ch.ask(me.Actor.String(), text); err != nil {
		return err
	}
	preview, err := ch.records.Preview(ctx, organization, changes...)
	if err != nil {
		return err
	}
	if ch.token == "" {
		ch.token = preview.Token
	}
	ch.err.details([][2]string{{"effect", strings.TrimSuffix(effectText(preview, maxKeys), "\n")}})
	for _, kind := range preview.Needs() {
		if slices.Contains(ch.accept, string(kind)) {
			continue
		}
		answer, err := ch.question(ctx, "To accept this finding type its name, "+string(kind)+": ")
		if err != nil {
			return err
		}
		if answer != string(kind) {
			return fmt.Errorf("nothing was changed: the finding was not accepted by its name, %s", kind)
		}
		ch.accept = append(ch.accept, answer)
	}
	if ch.reason == "" && (ch.needsReason || len(preview.Needs()) > 0) {
		if ch.reason, err = ch.question(ctx, "Why? "); err != nil {
			return err
		}
	}
	return ch.confirm(ctx)
}
