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

// SQLSTATEs with a meaning here.
const (
	uniqueViolation      = "23505"
	foreignKeyViolation  = "23503"
	readOnlyTransaction  = "25006"
	serializationFailure = "40001"
	deadlockDetected     = "40P01"
	undefinedColumn      = "42703"
	undefinedTable       = "42P01"
	invalidSchema        = "3F000"
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
	case errors.Is(err, errUnfit), errors.Is(err, errChanged), errors.Is(err, errUnconfirmed):
		return err
	case ctx.Err() != nil && !errors.Is(err, ctx.Err()):
		return fmt.Errorf("store/postgres: %w: %w", ctx.Err(), err)
	}
	switch sqlState(err) {
	case undefinedTable, undefinedColumn, invalidSchema:
		return fmt.Errorf("store/postgres: %w: the tables are missing or of another version: run Migrate, or the newer program", err)
	case uniqueViolation:
		// Only a snapshot older than the latest change gives its revision again.
		return fmt.Errorf("store/postgres: %w: the transaction does not see the latest writes: begin it again, at READ COMMITTED", err)
	case readOnlyTransaction:
		return fmt.Errorf("store/postgres: %w: connect to a server, as a user, that may write", err)
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
