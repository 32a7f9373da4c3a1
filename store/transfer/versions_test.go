package transfer_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/store/memory"
	"github.com/sallyport-go/sallyport/store/transfer"
)

// laterFile is a file of a later version: the metadata of the organization and of the key
// has names that this version does not know.
var laterFile = []string{
	`{"sallyport":{"format":1}}`,
	`{"organization":{"id":"acme","requirement":"required","metadata":{"owner":["web"]},"revision":1}}`,
	`{"key":{"id":"k","organization":"acme","description":"","disabled":false,"accessList":[],"grants":[],"secrets":[{"sum":"` + strings.Repeat("ab", 32) +
		`"}],"metadata":{"externalId":"cus_1","tier":{"level":3}},"revision":2}}`,
}

// Metadata of a later version passes through an earlier one.
func TestImportKeepsMetadataOfALaterVersion(t *testing.T) {
	file, to := sealed(laterFile...), memory.New()
	_, err := importInto(to, file)
	require.NoError(t, err)
	require.Equal(t, file, export(t, to))
	_, err = transfer.Verify(t.Context(), to, strings.NewReader(file))
	require.NoError(t, err)

	other := sealed(strings.Split(strings.Replace(strings.Join(laterFile, "\n"), `"level":3`, `"level":4`, 1), "\n")...)
	_, err = transfer.Verify(t.Context(), to, strings.NewReader(other))
	require.ErrorIs(t, err, transfer.ErrDiffers)
	require.ErrorContains(t, err, "other metadata")
}

// Of anything else that only a later version knows nothing is imported.
func TestImportRefusesWhatALaterVersionAdds(t *testing.T) {
	for change, want := range map[[2]string]string{
		{`"format":1`, `"format":2`}: "line 1: not a whole and unaltered export: format 2: want format 1, or a later version of this package",
		{`"requirement":"required"`, `"requirement":"required","parent":"umbrella"`}:           `line 2: not a whole and unaltered export: "organization": policy: an organization in JSON: unknown name "parent", perhaps of a later version`,
		{`"requirement":"required"`, `"requirement":"strict"`}:                                 `line 2: not a whole and unaltered export: "organization": `,
		{`"disabled":false`, `"disabled":false,"denyList":[]`}:                                 `line 3: not a whole and unaltered export: "key": apikey: stored key: unknown name "denyList", perhaps of a later version`,
		{`"tier":{"level":3}},"revision":2}`, `"tier":{"level":3}},"revision":2},"limits":{}`}: `line 3: not a whole and unaltered export: unknown name "limits", perhaps of a later version`,
	} {
		text := strings.Replace(strings.Join(laterFile, "\n"), change[0], change[1], 1)
		to := memory.New()
		result, err := importInto(to, sealed(strings.Split(text, "\n")...))
		require.ErrorIs(t, err, transfer.ErrDamaged, change)
		require.ErrorContains(t, err, want)
		require.Zero(t, result)
		require.Zero(t, must(to.Position(t.Context())).Revision, "nothing was written")
	}
}
