package apikey_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/apikey"
)

func TestStatusOrderAndBounds(t *testing.T) {
	early, late := noon.Add(-time.Nanosecond), noon.Add(time.Nanosecond)
	for name, test := range map[string]struct {
		key  apikey.Key
		want apikey.Status
	}{
		"no key":                   {apikey.Key{}, apikey.StatusUnknown},
		"no bounds":                {apikey.Key{ID: "k"}, apikey.StatusActive},
		"disabled":                 {apikey.Key{ID: "k", Disabled: true}, apikey.StatusDisabled},
		"disabled and not yet":     {apikey.Key{ID: "k", Disabled: true, NotBefore: late}, apikey.StatusDisabled},
		"disabled and expired":     {apikey.Key{ID: "k", Disabled: true, Expires: early}, apikey.StatusDisabled},
		"before NotBefore":         {apikey.Key{ID: "k", NotBefore: late}, apikey.StatusNotYetValid},
		"at NotBefore":             {apikey.Key{ID: "k", NotBefore: noon}, apikey.StatusActive},
		"after NotBefore":          {apikey.Key{ID: "k", NotBefore: early}, apikey.StatusActive},
		"before NotBefore, no end": {apikey.Key{ID: "k", NotBefore: late, Expires: early}, apikey.StatusNotYetValid},
		"before Expires":           {apikey.Key{ID: "k", Expires: late}, apikey.StatusActive},
		"at Expires":               {apikey.Key{ID: "k", Expires: noon}, apikey.StatusExpired},
		"after Expires":            {apikey.Key{ID: "k", Expires: early}, apikey.StatusExpired},
		"inside":                   {apikey.Key{ID: "k", NotBefore: noon, Expires: late}, apikey.StatusActive},
	} {
		require.Equal(t, test.want, test.key.Status(noon), name)
	}
}

func TestStatusText(t *testing.T) {
	for status, want := range map[apikey.Status]string{
		apikey.StatusUnknown: "unknown", apikey.StatusActive: "active", apikey.StatusDisabled: "disabled",
		apikey.StatusNotYetValid: "not_yet_valid", apikey.StatusExpired: "expired", 9: "Status(9)",
	} {
		require.Equal(t, want, status.String())
	}
	var zero apikey.Status
	require.Equal(t, apikey.StatusUnknown, zero)
}

func TestValidateName(t *testing.T) {
	for _, good := range []string{"a", "acme corp", "Ünïcode \U0001F512", strings.Repeat("x", 256)} {
		require.NoError(t, apikey.ValidateName("role", good))
	}
	for bad, want := range map[string]string{
		"":                       "apikey: the role is empty: want 1 to 256 bytes",
		" a":                     `apikey: the role " a" begins or ends with white space`,
		"a\u00a0":                `apikey: the role "a\u00a0" begins or ends with white space`,
		"a\n":                    `apikey: the role "a\n" begins or ends with white space`,
		"a\tb":                   `apikey: the role "a\tb" has the control character U+0009 at byte 2: want it without`,
		"a\x7fb":                 `has the control character U+007F at byte 2`,
		"a\u0085b":               `has the control character U+0085 at byte 2`,
		"a\u2028b":               `apikey: the role "a\u2028b" has the line separator U+2028 at byte 2: want it without`,
		"pro\u200bd":             `has the invisible character U+200B at byte 4`,
		"\ufeffprod":             `has the invisible character U+FEFF at byte 1`,
		"\u202edorp":             `has the direction-changing character U+202E at byte 1`,
		"a\xffb":                 `apikey: the role "a\xffb" is not valid UTF-8: want UTF-8`,
		"\xff":                   `is not valid UTF-8`,
		strings.Repeat("x", 257): `xxx…" has 257 bytes: want at most 256`,
	} {
		err := apikey.ValidateName("role", bad)
		require.ErrorContains(t, err, want)
		require.Less(t, len(err.Error()), 200, "an error does not grow with what it is about")
	}
}

