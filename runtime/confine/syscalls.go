package confine

// allowed are the system calls that a decoder needs: what Go's runtime calls,
// what reading a descriptor and writing memory takes, and what starting one of
// the C++ programs of Rights does. Not among them: sockets, mounts, namespaces,
// ptrace, other processes' memory, keys, BPF, timers, identities, and every call
// that changes a folder. A name that this machine's kind does not have is left
// out.
func allowed() []string {
	return []string{
		// Go's runtime: memory, threads, signals, waiting.
		"mmap", "munmap", "mprotect", "mremap", "madvise", "brk",
		"clone", "clone3", "futex", "set_robust_list", "rseq", "set_tid_address", "arch_prctl",
		"rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "sigaltstack", "restart_syscall",
		"getpid", "gettid", "tgkill", "sched_yield", "sched_getaffinity", "membarrier",
		"nanosleep", "clock_nanosleep", "clock_gettime", "clock_getres", "gettimeofday", "time",
		"epoll_create1", "epoll_ctl", "epoll_wait", "epoll_pwait", "eventfd2", "poll", "ppoll",
		"exit", "exit_group", "getrandom",

		// Descriptors that are open, and files in memory.
		"read", "readv", "pread64", "write", "writev", "pwrite64", "lseek", "close", "close_range",
		"fstat", "newfstatat", "statx", "fcntl", "ftruncate", "dup", "dup2", "dup3", "ioctl",
		"memfd_create", "recvmsg", "sendmsg",

		// Opening what Landlock leaves, and starting a program.
		"open", "openat", "stat", "lstat", "access", "faccessat", "faccessat2", "readlink", "readlinkat",
		"getcwd", "execve", "pipe2", "vfork", "wait4", "waitid", "pidfd_open", "pidfd_send_signal",
		"kill", "prctl", "prlimit64", "getrlimit", "setpgid", "umask", "uname", "sysinfo", "getrusage",
		"getuid", "geteuid", "getgid", "getegid", "getppid",
	}
}
