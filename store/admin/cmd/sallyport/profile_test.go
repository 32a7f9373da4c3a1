package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// A home is a script with a configuration file.
type home struct {
	*script
	dir string // of the file
}

func newHome(t *testing.T, config string) home {
	s := newScript(t)
	h := home{s, filepath.Join(t.TempDir(), "sallyport")}
	s.env = map[string]string{"XDG_CONFIG_HOME": filepath.Dir(h.dir)}
	require.NoError(t, os.Mkdir(h.dir, 0o700))
	if config != "" {
		h.write("config.toml", config, 0o600)
	}
	return h
}

func (h home) write(name, text string, mode os.FileMode) {
	path := filepath.Join(h.dir, name)
	require.NoError(h.t, os.WriteFile(path, []byte(text), 0o600))
	require.NoError(h.t, os.Chmod(path, mode)) // whatever the umask
}

// do runs a command, with HOME for the directory of the file.
func (h home) do(command string) string {
	return strings.ReplaceAll(h.run(command, ""), h.dir, "HOME")
}

// Each setting comes from its flag, or else the environment, or else the profile.
func TestPrecedence(t *testing.T) {
	h := newHome(t, `
[profiles.test]
store = "memory:test"
org = "acme"
output = "name"
managers = ["owner"]
prefix = "acme"
server-keys = ["2026-05=server.key", "2025-11=/etc/old.key"]
[profiles.other]
store = "memory:other"
org = "globex"
output = "json"
[profiles.far]
server = "https://far.example.com"
ca-file = "ca.pem"
key-file = "far.key"
[profiles.bare]
server = "https://bare.example.com"
[profiles.none]
`)
	for _, test := range []struct {
		env, command, want string
	}{
		{"", "keys list", "2> sallyport: which store? "},
		{"", "keys list --profile test", "old\nowner\nreport\n? 0\n"},
		{"", "keys list -P test --org globex", "globe\n? 0\n"},
		{"", "keys list -P test --org ''", "old\nowner\nreport\nglobe\n? 0\n"},
		{"", "keys list -P test -o jsonl --org globex", `{"id":"globe",`},
		{"", "explain old -P test --from 203.0.113.9", "organization_requires_access_list\n? 1\n"}, // --org is required
		{"SALLYPORT_PROFILE=test", "keys list", "old\nowner\nreport\n? 0\n"},
		{"SALLYPORT_PROFILE=test SALLYPORT_ORG=globex", "keys list", "globe\n? 0\n"},
		{"SALLYPORT_PROFILE=test SALLYPORT_ORG=globex", "keys list --org acme", "old\nowner\nreport\n? 0\n"},
		{"SALLYPORT_PROFILE=test SALLYPORT_OUTPUT=jsonl SALLYPORT_ORG=globex", "keys list", `{"id":"globe",`},
		{"SALLYPORT_PROFILE=test SALLYPORT_OUTPUT=jsonl SALLYPORT_ORG=globex", "keys list -o name", "globe\n? 0\n"},
		{"SALLYPORT_PROFILE=other", "keys list", `2> sallyport: there is no store "memory:other" (profile "other")` + "\n? 2\n"},
		{"SALLYPORT_PROFILE=other", "keys list -P test", "old\nowner\nreport\n? 0\n"},
		{"SALLYPORT_PROFILE=other SALLYPORT_STORE=memory:test", "keys list -o name", "globe\n? 0\n"},
		{"SALLYPORT_STORE=memory:none", "keys list", `2> sallyport: there is no store "memory:none" (SALLYPORT_STORE)` + "\n? 2\n"},
		{"SALLYPORT_STORE=memory:none", "keys list --store memory:test -o name", "old\nowner\nreport\nglobe\n? 0\n"},
		{"", "keys list --store memory:none", `2> sallyport: there is no store "memory:none" (--store)` + "\n? 2\n"},
		{"SALLYPORT_SERVER=https://far.example.com SALLYPORT_KEY=k", "keys list -o name --store memory:test", "old\nowner\nreport\nglobe\n? 0\n"},
		{"SALLYPORT_STORE=memory:none", "keys list -P test", "old\nowner\nreport\n? 0\n"}, // a profile by its flag goes before the environment
		{"SALLYPORT_SERVER=https://near.example.com SALLYPORT_ORG=globex SALLYPORT_OUTPUT=jsonl", "keys list -P test", "old\nowner\nreport\n? 0\n"},
		{"SALLYPORT_PROFILE=other SALLYPORT_ORG=acme", "keys list -P test --org globex", "globe\n? 0\n"},
		{"SALLYPORT_STORE=memory:test", "keys list -P none -o name", "old\nowner\nreport\nglobe\n? 0\n"}, // it has no address
		{"SALLYPORT_STORE=memory:none SALLYPORT_KEY=k SALLYPORT_CA_FILE=/etc/env.pem", "config -P far", "server        https://far.example.com (profile \"far\")\ncertificates  HOME/ca.pem\nkey in        HOME/far.key\n"},
		{"SALLYPORT_KEY=k SALLYPORT_CA_FILE=/etc/env.pem", "config -P bare", "certificates  /etc/env.pem\nkey in        SALLYPORT_KEY\n"},
		{"SALLYPORT_MANAGERS=auditor", "config -P test -o table", "managers      owner\n"},
		{"SALLYPORT_STORE=memory:test SALLYPORT_SERVER=https://far.example.com", "keys list", "SALLYPORT_STORE and SALLYPORT_SERVER are both given: want one of them"},
		{"", "list show report -P test --text", "192.0.2.7 "}, // a format itself
		{"SALLYPORT_OUTPUT=yaml SALLYPORT_PROFILE=test", "keys list", `2> sallyport: SALLYPORT_OUTPUT has the output "yaml": want table, json, jsonl or name`},
		{"", "keys grant owner -P test --remove --role owner --preview", "? 1\n"},
		{"SALLYPORT_PROFILE=far", "config", "server        https://far.example.com (profile \"far\")\ncertificates  HOME/ca.pem\nkey in        HOME/far.key\n"},
		{"SALLYPORT_PROFILE=far SALLYPORT_KEY=k SALLYPORT_CA_FILE=/etc/env.pem", "config", "certificates  /etc/env.pem\nkey in        SALLYPORT_KEY\n"},
		{"SALLYPORT_PROFILE=far SALLYPORT_CA_FILE=/etc/env.pem", "config --ca-file /etc/flag.pem", "certificates  /etc/flag.pem\n"},
		{"SALLYPORT_OUTPUT=table", "config -P bare", "output    table (SALLYPORT_OUTPUT)\n"},
		{"SALLYPORT_PROFILE=test SALLYPORT_MANAGERS=auditor", "config -o table", "managers      auditor\n"},
		{"SALLYPORT_MANAGERS=auditor", "config -P test -o table --managers reader", "managers      reader\n"},
		{"SALLYPORT_PREFIX=door SALLYPORT_SERVER_KEY=k=f", "config -P test -o table", "prefix        acme\nserver keys   2026-05=HOME/server.key, 2025-11=/etc/old.key\n"},
		{"SALLYPORT_PREFIX=door SALLYPORT_SERVER_KEY=k=f SALLYPORT_PROFILE=test", "config -o table", "prefix        door\nserver keys   k=f\n"},
		{"SALLYPORT_PREFIX=door SALLYPORT_SERVER_KEY=k=f", "config -P bare -o jsonl", "\"output\":\"jsonl\"}\n"}, // the server has its own
	} {
		h.env = map[string]string{"XDG_CONFIG_HOME": filepath.Dir(h.dir)}
		for _, pair := range strings.Fields(test.env) {
			name, value, _ := strings.Cut(pair, "=")
			h.env[name] = value
		}
		require.Contains(t, h.do("sallyport "+test.command), test.want, "%s %s", test.env, test.command)
	}
	h.env = map[string]string{"XDG_CONFIG_HOME": filepath.Dir(h.dir)}
	require.Contains(t, h.do("sallyport keys delete owner -P test --preview -o table"), "last_manager: No key could manage") // by the profile's managers

	// A new secret is as the service of the profile makes them, unless the flags say otherwise.
	h.write("server.key", strings.Repeat("k", 32), 0o600)
	h.write("old.key", strings.Repeat("o", 32), 0o600)
	rotate := "sallyport keys rotate report -P test --overlap 0s --yes -o table"
	require.Contains(t, h.do(rotate), "the server key cannot be read: open /etc/old.key")
	h.write("config.toml", "[profiles.test]\nstore = \"memory:test\"\nprefix = \"acme\"\nserver-keys = [\"2026-05=server.key\"]\n", 0o600)
	require.Contains(t, h.do(rotate+" --preview"), "to a secret acme_…")
	require.Contains(t, h.do(rotate), "? 0\n")
	key, err := h.store.Key(t.Context(), "report")
	require.NoError(t, err)
	require.Equal(t, "2026-05", key.Secrets[0].ServerKey)
	rotate += " --prefix gate --server-key k2=" + filepath.Join(h.dir, "old.key")
	require.Contains(t, h.do(rotate+" --preview"), "to a secret gate_…")
	require.Contains(t, h.do(rotate), "? 0\n")
	key, err = h.store.Key(t.Context(), "report")
	require.NoError(t, err)
	require.Equal(t, "k2", key.Secrets[0].ServerKey)
}

