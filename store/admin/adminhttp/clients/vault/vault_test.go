package vault_test

import (
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/vault/sdk/framework"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/admin/adminhttp/clients/internal/service"
)

const (
	orgKeys   = "/api/atlas/v1.0/orgs/" + service.Org + "/apiKeys"
	groupKeys = "/api/atlas/v1.0/groups/" + service.Group + "/apiKeys"
)

// byHand is a role of the organization with an access list.
func byHand(more map[string]any) map[string]any {
	role := map[string]any{
		"organization_id": service.Org, "roles": []string{"ORG_READ_ONLY"},
		"ip_addresses": []string{"203.0.113.7"}, "cidr_blocks": []string{"198.51.100.0/24"},
	}
	for name, value := range more {
		role[name] = value
	}
	return role
}

// A lease of a key of the organization, from its creation to its end.
func TestOrganizationKey(t *testing.T) {
	e := newEngine(t)
	e.write(t, "roles/ci", byHand(map[string]any{"ttl": "1h", "max_ttl": "2h"}))
	require.Empty(t, e.Calls())
	made := e.read(t, "ci")
	require.Equal(t, []string{
		`200 POST ` + orgKeys + ` Digest {"desc":"` + made.description + `","roles":["ORG_READ_ONLY"]}`,
		`200 POST ` + orgKeys + `/` + made.id + `/accessList Digest [{"cidrBlock":"198.51.100.0/24"},{"ipAddress":"203.0.113.7"}]`,
	}, e.Authorized())
	require.Regexp(t, "^[0-9a-f]{24}$", made.id)
	require.Regexp(t, "^vault-ci-[0-9A-Za-z]{20}$", made.description)
	require.Equal(t, time.Hour, made.lease.TTL)

	stored := e.Key(t, made.id)
	require.Equal(t, made.description, stored.Description)
	require.Equal(t, []apikey.Grant{{Role: "ORG_READ_ONLY"}}, stored.Grants)
	require.Equal(t, []netip.Prefix{netip.MustParsePrefix("198.51.100.0/24"), netip.MustParsePrefix("203.0.113.7/32")}, listOf(stored))
	for address, want := range map[string]policy.Reason{
		"203.0.113.7": policy.AddressListed, "198.51.100.200": policy.AddressListed,
		"203.0.113.8": policy.AddressNotListed, "127.0.0.1": policy.AddressNotListed,
	} {
		require.Equal(t, want, e.Decide(t, made.secret, address), address)
	}
	require.Equal(t, http.StatusForbidden, e.Bearer(t, made.secret, orgKeys), "from the loopback, which is not listed")
	e.Calls()

	renewed, err := e.handle(t, &logical.Request{Operation: logical.RenewOperation, Secret: made.lease})
	require.NoError(t, err)
	require.Equal(t, 2*time.Hour, renewed.Secret.MaxTTL)
	require.Empty(t, e.Calls(), "a renewal is the engine's own affair")
	require.Equal(t, policy.AddressListed, e.Decide(t, made.secret, "203.0.113.7"))

	require.NoError(t, e.revoke(t, made))
	require.Equal(t, []string{
		"200 GET " + orgKeys + "/" + made.id + " Digest",
		"204 DELETE " + orgKeys + "/" + made.id + " Digest",
	}, e.Authorized())
	_, err = e.Store.Key(t.Context(), apikey.ID(made.id))
	require.ErrorIs(t, err, store.ErrNotFound)
	require.Equal(t, policy.UnknownKey, e.Decide(t, made.secret, "203.0.113.7"))
	left, complaint := e.rollback(t)
	require.NoError(t, complaint)
	require.Zero(t, left)

	require.NoError(t, e.revoke(t, made), "what is gone is revoked")
	require.Equal(t, []string{"404 GET " + orgKeys + "/" + made.id + " Digest"}, e.Authorized())
}

