package main

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/admin"
)

// A session is one run of the command.
type session struct {
	env         environment
	stdin       io.Reader
	lines       *bufio.Reader // of stdin, for answers to questions
	out, err    *printer
	interactive bool // questions can be asked: standard input and standard error are terminals

	profile       string            // these are flags: see settings
	address       string            // of the store
	serverAddress string            // or of a running service
	caFile        string            // of certificates, for that
	managers      []string          // the managing roles
	output        string            // the format
	flagsFrom     map[string]string // of -o and --org, the variable or the profile; none: the flag itself

	settings settings // by resolve

	goAhead string // the flags by which a change goes ahead without questions
	started bool   // the arguments were right, and the work began
	made    bool   // a change was made: what fails afterwards takes nothing from that
	store   store.Store
	reached *server
	shown   string // the store's address without its password
	closing func() error
}

func newSession(stdin io.Reader, stdout, stderr io.Writer, env environment) *session {
	_, asks := env.terminal(stdin)
	_, told := env.terminal(stderr)
	return &session{env: env, flagsFrom: map[string]string{}, goAhead: "--yes", stdin: stdin, lines: bufio.NewReader(stdin), interactive: asks && told,
		out: newPrinter(stdout, env), err: newPrinter(stderr, env)}
}

// root is the tree of commands.
func (s *session) root() *cobra.Command {
	root := group("sallyport", "Say why API keys are refused, and change them safely")
	for _, part := range []struct {
		title    string
		commands []*cobra.Command
	}{
		{"Look:", []*cobra.Command{s.explainCommand(), s.decideCommand(), s.mayCommand(), s.usageCommand(), s.denialsCommand(), s.eventCommands(), s.replayCommand(), s.doctorCommand()}},
		{"Change:", []*cobra.Command{s.orgCommands(), s.keyCommands(), s.listCommands(), s.listsCommands()}},
		{"Move and keep:", []*cobra.Command{s.exportCommand(), s.verifyCommand(), s.importCommand(), s.migrateCommand()}},
		{"Other:", []*cobra.Command{s.whoamiCommand(), s.configCommand(), s.versionCommand(), s.manCommand()}},
	} {
		root.AddGroup(&cobra.Group{ID: part.title, Title: part.title})
		for _, c := range part.commands {
			c.GroupID = part.title
		}
		root.AddCommand(part.commands...)
	}
	root.SetHelpCommandGroupID("Other:")
	root.SetCompletionCommandGroupID("Other:")
	root.Long = rootHelp
	root.SilenceErrors, root.SilenceUsage = true, true
	root.SetFlagErrorFunc(wrongFlag)
	root.SetHelpFunc(s.help)
	flags := root.PersistentFlags()
	flags.StringVarP(&s.profile, "profile", "P", "", "the settings under this `name` in the configuration file (SALLYPORT_PROFILE)")
	flags.StringVar(&s.address, "store", "", "`address` of the store (SALLYPORT_STORE): sqlite:/path, postgres://… or etcd://h1,h2/prefix")
	flags.StringVar(&s.serverAddress, "server", "", "or `URL` of a running service (SALLYPORT_SERVER), with the secret of a key in SALLYPORT_KEY")
	flags.StringVar(&s.caFile, "ca-file", "", "trust the certificates in this `file` for --server, and no others (SALLYPORT_CA_FILE)")
	flags.StringVarP(&s.output, "output", "o", "table", "`format` of the output (SALLYPORT_OUTPUT): table, json, jsonl or name")
	flags.StringSliceVar(&s.managers, "managers", nil, "managing `roles` (SALLYPORT_MANAGERS): a change that leaves no manager is refused; none: people manage")
	root.PersistentPreRunE = func(c *cobra.Command, _ []string) error {
		if err := c.ValidateFlagGroups(); err != nil {
			return usageError{err}
		}
		if !isShells(c) {
			if err := checkEmpty(c); err != nil {
				return err
			}
			if err := s.setFlags(c); err != nil {
				return err
			}
		}
		if err := c.ValidateRequiredFlags(); err != nil {
			return usageError{err}
		}
		if !slices.Contains(formats, s.output) {
			return usageError{fmt.Errorf("-o %.40q%s: want table, json, jsonl or name", s.output, didYouMean(s.output, formats))}
		}
		s.started = true
		return nil
	}
	complete(root, "output", formats...)
	s.completeNames(root)
	s.completeFlag(root, "profile", "PROFILE")
	return root
}

// mayBeEmpty are the flags that can be empty on purpose: no text, or none of those in the settings.
var mayBeEmpty = []string{"comment", "description", "managers", "name", "org", "profile"}

