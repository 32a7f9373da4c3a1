package apikey_test

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"regexp"
	"time"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/apikey"
)

func Example() {
	// Once: make a key, show its secret to the owner, store the key.
	key, secret, err := apikey.New("acme", apikey.Grant{Role: "backup.admin"})
	if err != nil {
		panic(err)
	}
	shownOnce := secret.Reveal()

	// On each request: read what the caller shows, look the key up by its ID, compare.
	id, shown, err := apikey.Parse(shownOnce)
	if err != nil {
		panic(err)
	}
	index, err := shown.Verify(key.Secrets, time.Now())

	fmt.Println(id == key.ID, index, err, key.Status(time.Now()))
	// Output: true 0 <nil> active
}

func ExampleNew() {
	key, secret, err := apikey.New("acme",
		apikey.Grant{Role: "backup.admin"},
		apikey.Grant{Role: "backup.viewer", AllProjects: true})
	if err != nil {
		panic(err)
	}
	key.Description = "nightly backup"
	key.Expires = key.Created.AddDate(0, 3, 0)
	key.AccessList, err = accesslist.Parse("203.0.113.7", "198.51.100.0/24")
	if err != nil {
		panic(err)
	}

	fmt.Println(len(key.ID), len(secret.Reveal()), key.Validate())
	fmt.Println(key.AccessList.Len(), len(key.Secrets), secret)
	// Output:
	// 20 62 <nil>
	// 2 1 [redacted]
}

// An unknown key takes the same time as a wrong secret, if Verify is called for both.
func ExampleSecret_Verify() {
	key, secret, _ := apikey.New("acme")
	_, another, _ := apikey.New("acme")

	index, err := secret.Verify(key.Secrets, time.Now())
	fmt.Println(index, err)
	_, wrong := another.Verify(key.Secrets, time.Now())
	fmt.Println(errors.Is(wrong, apikey.ErrWrongSecret))
	_, noRecord := secret.Verify(nil, time.Now())
	fmt.Println(noRecord == wrong)
	// Output:
	// 0 <nil>
	// true
	// true
}

func ExampleRotate() {
	key, first, _ := apikey.New("acme")

	// Both secrets are good for a day, while the programs that have the first one are given the second.
	key, second, err := apikey.Rotate(key, 24*time.Hour)
	if err != nil {
		panic(err)
	}
	today, tomorrow := time.Now(), time.Now().Add(24*time.Hour)
	for _, secret := range []apikey.Secret{first, second} {
		_, errToday := secret.Verify(key.Secrets, today)
		_, errTomorrow := secret.Verify(key.Secrets, tomorrow)
		fmt.Println(errToday == nil, errTomorrow == nil)
	}

	// The second leaked: an overlap of 0 ends every earlier secret at once.
	key, _, err = apikey.Rotate(key, 0)
	fmt.Println(len(key.Secrets), err)
	// Output:
	// true false
	// true true
	// 1 <nil>
}

func ExampleIssuer_Pattern() {
	issuer, err := apikey.NewIssuer(apikey.IssuerConfig{Prefix: "acme"})
	if err != nil {
		panic(err)
	}
	fmt.Println(issuer.Pattern())

	_, secret, _ := issuer.New("customer-17")
	found := regexp.MustCompile(issuer.Pattern()).FindString(`const token = "` + secret.Reveal() + `"`)
	fmt.Println(found == secret.Reveal())
	// Output:
	// acme_[0-9A-Za-z_-]{1,40}_[0-9A-Za-z]{38}
	// true
}

func ExampleIssuer_Parse() {
	for _, text := range []string{
		"Bearer",
		"sp_bbzwyxit3eylkdeqgytw_S1Dg4mM4KZlV7KHGtSGLf39kg0V4ObTZ3za",
		"sp_bbzwyxit3eylkdeqgytw_S1Dg4mM4KZlV7KHGtSGLf39kg0V4ObTZ3zaMkY",
		"sp_bbzwyxit3eylkdeqgytw_S1Dg4mM4KZlV7KHGtSGLf39kg0V4ObTZ3zaMkX",
	} {
		id, _, err := apikey.Parse(text)
		fmt.Printf("%q %v\n", id, err)
	}
	// Output:
	// "" apikey: malformed secret: it does not begin as a secret of this service does: want "sp_"
	// "" apikey: malformed secret: one of its last 38 characters is neither a letter nor a digit: want it without white space around it
	// "" apikey: malformed secret: the checksum at its end does not fit, probably a typing error: want the text as it was shown
	// "bbzwyxit3eylkdeqgytw" <nil>
}

// A secret does not come out by accident, not even as an unexported field of something that is logged.
func ExampleSecret_redaction() {
	_, secret, _ := apikey.New("acme")
	type client struct {
		Name   string
		secret apikey.Secret
	}
	c := client{"nightly backup", secret}

	fmt.Printf("%v %s %q %x %#v\n", secret, secret, secret, secret, secret)
	fmt.Println(fmt.Errorf("login with %v failed", secret))
	log := slog.New(slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{ReplaceAttr: withoutTime}))
	log.Info("connected", "secret", secret, "as", c.Name)
	fmt.Println(regexp.MustCompile(secret.Reveal()[3:9]).MatchString(fmt.Sprintf("%+v", c)))
	// Output:
	// [redacted] [redacted] [redacted] [redacted] [redacted]
	// login with [redacted] failed
	// time=- level=INFO msg=connected secret=[redacted] as="nightly backup"
	// false
}

func withoutTime(_ []string, a slog.Attr) slog.Attr {
	if a.Key == slog.TimeKey {
		a.Value = slog.StringValue("-")
	}
	return a
}

// A service that moves from plain SHA-256 to a server key goes on accepting what it has stored.
func ExampleNewServerKey() {
	before, oldSecret, _ := apikey.New("acme")

	fromKeyManagement := []byte("32 random bytes of the service's")
	serverKey, err := apikey.NewServerKey("2026-05", fromKeyManagement)
	if err != nil {
		panic(err)
	}
	issuer, err := apikey.NewIssuer(apikey.IssuerConfig{ServerKeys: []apikey.ServerKey{serverKey, apikey.Unkeyed()}})
	if err != nil {
		panic(err)
	}
	after, _, _ := issuer.New("acme")

	_, shown, _ := issuer.Parse(oldSecret.Reveal())
	_, err = shown.Verify(before.Secrets, time.Now())
	fmt.Printf("%q %v, new ones under %q, %v\n", before.Secrets[0].ServerKey, err, after.Secrets[0].ServerKey, serverKey)
	// Output: "" <nil>, new ones under "2026-05", [redacted]
}
