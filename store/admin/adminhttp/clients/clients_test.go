package clients_test

import (
	"testing"

	"github.com/mongodb-forks/digest"
	"github.com/stretchr/testify/require"
	"go.mongodb.org/atlas/mongodbatlas"

	fixture "github.com/sallyport-go/sallyport/store/admin/adminhttp/clients/internal/service"
)

const (
	org, group, owner = fixture.Org, fixture.Group, fixture.Owner
	another, theirs   = fixture.Another, fixture.Theirs
	absent            = fixture.Absent
)

// A service is the API with the clients of this package.
type service struct{ *fixture.Service }

func newService(t *testing.T) service {
	t.Helper()
	return service{fixture.New(t)}
}

// sdk returns the vendor's client, with the owner's key and HTTP Digest.
func (s service) sdk(t *testing.T) *mongodbatlas.Client {
	t.Helper()
	return s.sdkOf(t, owner, s.Secret.Reveal())
}

// sdkOf returns the vendor's client with a key and HTTP Digest.
func (s service) sdkOf(t *testing.T, key, secret string) *mongodbatlas.Client {
	t.Helper()
	client, err := digest.NewTransport(key, secret).Client()
	require.NoError(t, err)
	sdk, err := mongodbatlas.New(client, mongodbatlas.SetBaseURL(s.URL+"/"))
	require.NoError(t, err)
	return sdk
}

// code returns the documented code of an error of the vendor's client, with its status.
func code(t *testing.T, err error) (status int, name string) {
	t.Helper()
	var answer *mongodbatlas.ErrorResponse
	require.ErrorAs(t, err, &answer)
	return answer.HTTPCode, answer.ErrorCode
}

func keyInput(description string, roles ...string) *mongodbatlas.APIKeyInput {
	return &mongodbatlas.APIKeyInput{Desc: description, Roles: roles}
}

func assignment(roles ...string) *mongodbatlas.AssignAPIKey {
	return &mongodbatlas.AssignAPIKey{Roles: roles}
}
