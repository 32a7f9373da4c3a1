package postgres

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/sallyport-go/sallyport/store"
)

// SQLSTATEs that mean something here.
const (
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

// failed is what a method returns for a failure: it says what to do about it where that
// is known, and matches the context's error if that ended (S2).
func failed(ctx context.Context, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, errUnfit), errors.Is(err, errChanged):
		return err
	case ctx.Err() != nil && !errors.Is(err, ctx.Err()):
		return fmt.Errorf("store/postgres: %w: %w", ctx.Err(), err)
	}
	switch sqlState(err) {
	case undefinedTable, undefinedColumn, invalidSchema:
		return fmt.Errorf("store/postgres: %w: the tables are missing or of another version: run Migrate, or the newer program", err)
	case readOnlyTransaction:
		return fmt.Errorf("store/postgres: %w: connect to a server, as a user, that may write", err)
	}
	return fmt.Errorf("store/postgres: %w", err)
}

func notFound[ID ~string](kind string, id ID) error {
	return fmt.Errorf("store/postgres: %s %q: %w", kind, id, store.ErrNotFound)
}
