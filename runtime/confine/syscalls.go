package confine

import (
	"os"

	seccomp "github.com/elastic/go-seccomp-bpf"
	"golang.org/x/sys/unix"
)

// allowed are the system calls that a decoder needs: what Go's runtime calls,
// what reading a descriptor and writing memory takes, and what starting one of
// the C++ programs of Rights does. Not among them: sockets, mounts, namespaces,
// signals to others, ptrace, other processes' memory, keys, BPF, timers,
// identities, process groups, and every call that changes a folder. A name that
// this machine's kind does not have is left out.
func allowed() []string {
	return []string{
		// Go's runtime: memory, threads, signals, waiting.
		"mmap", "munmap", "mprotect", "mremap", "madvise", "brk",
		"futex", "set_robust_list", "rseq", "set_tid_address", "arch_prctl",
		"rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "sigaltstack", "restart_syscall",
		"getpid", "gettid", "sched_yield", "sched_getaffinity", "membarrier",
		"nanosleep", "clock_nanosleep", "clock_gettime", "clock_getres", "gettimeofday", "time",
		"epoll_create1", "epoll_ctl", "epoll_wait", "epoll_pwait", "eventfd2", "poll", "ppoll",
		"exit", "exit_group", "getrandom",

		// Descriptors that are open, and files in memory.
		"read", "readv", "pread64", "write", "writev", "pwrite64", "lseek", "close", "close_range",
		"fstat", "newfstatat", "statx", "fcntl", "ftruncate", "dup", "dup2", "dup3",
		"memfd_create", "recvmsg", "sendmsg",

		// Opening what Landlock leaves, and starting a program.
		"open", "openat", "stat", "lstat", "access", "faccessat", "faccessat2", "readlink", "readlinkat",
		"getcwd", "execve", "pipe2", "vfork", "wait4", "waitid", "getrlimit", "umask", "uname", "sysinfo", "getrusage",
		"getuid", "geteuid", "getgid", "getegid", "getppid",
	}
}

// conditional are the calls that are let through with some arguments only.
func conditional() []seccomp.NameWithConditions {
	is := func(argument uint32, value uint64) seccomp.Condition {
		return seccomp.Condition{Argument: argument, Operation: seccomp.Equal, Value: value}
	}
	const namespaces = unix.CLONE_NEWNS | unix.CLONE_NEWCGROUP | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC |
		unix.CLONE_NEWUSER | unix.CLONE_NEWPID | unix.CLONE_NEWNET
	return []seccomp.NameWithConditions{
		{Name: "clone", Conditions: seccomp.ArgumentConditions{{Argument: 0, Operation: seccomp.BitsNotSet, Value: namespaces}}},
		// Go's runtime interrupts its own threads.
		{Name: "tgkill", Conditions: seccomp.ArgumentConditions{is(0, uint64(os.Getpid()))}},
		// Its own limits, and never the service's, which has the same user.
		{Name: "prlimit64", Conditions: seccomp.ArgumentConditions{is(0, 0)}},
		// A program that it starts must not outlive it.
		{Name: "prctl", Conditions: seccomp.ArgumentConditions{is(0, unix.PR_SET_PDEATHSIG), is(1, uint64(unix.SIGKILL))}},
		{Name: "prctl", Conditions: seccomp.ArgumentConditions{is(0, unix.PR_GET_NO_NEW_PRIVS)}},
	}
}
