package postgres

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
)

// errUnconfirmed is returned when a commit no longer waited for the synchronous standby.
var errUnconfirmed = errors.New("store/postgres: the write is stored here, and may be lost at a failover: want the synchronous standby to confirm it; read the record again")

var errSavepoint = errors.New("store/postgres: the transaction is a savepoint of another: want the one that the pool or the connection has begun")

// Commit commits a transaction with writes of [Store.WithTx], as the store commits its own.
// It returns an error where tx.Commit returns none although the commit may be lost at a
// failover: the server no longer waited for the synchronous standby, because somebody
// cancelled the wait. After an error the transaction may have been committed (S3). In any
// case it has ended.
//
// A savepoint (pgx.Tx.Begin) is refused and left as it is: end it by its own Commit, and the
// transaction around it by this one.
func Commit(ctx context.Context, tx pgx.Tx) error {
	// COMMIT would end the transaction around it, which may yet be rolled back. Only its type
	// tells a savepoint.
	if fmt.Sprintf("%T", tx) == "*pgx.dbSimulatedNestedTx" {
		return errSavepoint
	}
	if _, err := tx.Exec(ctx, warnings); err != nil {
		_ = tx.Rollback(ctx)
		return failed(ctx, err) // such as pgx.ErrTxClosed: others have the connection now
	}
	// pgx learns of the end of a transaction only by ending it. AND CHAIN begins an empty
	// one for this, since the server would log a warning for a rollback without any.
	err := commit(ctx, tx.Conn(), "COMMIT AND CHAIN")
	lasting, cancel := outlasting(ctx)
	defer cancel()
	if ended := tx.Rollback(lasting); err == nil {
		err = ended
	}
	return failed(ctx, err)
}

// warnings has the server send its warnings to the end of the transaction, whatever
// client_min_messages is.
const warnings = `SET LOCAL client_min_messages = warning`

// commit ends a connection's transaction by a COMMIT, and reads the server's warnings
// beside its answer; see warnings. The pool is the caller's, so its connections have no function for
// notices (pgconn.Config.OnNotice) of this package.
func commit(ctx context.Context, conn *pgx.Conn, how string) error {
	server := conn.PgConn()
	server.Frontend().SendQuery(&pgproto3.Query{String: how})
	err := server.Frontend().Flush()
	var refused, unconfirmed error
	for err == nil {
		var message pgproto3.BackendMessage
		if message, err = server.ReceiveMessage(ctx); err != nil {
			break
		}
		switch m := message.(type) {
		case *pgproto3.ErrorResponse:
			refused = pgconn.ErrorResponseToPgError(m)
		case *pgproto3.NoticeResponse:
			// Its message is in the server's language. Where it comes from is not.
			if m.SeverityUnlocalized == "WARNING" && m.File == "syncrep.c" {
				unconfirmed = fmt.Errorf("%w: %.200s", errUnconfirmed, m.Message)
			}
		case *pgproto3.CommandComplete:
			if string(m.CommandTag) == "ROLLBACK" {
				refused = pgx.ErrTxCommitRollback
			}
		case *pgproto3.ReadyForQuery:
			if refused != nil {
				return refused
			}
			return unconfirmed
		}
	}
	_ = conn.Close(ctx)
	if refused != nil {
		return refused // the server's last word
	}
	// Not %w: pgx holds that a lost answer makes it safe to try again.
	return fmt.Errorf("the answer to COMMIT was lost, so the write may have happened: %v", err)
}
