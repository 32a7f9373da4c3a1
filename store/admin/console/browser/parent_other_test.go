//go:build !linux

package browser_test

import "syscall"

func endsWithParent() *syscall.SysProcAttr { return nil }
