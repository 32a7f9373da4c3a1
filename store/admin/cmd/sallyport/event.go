package main

import (
	"fmt"

	"github.com/sallyport-go/sallyport/store"
)

// eventText says what happened to what.
func eventText(e store.Event) string {
	text := fmt.Sprintf("%s of organization %s", e.Type, e.Organization)
	if e.Key != "" {
		text = fmt.Sprintf("%s of key %s", e.Type, e.Key)
	}
	if e.Entry.IsValid() {
		text += " " + entryText(e.Entry)
	}
	return fmt.Sprintf("%s at revision %d", text, e.Revision)
}