// The engine works with a key that it made, by HTTP Digest, as long as the key is on its list.
func TestOwnKey(t *testing.T) {
	e := newEngine(t)
	for name, address := range map[string]string{"here": "127.0.0.1", "elsewhere": "203.0.113.7"} {
		e.write(t, "roles/"+name, byHand(map[string]any{"roles": []string{"ORG_OWNER"}, "ip_addresses": []string{address}}))
	}
	here, elsewhere := e.read(t, "here"), e.read(t, "elsewhere")
	e.write(t, "config", map[string]any{"public_key": here.id, "private_key": here.secret})
	require.NoError(t, e.revoke(t, e.read(t, "here")))

	e.write(t, "config", map[string]any{"public_key": elsewhere.id, "private_key": elsewhere.secret})
	response, err := e.handle(t, &logical.Request{Operation: logical.ReadOperation, Path: "creds/here"})
	require.NoError(t, err)
	require.ErrorContains(t, response.Error(), "IP_ADDRESS_NOT_ON_ACCESS_LIST")
	require.Error(t, e.revoke(t, here))
	require.Equal(t, policy.AddressListed, e.Decide(t, here.secret, "127.0.0.1"))
}

// A key of the organization that is assigned to a project.
func TestAssignedKey(t *testing.T) {
	e := newEngine(t)
	e.write(t, "roles/both", byHand(map[string]any{"project_id": service.Group, "project_roles": []string{"GROUP_OWNER"}}))
	made := e.read(t, "both")
	require.Equal(t, `200 PATCH `+groupKeys+`/`+made.id+` Digest {"roles":["GROUP_OWNER"]}`, e.Authorized()[2])
	require.ElementsMatch(t, []apikey.Grant{{Role: "ORG_READ_ONLY"}, {Role: "GROUP_OWNER", Project: service.Group}}, e.Key(t, made.id).Grants)
	require.NoError(t, e.revoke(t, made))
	require.Equal(t, policy.UnknownKey, e.Decide(t, made.secret, "203.0.113.7"))
	require.NoError(t, e.revoke(t, made))
}

// A key of a project. The engine finds its organization in its roles.
func TestProjectKey(t *testing.T) {
	e := newEngine(t)
	e.write(t, "roles/project", map[string]any{"project_id": service.Group, "roles": []string{"GROUP_READ_ONLY"}, "ip_addresses": []string{"203.0.113.7"}})
	made := e.read(t, "project")
	require.Equal(t, []string{
		`200 POST ` + groupKeys + ` Digest {"desc":"` + made.description + `","roles":["GROUP_READ_ONLY"]}`,
		`200 POST ` + orgKeys + `/` + made.id + `/accessList Digest [{"ipAddress":"203.0.113.7"}]`,
	}, e.Authorized())
	require.ElementsMatch(t, []apikey.Grant{{Role: "ORG_MEMBER"}, {Role: "GROUP_READ_ONLY", Project: service.Group}}, e.Key(t, made.id).Grants)
	require.Equal(t, policy.AddressListed, e.Decide(t, made.secret, "203.0.113.7"))
	require.Equal(t, policy.AddressNotListed, e.Decide(t, made.secret, "203.0.113.8"))

	require.NoError(t, e.revoke(t, made))
	require.Equal(t, []string{
		"200 GET " + groupKeys + "?itemsPerPage=500 Digest",
		"204 DELETE " + groupKeys + "/" + made.id + " Digest",
		"204 DELETE " + orgKeys + "/" + made.id + " Digest",
	}, e.Authorized())
	require.Equal(t, policy.UnknownKey, e.Decide(t, made.secret, "203.0.113.7"))

	// The engine looks for the key in a list, where no answer can say that it is gone.
	require.ErrorContains(t, e.revoke(t, made), "not present in fetched page of API keys")
}

// Vault calls the engine again when a revocation fails.
func TestRevokeAgain(t *testing.T) {
	for name, test := range map[string]struct {
		fault func(e *engine)
		calls []string // of the second try
	}{
		"the store fails":    {func(e *engine) { e.Store.FailWrite(1) }, []string{"200 GET", "204 DELETE"}},
		"the answer is lost": {func(e *engine) { e.LoseAnswer(http.MethodDelete) }, []string{"404 GET"}},
	} {
		t.Run(name, func(t *testing.T) {
			e := newEngine(t)
			e.write(t, "roles/ci", byHand(nil))
			made := e.read(t, "ci")
			test.fault(e)
			require.Error(t, e.revoke(t, made))
			e.Calls()
			require.NoError(t, e.revoke(t, made))
			want := test.calls
			for i := range want {
				want[i] += " " + orgKeys + "/" + made.id + " Digest"
			}
			require.Equal(t, want, e.Authorized())
			require.Equal(t, policy.UnknownKey, e.Decide(t, made.secret, "203.0.113.7"))
		})
	}
}

