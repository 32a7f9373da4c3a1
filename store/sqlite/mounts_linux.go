package sqlite

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// checkMount returns an error if the file itself is mounted at its path, as a container's
// bind mount of one file is. The log beside it would be in another directory than that of
// the other processes: see checkLinks. Without /proc nothing is known.
func checkMount(path string) error {
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil
	}
	resolved, err := filepath.EvalSymlinks(path)
	if err != nil {
		return err
	}
	if isMounted(resolved, string(mounts)) {
		return fmt.Errorf("%s is a mount of the file alone, so its log would be in another directory than other processes look for it: want the directory of the file mounted", path)
	}
	return nil
}

// isMounted looks for a path among the mount points, the fifth fields of the lines.
func isMounted(path, mounts string) bool {
	escaped := strings.NewReplacer(`\`, `\134`, " ", `\040`, "\t", `\011`, "\n", `\012`).Replace(path)
	for line := range strings.Lines(mounts) {
		if fields := strings.Fields(line); len(fields) > 4 && fields[4] == escaped {
			return true
		}
	}
	return false
}
