package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"
)

// A secretSink takes the secrets of a change: standard output, with nothing beside them, or a
// new file for its owner alone. A nil one takes none.
type secretSink struct {
	path string
	file *os.File
	kept bool // the file has a secret
}

// secretFlags adds the flag for the file to a command whose change makes secrets.
func (ch *changer) secretFlags(c *cobra.Command) {
	ch.secrets = &secretSink{}
	c.Flags().StringVar(&ch.secrets.path, "secret-file", "", "write the secret to this new `file` (mode 0600), and the record to standard output")
	if err := c.MarkFlagFilename("secret-file"); err != nil {
		panic(err) // there is no such flag
	}
}

func (k *secretSink) onStdout() bool { return k != nil && k.path == "" }

// check refuses an output that would stand beside the secret.
func (k *secretSink) check(ch *changer) error {
	if k.onStdout() && ch.output != "table" && !ch.preview {
		return usageError{fmt.Errorf("-o %s would stand beside the secret on standard output: want --secret-file FILE, too", ch.output)}
	}
	return nil
}

// prepare makes the file before the secret exists: one that could not be written is lost.
func (k *secretSink) prepare() (err error) {
	if k == nil || k.path == "" {
		return nil
	}
	k.file, err = os.OpenFile(k.path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, os.ErrExist) {
		return fmt.Errorf("the file %q exists already: want a new one for the secret", k.path)
	}
	return err
}

// write writes the secrets, each in a line. They are lost otherwise: the error says for which
// key.
func (k *secretSink) write(s *session, secrets []newSecret) error {
	for _, secret := range secrets {
		var err error
		if k.file != nil {
			if _, err = k.file.WriteString(secret.text + "\n"); err == nil {
				err = k.file.Sync()
			}
			k.kept = err == nil
		} else {
			s.out.print(secret.text + "\n")
			err = s.out.flush()
		}
		if err != nil {
			s.err.printf("The new secret %s of key %s is stored, but could not be written and is lost: rotate or delete the key.\n", secret.id, secret.key)
			return fmt.Errorf("the secret could not be written: %w", err)
		}
	}
	return nil
}

// close closes the file, and removes it if it has no secret.
func (k *secretSink) close() error {
	if k == nil || k.file == nil {
		return nil
	}
	err := k.file.Close()
	if !k.kept {
		err = errors.Join(err, os.Remove(k.path))
	}
	return err
}
