package decode

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"

	"spinebox/internal/spine"
	"spinebox/runtime/confine"
)

// prlimit limits a program's memory before it begins. It is of util-linux, which
// every Debian has.
const prlimit = "/usr/bin/prlimit"

// Converter is the program that unpacks compressed DICOM: gdcmconv, of Debian's
// libgdcm-tools. It runs within the child's confinement, with files in memory
// for input and output.
type Converter struct {
	Program string
	Memory  int64 // the most that it may take, in bytes
}

// There reports whether the program can be run.
func (c Converter) There() bool {
	for _, path := range []string{c.Program, prlimit} {
		if _, err := os.Stat(path); err != nil {
			return false
		}
	}
	return true
}

// Rights are what a child has to keep so that it can start the program: the
// program itself, and the system's libraries.
func (c Converter) Rights() confine.Rights {
	return confine.Rights{
		Run:  []string{c.Program, prlimit, "/usr/lib", "/usr/lib64", "/lib", "/lib64", "/usr/local/lib"},
		Read: []string{"/etc/ld.so.cache", "/sys/devices/system/cpu"},
	}
}

// Convert unpacks a DICOM file. One that the program cannot unpack is
// [spine.Corrupt].
func (c Converter) Convert(file []byte) ([]byte, error) {
	in, err := memoryFile("in", file)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	out, err := memoryFile("out", nil)
	if err != nil {
		return nil, err
	}
	defer out.Close()
	if err := c.run(in, out); err != nil {
		return nil, err
	}
	info, err := out.Stat()
	if err != nil {
		return nil, err
	}
	unpacked := make([]byte, info.Size())
	if _, err := out.ReadAt(unpacked, 0); err != nil {
		return nil, fmt.Errorf("read what %s wrote: %w", c.Program, err)
	}
	return unpacked, nil
}

func memoryFile(name string, content []byte) (*os.File, error) {
	fd, err := unix.MemfdCreate(name, unix.MFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("make a file in memory: %w", err)
	}
	f := os.NewFile(uintptr(fd), name)
	if _, err := f.Write(content); err != nil {
		f.Close()
		return nil, fmt.Errorf("write a file in memory: %w", err)
	}
	return f, nil
}

// run starts the program, which finds its files as descriptors 3 and 4, and
// waits for it.
func (c Converter) run(in, out *os.File) error {
	const first = 3
	path := func(n int) string { return "/proc/self/fd/" + strconv.Itoa(first+n) }
	limit := "--as=" + strconv.FormatInt(c.Memory, 10)
	pid, err := syscall.ForkExec(prlimit, []string{prlimit, limit, c.Program, "--raw", path(0), path(1)}, &syscall.ProcAttr{
		Env: []string{}, Files: []uintptr{0, 1, 2, in.Fd(), out.Fd()},
		Sys: &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL},
	})
	if err != nil {
		return fmt.Errorf("start %s: %w", c.Program, err)
	}
	var status syscall.WaitStatus
	for {
		_, err := syscall.Wait4(pid, &status, 0, nil)
		if errors.Is(err, syscall.EINTR) {
			continue
		}
		if err != nil {
			return fmt.Errorf("wait for %s: %w", c.Program, err)
		}
		break
	}
	switch {
	case status.Signaled() && status.Signal() == syscall.SIGKILL: // RLIMIT_CPU
		return spine.Faultf(spine.Timeout, "unpacking the picture takes more processor time than it may")
	case status.Signaled() || status.ExitStatus() != 0:
		return spine.Faultf(spine.Corrupt, "a compressed picture that cannot be unpacked")
	}
	return nil
}
