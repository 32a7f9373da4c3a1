package storetest

import (
	"crypto/sha256"
	"fmt"
	"strings"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/store/storetest/internal/fixture"
)

// everyDigest returns keys with each way to have Digest credentials, or none.
func everyDigest(organization string) (all []apikey.Key) {
	none := apikey.DigestCredentials{}
	same := fixture.Digest("api", "x", "x")
	for i, digests := range [][]apikey.DigestCredentials{
		{none}, {fixture.Digest("api", "x", "")}, {fixture.Digest("api", "", "x")}, {same}, {fixture.Digest("API", "x", "x")}, {fixture.Digest("a ", "x", "x")},
		{none, same}, {same, none}, {same, same}, {fixture.Digest("old", "x", ""), fixture.Digest("new", "", "y")},
		{fixture.Must(apikey.NewDigestCredentials("~", strings.Repeat("0", 32), strings.Repeat("0", 64)))},
		{fixture.Must(apikey.NewDigestCredentials("1e3", "1e"+strings.Repeat("0", 30), strings.Repeat("0", 63)+"1"))},
	} {
		key := fixture.Plain(apikey.ID(fmt.Sprint("digest-", i)), organization)
		key.Secrets = append(key.Secrets, apikey.StoredSecret{Sum: sha256.Sum256([]byte("second"))})[:len(digests)]
		for n, digest := range digests {
			key.Secrets[n].Digest = digest
		}
		all = append(all, key)
	}
	return all
}
