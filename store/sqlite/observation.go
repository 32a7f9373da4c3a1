package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/adapter"
)

const (
	selectObservation = `SELECT document FROM observation WHERE id = 1`
	putObservation    = `INSERT INTO observation (id, document) VALUES (1, ?) ON CONFLICT (id) DO UPDATE SET document = excluded.document`
)

// RecordObservation implements [store.UsageRecorder].
func (s *Store) RecordObservation(ctx context.Context, report store.Report) error {
	return s.transact(ctx, "record an observation", func(t *transaction) error {
		if err := adapter.CheckReport(report); err != nil {
			return err
		}
		document, err := documentIn(t.StmtContext(t.ctx, t.store.write.prepared[selectObservation]).QueryRowContext(t.ctx))
		if err != nil {
			return t.failure(err)
		}
		observation, err := decodeObservation(document)
		if err != nil {
			return err
		}
		return t.exec(putObservation, string(adapter.EncodeObservation(observation.Add(report))))
	})
}

// Observation implements [store.UsageRecorder].
func (s *Store) Observation(ctx context.Context) (store.Observation, error) {
	leave, err := s.enter(ctx)
	if err != nil {
		return store.Observation{}, err
	}
	defer leave()
	var document any
	if err := s.whileLocked(ctx, func() (err error) {
		document, err = documentIn(s.read.prepared[selectObservation].QueryRowContext(ctx))
		return err
	}); err != nil {
		return store.Observation{}, failure(ctx, "read the observation", err)
	}
	if err := s.checkReadable(ctx); err != nil {
		return store.Observation{}, failure(ctx, "read the observation", err)
	}
	return decodeObservation(document)
}

// documentIn returns the only column of a row, nil if there is no row.
func documentIn(row *sql.Row) (document any, err error) {
	if err = row.Scan(&document); errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	return document, err
}

// decodeObservation reads a document. Nil is the zero observation: nothing was ever observed.
func decodeObservation(document any) (observation store.Observation, err error) {
	switch document := document.(type) {
	case nil:
		return observation, nil
	case string:
		observation, err = adapter.DecodeObservation([]byte(document))
	default:
		err = fmt.Errorf("a document of type %T: want a text", document)
	}
	if err != nil {
		return store.Observation{}, adapter.UnreadableObservation(err)
	}
	return observation, nil
}
