package main

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// A duration is a flag such as 24h, 90m or 30d.
type duration time.Duration

func (d *duration) Type() string { return "duration" }

func (d duration) String() string {
	text := time.Duration(d).String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

func (d *duration) Set(text string) error {
	if days, ok := strings.CutSuffix(text, "d"); ok {
		n, err := strconv.ParseUint(days, 10, 16)
		if err != nil {
			return fmt.Errorf("want a number of days, such as 30d")
		}
		*d = duration(n) * duration(24*time.Hour)
		return nil
	}
	parsed, err := time.ParseDuration(text)
	if err != nil {
		return fmt.Errorf("want a time such as 30d, 24h or 90m")
	}
	*d = duration(parsed)
	return nil
}

// A length is a duration above zero: 0s, as of an empty variable, would be no end at all.
type length struct{ duration }

func (l *length) Set(text string) error {
	if err := l.duration.Set(text); err != nil || l.duration <= 0 {
		return fmt.Errorf("want a time above zero, such as 30d, 24h or 90m")
	}
	return nil
}

// An instant is a flag such as 2026-01-02T15:04:05Z, 2026-01-02 15:04 or 2026-01-02, in UTC
// unless it has a zone.
type instant struct{ time.Time }

func (i *instant) Type() string { return "time" }

func (i instant) String() string {
	if i.IsZero() {
		return ""
	}
	return i.Format(time.RFC3339)
}

func (i *instant) Set(text string) (err error) {
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04Z07:00", "2006-01-02 15:04:05", "2006-01-02 15:04", "2006-01-02 15:04:05 UTC", time.DateOnly} {
		if i.Time, err = time.ParseInLocation(layout, text, time.UTC); err == nil {
			return nil
		}
	}
	return fmt.Errorf("want a time such as 2026-01-02T15:04:05Z, 2026-01-02 15:04 (UTC) or 2026-01-02")
}

// A client is a flag with the address of a caller.
type client struct{ netip.Addr }

func (c *client) Type() string { return "address" }

func (c client) String() string { return address(c.Addr) }

func (c *client) Set(text string) (err error) {
	if c.Addr, err = netip.ParseAddr(text); err != nil || c.Zone() != "" {
		return fmt.Errorf("want the address of the caller, such as 203.0.113.7")
	}
	return nil
}