// checkEmpty refuses the empty values of others, as of a variable that is not set: without its role,
// secret or address a call is judged, or a change made, as if none was wanted.
func checkEmpty(c *cobra.Command) (err error) {
	c.Flags().Visit(func(f *pflag.Flag) {
		isEmpty := f.Value.String() == "" || f.Value.String() == "[]"
		if list, ok := f.Value.(pflag.SliceValue); ok {
			isEmpty = len(list.GetSlice()) == 0 || slices.Contains(list.GetSlice(), "")
		}
		if isEmpty && !slices.Contains(mayBeEmpty, f.Name) {
			err = usageError{fmt.Errorf("the flag --%s is empty: want a value, or no such flag", f.Name)}
		}
	})
	return err
}

const rootHelp = `Say why API keys are refused, and change organizations and keys safely, straight in
their store: no service needs to run. Or through the API of one that runs.

  export SALLYPORT_STORE=sqlite:/var/lib/gate/keys.db   # or postgres://…, etcd://h1,h2/prefix
  export SALLYPORT_SERVER=https://gate.example.com      # or this, and SALLYPORT_KEY
  export SALLYPORT_PROFILE=prod                         # or both in a file: sallyport config --help

Calls are refused, and why:
  sallyport explain KEY --from ADDRESS --org ORG
A requirement was switched on by mistake, and keys without an access list are refused:
  sallyport org suspend ORG --for 1h --reason "thrown by mistake"
A secret leaked:
  sallyport keys disable KEY

Exit status: 0 yes or done; 1 no (denied, findings, refused); 2 could not tell or do; 3 the
records were changed meanwhile. Changes ask on a terminal, and need --yes elsewhere.`

// help prints the help of a command, in lines that fit into the terminal.
func (s *session) help(c *cobra.Command, _ []string) {
	text := strings.TrimSpace(cmp.Or(c.Long, c.Short))
	if s.out.width > 0 {
		text = flowing(text)
	}
	s.out.text(text + "\n\n" + c.UsageString())
}

// group is a command that only has others.
func group(name, short string, commands ...*cobra.Command) *cobra.Command {
	c := &cobra.Command{Use: name, Short: short, Args: unknownCommand, RunE: func(c *cobra.Command, _ []string) error {
		return usageError{fmt.Errorf("which command of %q?", c.CommandPath())}
	}}
	c.AddCommand(commands...)
	return c
}

// complete sets the words by which the shell completes a flag.
func complete(c *cobra.Command, flag string, words ...string) {
	err := c.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(words, cobra.ShellCompDirectiveNoFileComp))
	if err != nil {
		panic(err) // there is no such flag
	}
}

func split(text string) []string {
	return strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ' ' })
}

// How long the opening of the store, a decision, and a change straight in the store may take.
const (
	opening  = 10 * time.Second
	deciding = 10 * time.Second
	changing = 30 * time.Second
)

// use opens the store, once. why says why a server cannot do this.
func (s *session) use(ctx context.Context, why string) error {
	if s.store != nil {
		return nil
	}
	if err := s.resolve(); err != nil {
		return err
	}
	if s.isRemote() {
		return storeOnlyError(why)
	}
	ctx, cancel := context.WithTimeout(ctx, opening)
	defer cancel()
	opened, err := s.env.open(ctx, s.settings.store, s.env.getenv, false)
	s.store, s.shown, s.closing = opened.Store, opened.shown, opened.close
	if errors.Is(err, context.DeadlineExceeded) {
		err = fmt.Errorf("%s does not answer within %s: %w", hidePassword(s.settings.store), opening, err)
	}
	if err != nil {
		return fmt.Errorf("%w (%s)", err, s.settings.from)
	}
	return nil
}

func (s *session) close() error {
	if s.closing == nil {
		return nil
	}
	return s.closing()
}

// admin opens the store, and returns its Admin.
func (s *session) admin(ctx context.Context, options ...admin.Option) (*admin.Admin, error) {
	if err := s.use(ctx, ""); err != nil { // records reaches a server
		return nil, err
	}
	return s.newAdmin(options...)
}

// newAdmin returns an Admin of the opened store.
func (s *session) newAdmin(options ...admin.Option) (*admin.Admin, error) {
	options = append(options, admin.RequireJournal(), admin.WithClock(s.env.now))
	if managers := s.settings.managers; len(managers) > 0 {
		options = append(options, admin.WithManagers(managers...))
	} else {
		options = append(options, admin.WithPeopleManaging())
	}
	return admin.New(s.store, options...)
}

// actor is the system, under the name of the user.
func (s *session) actor() admin.Actor {
	return admin.BySystem(s.env.user).Via(store.ViaCLI, "")
}

// organizationOf returns the organization of a key, or the given one, which is compared with the
// key's later.
func organizationOf(ctx context.Context, r records, id apikey.ID, given string) (string, error) {
	if given != "" {
		return given, nil
	}
	return r.OrganizationOf(ctx, id)
}
