package adminhttp

import (
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
)

// maxBody is the size of the largest body, in bytes.
const maxBody = 1 << 20

// readBody reads the JSON of a documented call. Unknown fields are ignored: clients send
// whole objects back.
func readBody[T any](c *call) (into T, err error) {
	if contentType := c.Header.Get("Content-Type"); contentType != "" {
		name, _, err := mime.ParseMediaType(contentType)
		if _, versioned := versionOf(name); err != nil || name != json1 && !versioned {
			return into, notJSON(contentType)
		}
	}
	data, err := c.readAll("INVALID_JSON")
	if err != nil {
		return into, err
	}
	err = json.Unmarshal(data, &into)
	if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok && wrong.Field != "" {
		return into, badField("INVALID_JSON_ATTRIBUTE", cut(wrong.Field), "is a "+cut(wrong.Value)+": want a "+kindOf(wrong))
	}
	if err != nil {
		return into, &apiError{status: http.StatusBadRequest, code: "INVALID_JSON", detail: "The body is not the JSON of this call.", cause: err}
	}
	return into, nil
}

// readAll reads the body within its bound. An unreadable body is an error with this code.
func (c *call) readAll(code string) ([]byte, error) {
	data, err := io.ReadAll(http.MaxBytesReader(nil, c.Body, maxBody))
	if _, large := errors.AsType[*http.MaxBytesError](err); large {
		return nil, &apiError{status: http.StatusRequestEntityTooLarge, code: "REQUEST_TOO_LARGE", detail: "The body has more than 1 MiB."}
	}
	if err != nil {
		return nil, &apiError{status: http.StatusBadRequest, code: code, detail: "The body could not be read.", cause: err}
	}
	return data, nil
}

func notJSON(contentType string) *apiError {
	return &apiError{status: http.StatusUnsupportedMediaType, code: "UNSUPPORTED_MEDIA_TYPE", detail: "The body is " + quote(contentType) + ": want " + json1 + ".", parameters: []string{cut(contentType)}}
}

// kindOf returns the wanted kind of a field in the words of JSON.
func kindOf(wrong *json.UnmarshalTypeError) string {
	name, ok := map[string]string{"bool": "boolean", "slice": "list", "struct": "object"}[wrong.Type.Kind().String()]
	if !ok {
		name = wrong.Type.Kind().String()
	}
	return name
}

// badField is a 400 about one field of the body.
func badField(code, field, problem string) *apiError {
	return &apiError{
		status: http.StatusBadRequest, code: code, detail: "The field " + field + " " + problem + ".", parameters: []string{field},
		fields: []fieldError{{field, problem}},
	}
}

// badQuery is a 400 about a parameter of the query.
func badQuery(name, detail string) *apiError {
	return &apiError{status: http.StatusBadRequest, code: "INVALID_QUERY_PARAMETER", detail: detail, parameters: []string{name}}
}
