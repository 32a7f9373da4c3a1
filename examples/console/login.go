package main

import (
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"html/template"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"github.com/sallyport-go/sallyport/store/admin"
)

// sessionCookie names the cookie of a session.
const sessionCookie = "session"

// sessionLength is how long a session lasts.
const sessionLength = 8 * time.Hour

// A login has one account, and its sessions in memory. A real service has its own.
type login struct {
	user, password string

	mu       sync.Mutex
	sessions map[string]time.Time // by the cookie's value, with their end
}

func newLogin(user, password string) *login {
	return &login{user: user, password: password, sessions: map[string]time.Time{}}
}

// person is the function that the console asks: everything it knows of people is here.
func (l *login) person(r *http.Request) (admin.Person, error) {
	cookie, err := r.Cookie(sessionCookie)
	if err != nil {
		return admin.Person{}, errors.New("no session")
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if !time.Now().Before(l.sessions[cookie.Value]) {
		delete(l.sessions, cookie.Value)
		return admin.Person{}, errors.New("no such session, or it has ended")
	}
	peer, _ := netip.ParseAddrPort(r.RemoteAddr) // for the events; behind a proxy resolve it as for keys
	return admin.Person{ID: l.user, Name: "Ann Archer", Address: peer.Addr(), May: may}, nil
}

// may is what Ann may do: manage one organization, and look at the other.
func may(organization string, access admin.Access) bool {
	return organization == "acme" || organization == "globex" && access == admin.Read
}

var loginPage = template.Must(template.New("").Parse(`<!doctype html><html lang="en"><meta name="viewport" content="width=device-width"><title>Sign in</title>
<main><h1>Sign in</h1>{{with .}}<p role="alert">{{.}}</p>{{end}}
<form method="post"><p><label>User <input name="user" autocomplete="username" required></label></p>
<p><label>Password <input name="password" type="password" autocomplete="current-password" required></label></p><button>Sign in</button></form></main></html>`))

func (l *login) show(w http.ResponseWriter, _ *http.Request) { writeLogin(w, http.StatusOK, "") }

func writeLogin(w http.ResponseWriter, status int, message string) {
	w.Header().Set("Content-Security-Policy", "default-src 'none'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_ = loginPage.Execute(w, message)
}

func (l *login) signIn(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, 4096)
	same := func(name, want string) int {
		return subtle.ConstantTimeCompare([]byte(r.PostFormValue(name)), []byte(want))
	}
	if same("user", l.user)&same("password", l.password) != 1 {
		writeLogin(w, http.StatusForbidden, "The user or the password is wrong.")
		return
	}
	session := rand.Text()
	l.mu.Lock()
	l.sessions[session] = time.Now().Add(sessionLength)
	l.mu.Unlock()
	http.SetCookie(w, &http.Cookie{Name: sessionCookie, Value: session, Path: "/", HttpOnly: true, SameSite: http.SameSiteLaxMode, MaxAge: int(sessionLength.Seconds())})
	http.Redirect(w, r, "/console/", http.StatusSeeOther)
}

func (l *login) signOut(w http.ResponseWriter, r *http.Request) {
	if cookie, err := r.Cookie(sessionCookie); err == nil {
		l.mu.Lock()
		delete(l.sessions, cookie.Value)
		l.mu.Unlock()
	}
	http.SetCookie(w, &http.Cookie{Name: sessionCookie, Path: "/", HttpOnly: true, SameSite: http.SameSiteLaxMode, MaxAge: -1})
	http.Redirect(w, r, "/login", http.StatusSeeOther)
}