// The settings in force, in every output.
func TestConfigCommand(t *testing.T) {
	h := newHome(t, "[profiles.test]\nstore = \"memory:test\"\norg = \"acme\"\n[profiles.b]\nserver = \"http://localhost\"\n")
	require.Equal(t, "file          HOME/config.toml\nprofiles      b, test\nstore         memory:test (profile \"test\")\norganization  acme (profile \"test\")\noutput        table\n? 0\n", h.do("sallyport config -P test"))
	require.Contains(t, h.do("sallyport config -P test --org globex"), "organization  globex\n")
	require.Equal(t, `{"file":"HOME/config.toml","profiles":["b","test"],"store":"memory:test","from":"profile \"test\"","org":"acme","orgFrom":"profile \"test\"","output":"jsonl"}`+"\n? 0\n", h.do("sallyport config -P test -o jsonl"))
	require.Equal(t, "HOME/config.toml\n? 0\n", h.do("sallyport config -P test -o name"))
	require.Contains(t, h.do("sallyport config"), "which store?")
	h.env["SALLYPORT_STORE"] = "postgres://gate:s3cret@db/gate?password=s3cret"
	require.NotContains(t, h.do("sallyport config"), "s3cret")
	require.Contains(t, h.do("sallyport config"), "store     postgres://gate:xxxxx@db/gate?password=xxxxx (SALLYPORT_STORE)\n")
	h.env = map[string]string{"XDG_CONFIG_HOME": filepath.Dir(h.dir), "SALLYPORT_SERVER": "https://gate:s3cret@gate.example.com"}
	require.Contains(t, h.do("sallyport config"), "server    https://gate:xxxxx@gate.example.com (SALLYPORT_SERVER)\n")
	require.NoError(t, os.Remove(filepath.Join(h.dir, "config.toml")))
	require.Contains(t, h.do("sallyport config"), "file    HOME/config.toml (absent)\n")
	h.write("config.toml", "[", 0o600)
	require.Contains(t, h.do("sallyport config"), "HOME/config.toml, line 1, column ")
}

