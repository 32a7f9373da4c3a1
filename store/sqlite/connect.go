package sqlite

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net/url"
	"path/filepath"
	"strings"
)

// A setting is a PRAGMA of a connection. Each is set and read back, because SQLite silently
// ignores unknown and impossible ones.
type setting struct {
	name, value string // the value as read back
	given       bool   // by the file: only checked
}

// No connection lets SQLite wait for other processes: see whileLocked.
var noWaiting = setting{name: "busy_timeout", value: "0"}

// durable settings have a write on the disk before it returns (S25). It is not in the disk's
// own memory, on systems with such an order.
var durable = []setting{
	{name: "synchronous", value: "2"}, // FULL
	{name: "fullfsync", value: "1"},
	{name: "checkpoint_fullfsync", value: "1"},
}

// preparing are the settings of the connection for creating tables.
var preparing = append([]setting{noWaiting}, durable...)

// writing are the settings of the writing connection.
var writing = append([]setting{
	{name: "journal_mode", value: "wal", given: true},
	{name: "foreign_keys", value: "1"},
	{name: "trusted_schema", value: "0"},
	{name: "cell_size_check", value: "1"},           // of pages read
	{name: "journal_size_limit", value: "67108864"}, // to which the log is cut once it is used anew: 64 MiB
}, preparing...)

// reading are the settings of all other connections.
var reading = append([]setting{{name: "query_only", value: "1"}}, writing...)

// A connector connects to the opened file, with verified settings.
type connector struct {
	driver.Connector
	file     file
	settings []setting
}

// Connect implements [driver.Connector].
func (c connector) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := c.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(c.file.check(), checkWritable(conn)); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	for _, setting := range c.settings {
		if err := setting.apply(ctx, conn.(driver.QueryerContext)); err != nil {
			return nil, errors.Join(err, conn.Close())
		}
	}
	return conn, nil
}

// checkWritable returns an error if the file is read-only. SQLite opens it all the same, and
// fails at the first write.
func checkWritable(conn driver.Conn) error {
	readOnly, err := conn.(interface{ IsReadOnly(string) (bool, error) }).IsReadOnly("main")
	if err == nil && readOnly {
		err = errors.New("the file may not be written by this process")
	}
	return err
}

func (s setting) apply(ctx context.Context, conn driver.QueryerContext) error {
	if !s.given {
		if _, err := pragma(ctx, conn, s.name+" = "+s.value); err != nil {
			return err
		}
	}
	value, err := pragma(ctx, conn, s.name)
	if err == nil && value != s.value {
		err = fmt.Errorf("PRAGMA %s is %q: want %q", s.name, value, s.value)
	}
	return err
}

// pragma returns the value of a PRAGMA, empty if there is none.
func pragma(ctx context.Context, conn driver.QueryerContext, text string) (value string, err error) {
	rows, err := conn.QueryContext(ctx, "PRAGMA "+text, nil)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	row := make([]driver.Value, len(rows.Columns()))
	switch err := rows.Next(row); {
	case errors.Is(err, io.EOF):
		return "", nil
	case err != nil:
		return "", err
	}
	return fmt.Sprint(row[0]), nil
}

// uri returns the path for SQLite's driver, with the settings beside PRAGMA: no file is
// created; a writing transaction locks the file when it begins; no statement can make the
// file unreadable; an error is that of the call, not of an earlier one.
func uri(path string) string {
	path = filepath.ToSlash(path)
	if !strings.HasPrefix(path, "/") {
		path = "/" + path // on a drive
	}
	return (&url.URL{Scheme: "file", Path: path, RawQuery: "mode=rw&_txlock=immediate&_defensive=1&_dqs=0&_error_rc=1"}).String()
}