func TestValidate(t *testing.T) {
	require.NoError(t, fullKey(t).Validate())
	key, _ := newKey(t, nil)
	require.NoError(t, key.Validate())

	year := func(y int) time.Time { return time.Date(y, 1, 1, 0, 0, 0, 0, time.UTC) }
	for name, test := range map[string]struct {
		change func(*apikey.Key)
		want   string // "": it is valid
	}{
		"no ID":                {func(k *apikey.Key) { k.ID = "" }, "the key ID has 0 bytes"},
		"no organization":      {func(k *apikey.Key) { k.Organization = "" }, "the organization is empty"},
		"no description":       {func(k *apikey.Key) { k.Description = "" }, ""},
		"white space":          {func(k *apikey.Key) { k.Description = " " }, ""},
		"longest description":  {func(k *apikey.Key) { k.Description = strings.Repeat("x", 1024) }, ""},
		"longer description":   {func(k *apikey.Key) { k.Description = strings.Repeat("x", 1025) }, "has 1025 bytes: want at most 1024"},
		"lines in description": {func(k *apikey.Key) { k.Description = "a\nb" }, `the description "a\nb" has the control character U+000A at byte 2`},
		"hidden description":   {func(k *apikey.Key) { k.Description = "a\u2066b" }, `the description "a\u2066b" has the direction-changing character U+2066 at byte 2`},
		"a failed list": {func(k *apikey.Key) { k.AccessList, _ = accesslist.Parse("203.0.113.700") },
			"the access list is invalid: want a list returned without an error"},
		"no grants":       {func(k *apikey.Key) { k.Grants = nil }, ""},
		"no role":         {func(k *apikey.Key) { k.Grants[1].Role = "" }, "apikey: the role of Grants[1] is empty"},
		"bad project":     {func(k *apikey.Key) { k.Grants[1].Project = " " }, "apikey: the project of Grants[1]"},
		"project and all": {func(k *apikey.Key) { k.Grants[1].AllProjects = true }, `Grants[1] has AllProjects and the project "staging"`},
		"grant twice":     {func(k *apikey.Key) { k.Grants[2] = k.Grants[0] }, `Grants[2] is Grants[0] again, with the role "backup.admin"`},
		"no secrets":      {func(k *apikey.Key) { k.Secrets = nil }, "the key has 0 secrets: want one, or two"},
		"one secret":      {func(k *apikey.Key) { k.Secrets = k.Secrets[:1] }, ""},
		"three secrets": {func(k *apikey.Key) { k.Secrets = append(k.Secrets, apikey.StoredSecret{Sum: [32]byte{1}}) },
			"the key has 3 secrets"},
		"no hash":              {func(k *apikey.Key) { k.Secrets[1].Sum = [32]byte{} }, "Secrets[1] has no hash"},
		"hash twice":           {func(k *apikey.Key) { k.Secrets[1].Sum = k.Secrets[0].Sum }, "Secrets[1] is Secrets[0] again, with the hash "},
		"bad server key":       {func(k *apikey.Key) { k.Secrets[0].ServerKey = "a b" }, "the server key's ID of Secrets[0] has the byte ' '"},
		"former ID":            {func(k *apikey.Key) { k.Secrets[0].FormerID = "0123def9" }, ""},
		"short former ID":      {func(k *apikey.Key) { k.Secrets[0].FormerID = "0123def" }, `FormerID "0123def" of Secrets[0]: want the ID of a stored secret, 8 hexadecimal digits`},
		"bad former ID":        {func(k *apikey.Key) { k.Secrets[1].FormerID = "0123DEF9" }, `FormerID "0123DEF9" of Secrets[1]`},
		"former ID with signs": {func(k *apikey.Key) { k.Secrets[1].FormerID = "0123/:`g" }, `of Secrets[1]: want the ID`},
		"plain":                {func(k *apikey.Key) { k.Secrets[0].ServerKey = "" }, ""},
		"secret's year":        {func(k *apikey.Key) { k.Secrets[0].Created = year(0) }, "Created of Secrets[0] is in the year 0"},
		"secret's last year":   {func(k *apikey.Key) { k.Secrets[1].Expires = year(10000) }, "Expires of Secrets[1] is in the year 10000"},
		"no metadata":          {func(k *apikey.Key) { k.Metadata = nil }, ""},
		"empty metadata":       {func(k *apikey.Key) { k.Metadata = &apikey.Metadata{} }, ""},
		"no external ID":       {func(k *apikey.Key) { k.Metadata.ExternalID = "" }, ""},
		"longest external ID":  {func(k *apikey.Key) { k.Metadata.ExternalID = strings.Repeat("x", 256) }, ""},
		"external ID too long": {func(k *apikey.Key) { k.Metadata.ExternalID = strings.Repeat("x", 257) }, "has 257 bytes: want at most 256"},
		"external ID's space":  {func(k *apikey.Key) { k.Metadata.ExternalID = "a " }, `apikey: the external ID "a " begins or ends with white space`},
		"external ID's lines":  {func(k *apikey.Key) { k.Metadata.ExternalID = "a\nb" }, `apikey: the external ID "a\nb" has the control character U+000A`},
		"external ID's bytes":  {func(k *apikey.Key) { k.Metadata.ExternalID = "a\xff" }, "is not valid UTF-8"},
		"longest label": {func(k *apikey.Key) {
			k.Metadata.Labels = map[string]string{strings.Repeat("é", 32): strings.Repeat("x", 256)}
		}, ""},
		"label too long":        {func(k *apikey.Key) { k.Metadata.Labels[strings.Repeat("x", 65)] = "" }, "has 65 bytes: want at most 64"},
		"label of no name":      {func(k *apikey.Key) { k.Metadata.Labels[""] = "x" }, "apikey: the name of a label is empty: want 1 to 64 bytes"},
		"label with =":          {func(k *apikey.Key) { k.Metadata.Labels["a=b"] = "c" }, `apikey: the name of a label "a=b" contains "=": want it without`},
		"label's space":         {func(k *apikey.Key) { k.Metadata.Labels[" a"] = "c" }, `the name of a label " a" begins or ends with white space`},
		"label's bytes":         {func(k *apikey.Key) { k.Metadata.Labels["a\xff"] = "c" }, "is not valid UTF-8"},
		"value with =":          {func(k *apikey.Key) { k.Metadata.Labels["team"] = "a=b" }, ""},
		"value too long":        {func(k *apikey.Key) { k.Metadata.Labels["team"] = strings.Repeat("x", 257) }, "has 257 bytes: want at most 256"},
		"value's lines":         {func(k *apikey.Key) { k.Metadata.Labels["team"] = "a\u2028b" }, `apikey: the value of label "team" "a\u2028b" has the line separator`},
		"value's space":         {func(k *apikey.Key) { k.Metadata.Labels["team"] = " " }, `the value of label "team" " " begins or ends with white space`},
		"invalid list on trial": {func(k *apikey.Key) { k.TrialList = invalidList(t) }, "apikey: the list on trial is invalid: want a list returned without an error"},
		"never valid":           {func(k *apikey.Key) { k.NotBefore = k.Expires }, "is never valid: NotBefore 2026-05-17T12:00:00.12345679Z is not before"},
		"backwards":             {func(k *apikey.Key) { k.NotBefore = k.Expires.Add(1) }, "the key is never valid"},
		"from now on":           {func(k *apikey.Key) { k.Expires = time.Time{} }, ""},
		"NotBefore's year":      {func(k *apikey.Key) { k.NotBefore = year(-1) }, "NotBefore is in the year -1: want 1 to 9999"},
		"Expires's year":        {func(k *apikey.Key) { k.Expires = year(10000) }, "Expires is in the year 10000"},
		"Expires's first year":  {func(k *apikey.Key) { k.Expires = year(9999) }, ""},
		"created at no time":    {func(k *apikey.Key) { k.Created = time.Time{} }, ""},
		"Created's year":        {func(k *apikey.Key) { k.Created = year(0) }, "Created is in the year 0"},
	} {
		t.Run(name, func(t *testing.T) {
			key := fullKey(t)
			test.change(&key)
			err := key.Validate()
			if test.want == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, test.want)
			require.NotContains(t, err.Error(), "\n", "one mistake, one line")
		})
	}
}

