package main

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/admin"
)

// issuing says how the service makes its secrets, and so how the command must.
type issuing struct {
	prefix     string
	serverKeys []string
	realm      string
}

// flags adds those of a secret's form.
func (i *issuing) flags(c *cobra.Command) {
	c.Flags().StringVar(&i.prefix, "prefix", "", "`prefix` of the service's secrets (SALLYPORT_PREFIX)")
	c.Flags().StringArrayVar(&i.serverKeys, "server-key", nil, "a server key of the service, as `ID=FILE` (SALLYPORT_SERVER_KEY); the first hashes new secrets")
}

// begin returns the prefix of new secrets.
func (i issuing) begin(s *session) string {
	return cmp.Or(i.prefix, s.settings.prefix, apikey.DefaultPrefix)
}

// named returns the server keys of the service, each ID=FILE.
func (i issuing) named(s *session) []string {
	if len(i.serverKeys) > 0 {
		return i.serverKeys
	}
	return s.settings.serverKeys
}

// text says of what form new secrets are.
func (i issuing) text(s *session) string {
	if s.isRemote() {
		return "a secret as the server makes them"
	}
	return "a secret " + i.begin(s) + "_…"
}

// records opens the store with the service's issuer, for a new key of an organization, or
// reaches the server, which has it.
func (i issuing) records(ctx context.Context, s *session, organization string) (records, error) {
	if s.isRemote() {
		return s.records(ctx)
	}
	issuer, err := i.issuer(s)
	if err != nil {
		return nil, err
	}
	opened, err := s.records(ctx, admin.WithIssuer(issuer))
	if err != nil {
		return nil, err
	}
	return opened, i.fits(ctx, s, organization)
}

// issuer returns the service's issuer. Without a server key it verifies only plain hashes.
func (i issuing) issuer(s *session) (*apikey.Issuer, error) {
	config := apikey.IssuerConfig{Prefix: i.begin(s), Clock: s.env.now}
	for _, text := range i.named(s) {
		id, path, _ := strings.Cut(text, "=")
		data, err := os.ReadFile(path)
		if err != nil {
			return nil, fmt.Errorf("the server key cannot be read: %w", err)
		}
		key, err := apikey.NewServerKey(id, data)
		if err != nil {
			return nil, err
		}
		config.ServerKeys = append(config.ServerKeys, key)
	}
	if len(config.ServerKeys) > 0 {
		config.ServerKeys = append(config.ServerKeys, apikey.Unkeyed())
	}
	if i.realm != "" {
		config.DigestRealm, config.DigestAlgorithms = i.realm, []apikey.DigestAlgorithm{apikey.DigestMD5, apikey.DigestSHA256}
	}
	return apikey.NewIssuer(config)
}

// like returns the issuer of a secret that replaces another one: with Digest credentials if
// that has them. A service with a server key does not take a secret hashed without one, so
// that is an error here.
func (i issuing) like(s *session, key apikey.Key) (*apikey.Issuer, error) {
	latest := key.Secrets[len(key.Secrets)-1]
	if latest.ServerKey != "" && len(i.named(s)) == 0 {
		return nil, fmt.Errorf("the secret of key %s is hashed under the server key %q: want --server-key %s=FILE, or the service may not take the new secret", key.ID, latest.ServerKey, latest.ServerKey)
	}
	if i.realm == "" {
		i.realm = latest.Digest.Realm()
	}
	return i.issuer(s)
}

// fits returns an error if the service has a server key that was not given, by the secrets of
// an organization's first keys.
func (i issuing) fits(ctx context.Context, s *session, organization string) error {
	page, err := s.store.Keys(ctx, organization, store.PageRequest{})
	if err != nil {
		return err
	}
	for _, key := range page.Items {
		if _, err := i.like(s, key); err != nil {
			return err
		}
	}
	return nil
}
