package console

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/admin"
)

// maxWait is how long a change waits for the replicas.
const maxWait = 5 * time.Second

// An acceptance is a checkbox for one kind of finding.
type acceptance struct {
	Kind          admin.Kind
	Label, Advice string
	Checked       bool
}

// actor returns the person, for changes by this console.
func (v *visit) actor() admin.Actor { return v.person.Actor().Via(store.ViaConsole, "") }

// inForce waits for the replicas after a change, and returns the notice.
func (v *visit) inForce() string {
	if len(v.Replicas) == 0 {
		return "saved"
	}
	ctx, cancel := context.WithTimeout(v.r.Context(), maxWait)
	defer cancel()
	if err := admin.WaitFor(ctx, v.Replicas...); err != nil {
		v.Observe(v.r.Context(), fmt.Errorf("store/admin/console: replicas: %w", err))
		return "stored"
	}
	return "in-force"
}

// badChange is for a form that is not one of the console's.
var badChange = problem{Status: http.StatusBadRequest, Title: "Not a change", Text: "The form has no change that can be made here. Begin again from the page before."}
