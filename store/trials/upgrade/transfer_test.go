package upgrade_test

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/store/trials/upgrade/orders"
)

// TestTransfer: what one version exports the other imports.
func TestTransfer(t *testing.T) {
	eachSystem(t, func(t *testing.T, s system) {
		from := both(t, s)
		secrets := fill(t, from)
		dir := t.TempDir()
		var files []string
		for _, p := range from.each() {
			files = append(files, filepath.Join(dir, p.name))
			require.EqualValues(t, 25, p.do(t, orders.Order{Do: "export", Path: files[len(files)-1]}).Count)
		}
		older, err := os.ReadFile(files[0])
		require.NoError(t, err)
		newer, err := os.ReadFile(files[1])
		require.NoError(t, err)
		require.Equal(t, string(older), string(newer), "the same records make the same file")

		for i, exporter := range from.each() {
			to := both(t, newSQLite(t))
			importer := to.each()[1-i]
			require.EqualValues(t, 25, importer.do(t, orders.Order{Do: "import", Path: files[i]}).Count, "exported by the %s one", exporter.name)
			for _, p := range to.each() {
				require.EqualValues(t, 25, p.do(t, orders.Order{Do: "verify", Path: files[i]}).Count)
				for key, secret := range secrets {
					d := p.do(t, orders.Order{Do: "decide", Organization: "acme", Key: key, Secret: secret, Client: "192.0.2.1"})
					require.True(t, d.Allowed, "%s: %+v", key, d)
					require.Equal(t, 200, caller{key, secret, "SHA-256"}.signIn(t, p, p), key)
					require.EqualValues(t, 2, p.do(t, orders.Order{Do: "usage", Key: key}).Count, "calls served before the move")
				}
			}
		}
	})
}

// fill stores an organization and 24 keys, by both sides, and has two calls of the keys
// with known secrets counted.
func fill(t *testing.T, b sides) (secrets map[string]string) {
	b.newer.do(t, orders.Order{Do: "put", Organization: "acme", Requirement: "required"})
	secrets = map[string]string{}
	for _, p := range b.each() {
		p.do(t, orders.Order{Do: "load", Organization: "acme", Key: "loaded-by-" + p.name, Count: 10, Entries: pool})
		for k := range 2 {
			key := fmt.Sprintf("%s-%d", p.name, k)
			secrets[key] = p.do(t, orders.Order{Do: "create", Organization: "acme", Key: key, Description: "trial", Entries: pool, Labels: map[string]string{"by": p.name}}).Secret
		}
	}
	for _, p := range b.each() {
		for key, secret := range secrets {
			require.True(t, p.do(t, orders.Order{Do: "decide", Organization: "acme", Key: key, Secret: secret, Client: "192.0.2.1"}).Allowed)
		}
		p.do(t, orders.Order{Do: "flush"})
	}
	return secrets
}

// TestTransferOfLaterRecords: a version does not import records with less in them than the
// file has. It writes nothing.
func TestTransferOfLaterRecords(t *testing.T) {
	from := both(t, newSQLite(t))
	fill(t, from)
	dir := t.TempDir()
	path := filepath.Join(dir, "export")
	from.newer.do(t, orders.Order{Do: "export", Path: path})
	whole, err := os.ReadFile(path)
	require.NoError(t, err)
	for place, replaced := range map[string][2]string{
		"a key":           {`"disabled":false,"accessList"`, `"disabled":false,"futureRule":1,"accessList"`},
		"an entry":        {`{"address":"192.0.2.1"`, `{"futureDays":[1],"address":"192.0.2.1"`},
		"a secret":        {`"secrets":[{`, `"secrets":[{"futureBinding":"x",`},
		"an organization": {`"requirement":"required"`, `"requirement":"required","futureRule":true`},
	} {
		later := again(whole, replaced[0], replaced[1])
		require.NotEqual(t, whole, later, place)
		require.NoError(t, os.WriteFile(path, later, 0o600))
		to := both(t, newSQLite(t))
		a := to.older.ask(orders.Order{Do: "import", Path: path})
		require.Equal(t, orders.Damaged, a.Kind, "%s: %s", place, a.Error)
		require.Contains(t, a.Error, "future", place)
		require.Empty(t, to.older.do(t, orders.Order{Do: "list"}).Records)
	}
}

// again returns an export with one text replaced, and the checksum of the new one.
func again(file []byte, from, to string) []byte {
	lines := bytes.SplitAfter(bytes.TrimSuffix(file, []byte("\n")), []byte("\n"))
	body, end := bytes.Join(lines[:len(lines)-1], nil), lines[len(lines)-1]
	replaced := bytes.Replace(body, []byte(from), []byte(to), 1)
	end = bytes.Replace(end, fmt.Appendf(nil, "%x", sha256.Sum256(body)), fmt.Appendf(nil, "%x", sha256.Sum256(replaced)), 1)
	return append(append(replaced, end...), '\n')
}
