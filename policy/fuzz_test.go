package policy_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/policy"
)

// A dice makes choices of the fuzzer's bytes; when they run out it chooses the
// first of everything.
type dice struct{ data []byte }

func (d *dice) next() byte {
	if len(d.data) == 0 {
		return 0
	}
	b := d.data[0]
	d.data = d.data[1:]
	return b
}

func (d *dice) take(n int) []byte {
	taken := make([]byte, n)
	for i := range taken {
		taken[i] = d.next()
	}
	return taken
}

func (d *dice) flip() bool { return d.next()&1 == 1 }

func (d *dice) of(texts ...string) string { return texts[int(d.next())%len(texts)] }

// rarely is what would otherwise end most decisions early.
func (d *dice) rarely() bool { return d.next() > 235 }

// text is mostly the first, at times one of the others, which look alike, and
// rarely any bytes.
func (d *dice) text(common ...string) string {
	switch b := d.next(); {
	case b < 215:
		return common[0]
	case b < 245:
		return common[int(b)%len(common)]
	}
	return string(d.take(int(d.next() % 6)))
}

// instant is mostly unset, else close to noon.
func (d *dice) instant() instant {
	b := d.next()
	return instant{b%4 == 1, int64(b>>2)%5 - 2}
}

func (d *dice) project() string { return d.text("alpha", "", "beta", "Alpha", "alpha ") }
func (d *dice) role() string    { return d.text("reader", "owner", "Reader", "read") }

// block is the text of a legal entry, or "".
func (d *dice) block() string {
	var addr netip.Addr
	if d.flip() {
		addr = netip.AddrFrom16([16]byte(d.take(16)))
	} else {
		addr = netip.AddrFrom4([4]byte(d.take(4)))
	}
	prefix, err := addr.Prefix(int(d.next()) % (addr.BitLen() + 1))
	if err != nil || prefix.IsSingleIP() && addr.IsUnspecified() || prefix.Addr().Is4In6() {
		return ""
	}
	if prefix.IsSingleIP() {
		return prefix.Addr().String()
	}
	return prefix.String()
}

// client is mostly an address at the edge of an entry, in one of its spellings.
func (d *dice) client(entries []plainEntry) string {
	var addr netip.Addr
	switch kind := d.next() % 16; {
	case kind == 15:
		return ""
	case kind == 14:
		addr = netip.AddrFrom16([16]byte(d.take(16)))
	case kind == 13 || len(entries) == 0:
		addr = netip.AddrFrom4([4]byte(d.take(4)))
	default:
		text, _, _ := strings.Cut(entries[int(d.next())%len(entries)].text, "/")
		addr = netip.MustParseAddr(text)
		if other, _ := addr.Prefix(int(d.next()) % (addr.BitLen() + 1)); other.IsValid() && d.flip() {
			addr = other.Addr() // it may leave the block
		}
		switch neighbour := addr; d.next() % 3 {
		case 1:
			neighbour = addr.Next()
			fallthrough
		case 2:
			if neighbour == addr {
				neighbour = addr.Prev()
			}
			if neighbour.IsValid() {
				addr = neighbour
			}
		}
	}
	if addr.Is4() && d.flip() {
		addr = netip.AddrFrom16(addr.As16())
	}
	if addr.Is6() && d.rarely() {
		addr = addr.WithZone(d.text("eth0", "a\nb", "%"))
	}
	return addr.String()
}

func (d *dice) key() *plainKey {
	k := &plainKey{
		id: d.text("key-1", "KEY-1", "key-10"), organization: d.text("acme", "ACME", "globex", ""),
		disabled: d.rarely(), notBefore: d.instant(), expires: d.instant(),
	}
	k.entries = d.list(int(d.next() % 6))
	if d.rarely() {
		k.trial = d.list(int(d.next() % 4))
	}
	for range d.next() % 4 {
		k.grants = append(k.grants, plainGrant{d.role(), d.project(), d.flip()})
	}
	for _, name := range []string{"first", "second"} {
		if !d.rarely() {
			k.secrets = append(k.secrets, plainSecret{name, d.instant()})
		}
	}
	return k
}

// list returns a list of up to n entries.
func (d *dice) list(n int) (list []plainEntry) {
	for range n {
		text, expires := d.block(), d.instant()
		if text == "" || slices.ContainsFunc(list, func(e plainEntry) bool { return e.text == text }) {
			continue
		}
		list = append(list, plainEntry{text, bitsOf(text), expires})
	}
	return list
}

func (d *dice) world() *world {
	w := &world{now: int64(d.next())%5 - 2, sourceFails: d.rarely()}
	var entries []plainEntry
	if !d.rarely() {
		w.key = d.key()
		entries = slices.Concat(w.key.entries, w.key.trial)
		if !d.rarely() {
			w.organization = &plainOrganization{d.text(w.key.organization, "acme", ""), d.of("not_required", "report_only", "required", "out of range"), d.rarely(), d.instant()}
		}
	}
	w.request = &plainRequest{
		key: d.text("key-1", "key-1", "KEY-1", ""), client: d.client(entries), organization: d.text("acme", "", "globex", "ACME"), project: d.project(),
		endpointRequires: d.flip(), console: d.rarely(),
		secret: d.of("first", "first", "second", "first", "", "other key's"), verifier: d.of("", "", "already verified", "accepts", "", "refuses"),
		resolver: d.of("", "finds", "", "fails"),
	}
	if d.flip() && w.request.verifier != "" {
		w.request.secret = ""
	}
	if d.rarely() {
		w.request.unreadable = d.of("malformed", "invalid credentials", "unavailable")
	}
	for range d.next() % 3 {
		w.request.roles = append(w.request.roles, d.role())
	}
	// No store keeps what cannot be a key's ID, and none is asked for it.
	unfit := func(r rune) bool {
		return !strings.ContainsRune("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_", r)
	}
	if w.request.key == "" || strings.ContainsFunc(w.request.key, unfit) {
		w.key, w.organization, w.sourceFails = nil, nil, false
	}
	return w
}