// The engine fails between the creation of a key and its list. Its log has the key's
// description only, so its rollback cannot delete the key: it stays, without a list and with a
// secret that nobody has. Its description finds it.
func TestCreationStopsHalfway(t *testing.T) {
	e := newEngine(t)
	e.write(t, "roles/ci", byHand(nil))
	e.Store.FailWrite(2)
	response, err := e.handle(t, &logical.Request{Operation: logical.ReadOperation, Path: "creds/ci"})
	require.NoError(t, err)
	require.ErrorContains(t, response.Error(), "Error creating programmatic api key")
	require.Nil(t, response.Secret)
	calls := e.Calls()
	last := calls[len(calls)-1]
	require.Equal(t, http.StatusServiceUnavailable, last.Status)
	require.Equal(t, http.MethodPost, last.Method)

	left, complaint := e.rollback(t)
	require.ErrorContains(t, complaint, "type not found, not deleting")
	require.Equal(t, 1, left)
	require.Empty(t, e.Calls())
	var id string
	for key, err := range store.AllKeys(t.Context(), e.Store, service.Org) {
		require.NoError(t, err)
		if strings.HasPrefix(key.Description, "vault-ci-") {
			id = string(key.ID)
			require.True(t, key.AccessList.IsEmpty())
		}
	}
	require.NotEmpty(t, id)

	// With the ID in its log, the engine does delete the key.
	_, err = framework.PutWAL(t.Context(), e.storage, "programmatic_api_key", map[string]string{"organization_id": service.Org, "programmatic_api_key_id": id})
	require.NoError(t, err)
	left, _ = e.rollback(t)
	require.Equal(t, 1, left, "the entry without an ID")
	require.Equal(t, []string{"200 GET " + orgKeys + "/" + id + " Digest", "204 DELETE " + orgKeys + "/" + id + " Digest"}, e.Authorized())
	_, err = e.Store.Key(t.Context(), apikey.ID(id))
	require.ErrorIs(t, err, store.ErrNotFound)
}

// Refusals reach the engine with their documented code, after one try.
func TestRefusals(t *testing.T) {
	for name, test := range map[string]struct {
		role  map[string]any
		wrong bool // secret
		want  string
	}{
		"an unknown role":          {role: byHand(map[string]any{"roles": []string{"GROUP_OWNER"}}), want: "INVALID_ROLE_FOR_ORG"},
		"another organization":     {role: byHand(map[string]any{"organization_id": service.Another}), want: "USER_UNAUTHORIZED"},
		"a project of another one": {role: map[string]any{"project_id": service.Theirs, "roles": []string{"GROUP_OWNER"}}, want: "GROUP_NOT_FOUND"},
		"a wrong secret":           {role: byHand(nil), wrong: true, want: "401"},
	} {
		t.Run(name, func(t *testing.T) {
			e := newEngine(t)
			if test.wrong {
				e.write(t, "config", map[string]any{"public_key": service.Owner, "private_key": service.New(t).Secret.Reveal()})
			}
			e.write(t, "roles/ci", test.role)
			response, err := e.handle(t, &logical.Request{Operation: logical.ReadOperation, Path: "creds/ci"})
			require.NoError(t, err)
			require.ErrorContains(t, response.Error(), test.want)
			require.Len(t, e.Authorized(), 1, "one try")
			page, err := e.Store.Keys(t.Context(), service.Org, store.PageRequest{})
			require.NoError(t, err)
			require.Len(t, page.Items, 1)
		})
	}
}

func listOf(key apikey.Key) (prefixes []netip.Prefix) {
	for entry := range key.AccessList.All() {
		prefixes = append(prefixes, entry.Prefix())
	}
	return prefixes
}