func TestValidateJoinsEverythingWrong(t *testing.T) {
	err := apikey.Key{Grants: []apikey.Grant{{}}}.Validate()
	require.Len(t, strings.Split(err.Error(), "\n"), 4, "ID, organization, role and secrets")
}

func TestCloneSharesNothing(t *testing.T) {
	key := fullKey(t)
	clone := key.Clone()
	require.Equal(t, key, clone)
	clone.Grants[0].Role = "other"
	clone.Secrets[0].Sum[0]++
	clone.Secrets[1].Digest = apikey.DigestCredentials{}
	require.False(t, key.Secrets[1].Digest.IsZero())
	clone.Metadata.Labels["team"], clone.Metadata.ExternalID = "other", "other"
	require.Equal(t, "cus_1", key.ExternalID())
	team, ok := key.Label("team")
	require.True(t, ok)
	require.Equal(t, "größer <&>", team)
	require.Equal(t, "backup.admin", key.Grants[0].Role)
	require.NotEqual(t, clone.Secrets[0].Sum, key.Secrets[0].Sum)
	require.Nil(t, apikey.Key{}.Clone().Secrets)
	for _, empty := range []*apikey.Metadata{nil, {}, {Labels: map[string]string{}}} {
		require.Nil(t, apikey.Key{Metadata: empty}.Clone().Metadata)
		require.True(t, apikey.Key{Metadata: empty}.Equal(apikey.Key{}))
		_, ok := apikey.Key{Metadata: empty}.Label("team")
		require.False(t, ok)
		require.Empty(t, apikey.Key{Metadata: empty}.ExternalID())
	}
	require.Zero(t, (*apikey.Metadata)(nil).Size())
	require.Equal(t, len("cus_1")+len("team")+len("web")+len(`"later":1`), withMetadata(t, `{"externalId":"cus_1","labels":{"team":"web"},"later": 1}`).Metadata.Size())
	require.Equal(t, &apikey.Metadata{ExternalID: "x"}, apikey.Key{Metadata: &apikey.Metadata{ExternalID: "x"}}.Clone().Metadata)
}

