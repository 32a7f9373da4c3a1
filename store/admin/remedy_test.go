package admin_test

import (
	"fmt"
	"math/bits"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store/admin"
)

// For a call to come the key is rotated before its secret ends, and calls until then go on.
func TestInvestigateASecretThatWillEnd(t *testing.T) {
	w := newWorld(t)
	w.key("k", "203.0.113.7", "reader")
	w.used("k", "203.0.113.7", time.Hour, 5)
	ends := w.now.Add(time.Hour)
	w.edit("k", func(k *apikey.Key) { k.Secrets[0].Expires = ends })
	call := read("203.0.113.7")
	call.Time = w.now.Add(3 * time.Hour)
	found := w.investigate(ann, call)
	require.Equal(t, []string{"rotate"}, proposed(found))
	require.Equal(t, "Rotate the key, and give the caller the new secret.", found.Remedies[0].String())
	require.Empty(t, found.Remedies[0].Preview.Findings)
	w.apply(ann, admin.ApplyOptions{Token: found.Remedies[0].Preview.Token}, found.Remedies[0].Changes()...)
	secrets := w.stored("k").Secrets
	require.Len(t, secrets, 2)
	require.True(t, secrets[0].Expires.Equal(ends))

	w.edit("k", func(k *apikey.Key) { k.Secrets[1].Expires = ends }) // a key has two at most
	found = w.investigate(ann, call)
	require.Equal(t, []string{"rotate"}, proposed(found))
	require.Equal(t, "Rotate the key, which ends its two live secrets at once, and give the caller the new secret.", found.Remedies[0].String())
	require.Equal(t, []admin.Kind{admin.BreaksKey}, kinds(found.Remedies[0].Preview.Findings))
}

// Over random worlds: each remedy, applied, makes Evaluate allow the call, and there is one
// wherever changes can mend it, of the least number of them.
func TestRemediesMend(t *testing.T) {
	w := newWorld(t)
	random := rand.New(rand.NewPCG(13, 6))
	mended, sizes := map[policy.Reason]int{}, map[int]int{}
	for n := range 500 {
		id := fmt.Sprintf("k%d", n)
		key, organization := w.randomKey(random, id)
		if random.IntN(10) == 0 {
			key = w.edit(id, func(k *apikey.Key) { k.Secrets[0].Expires = w.now })
		}
		call := admin.Call{
			Key: key.ID, Client: netip.MustParseAddr(randomOf(random, clients)), Endpoint: randomOf(random, calls),
			Resource: policy.Resource{Organization: id, Project: randomOf(random, projects)},
			Time:     w.now.Add(randomOf(random, []time.Duration{-time.Hour, 0, 0, 2 * time.Hour, 2 * day})),
			Unproven: random.IntN(20) == 0,
		}
		if random.IntN(20) == 0 {
			call.Resource.Organization = "another"
		}
		found, err := w.admin.Investigate(w.ctx, ann, id, call)
		require.NoError(t, err)
		again := w.now
		if call.Time.After(again) {
			again = call.Time
		}
		least := leastMends(key, organization, call, again)
		require.Equal(t, least >= 0, found.Again.Allows() || len(found.Remedies) > 0, "%d\n%s", least, found)
		require.Equal(t, found.Again.Allows(), len(found.Obstacles) == 0)
		sizes[least]++
		call.WithoutPreviews = true
		quick, err := w.admin.Investigate(w.ctx, ann, id, call)
		require.NoError(t, err)
		call.WithoutPreviews = false
		require.Equal(t, proposed(found), proposed(quick))
		for i, remedy := range quick.Remedies {
			require.Equal(t, found.Remedies[i].After, remedy.After)
			require.Zero(t, remedy.Preview)
		}
		for i, remedy := range found.Remedies {
			require.Len(t, remedy.Proposals, least, found)
			require.True(t, least == 1 || i == 0, "one combination")
			w.requireMends(key, organization, call, again, i)
			mended[found.Again]++
		}
	}
	for _, reason := range []policy.Reason{policy.WrongSecret, policy.KeyDisabled, policy.KeyNotYetValid, policy.KeyExpired, policy.AddressNotListed,
		policy.OrganizationRequiresAccessList, policy.EndpointRequiresAccessList, policy.ProjectNotGranted, policy.RoleMissing} {
		require.NotZero(t, mended[reason], "no remedy for %s", reason)
	}
	for least := -1; least <= 3; least++ {
		require.NotZero(t, sizes[least], "no call in need of %d changes", least)
	}
}

// requireMends applies the remedy with this index to a copy of the records, in an organization
// of its own, and judges the call by what the store has then.
func (w *world) requireMends(key apikey.Key, organization policy.Organization, call admin.Call, again time.Time, index int) {
	w.t.Helper()
	copied := fmt.Sprintf("%s-%d", key.ID, index)
	key.ID, key.Organization, key.Revision = apikey.ID(copied), copied, 0
	if call.Resource.Organization == organization.ID {
		call.Resource.Organization = copied
	}
	organization.ID, organization.Revision, call.Key = copied, 0, key.ID
	_, err := w.memory.PutOrganization(w.ctx, organization)
	require.NoError(w.t, err)
	_, err = w.memory.PutKey(w.ctx, key, 1)
	require.NoError(w.t, err)

	found, err := w.admin.Investigate(w.ctx, ann, copied, call)
	require.NoError(w.t, err)
	remedy := found.Remedies[index]
	options := admin.ApplyOptions{Token: remedy.Preview.Token, Accept: remedy.Preview.Needs(), Reason: "incident 4711"}
	_, err = w.admin.Apply(w.ctx, ann, copied, options, remedy.Changes()...)
	require.NoError(w.t, err, remedy)

	subject, _, err := w.memory.Lookup(w.ctx, key.ID)
	require.NoError(w.t, err)
	after, mended := subject.Key(), subject.Organization()
	call.Unproven = call.Unproven && !rotates(remedy) // the caller has the new secret
	d := decide(after, mended, call, again)
	require.True(w.t, d.Allowed(), "%s\n%s", remedy, d)
	require.Equal(w.t, remedy.After, d.Reason)
	for _, proposal := range remedy.Proposals {
		requireValues(w.t, proposal, after, mended)
	}
}