// The file in the help is one, with every name.
func TestConfigurationInTheHelp(t *testing.T) {
	h := newHome(t, "")
	_, text, _ := strings.Cut(h.do("sallyport config --help"), "%AppData%:\n")
	text, _, _ = strings.Cut(text, "No secret is")
	h.write("config.toml", text, 0o600)
	profiles, _, err := readProfiles(h.environment().getenv)
	require.NoError(t, err)
	require.Len(t, profiles, 2)
	require.Equal(t, profile{Server: "https://gate.example.com", KeyFile: filepath.Join(h.dir, "prod.key"), CAFile: filepath.Join(h.dir, "ca.pem"), Org: "acme", Output: "table", from: `profile "prod"`}, profiles["prod"])
	require.Equal(t, []string{"owner"}, profiles["night"].Managers)
}

// A profile that is not there, or a file that is none, with the repair. A command without a
// profile reads no file.
func TestWrongConfigurations(t *testing.T) {
	h := newHome(t, "")
	h.env["SALLYPORT_PROFILE"] = "prod"
	require.Equal(t, "2> sallyport: SALLYPORT_PROFILE is \"prod\": the configuration cannot be read: open HOME/config.toml: no such file or directory\n2> See 'sallyport keys list --help'.\n? 2\n", h.do("sallyport keys list"))

	many := ""
	for i := range 12 {
		many += fmt.Sprintf("[profiles.p%02d]\n", i)
	}
	secret := "sp_ops_0123456789abcdefghijklmnopqrstuvwxyzABCDEFG"
	for _, test := range []struct{ config, want string }{
		{"", `SALLYPORT_PROFILE is "prod", which is no profile of HOME/config.toml: want one, as [profiles.NAME]`},
		{"[profiles.test]\nstore = \"memory:test\"\n[profiles.\"a b\\u001b[31m\"]\n", `want "a b\x1b[31m", "test"`},
		{many, `want "p00", "p01", "p02", "p03", "p04", "p05", "p06", "p07", "p08", "p09", others`},
		{"[profiles.prod]\nstore = \"memory:test\"\nsotre = \"x\"\n", `HOME/config.toml, profile "prod": "sotre" is unknown: want store or server, `},
		{"[profiles.prod]\nkey = \"" + secret + "\"\n", `profile "prod": "key" is unknown`},
		{"default = \"prod\"\n[profiles.prod]\n", `line 1: "default" is unknown`},
		{"[profiles.prod\n", "line 1, column "},
		{"[profiles.prod]\nstore = 7\n", `profile "prod": store is no text: want store = "…"`},
		{"[profiles.prod]\nmanagers = \"owner\"\n", `managers are no array of texts: want managers = ["…"]`},
		{"[profiles.prod]\nmanagers = [\"owner\", 7]\n", "managers are no array of texts"},
		{"[profiles]\nprod = \"" + secret + "\"\n", `profile "prod": it is one value: want [profiles.NAME]`},
		{"[profiles.prod]\nstore = \"a\"\nstore = \"b\"\n", "line 3"},
		{"[profiles.prod]\nstore = \"" + secret + "\n", "line 2, column "},
		{"profiles = 7\n", "line 1, column "},
		{"[profiles.prod]\nstore = \"memory:test\"\nserver = \"https://gate.example.com\"\n", `profile "prod": it has store and server`},
		{"[profiles.prod]\nstore = \"memory:test\"\nkey-file = \"k\"\n", "ca-file and key-file are for a server"},
		{"[profiles.prod]\nserver = \"https://gate.example.com\"\nmanagers = [\"a\"]\n", "managers are for a store"},
		{"[profiles.prod]\nserver = \"https://gate.example.com\"\nprefix = \"a\"\n", "prefix and server-keys are for a store"},
		{"[profiles.prod]\nserver = \"https://gate.example.com\"\nserver-keys = [\"a=b\"]\n", "prefix and server-keys are for a store"},
		{"[profiles.prod]\nprefix = [\"a\"]\n", "prefix is no text"},
		{"[profiles.prod]\nserver-keys = [7]\n", `server-keys are no array of texts: want server-keys = ["…"]`},
		{"[profiles.prod]\nserver = \"http://gate.example.com\"\n", `profile "prod": the address of the server has no TLS`},
		{"[profiles.prod]\nserver = \"https://olga:" + secret + "@gate.example.com\"\n", "has a user or a password"},
		{"[profiles.prod]\nstore = \"postgres://gate:" + secret + "@db/gate\"\n", "its store has a password: want it in PGPASSWORD"},
		{"[profiles.prod]\nstore = \"postgres://gate@db/gate?password=" + secret + "\"\n", "its store has a password"},
		{"[profiles.prod]\nstore = \"postgres://gate:" + secret + "%zz@db/gate\"\n", "its store has a password"},
		{"[profiles.prod]\nstore = \"etcd://gate:" + secret + "@h1,h2/gate\"\n", "its store has a password"},
		{"[profiles.prod]\noutput = \"yaml\"\n", `profile "prod" has the output "yaml"`},
		{strings.Repeat("# long\n", 10_000), "has more than 65536 bytes"},
	} {
		h.write("config.toml", test.config, 0o600)
		got := h.do("sallyport keys list")
		require.Contains(t, got, test.want)
		require.Contains(t, got, "? 2\n", test.config)
		require.NotContains(t, got, secret[7:])
		require.NotContains(t, got, "\x1b")
	}
	h.env = map[string]string{"XDG_CONFIG_HOME": filepath.Dir(h.dir), "SALLYPORT_STORE": "memory:test"}
	require.Equal(t, "acme\nglobex\n? 0\n", h.do("sallyport org list -o name"))
}

