package infer

import (
	"bufio"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Settle lets go of the pages of TensorFlow's library that only its start needed:
// of code, and of tables for linking and for exceptions, which are 77 MB. What is
// used again comes back from the file by itself: only mappings whose pages are all
// as they are in the file are let go of. Call it once a model is warm.
func Settle() error {
	maps, err := os.Open("/proc/self/smaps")
	if err != nil {
		return fmt.Errorf("settle: %w", err)
	}
	defer maps.Close()
	var start, end uint64 // of the mapping whose lines these are; 0 when it has to stay
	lines := bufio.NewScanner(maps)
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		// 7f0000000000-7f0000400000 r-xp 00000000 08:01 123   /usr/lib/…
		if from, to, ok := strings.Cut(fields[0], "-"); ok {
			start, end = 0, 0
			if len(fields) < 6 || strings.Contains(fields[1], "w") || !strings.Contains(fields[5], "/libtensorflow") {
				continue
			}
			var err1, err2 error
			start, err1 = strconv.ParseUint(from, 16, 64)
			end, err2 = strconv.ParseUint(to, 16, 64)
			if err1 != nil || err2 != nil || end <= start {
				return fmt.Errorf("settle: %q is no line of a process's maps", lines.Text())
			}
		}
		// Pages that the process has changed, as the linker does where it fills in
		// addresses, would be lost.
		if start == 0 || fields[0] != "Anonymous:" || fields[1] != "0" {
			continue
		}
		if _, _, errno := unix.Syscall(unix.SYS_MADVISE, uintptr(start), uintptr(end-start), unix.MADV_DONTNEED); errno != 0 {
			return fmt.Errorf("settle: %w", errno)
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("settle: %w", err)
	}
	Rest()
	return nil
}