func rotates(remedy admin.Remedy) bool {
	return slices.ContainsFunc(remedy.Proposals, func(p admin.Proposal) bool { return p.Kind == "rotate" })
}

// requireValues checks that the values of a proposal are those of the records after it.
func requireValues(t testing.TB, proposal admin.Proposal, key apikey.Key, organization policy.Organization) {
	t.Helper()
	require.Equal(t, proposal.Change.Kind(), proposal.Kind)
	require.NotEmpty(t, proposal.Text)
	switch proposal.Kind {
	case "add_entries", "edit_entries":
		entry, err := accesslist.Parser{AllowIPv6: true}.ParseEntry(proposal.Entry.Address)
		require.NoError(t, err)
		stored, ok := key.AccessList.Find(entry.Prefix())
		require.True(t, ok)
		require.True(t, stored.Expires.Equal(proposal.Entry.Expires))
	case "add_grants":
		require.Contains(t, key.Grants, apikey.Grant(*proposal.Grant))
	case "set_validity":
		require.True(t, key.NotBefore.Equal(proposal.NotBefore))
		require.True(t, key.Expires.Equal(proposal.Expires))
	case "suspend_requirement":
		require.True(t, organization.SuspendedUntil.Equal(proposal.Until))
	case "set_requirement":
		require.Equal(t, policy.ReportOnly, organization.Requirement)
		require.Equal(t, policy.ReportOnly, proposal.Requirement)
	default:
		require.Contains(t, []string{"enable_key", "enable_organization", "rotate"}, proposal.Kind)
	}
}

// decide judges a call by some records, with any live secret as its proof.
func decide(key apikey.Key, organization policy.Organization, call admin.Call, at time.Time) policy.Decision {
	return policy.Evaluate(policy.NewSubject(&key, &organization), policy.Request{
		Key: key.ID, Client: call.Client, Organization: call.Resource.Organization, Project: call.Resource.Project,
		Endpoint: &call.Endpoint, Verifier: liveSecret(!call.Unproven),
	}, at)
}

type liveSecret bool

func (proven liveSecret) Verify(key apikey.Key, now time.Time) (int, error) {
	for _, secret := range key.Secrets {
		if bool(proven) && (secret.Expires.IsZero() || now.Before(secret.Expires)) {
			return -1, nil
		}
	}
	return -1, errFault
}

// leastMends tries every set of mends on the records, and returns the size of the smallest one
// after which the call is allowed; -1 if there is none.
func leastMends(key apikey.Key, organization policy.Organization, call admin.Call, at time.Time) int {
	role := ""
	switch {
	case len(call.Endpoint.Roles) > 0:
		role = call.Endpoint.Roles[0]
	case len(key.Grants) > 0:
		role = key.Grants[0].Role
	}
	const newSecret = 4
	_, err := liveSecret(true).Verify(key, at)
	ended := err != nil // otherwise a new secret is no mend: there is one to use
	mends := []func(*apikey.Key, *policy.Organization){
		func(k *apikey.Key, _ *policy.Organization) { k.Disabled = false },
		func(_ *apikey.Key, o *policy.Organization) { o.Disabled = false },
		func(k *apikey.Key, _ *policy.Organization) { k.NotBefore = time.Time{} },
		func(k *apikey.Key, _ *policy.Organization) { k.Expires = time.Time{} },
		func(k *apikey.Key, _ *policy.Organization) { k.Secrets[0].Expires = time.Time{} },
		func(_ *apikey.Key, o *policy.Organization) { o.Requirement = policy.NotRequired },
		func(k *apikey.Key, _ *policy.Organization) {
			client := call.Client.Unmap()
			entry, _ := accesslist.Parser{AllowIPv6: true}.NewEntry(netip.PrefixFrom(client, client.BitLen()))
			list, err := k.AccessList.With(entry)
			if err != nil { // it is listed, and expired
				list, _ = k.AccessList.Replace(entry)
			}
			k.AccessList = list
		},
		func(k *apikey.Key, _ *policy.Organization) {
			if role != "" {
				k.Grants = append(k.Grants, apikey.Grant{Role: role, Project: call.Resource.Project})
			}
		},
	}
	least := -1
	for set := range uint(1) << len(mends) {
		after, of := key.Clone(), organization
		call := call
		call.Unproven = call.Unproven && !(ended && set&(1<<newSecret) != 0)
		for i, mend := range mends {
			if set&(1<<i) != 0 {
				mend(&after, &of)
			}
		}
		if size := bits.OnesCount(set); (least < 0 || size < least) && decide(after, of, call, at).Allowed() {
			least = size
		}
	}
	return least
}
