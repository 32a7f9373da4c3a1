package strictjson

import (
	"bytes"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// The functions of this file take valid JSON only.

func skipSpace(data []byte) []byte {
	for len(data) > 0 && (data[0] == ' ' || data[0] == '\t' || data[0] == '\n' || data[0] == '\r') {
		data = data[1:]
	}
	return data
}

// skipComma skips white space, a comma if there is one, and white space.
func skipComma(data []byte) []byte {
	if data = skipSpace(data); data[0] == ',' {
		data = skipSpace(data[1:])
	}
	return data
}

// valueEnd returns the length of the value at the beginning of data.
func valueEnd(data []byte) int {
	depth := 0
	for i := 0; i < len(data); i++ {
		switch data[i] {
		case '"':
			i += stringEnd(data[i:]) - 1
		case '{', '[':
			depth++
			continue
		case '}', ']':
			if depth == 0 { // closes the value around a number or a word
				return i
			}
			depth--
		case ',', ':', ' ', '\t', '\n', '\r':
			if depth == 0 {
				return i
			}
			continue
		default:
			continue
		}
		if depth == 0 { // after a string or a closing bracket
			return i + 1
		}
	}
	return len(data)
}

// stringEnd returns the length of the string at the beginning of data, with its quotes.
func stringEnd(data []byte) int {
	for i := 1; ; i++ {
		switch data[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
}

// unquote returns the text of a string. ok is false for half of a surrogate pair.
func unquote(quoted []byte) (text string, ok bool) {
	inner := quoted[1 : len(quoted)-1]
	at := bytes.IndexByte(inner, '\\')
	if at < 0 {
		return string(inner), true
	}
	out := make([]byte, 0, len(inner))
	for ; at >= 0; at = bytes.IndexByte(inner, '\\') {
		out = append(out, inner[:at]...)
		escape := inner[at+1]
		inner = inner[at+2:]
		switch escape {
		case 'b':
			out = append(out, '\b')
		case 'f':
			out = append(out, '\f')
		case 'n':
			out = append(out, '\n')
		case 'r':
			out = append(out, '\r')
		case 't':
			out = append(out, '\t')
		case 'u':
			r := hex4(inner)
			inner = inner[4:]
			if utf16.IsSurrogate(r) {
				if !bytes.HasPrefix(inner, []byte(`\u`)) {
					return "", false
				}
				if r = utf16.DecodeRune(r, hex4(inner[2:])); r == utf8.RuneError {
					return "", false
				}
				inner = inner[6:]
			}
			out = utf8.AppendRune(out, r)
		default: // a quote, a backslash or a slash
			out = append(out, escape)
		}
	}
	return string(append(out, inner...)), true
}

func hex4(digits []byte) rune {
	n, _ := strconv.ParseUint(string(digits[:4]), 16, 16)
	return rune(n)
}
