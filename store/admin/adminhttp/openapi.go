package adminhttp

import (
	_ "embed"
	"net/http"
	"strconv"
)

// openAPI is the description of our own API in OpenAPI 3.1, for generators of clients.
//
//go:embed openapi.json
var openAPI []byte

func (h *handler) document(w http.ResponseWriter, c *call) {
	header := w.Header()
	header.Set("Content-Type", "application/json")
	header.Set("Content-Length", strconv.Itoa(len(openAPI)))
	if c.Method != http.MethodHead {
		_, _ = w.Write(openAPI) // the caller may have gone
	}
}
