package main

import (
	"net/netip"
	"testing"

	"github.com/gaissmai/bart"
	"github.com/open-policy-agent/opa/v1/rego"
	"github.com/yl2chen/cidranger"
	"go4.org/netipx"

	"sallyport.test/benchmarks/internal/work"
)

func TestEnginesAgreeWithTheOracle(t *testing.T) {
	if err := agreeAll(makers, func(line string) { t.Log(line) }); err != nil {
		t.Fatal(err)
	}
}

// liar gives one wrong answer.
type liar struct {
	work.Engine
	asked int
}

func (l *liar) Decide(r *work.Request) bool {
	l.asked++
	return l.Engine.Decide(r) != (l.asked == agreements-1)
}

func TestAnEngineThatIsWrongOnceIsFound(t *testing.T) {
	load := func(w *work.World) (work.Engine, error) {
		e, err := makers[0].load(w)
		return &liar{Engine: e}, err
	}
	if err := agreeAll([]maker{{name: "liar", load: load}}, func(string) {}); err == nil {
		t.Fatal("it was not")
	}
}

// The table of what cannot be expressed says who takes a mapped address for the IPv4 one that it
// maps, and who does not. This is where it knows it from.
func TestWhoUnmaps(t *testing.T) {
	block, mapped := netip.MustParsePrefix("10.0.0.0/8"), netip.MustParseAddr("::ffff:10.1.2.3")
	var b netipx.IPSetBuilder
	b.AddPrefix(block)
	set, err := b.IPSet()
	if err != nil {
		t.Fatal(err)
	}
	var lite bart.Lite
	lite.Insert(block)
	if block.Contains(mapped) || set.Contains(mapped) || lite.Contains(mapped) {
		t.Error("netip, netipx or bart does, and the table says that they do not")
	}

	ranger := cidranger.NewPCTrieRanger()
	if err := ranger.Insert(cidranger.NewBasicRangerEntry(ipNet(block))); err != nil {
		t.Fatal(err)
	}
	inside, err := ranger.Contains(mapped.AsSlice())
	if err != nil || !inside {
		t.Errorf("cidranger does not (%t, %v), and the table says that it does", inside, err)
	}
	results, err := rego.New(rego.Query(`net.cidr_contains("10.0.0.0/8", "::ffff:10.1.2.3")`)).Eval(t.Context())
	if err != nil || !results.Allowed() {
		t.Errorf("OPA does not (%v, %v), and the table says that it does", results, err)
	}
}
