package clients_test

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
)

// TestMain prints the tables that the tests have filled, after the last of them.
func TestMain(m *testing.M) {
	code := m.Run()
	for _, table := range tables {
		table.print()
	}
	os.Exit(code)
}

// A table is what the tests found, in Markdown. Its rows and columns are in the order in
// which they were first filled.
type table struct {
	title string
	mu    sync.Mutex
	rows  []string
	cells map[string]map[string]string
	heads []string
}

var (
	versions   = &table{title: "tool"}
	signingIn  = &table{title: "client and credentials"}
	challenges = &table{title: "Digest client, by what is offered"}
	nonces     = &table{title: "Digest client, by what is sent"}
	proxied    = &table{title: "way of the forgeries from " + attacker}
	tables     = []*table{versions, signingIn, challenges, nonces, proxied}
)

func (t *table) set(row, head, cell string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.cells == nil {
		t.cells = map[string]map[string]string{}
	}
	if t.cells[row] == nil {
		t.cells[row] = map[string]string{}
		t.rows = append(t.rows, row)
	}
	if !slices.Contains(t.heads, head) {
		t.heads = append(t.heads, head)
	}
	t.cells[row][head] = cell
}

func (t *table) print() {
	if len(t.rows) == 0 {
		return
	}
	fmt.Println()
	fmt.Printf("| %s | %s |\n", t.title, strings.Join(t.heads, " | "))
	fmt.Println("|" + strings.Repeat(" --- |", len(t.heads)+1))
	for _, row := range t.rows {
		fmt.Printf("| %s |", row)
		for _, head := range t.heads {
			fmt.Printf(" %s |", t.cells[row][head])
		}
		fmt.Println()
	}
	fmt.Println()
}
