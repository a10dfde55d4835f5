// Package confine takes from the process that calls it what it does not need,
// so that a decoder that a hostile file has taken over can do nothing with it.
//
// [Self] is called once, before the first byte of a stranger's file is looked
// at. Afterwards the process, and every program that it starts,
//
//   - opens no file but those of [Rights], and those only for reading,
//   - has no sockets of its own: it keeps the descriptors that it was given,
//   - sends no signal to another, changes nobody's limits, gains no privilege by
//     a program that it runs, and leaves no core dump,
//   - has bounded memory, bounded processor time and bounded files.
//
// Landlock does the first, a seccomp filter the next two, resource limits the
// last. What the kernel does not have is left out and said in the [Report];
// resource limits and no_new_privs every kernel has.
package confine

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	seccomp "github.com/elastic/go-seccomp-bpf"
	"github.com/elastic/go-seccomp-bpf/arch"
	"github.com/landlock-lsm/go-landlock/landlock"
	landlocksys "github.com/landlock-lsm/go-landlock/landlock/syscall"
	"golang.org/x/sys/unix"
)

// Limits bound what the process may use.
type Limits struct {
	// Memory is how many bytes of address space the process may take beyond
	// what it has when Self is called. Go reserves about a gigabyte that it
	// never touches, so that the whole is no measure. A program that it starts
	// inherits the sum, and wants a limit of its own.
	Memory int64
	// File is how many bytes any file may have that the process writes; there
	// are none but those in memory.
	File int64
	// CPU is the processor time that the process, and each that it starts,
	// may take. It is rounded up to whole seconds.
	CPU time.Duration
}

// Rights are the files that stay readable. A path that is not there is left out.
type Rights struct {
	Read []string // files, and folders with all that is in them
	Run  []string // the same, and programs among them may be started
}

// Report says what holds the process.
type Report struct {
	Landlock int  // the version that the kernel speaks; 0 without
	Seccomp  bool // system calls are filtered
}

// Self confines the calling process, all of its threads, for good.
func Self(limits Limits, rights Rights) (Report, error) {
	if err := limits.set(); err != nil {
		return Report{}, err
	}
	var report Report
	if version, err := landlocksys.LandlockGetABIVersion(); err == nil {
		report.Landlock = version
	}
	// Without Landlock in the kernel this does nothing; no_new_privs then
	// comes with the filter below, or not at all.
	if err := landlock.V6.BestEffort().Restrict(rights.rules()...); err != nil {
		return Report{}, fmt.Errorf("confine by Landlock: %w", err)
	}
	var err error
	if report.Seccomp, err = filter(); err != nil {
		return Report{}, err
	}
	return report, nil
}

func (r Rights) rules() []landlock.Rule {
	var rules []landlock.Rule
	for _, path := range append(r.Read, r.Run...) {
		info, err := os.Stat(path)
		switch {
		case err != nil:
		case info.IsDir():
			rules = append(rules, landlock.RODirs(path))
		default:
			rules = append(rules, landlock.ROFiles(path))
		}
	}
	return rules
}

func (l Limits) set() error {
	space, err := addressSpace()
	if err != nil {
		return err
	}
	seconds := uint64((l.CPU + time.Second - 1) / time.Second)
	for _, limit := range []struct {
		name     string
		resource int
		value    uint64
	}{
		{"memory", unix.RLIMIT_AS, uint64(space + l.Memory)},
		{"file size", unix.RLIMIT_FSIZE, uint64(l.File)},
		{"processor time", unix.RLIMIT_CPU, seconds},
		{"core dumps", unix.RLIMIT_CORE, 0},
	} {
		// A hard limit that is lower already stays.
		var now unix.Rlimit
		if err := unix.Getrlimit(limit.resource, &now); err != nil {
			return fmt.Errorf("limit %s: %w", limit.name, err)
		}
		value := min(limit.value, now.Max)
		if err := unix.Setrlimit(limit.resource, &unix.Rlimit{Cur: value, Max: value}); err != nil {
			return fmt.Errorf("limit %s: %w", limit.name, err)
		}
	}
	return nil
}

// addressSpace returns the bytes of the process's address space (proc(5),
// statm).
func addressSpace() (int64, error) {
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0, fmt.Errorf("measure the address space: %w", err)
	}
	first, _, _ := strings.Cut(string(text), " ")
	pages, err := strconv.ParseInt(first, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("measure the address space: %w", err)
	}
	return pages * int64(os.Getpagesize()), nil
}

// filter lets only the system calls of allowed through; the others fail as not
// permitted. It reports false where the kernel has no filters.
func filter() (bool, error) {
	if !seccomp.Supported() {
		return false, nil
	}
	here, err := arch.GetInfo("")
	if err != nil {
		return false, fmt.Errorf("filter system calls: %w", err)
	}
	var names []string
	for _, name := range allowed() {
		if _, ok := here.SyscallNames[name]; ok {
			names = append(names, name)
		}
	}
	err = seccomp.LoadFilter(seccomp.Filter{
		NoNewPrivs: true,
		Flag:       seccomp.FilterFlagTSync,
		Policy: seccomp.Policy{
			DefaultAction: seccomp.ActionErrno,
			Syscalls:      []seccomp.SyscallGroup{{Action: seccomp.ActionAllow, Names: names, NamesWithCondtions: conditional()}},
		},
	})
	if err != nil {
		return false, fmt.Errorf("filter system calls: %w", err)
	}
	return true, nil
}
