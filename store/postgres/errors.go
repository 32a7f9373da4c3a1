package postgres

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/adapter"
)

// SQLSTATEs that the store acts on.
const (
	foreignKeyViolation  = "23503"
	serializationFailure = "40001"
	deadlockDetected     = "40P01"
	lockNotAvailable     = "55P03"
)

// remedies are the repairs of failures that are not the store's, by SQLSTATE.
var remedies = map[string]string{
	// The tables.
	"3F000": migrateFirst, // invalid_schema_name
	"42P01": migrateFirst, // undefined_table
	"42703": migrateFirst, // undefined_column
	"42501": "the user lacks a right: want USAGE of the schema, SELECT on its tables, and to write INSERT, UPDATE and DELETE, too",
	// Only a snapshot older than the latest change gives its revision again.
	"23505": "the transaction does not see the latest writes: begin it again, at READ COMMITTED",

	// The server and the way to it.
	"25006": "connect to a server, as a user, that may write",            // read_only_sql_transaction
	"28000": loginRefused,                                                // invalid_authorization_specification
	"28P01": loginRefused,                                                // invalid_password
	"3D000": "the database does not exist: create it, or correct dbname", // invalid_catalog_name
	"53300": "the server has no connection left: want pool_max_conns, summed over all programs, below max_connections and the user's CONNECTION LIMIT",
	"57P03": "the server is starting, stopping or recovering: try again",   // cannot_connect_now
	"57P01": "the server, or an operator, ended the connection: try again", // admin_shutdown
	"53100": "the server's disk is full: free some of it",                  // disk_full

	// Settings.
	"55P03": "others kept a lock for longer than lock_timeout: raise it for this user, or end the transaction that has the lock",
	"57014": "the statement took longer than statement_timeout, or an operator cancelled it: raise the timeout for this user",
	"25P03": "the program was silent in its transaction for longer than idle_in_transaction_session_timeout",

	// A pooler that lends a server's connection to others between transactions.
	"42P05": preparedElsewhere, // duplicate_prepared_statement
	"26000": preparedElsewhere, // invalid_sql_statement_name
}

const (
	migrateFirst      = "the tables are missing or of another version: run Migrate, or the newer program"
	loginRefused      = "the server refuses the login: correct the user or the password, or the server's pg_hba.conf"
	preparedElsewhere = "prepared statements do not last, as behind PgBouncer in mode \"transaction\": want default_query_exec_mode=exec, or PgBouncer 1.21 or newer with max_prepared_statements above 0"
)

// sqlState returns the SQLSTATE of an error of the server, or "".
func sqlState(err error) string {
	if failure, ok := errors.AsType[*pgconn.PgError](err); ok {
		return failure.Code
	}
	return ""
}

var (
	errClosed = fmt.Errorf("store/postgres: %w", store.ErrClosed)

	// errUnfit is part of every error that says a database cannot be used as it is.
	errUnfit = errors.New("store/postgres: the database cannot be used")

	// errNoState is returned when somebody has deleted the row of the table state.
	errNoState = fmt.Errorf("%w: its table state has no row: restore a backup", errUnfit)

	// errChanged is returned when a record was written between a write's reading and its
	// transaction.
	errChanged = errors.New("store/postgres: the record kept changing while it was written")

	// errStalled is returned when a watch made no progress for maxStall.
	errStalled = fmt.Errorf("store/postgres: a watch did not come on for %v, because the server or the watcher was too slow: watch again", maxStall)
)

// failed returns the error a method returns for a failure: with the repair where it is
// known, and matching the context's error if the context has ended (S2).
func failed(ctx context.Context, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, errUnfit), errors.Is(err, errChanged), errors.Is(err, errElsewhere), errors.Is(err, errUnconfirmed):
		return err
	case ctx.Err() != nil && !errors.Is(err, ctx.Err()):
		return fmt.Errorf("store/postgres: %w: %w", ctx.Err(), err)
	}
	if remedy := remedies[sqlState(err)]; remedy != "" {
		return fmt.Errorf("store/postgres: %w: %s", err, remedy)
	}
	return fmt.Errorf("store/postgres: %w", err)
}

// twice is the error for a second row of a record, which a damaged primary key lets in.
// Neither row is trusted.
func twice(r *records) error {
	name := adapter.OrganizationName(r.organization.id.String)
	if r.key.id.Valid {
		name = adapter.KeyName(apikey.ID(r.key.id.String))
	}
	return adapter.Unreadable(name, errors.New("its table has several rows for it: want one"))
}