// A wrong profile is an error where it is chosen, and config reports it otherwise. The others can
// be used.
func TestWrongProfileAlone(t *testing.T) {
	for _, wrong := range []string{"server = \"http://gate.example.com\"", "sotre = \"x\"", "store = 7", "store = \"a\"\nserver = \"https://b\""} {
		h := newHome(t, "[profiles.night]\nstore = \"memory:test\"\n[profiles.prod]\n"+wrong+"\n")
		require.Equal(t, "acme\nglobex\n? 0\n", h.do("sallyport org list -P night -o name"), wrong)
		require.Regexp(t, `(?m)^2> sallyport: --profile is "prod": HOME/config.toml, profile "prod": .*\n.*\n\? 2$`, h.do("sallyport org list -P prod"))
		require.Contains(t, h.do("sallyport org list -P nihgt"), `no profile of HOME/config.toml: want "night", "prod"`)
		require.Regexp(t, `(?m)^wrong     HOME/config.toml, profile "prod": .*\n\? 0$`, h.do("sallyport config -P night"))
		require.Contains(t, h.do("sallyport config -P night -o jsonl"), `"wrong":["HOME/config.toml, profile \"prod\": `)
	}
	h := newHome(t, "[profiles.night]\nstore = \"memory:test\"\n[profiles.prod]\nserver = \"https://gate.example.com\"\nkey-file = \"k\"\n")
	h.write("config.toml", "[profiles.night]\nstore = \"memory:test\"\n[profiles.prod]\nserver = \"https://gate.example.com\"\nkey-file = \"k\"\n", 0o640)
	require.Equal(t, "acme\nglobex\n? 0\n", h.do("sallyport org list -P night -o name"))
	require.Contains(t, h.do("sallyport org list -P prod"), "others can read HOME/config.toml (mode 0640)")
}

