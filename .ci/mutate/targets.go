package main

// A suite is a package whose tests are tested.
type suite struct {
	dir     string
	targets []target
	tests   []string // runs of the tests, the quickest first
	atLeast int      // mutants: guards against a change that leaves nothing to do

	// equivalent are mutants that decide the same, by "function: change of expression",
	// with why.
	equivalent map[string]string
}

// A target is the deciding functions of a file.
type target struct {
	file      string
	functions []string
}

var suites = []suite{{
	dir: "policy",
	targets: []target{
		{"decideall.go", []string{"DecideAll", "lookedUp"}},
		{"engine.go", []string{"decide", "finish", "lookup", "wait", "sound"}},
		{"evaluate.go", []string{"evaluated", "evaluate", "tryList", "doubt", "reaches"}},
		{"request.go", []string{"refused", "unreadable", "invalid", "alreadyVerified", "verify"}},
		{"resource.go", []string{"resolve"}},
		{"source.go", []string{"isOf", "fault", "dependsOnTime"}},
		{"organization.go", []string{"suspended"}},
		{"reason.go", []string{"Allows"}},
		{"rehash.go", []string{"Rehashed", "rehash"}},
	},
	tests:   []string{"-test.skip=^TestOracle", "-test.run=^TestOracle"},
	atLeast: 200,
}, {
	dir: "store/admin",
	targets: []target{
		{"actor.go", []string{"may", "Verify", "isLive"}},
		{"apply.go", []string{"check", "refuses"}},
		{"assess.go", []string{"narrows", "others", "alike", "judgeAll"}},
		{"compare.go", []string{"compare", "instants", "ends", "home", "edges", "secrets", "succeeded", "keep", "opens", "empties", "losesUsed", "class", "breaks", "lost", "gained"}},
		{"evidence.go", []string{"complete", "used", "within"}},
		{"judge.go", []string{"compare", "see", "witnesses", "near", "key", "findOverBroad", "findings", "loss"}},
		{"plan.go", []string{"checkActor", "step"}},
		{"self.go", []string{"findSelf", "earlierDenial", "sooner", "firstDenial", "instants", "endsItself"}},
		{"steps.go", []string{"judgeSteps", "following", "covered", "check", "holds"}},
		{"witness.go", []string{"has", "covers", "usable", "see", "outlasting", "loss", "needed"}},
		{"write.go", []string{"conditions", "request", "outcome"}},
	},
	equivalent: map[string]string{
		"others: !all: the condition became true":                                                                                 "what is seen twice is seen once",
		"compare: c.edges != nil: the condition became true":                                                                      "no edges, nothing to try",
		"compare: exists && !was.Equal(is): && became ||":                                                                         lessWork,
		"compare: exists && !was.Equal(is): the condition became true":                                                            lessWork,
		"instants: c.edges != nil: the condition became true":                                                                     lessWork,
		"instants: c.before.key == c.after.key && alike(c.before.organization, c.after.organization): the condition became false": lessWork,
		"ends: !prefix.Contains(address): the condition became false":                                                             lessWork,
		"edges: next.IsValid(): the condition became true":                                                                        "no call passes without an address",
		"class: lost.at.Equal(at): the condition became false":                                                                    lessWork,
		"findOverBroad: was.Equal(is): the condition became false":                                                                lessWork,
		"instants: entry.Covers(client, now): the condition became true":                                                          lessWork,
	},
	tests:   []string{"-test.run=^TestCorpus", "-test.skip=^(TestOracle|TestCorpus|Example|Fuzz)", "-test.run=^TestOracle"},
	atLeast: 150,
}}

// lessWork is why a change is equivalent: more calls are tried, or more often, and none of
// them can be answered otherwise.
const lessWork = "it saves work"
