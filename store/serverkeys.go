package store

import (
	"context"
	"time"
)

// CountServerKeys counts the live secrets of all keys by their server key, "" for none
// (apikey.StoredSecret.ServerKey). A server key without a count is out of use and can be
// dropped, once no process hashes new secrets under it. A secret past its Expires is not
// counted: it is no longer accepted.
//
// It reads every key, page by page, and is no snapshot. An unreadable record is an error.
func CountServerKeys(ctx context.Context, s Store, now time.Time) (map[string]int, error) {
	counts := map[string]int{}
	for organization, err := range AllOrganizations(ctx, s) {
		if err != nil {
			return nil, err
		}
		for key, err := range AllKeys(ctx, s, organization.ID) {
			if err != nil {
				return nil, err
			}
			for _, secret := range key.Secrets {
				if secret.Expires.IsZero() || now.Before(secret.Expires) {
					counts[secret.ServerKey]++
				}
			}
		}
	}
	return counts, nil
}
