package ledger

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// trimAt is by how many bytes the pages of files in this process's memory may
// grow before those of the ledger's tables are given back.
const trimAt = 32 << 20

// trim gives the pages of Badger's tables back that have piled up: whoever walks
// through a hundred thousand results maps all of them, and would look as if he
// leaked, until the machine is short of memory and the kernel takes them back.
//
// It asks the kernel to page out, which loses nothing whatever lies there: a
// table may be gone, and its addresses another's, since the list was read.
func (l *Ledger) trim() error {
	now, err := filePages()
	if err != nil || now < l.trimmed+trimAt {
		return err
	}
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		return err
	}
	dir, err := filepath.Abs(l.dir)
	if err != nil {
		return err
	}
	for line := range bytes.Lines(maps) {
		if !bytes.HasSuffix(line, []byte(".sst\n")) || !bytes.Contains(line, []byte(" "+dir+"/")) {
			continue
		}
		var from, to uintptr
		if _, err := fmt.Sscanf(string(line), "%x-%x", &from, &to); err != nil {
			return err
		}
		// EINVAL: a kernel before 5.4. Then its own reclaim has to do.
		if _, _, no := unix.Syscall(unix.SYS_MADVISE, from, to-from, unix.MADV_PAGEOUT); no == unix.EINVAL {
			return nil
		}
	}
	l.trimmed, err = filePages()
	return err
}

// filePages returns the bytes of files' pages in this process's memory.
func filePages() (int64, error) {
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0, err
	}
	for line := range bytes.Lines(text) {
		var kb int64
		if n, _ := fmt.Sscanf(string(line), "RssFile: %d kB", &kb); n == 1 {
			return kb << 10, nil
		}
	}
	return 0, nil
}