func TestEqual(t *testing.T) {
	key := fullKey(t)
	abroad := key.Clone()
	zone := time.FixedZone("", 3600)
	abroad.Created, abroad.Expires, abroad.NotBefore = key.Created.In(zone), key.Expires.In(zone), key.NotBefore.In(zone)
	abroad.Secrets[0].Created = key.Secrets[0].Created.In(zone)
	require.True(t, key.Equal(abroad))
	require.Empty(t, cmp.Diff(key, abroad))
	require.True(t, apikey.Key{}.Equal(apikey.Key{Grants: []apikey.Grant{}, Secrets: []apikey.StoredSecret{}}))

	other, err := accesslist.Parse("203.0.113.8")
	require.NoError(t, err)
	for name, change := range map[string]func(*apikey.Key){
		"unknown metadata":     func(k *apikey.Key) { k.Metadata = withMetadata(t, `{"later":1}`).Metadata },
		"ID":                   func(k *apikey.Key) { k.ID = "KEY_1-B" },
		"Organization":         func(k *apikey.Key) { k.Organization = "Acme" },
		"Description":          func(k *apikey.Key) { k.Description = "" },
		"Disabled":             func(k *apikey.Key) { k.Disabled = false },
		"AccessList":           func(k *apikey.Key) { k.AccessList = other },
		"TrialList":            func(k *apikey.Key) { k.TrialList = other },
		"no TrialList":         func(k *apikey.Key) { k.TrialList = accesslist.List{} },
		"Metadata":             func(k *apikey.Key) { k.Metadata = nil },
		"ExternalID":           func(k *apikey.Key) { k.Metadata.ExternalID = "" },
		"Labels":               func(k *apikey.Key) { k.Metadata.Labels = nil },
		"a label":              func(k *apikey.Key) { delete(k.Metadata.Labels, "archived") },
		"a label's value":      func(k *apikey.Key) { k.Metadata.Labels["archived"] = "x" },
		"no AccessList":        func(k *apikey.Key) { k.AccessList = accesslist.List{} },
		"Grants":               func(k *apikey.Key) { k.Grants[0].AllProjects = true },
		"order of grants":      func(k *apikey.Key) { k.Grants[0], k.Grants[1] = k.Grants[1], k.Grants[0] },
		"Secrets":              func(k *apikey.Key) { k.Secrets = k.Secrets[:1] },
		"a secret's ServerKey": func(k *apikey.Key) { k.Secrets[0].ServerKey = "" },
		"a secret's Sum":       func(k *apikey.Key) { k.Secrets[0].Sum[31]++ },
		"a secret's FormerID":  func(k *apikey.Key) { k.Secrets[0].FormerID = "5ec2e700" },
		"a secret's Created":   func(k *apikey.Key) { k.Secrets[0].Created = time.Time{} },
		"a secret's Expires":   func(k *apikey.Key) { k.Secrets[0].Expires = time.Time{} },
		"a secret's Digest":    func(k *apikey.Key) { k.Secrets[0].Digest = k.Secrets[1].Digest },
		"no Digest":            func(k *apikey.Key) { k.Secrets[0].Digest = apikey.DigestCredentials{} },
		"NotBefore":            func(k *apikey.Key) { k.NotBefore = time.Time{} },
		"Expires":              func(k *apikey.Key) { k.Expires = k.Expires.Add(1) },
		"Created":              func(k *apikey.Key) { k.Created = time.Time{} },
		"Revision":             func(k *apikey.Key) { k.Revision = 1 },
	} {
		changed := key.Clone()
		change(&changed)
		require.False(t, key.Equal(changed), name)
		require.NotEmpty(t, cmp.Diff(key, changed), name)
	}
}
