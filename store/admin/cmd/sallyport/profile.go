package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"
)

// A profile is settings under a name, in the configuration file. Secrets are in other files.
type profile struct {
	Store    string
	Server   string
	CAFile   string
	KeyFile  string
	Org      string
	Output   string
	Managers []string

	Prefix     string   // of the service's secrets
	ServerKeys []string // of the service, each ID=FILE

	from  string // what it is, for people
	wrong error  // why it cannot be used; nil: it can
}

// maxConfig is the size of the largest configuration and of the largest file with a key.
const maxConfig = 64 << 10

// configPath returns the path of the configuration file. On Windows it is where programs keep
// such files there, elsewhere in XDG_CONFIG_HOME or ~/.config.
func configPath(getenv func(string) string) (string, error) {
	dir := getenv("XDG_CONFIG_HOME")
	switch {
	case dir != "" && !filepath.IsAbs(dir):
		return "", fmt.Errorf("XDG_CONFIG_HOME is %.200q: want an absolute path", dir)
	case dir == "" && runtime.GOOS == "windows":
		var err error
		if dir, err = os.UserConfigDir(); err != nil {
			return "", err
		}
	case dir == "" && getenv("HOME") == "":
		return "", errors.New("there is no home directory with a configuration file: want HOME or XDG_CONFIG_HOME")
	case dir == "":
		dir = filepath.Join(getenv("HOME"), ".config")
	}
	return filepath.Join(dir, "sallyport", "config.toml"), nil
}

// readProfiles returns the profiles of the configuration file, and its path. A wrong profile has
// its error, and the others can be used.
func readProfiles(getenv func(string) string) (profiles map[string]profile, path string, err error) {
	if path, err = configPath(getenv); err != nil {
		return nil, "", err
	}
	data, mode, err := readBounded(path)
	if err != nil {
		return nil, path, fmt.Errorf("the configuration cannot be read: %w", err)
	}
	if isLoose(mode, 0o022) {
		return nil, path, fmt.Errorf("others can write to %s (mode %#o), and so choose where your key is sent: want chmod 600", path, mode)
	}
	var read struct {
		Profiles map[string]any `toml:"profiles"`
	}
	if err := toml.NewDecoder(bytes.NewReader(data)).DisallowUnknownFields().Decode(&read); err != nil {
		return nil, path, fmt.Errorf("%s, %s", path, configError(err))
	}
	profiles = map[string]profile{}
	for name, value := range read.Profiles {
		p, err := profileOf(value)
		if err == nil {
			err = p.check()
		}
		p.from = fmt.Sprintf("profile %.40q", name)
		switch {
		case err != nil:
			p.wrong = fmt.Errorf("%s, %s: %w", path, p.from, err)
		case p.KeyFile != "" && isLoose(mode, 0o077):
			p.wrong = fmt.Errorf("others can read %s (mode %#o), which names files with keys: want chmod 600", path, mode)
		}
		p.CAFile, p.KeyFile = beside(path, p.CAFile), beside(path, p.KeyFile)
		for i, named := range p.ServerKeys {
			id, file, _ := strings.Cut(named, "=")
			p.ServerKeys[i] = id + "=" + beside(path, file)
		}
		profiles[name] = p
	}
	return profiles, path, nil
}

// profileOf returns the profile with these values. An error has none of them: one could be a
// secret in the wrong place.
func profileOf(value any) (p profile, err error) {
	values, isTable := value.(map[string]any)
	if !isTable {
		return p, errors.New("it is one value: want [profiles.NAME] with store or server")
	}
	texts := map[string]*string{"store": &p.Store, "server": &p.Server, "ca-file": &p.CAFile, "key-file": &p.KeyFile, "org": &p.Org, "output": &p.Output, "prefix": &p.Prefix}
	arrays := map[string]*[]string{"managers": &p.Managers, "server-keys": &p.ServerKeys}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		text, isText := values[name].(string)
		into := texts[name]
		switch {
		case arrays[name] != nil:
			*arrays[name], err = textsOf(name, values[name])
		case into == nil:
			err = fmt.Errorf("%.100q is unknown: want store or server, ca-file, key-file, org, output, managers, prefix, server-keys", name)
		case !isText:
			err = fmt.Errorf("%s is no text: want %s = \"…\"", name, name)
		default:
			*into = text
		}
		if err != nil {
			return profile{}, err
		}
	}
	return p, nil
}

