package storetest

import (
	"flag"
	"os"
	"testing"
)

// TestMain has many tests wait at the same time, since most of them wait in vain and do
// nothing else.
func TestMain(m *testing.M) {
	flag.Parse()
	given := false
	flag.Visit(func(f *flag.Flag) { given = given || f.Name == "test.parallel" })
	if !given {
		if err := flag.Set("test.parallel", "8"); err != nil {
			panic(err)
		}
	}
	os.Exit(m.Run())
}
