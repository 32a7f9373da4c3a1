package postgres

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"

	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/adapter"
)

const (
	lockObservationSQL = `SELECT document FROM sallyport.observation FOR UPDATE`
	putObservationSQL  = `UPDATE sallyport.observation SET document = $1::text::json`
	observationSQL     = selectState + `, o.document` + fromState + ` LEFT JOIN sallyport.observation o ON true`
)

// RecordObservation implements [store.UsageRecorder].
func (s *Store) RecordObservation(ctx context.Context, report store.Report) error {
	leave, err := s.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	if err := adapter.CheckReport(report); err != nil {
		return err
	}
	return s.retry(ctx, "the observation of usage", func() error {
		return s.inTx(ctx, func(tx pgx.Tx) error { return s.addReport(ctx, tx, report) })
	})
}

func (s *Store) addReport(ctx context.Context, tx pgx.Tx, report store.Report) error {
	b := &batch{schema: s.schema}
	b.queue(durableSQL)
	var known store.Observation
	b.queue(lockObservationSQL).QueryRow(func(row pgx.Row) error {
		var stored document
		err := row.Scan(&stored)
		if err == nil || errors.Is(err, pgx.ErrNoRows) {
			known, err = decodeObservation(stored)
		}
		return err
	})
	b.checkVersion()
	if err := tx.SendBatch(ctx, &b.Batch).Close(); err != nil {
		return err
	}
	_, err := tx.Exec(ctx, inSchema(s.schema, putObservationSQL), string(adapter.EncodeObservation(known.Add(report))))
	return err
}

// Observation implements [store.UsageRecorder].
func (s *Store) Observation(ctx context.Context) (observation store.Observation, err error) {
	leave, err := s.enter(ctx)
	if err != nil {
		return observation, err
	}
	defer leave()
	var stored document
	err = s.read(ctx, s.querier(), []any{&stored}, func() (err error) {
		observation, err = decodeObservation(stored)
		return err
	}, observationSQL)
	return observation, err
}

// decodeObservation reads the document of the one row that Migrate makes.
func decodeObservation(stored document) (store.Observation, error) {
	if stored == nil {
		return store.Observation{}, adapter.UnreadableObservation(errors.New("its row is absent: want one, as Migrate makes it"))
	}
	observation, err := adapter.DecodeObservation(stored)
	if err != nil {
		return store.Observation{}, adapter.UnreadableObservation(err)
	}
	return observation, nil
}
