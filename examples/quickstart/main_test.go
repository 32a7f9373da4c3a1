package main

import (
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const golden = `
REQUEST                                 FROM           ALLOWED  REASON
a listed address                        203.0.113.7    true     address_listed
an address in a listed block            198.51.100.20  true     address_listed
any other address                       192.0.2.1      false    address_not_listed
no list, the organization requires one  203.0.113.7    false    organization_requires_access_list
no list, none required                  192.0.2.1      true     open_list
no list, the endpoint requires one      192.0.2.1      false    endpoint_requires_access_list
a wrong secret                          203.0.113.7    false    wrong_secret
`

func TestOutput(t *testing.T) {
	var out strings.Builder
	run(&out)
	require.Equal(t, strings.TrimPrefix(golden, "\n"), out.String())
}

// What cannot be written is told: a full disk must not look like a success.
func TestOutputFails(t *testing.T) {
	require.PanicsWithError(t, errFull.Error(), func() { run(fullDisk{}) })
}

var errFull = errors.New("no space left on device")

type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, errFull }
