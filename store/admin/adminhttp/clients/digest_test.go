package clients_test

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/mongodb-forks/digest"
	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/apikey"
)

// own makes a call of our own API, and returns its status and its body.
func own(t *testing.T, client *http.Client, method, url, body string) (status int, answer string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	require.NoError(t, err)
	r.Header.Set("Content-Type", "application/json")
	response, err := client.Do(r)
	require.NoError(t, err)
	text, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	return response.StatusCode, string(text)
}

// HTTP Digest by a secret follows the secret: from the call that makes it, through the overlap
// of a rotation, to its end and the end of the key. Nothing else has to be stored or deleted,
// and no answer has what a response is verified with.
func TestDigestFollowsTheSecret(t *testing.T) {
	s := newService(t)
	ownersClient, err := digest.NewTransport(owner, s.Secret.Reveal()).Client()
	require.NoError(t, err)
	made, _, err := s.sdk(t).APIKeys.Create(t.Context(), org, keyInput("ci", "ORG_MEMBER"))
	require.NoError(t, err)
	key := s.URL + "/api/sallyport/v1/organizations/" + org + "/keys/" + made.ID
	signsIn := func(secret string) bool {
		_, response, err := s.sdkOf(t, made.ID, secret).Organizations.Get(t.Context(), org)
		require.Contains(t, []int{http.StatusOK, http.StatusUnauthorized}, response.StatusCode, "%v", err)
		return err == nil
	}
	require.True(t, signsIn(made.PrivateKey))

	status, answer := own(t, ownersClient, "POST", key+"/secrets", `{"overlapSeconds":3600}`)
	require.Equal(t, http.StatusOK, status, answer)
	var rotated struct{ Secrets []struct{ Secret string } }
	require.NoError(t, json.Unmarshal([]byte(answer), &rotated))
	second := rotated.Secrets[0].Secret
	require.True(t, signsIn(made.PrivateKey), "the overlap")
	require.True(t, signsIn(second), "the overlap")

	stored := s.Key(t, made.ID).Secrets
	require.Len(t, stored, 2)
	for _, path := range []string{"", "/secrets", "/usage"} {
		status, answer = own(t, ownersClient, "GET", key+path, "")
		require.Equal(t, http.StatusOK, status, answer)
		for _, secret := range stored {
			require.NotContains(t, answer, secret.Digest.Hash(apikey.DigestMD5))
		}
	}
	status, answer = own(t, ownersClient, "PATCH", key+"/secrets/"+stored[0].ID(), `{"expires":"`+time.Now().Add(time.Minute).UTC().Format(time.RFC3339)+`"}`)
	require.Equal(t, http.StatusOK, status, answer)
	require.True(t, signsIn(made.PrivateKey), "it ends in a minute")
	status, answer = own(t, ownersClient, "DELETE", key+"/secrets/"+stored[0].ID(), "")
	require.Equal(t, http.StatusOK, status, answer)
	require.False(t, signsIn(made.PrivateKey), "it was ended")
	require.True(t, signsIn(second))
	require.False(t, signsIn(s.Secret.Reveal()), "the secret of another key")

	_, err = s.sdk(t).APIKeys.Delete(t.Context(), org, made.ID)
	require.NoError(t, err)
	require.False(t, signsIn(second), "the key was deleted")
	again, _, err := s.sdk(t).APIKeys.Create(t.Context(), org, keyInput("ci", "ORG_MEMBER"))
	require.NoError(t, err)
	require.NotEqual(t, made.ID, again.ID)
	require.False(t, signsIn(again.PrivateKey), "the secret of another key")
}
