//go:build !linux

package clients_test

import "syscall"

func endsWithParent() *syscall.SysProcAttr { return nil }