// Files that others can write or read are refused where a key or the way of one is in them.
func TestModes(t *testing.T) {
	served := serve(t)
	config := fmt.Sprintf("[profiles.prod]\nserver = %q\nkey-file = \"prod.key\"\n", served.http.URL)
	plain := "[profiles.prod]\nstore = \"memory:test\"\n"
	h := newHome(t, plain)
	h.env["SALLYPORT_PROFILE"] = "prod"
	for mode, want := range map[os.FileMode]string{0o600: "olga\n? 0", 0o644: "olga\n? 0", 0o400: "olga\n? 0", 0o620: "others can write to HOME/config.toml (mode 0620)", 0o602: "others can write to", 0o666: "others can write to"} {
		h.write("config.toml", plain, mode)
		require.Contains(t, h.do("sallyport whoami -o name"), want)
	}
	h.write("prod.key", personsSecret+"\n", 0o600)
	for mode, want := range map[os.FileMode]string{0o600: "olga\n? 0", 0o400: "olga\n? 0", 0o640: "others can read HOME/config.toml (mode 0640), which names files with keys: want chmod 600", 0o604: "others can read"} {
		h.write("config.toml", config, mode)
		require.Contains(t, h.do("sallyport whoami -o name"), want)
	}
	h.write("config.toml", config, 0o600)
	for mode, want := range map[os.FileMode]string{0o600: "olga\n? 0", 0o400: "olga\n? 0", 0o640: "others can read or write the key in HOME/prod.key (mode 0640): want chmod 600", 0o604: "mode 0604", 0o620: "mode 0620", 0o601: "mode 0601"} {
		h.write("prod.key", personsSecret+"\n", mode)
		got := h.do("sallyport whoami -o name")
		require.Contains(t, got, want)
		require.NotContains(t, got, personsSecret)
	}
	for text, want := range map[string]string{"": "the secret of a key is needed", "a b": "HOME/prod.key is no secret of a key", strings.Repeat("a", maxConfig+1): "has more than 65536 bytes"} {
		h.write("prod.key", text, 0o600)
		require.Contains(t, h.do("sallyport whoami"), want)
	}
	require.NoError(t, os.Remove(filepath.Join(h.dir, "prod.key")))
	require.Contains(t, h.do("sallyport whoami"), `sallyport: profile "prod": the key cannot be read: open HOME/prod.key: no such file or directory`)
	require.NoError(t, os.Mkdir(filepath.Join(h.dir, "prod.key"), 0o700))
	require.Contains(t, h.do("sallyport whoami"), "HOME/prod.key is no regular file")
}

