package browser_test

import "syscall"

// endsWithParent has a program killed when the tests end, however they end. Pdeathsig is
// about the thread that started it; the runtime ends none but those of locked goroutines,
// and there are none here.
func endsWithParent() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
