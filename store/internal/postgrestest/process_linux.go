package postgrestest

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// childrenOf returns the processes whose parent is this one.
func childrenOf(pid int) ([]int, error) {
	processes, err := filepath.Glob("/proc/[0-9]*/stat")
	var children []int
	for _, stat := range processes {
		if parent, _ := parentAndState(stat); parent == pid {
			child, _ := strconv.Atoi(filepath.Base(filepath.Dir(stat)))
			children = append(children, child)
		}
	}
	return children, err
}

// gone waits until the processes have ended. One that has and that nobody has asked
// about is a zombie, which holds nothing.
func gone(pids []int) error {
	deadline := time.Now().Add(patience)
	for _, pid := range pids {
		for {
			_, state := parentAndState(fmt.Sprintf("/proc/%d/stat", pid))
			if state == 0 || state == 'Z' || state == 'X' {
				break
			}
			if time.Now().After(deadline) {
				return fmt.Errorf("process %d was killed and has not ended after %v", pid, patience)
			}
			time.Sleep(time.Millisecond)
		}
	}
	return nil
}

// parentAndState reads a process's state; both are zero if it is no more. The name of
// the program, in parentheses before them, may have spaces and parentheses itself.
func parentAndState(stat string) (parent int, state byte) {
	text, err := os.ReadFile(stat)
	if err != nil {
		return 0, 0
	}
	_, _ = fmt.Sscanf(string(text[bytes.LastIndexByte(text, ')')+1:]), " %c %d", &state, &parent)
	return parent, state
}
