package infer

import (
	"bufio"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Settle lets go of the pages of TensorFlow's program code that only its start
// needed; what runs again comes back from the file by itself. Call it once a
// model is warm. Only code is let go of: those pages are as they are in the file.
func Settle() error {
	maps, err := os.Open("/proc/self/maps")
	if err != nil {
		return fmt.Errorf("settle: %w", err)
	}
	defer maps.Close()
	lines := bufio.NewScanner(maps)
	for lines.Scan() {
		// 7f0000000000-7f0000400000 r-xp 00000000 08:01 123   /usr/lib/…
		fields := strings.Fields(lines.Text())
		if len(fields) < 6 || fields[1] != "r-xp" || !strings.Contains(fields[5], "/libtensorflow") {
			continue
		}
		from, to, _ := strings.Cut(fields[0], "-")
		start, err1 := strconv.ParseUint(from, 16, 64)
		end, err2 := strconv.ParseUint(to, 16, 64)
		if err1 != nil || err2 != nil || end <= start {
			return fmt.Errorf("settle: %q is no line of a process's maps", lines.Text())
		}
		if _, _, errno := unix.Syscall(unix.SYS_MADVISE, uintptr(start), uintptr(end-start), unix.MADV_DONTNEED); errno != 0 {
			return fmt.Errorf("settle: %w", errno)
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("settle: %w", err)
	}
	trim()
	return nil
}
