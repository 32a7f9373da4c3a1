package console

// A field is one input of a form, for the partial "field".
type field struct {
	Name  string // of the value
	Label string
	Kind  string // text, date, number, textarea, select or checkbox
	Value string // a checkbox is sent as "on"
	Hint  string // a sentence; may be empty
	Error string // why the value was not accepted, and the repair; empty: none

	Required bool
	Checked  bool     // of a checkbox
	Choices  []choice // of a select
}
