//go:build !linux

package browser

import "syscall"

func endsWithParent() *syscall.SysProcAttr { return nil }
