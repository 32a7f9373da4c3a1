package accesslist

import "github.com/sallyport-go/sallyport/internal/strictjson"

// parseCanonical reads the output of MarshalJSON several times faster than parseAnyJSON,
// for those who load a million keys. ok is false for any other JSON and for a refused
// entry: parseAnyJSON reads it or words the refusal.
func (p Parser) parseCanonical(data []byte) (entries []Entry, ok bool) {
	c := strictjson.NewCanonical(data)
	c.Need(`[`)
	for more := !c.Skip(`]`); more; {
		e, err := p.ParseEntry(c.Text(`{"address":`))
		if err != nil {
			return nil, false
		}
		e.Comment = c.OptionalText(`,"comment":`)
		e.Added, e.Expires = c.OptionalTime(`,"added":`), c.OptionalTime(`,"expires":`)
		c.Need(`}`)
		if e.check() != nil {
			return nil, false
		}
		entries = append(entries, e)
		if more = c.Skip(`,`); !more {
			c.Need(`]`)
		}
	}
	return entries, c.Done()
}
