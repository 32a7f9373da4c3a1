//go:build unix

package postgrestest

import (
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"strconv"
	"syscall"
)

// asServer has a program run as the user postgres if this is root, as whom the server
// refuses to run, and in a process group of its own, where an interrupt of the tests
// from the terminal does not reach it.
func asServer(command *exec.Cmd) {
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if uid, gid, err := serverUser(); err == nil && os.Getuid() == 0 {
		command.SysProcAttr.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	}
}

// giveToServer gives a folder to that user.
func giveToServer(dir string) error {
	if os.Getuid() != 0 {
		return nil
	}
	uid, gid, err := serverUser()
	if err != nil {
		return fmt.Errorf("as root, the server is run as the user postgres: %w", err)
	}
	return os.Chown(dir, uid, gid)
}

func serverUser() (uid, gid int, err error) {
	postgres, err := user.Lookup("postgres")
	if err == nil {
		uid, err = strconv.Atoi(postgres.Uid)
	}
	if err == nil {
		gid, err = strconv.Atoi(postgres.Gid)
	}
	return uid, gid, err
}

// killAll kills a server and its children. The server is stopped first, so that it makes
// no further children meanwhile; and the children are waited for, since the next server
// would refuse to start on memory that they share.
func killAll(server *os.Process) error {
	if err := server.Signal(syscall.SIGSTOP); err != nil {
		return nil // it has ended
	}
	children, err := childrenOf(server.Pid)
	if err != nil {
		return err
	}
	if err := server.Kill(); err != nil {
		return err
	}
	for _, child := range children {
		_ = syscall.Kill(child, syscall.SIGKILL) // or it has ended
	}
	return gone(children)
}
