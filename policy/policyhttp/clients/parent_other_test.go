//go:build !linux

package clients

import "syscall"

func endsWithParent() *syscall.SysProcAttr { return nil }