// The key of a profile is sent to the server of that profile alone, and a refused one is named.
func TestKeyFileIsForItsServer(t *testing.T) {
	asked := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked++
		require.Equal(t, "Bearer "+aSecret, r.Header.Get("Authorization"))
		aProblem(401, "")(w, r)
	}))
	defer server.Close()
	h := newHome(t, fmt.Sprintf("[profiles.prod]\nserver = %q\nkey-file = \"prod.key\"\n", server.URL))
	h.write("prod.key", aSecret, 0o600)
	require.Equal(t, "2> sallyport: The server answers 401 SO: It is so. The key is that of HOME/prod.key.\n? 1\n", h.do("sallyport whoami -P prod"))
	require.Equal(t, 1, asked)
	require.Contains(t, h.do("sallyport whoami -P prod --server "+server.URL), "the secret of a key is needed")
	h.env["SALLYPORT_SERVER"], h.env["SALLYPORT_PROFILE"] = server.URL, "prod"
	require.Contains(t, h.do("sallyport whoami"), "the secret of a key is needed")
	h.env["SALLYPORT_KEY"] = aSecret
	require.Contains(t, h.do("sallyport whoami"), "The key is that of SALLYPORT_KEY.")
	h.env["SALLYPORT_KEY"] = "another"
	require.Contains(t, h.do("sallyport whoami -P prod"), "The key is that of HOME/prod.key.")
	server.Close()
	require.Contains(t, h.do("sallyport whoami -P prod"), server.URL+` (profile "prod") cannot be reached: `)
}

// Where the file is.
func TestConfigPath(t *testing.T) {
	env := map[string]string{"HOME": "/home/olga"}
	path, err := configPath(func(name string) string { return env[name] })
	require.NoError(t, err)
	require.Equal(t, "/home/olga/.config/sallyport/config.toml", path)
	env["XDG_CONFIG_HOME"] = "/etc/xdg"
	path, err = configPath(func(name string) string { return env[name] })
	require.NoError(t, err)
	require.Equal(t, "/etc/xdg/sallyport/config.toml", path)

	h := newHome(t, "")
	h.env = map[string]string{"SALLYPORT_PROFILE": "prod"}
	require.Contains(t, h.do("sallyport whoami"), "there is no home directory with a configuration file: want HOME or XDG_CONFIG_HOME")
	h.env["XDG_CONFIG_HOME"] = "relative"
	require.Contains(t, h.do("sallyport whoami"), `XDG_CONFIG_HOME is "relative": want an absolute path`)
	require.Contains(t, h.do("sallyport config"), "want an absolute path")
}