// textsOf returns the texts of an array that has this name.
func textsOf(name string, value any) (texts []string, err error) {
	items, isArray := value.([]any)
	for _, item := range items {
		text, isText := item.(string)
		texts, isArray = append(texts, text), isArray && isText
	}
	if !isArray {
		return nil, fmt.Errorf("%s are no array of texts: want %s = [\"…\"]", name, name)
	}
	return texts, nil
}

// configError returns an error of TOML with its line. Its text has no value of the file: one
// could be a secret in the wrong place.
func configError(err error) string {
	if strict, ok := errors.AsType[*toml.StrictMissingError](err); ok {
		first := strict.Errors[0]
		line, _ := first.Position()
		return fmt.Sprintf("line %d: %.100q is unknown: want [profiles.NAME]", line, strings.Join(first.Key(), "."))
	}
	if wrong, ok := errors.AsType[*toml.DecodeError](err); ok {
		line, column := wrong.Position()
		return fmt.Sprintf("line %d, column %d: %.300s", line, column, strings.TrimPrefix(wrong.Error(), "toml: "))
	}
	return fmt.Sprintf("%.300s", err)
}

// check returns why a profile is wrong in itself.
func (p profile) check() error {
	switch {
	case p.Store != "" && p.Server != "":
		return errors.New("it has store and server: want one of them")
	case p.Server == "" && (p.CAFile != "" || p.KeyFile != ""):
		return errors.New("ca-file and key-file are for a server: want one")
	case p.Server != "" && len(p.Managers) > 0:
		return errors.New("managers are for a store: the server has its own")
	case p.Server != "" && p.Prefix+strings.Join(p.ServerKeys, "") != "":
		return errors.New("prefix and server-keys are for a store: the server has its own")
	case hasPassword(p.Store):
		return errors.New("its store has a password: want it in PGPASSWORD, ~/.pgpass or ETCDCTL_USER")
	case p.Server != "":
		_, err := serverURL(p.Server)
		return err
	}
	return nil
}

// hasPassword reports whether an address has a password, or may have one.
func hasPassword(address string) bool {
	parsed, err := url.Parse(address)
	if err != nil || address == "" {
		return err != nil
	}
	_, set := parsed.User.Password()
	return set || parsed.Query().Has("password") || strings.HasPrefix(address, "etcd:") && strings.Contains(address, "@")
}

// beside returns a path of a file, those relative to the configuration's directory.
func beside(config, path string) string {
	if path == "" || filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(filepath.Dir(config), path)
}

// readBounded reads a small regular file. The mode is that of what was read.
func readBounded(path string) (data []byte, mode fs.FileMode, err error) {
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() { // opening a pipe would wait
		return nil, 0, fmt.Errorf("%s is no regular file", path)
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, 0, err
	}
	defer func() { _ = file.Close() }() // it is only read
	info, err := file.Stat()
	if err != nil {
		return nil, 0, err
	}
	data, err = io.ReadAll(io.LimitReader(file, maxConfig+1))
	if err == nil && len(data) > maxConfig {
		err = fmt.Errorf("%s has more than %d bytes", path, maxConfig)
	}
	return data, info.Mode().Perm(), err
}

// isLoose reports whether a mode grants others one of these rights. On Windows it does not say.
func isLoose(mode, rights fs.FileMode) bool { return runtime.GOOS != "windows" && mode&rights != 0 }

// readKey returns the secret in a file that nobody else can read.
func readKey(path string) (string, error) {
	data, mode, err := readBounded(path)
	if err != nil {
		return "", fmt.Errorf("the key cannot be read: %w", err)
	}
	if isLoose(mode, 0o077) {
		return "", fmt.Errorf("others can read or write the key in %s (mode %#o): want chmod 600, and a new secret if they may have read it", path, mode)
	}
	return strings.TrimSpace(string(data)), nil
}
