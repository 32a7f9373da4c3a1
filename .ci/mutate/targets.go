package main

// A suite is a package whose tests are tested.
type suite struct {
	dir     string
	targets []target
	tests   []string // runs of the tests, the quickest first
	atLeast int      // mutants: fewer mean that the targets have moved

	// equivalent are mutants without another decision, with the reason: a function, an
	// expression and its change.
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
		{"evaluate.go", []string{"evaluated", "evaluate", "tick", "tryList", "doubt", "reaches"}},
		{"request.go", []string{"plain", "refused", "unreadable", "invalid", "alreadyVerified", "verify"}},
		{"resource.go", []string{"resolve"}},
		{"source.go", []string{"isOf", "fault"}},
		{"organization.go", []string{"suspended"}},
		{"reason.go", []string{"Allows"}},
		{"rehash.go", []string{"Rehashed", "rehash"}},
	},
	equivalent: map[string]string{
		"decide: cause != nil: the condition became true":                                 "without a cause there is none to note",
		"decide: !r.plain(): the condition became true":                                   lessWork,
		"plain: r.Verifier == nil || r.Secret.IsZero(): || became &&":                     lessWork,
		"decide: len(e.observers) > 0: > became >=":                                       lessWork,
		"decide: len(e.observers) > 0 || d.subject.key == nil: the condition became true": lessWork,
	},
	tests:   []string{"-test.run=^TestCorpus", "-test.skip=^(TestOracle|TestCorpus)", "-test.run=^TestOracle"},
	atLeast: 200,
}, {
	dir: "store/admin",
	targets: []target{
		{"actor.go", []string{"may", "Verify", "isLive"}},
		{"apply.go", []string{"check", "refuses"}},
		{"assess.go", []string{"narrows", "others", "alike", "judgeAll"}},
		{"compare.go", []string{"compare", "instants", "ends", "home", "edges", "secrets", "succeeded", "keep", "opens", "empties", "losesUsed", "class", "breaks", "lost", "gained"}},
		{"evidence.go", []string{"gaps", "used", "otherProof", "within"}},
		{"judge.go", []string{"compare", "see", "witnesses", "near", "key", "handover", "addBroad", "findings", "loss"}},
		{"plan.go", []string{"checkActor", "step", "together"}},
		{"rotation.go", []string{"inUse"}},
		{"self.go", []string{"findSelf", "earlierDenial", "sooner", "firstDenial", "instants", "endsItself"}},
		{"steps.go", []string{"judgeSteps", "following", "covered", "check", "holds"}},
		{"tighten.go", []string{"lists", "inside", "contains"}},
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
		"addBroad: was.Equal(is): the condition became false":                                                                     lessWork,
		"instants: entry.Covers(client, now): the condition became true":                                                          lessWork,
	},
	tests: []string{
		"-test.run=^TestCorpus -test.skip=^TestCorpus/_thousand_", // those take longer than all others
		"-test.skip=^(TestOracle|TestCorpus|TestFailingInTheMiddle|TestRemediesMend|Example|Fuzz)",
		"-test.run=^TestCorpus/_thousand_",
		"-test.run=^(TestOracle|TestFailingInTheMiddle|TestRemediesMend)",
	},
	atLeast: 150,
}}

// lessWork is a reason: the mutant does more, such as trying further calls, and nothing comes
// of it.
const lessWork = "it saves work"
