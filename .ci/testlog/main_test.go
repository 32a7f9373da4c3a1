package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestRun(t *testing.T) {
	const pass = `{"Action":"pass","Package":"p","Test":"TestA"}` + "\n"
	skip := func(why string) string {
		return pass + `{"Action":"output","Package":"p","Test":"TestB","Output":"` + why + `\n"}` + "\n" +
			`{"Action":"skip","Package":"p","Test":"TestB"}` + "\n"
	}
	for name, test := range map[string]struct {
		in              string
		short, haveData bool
		want            string // the error
		printed         string
	}{
		"passed":           {in: pass, printed: "1 passed, 0 failed, 0 skipped"},
		"nothing":          {in: "", want: "no test ran"},
		"only a package":   {in: `{"Action":"pass","Package":"p"}`, want: "no test ran"},
		"no test files":    {in: pass + `{"Action":"skip","Package":"q"}`, printed: "1 passed, 0 failed, 0 skipped"},
		"failed":           {in: pass + `{"Action":"output","Package":"p","Test":"TestB","Output":"why\n"}` + "\n" + `{"Action":"fail","Package":"p","Test":"TestB"}`, want: "1 failed", printed: "why"},
		"a package failed": {in: pass + `{"Action":"fail","Package":"q"}`, want: "1 failed", printed: "FAIL q"},
		"did not end": {in: pass + `{"Action":"output","Package":"p","Test":"TestB","Output":"so far\n"}` + "\n" + `{"Action":"fail","Package":"p"}`,
			want: "1 failed", printed: "NOT ENDED p TestB\nso far"},
		"no JSON":                 {in: pass + "# p\nsyntax error", printed: "syntax error"},
		"skipped":                 {in: skip("no server"), want: "skipped without a reason that is allowed: p TestB", printed: "no server"},
		"skipped with -short":     {in: skip("no server"), short: true, printed: "1 passed, 0 failed, 1 skipped"},
		"no optional interface":   {in: skip("these cases do not apply"), printed: "1 passed, 0 failed, 1 skipped"},
		"not root":                {in: skip("it takes the rights of root"), printed: "1 passed, 0 failed, 1 skipped"},
		"under race":              {in: skip("5 of 6 stores: left to the run without the race detector"), printed: "5 of 6 stores"},
		"not built":               {in: skip("left to .ci/run traefik"), printed: "1 passed, 0 failed, 1 skipped"},
		"no lists":                {in: skip("shared/data is absent"), printed: "1 passed, 0 failed, 1 skipped"},
		"lists that are not read": {in: skip("shared/data is absent"), haveData: true, want: "skipped without a reason"},
	} {
		var out strings.Builder
		err := run(strings.NewReader(test.in), &out, test.short, test.haveData)
		if test.want == "" {
			assert.NoError(t, err, name)
		} else {
			assert.ErrorContains(t, err, test.want, name)
		}
		assert.Contains(t, out.String(), test.printed, name)
	}
}