// FuzzDecide compares Evaluate, Decide and the oracle on whatever the bytes make.
func FuzzDecide(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte{2, 0, 0, 0, 0, 0, 0, 0, 2, 0, 203, 0, 113, 7, 32, 0, 0, 10, 0, 0, 0, 8, 0, 1, 0, 1, 0, 1, 0, 0, 0, 0, 0, 3, 0, 0, 0})
	f.Add([]byte("\x02\x00\x00\x00\x00\x00\x00\x00\x03\x01\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x20\x05\x00\x0a\x00\x00\x00\x08\x03"))
	f.Add([]byte(strings.Repeat("\x01\x03\x07\xcb", 40)))
	f.Add([]byte(strings.Repeat("\x00\x02\x01\xff\x04", 40)))
	b := newBuilder(f)
	f.Fuzz(func(t *testing.T, data []byte) { decideByDice(t, b, data) })
}

// TestOracleByDice is FuzzDecide on random bytes, always the same.
func TestOracleByDice(t *testing.T) {
	b := newBuilder(t)
	random := rand.New(rand.NewPCG(1, 2))
	data, seen, trials := make([]byte, 200), map[int]int{}, 0
	for range 8_000 {
		for i := range data {
			data[i] = byte(random.Uint32())
		}
		answer := decideByDice(t, b, data)
		seen[answer.line]++
		if answer.wouldDeny == 9 {
			trials++
		}
	}
	for line := 1; line <= 16; line++ {
		require.NotZero(t, seen[line], "line %d never answered", line)
	}
	require.NotZero(t, trials, "no list on trial ever denied")
	t.Logf("answers by line: %v", seen)
}

func decideByDice(t *testing.T, b *builder, data []byte) plainAnswer {
	w := (&dice{data}).world()
	want := w.answer()
	subject, request, now := b.subject(t, w), b.request(w.request), at(w.now).time()

	source := &memory{subject: subject, found: w.key != nil}
	if w.sourceFails {
		source.err = context.DeadlineExceeded
	}
	clock := policy.WithClock(func() time.Time { return now })
	decisions := []policy.Decision{
		policy.New(source, clock).Decide(context.Background(), request),
		policy.New(source.waiting(), clock, policy.WithTimeout(time.Minute)).Decide(context.Background(), request),
	}
	if !w.sourceFails {
		decisions = append(decisions, policy.Evaluate(subject, request, now))
	}
	// A source of this module holds sound subjects, and is believed. Decided in whatever way, a
	// request has the same decision, field by field.
	key, organization := subject.Key(), subject.Organization()
	if subject == (policy.Subject{}) || key.ID == request.Key && key.Organization == organization.ID && organization.ID != "" {
		for name, source := range ways(source) {
			engine := policy.New(source, clock, policy.WithTimeout(time.Minute))
			for _, d := range append(decideAll(t, engine, request, request), engine.Decide(t.Context(), request)) {
				require.Equal(t, decisions[0], d, name)
				decisions = append(decisions, d)
			}
		}
	}
	for _, d := range decisions {
		if difference := b.difference(w, want, d); difference != "" {
			t.Fatalf("%v\nwant %s\n%+v\n%+v\n%+v", d, difference, w.key, w.organization, w.request)
		}
	}
	// A decision reads the same whether Evaluate or Decide made it.
	requireReadable(t, decisions[0])
	requireNoSecret(t, decisions[0], request.Secret)
	return want
}

// requireReadable checks what every decision tells: the two sides agree, String is
// one line, and Explain has one line for each line of the order that was looked at.
func requireReadable(t testing.TB, d policy.Decision) {
	t.Helper()
	require.Equal(t, d.Reason == policy.AddressListed || d.Reason == policy.OpenList, d.Allowed())
	require.Equal(t, d.Allowed(), d.Answer().Status == 200)
	require.NotContains(t, d.String(), "\n")
	explained := strings.Split(strings.TrimSuffix(d.Explain(), "\n"), "\n")
	numbers := []string{}
	for line := policy.InvalidRequest; line <= d.Reason && d.Reason <= policy.OpenList; line++ {
		numbers = append(numbers, fmt.Sprintf("%2d %s ", line, line))
	}
	require.Len(t, explained, 1+len(numbers), d.Explain())
	for i, number := range numbers {
		require.True(t, strings.HasPrefix(explained[1+i], number), d.Explain())
		require.Equal(t, i == len(numbers)-1, strings.Contains(explained[1+i][:45], " yes "), d.Explain())
	}
}
