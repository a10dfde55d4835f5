package confine

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// asProbe in the environment makes the test binary a process that confines
// itself and then tries what it must not be able to do.
const asProbe = "SPINEBOX_TEST_PROBE"

func TestMain(m *testing.M) {
	if mode := os.Getenv(asProbe); mode != "" {
		if err := probe(mode, os.Args[1]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// probe confines the process so that it may read dir/readable, tries things and
// prints how each ended.
func probe(mode, dir string) error {
	limits := Limits{Memory: 256 << 20, File: 1 << 20, CPU: time.Second}
	descriptor, err := os.Open(filepath.Join(dir, "secret")) // as a child gets its file
	if err != nil {
		return err
	}
	report, err := Self(limits, Rights{Read: []string{filepath.Join(dir, "readable"), "/not/there"}})
	if err != nil {
		return err
	}
	switch mode {
	case "memory":
		b, err := unix.Mmap(-1, 0, 300<<20, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
		return json.NewEncoder(os.Stdout).Encode(map[string]string{"map": fmt.Sprint(len(b), err)})
	case "cpu":
		for {
		}
	}
	said := map[string]string{}
	try := func(what string, do func() error) { said[what] = fmt.Sprint(do()) }
	try("report", func() error { return fmt.Errorf("%d %t", report.Landlock, report.Seccomp) })
	try("read the descriptor", func() error { _, err := descriptor.ReadAt(make([]byte, 1), 0); return err })
	try("read what is allowed", func() error { _, err := os.ReadFile(filepath.Join(dir, "readable")); return err })
	try("read another file", func() error { _, err := os.ReadFile(filepath.Join(dir, "secret")); return err })
	try("read the users", func() error { _, err := os.ReadFile("/etc/passwd"); return err })
	try("write", func() error { return os.WriteFile(filepath.Join(dir, "new"), nil, 0o600) })
	try("write what may be read", func() error { return os.WriteFile(filepath.Join(dir, "readable"), nil, 0o600) })
	try("remove", func() error { return os.Remove(filepath.Join(dir, "secret")) })
	try("make a folder", func() error { return os.Mkdir(filepath.Join(dir, "folder"), 0o700) })
	try("link", func() error { return os.Symlink("a", filepath.Join(dir, "link")) })
	try("TCP", func() error { _, err := net.Dial("tcp", os.Getenv("PROBE_TCP")); return err })
	try("UDP", func() error { _, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM, 0); return err })
	try("a Unix socket", func() error { _, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM, 0); return err })
	try("signal the parent", func() error { return syscall.Kill(os.Getppid(), 0) })
	try("trace the parent", func() error { return syscall.PtraceAttach(os.Getppid()) })
	try("a namespace", func() error { return unix.Unshare(unix.CLONE_NEWUSER) })
	try("mount", func() error { return unix.Mount("none", dir, "tmpfs", 0, "") })
	try("become another", func() error { return syscall.Setuid(65534) })
	try("run a program", func() error { return syscall.Exec("/bin/true", []string{"true"}, nil) })
	try("new privileges", func() error {
		v, err := unix.PrctlRetInt(unix.PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0)
		return fmt.Errorf("%d %v", v, err)
	})
	try("limit the parent", func() error {
		return unix.Prlimit(os.Getppid(), unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 1000, Max: 1000}, nil)
	})
	try("leave the group", func() error { return syscall.Setpgid(0, 0) })
	try("outlive the parent", func() error { return unix.Prctl(unix.PR_SET_PDEATHSIG, 0, 0, 0, 0) })
	try("a core dump", func() error {
		var l unix.Rlimit
		err := unix.Getrlimit(unix.RLIMIT_CORE, &l)
		return fmt.Errorf("%d %d %v", l.Cur, l.Max, err)
	})
	return json.NewEncoder(os.Stdout).Encode(said)
}

// run starts a probe and returns what it said and how it ended.
func run(t *testing.T, mode string) (map[string]string, *os.ProcessState) {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"readable", "secret"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	probe := exec.Command(os.Args[0], dir)
	probe.Env = append(os.Environ(), asProbe+"="+mode, "PROBE_TCP="+listener.Addr().String())
	probe.Stderr = os.Stderr
	out, _ := probe.Output()
	var said map[string]string
	if mode != "cpu" {
		if err := json.Unmarshal(out, &said); err != nil {
			t.Fatalf("the probe said %q (%v)", out, probe.ProcessState)
		}
	}
	return said, probe.ProcessState
}

func TestSelf(t *testing.T) {
	said, state := run(t, "try")
	if !state.Success() {
		t.Fatal(state)
	}
	var landlock int
	var filtered bool
	if _, err := fmt.Sscan(said["report"], &landlock, &filtered); err != nil {
		t.Fatalf("%q: %v", said["report"], err)
	}
	for what, must := range map[string]struct {
		landlock int // the version that sees to it; 0: none
		seccomp  bool
		want     string
	}{
		"read the descriptor":    {0, false, "<nil>"},
		"read what is allowed":   {0, false, "<nil>"},
		"read another file":      {1, false, "permission denied"},
		"read the users":         {1, false, "permission denied"},
		"write":                  {1, false, "permission denied"},
		"write what may be read": {1, false, "permission denied"},
		"remove":                 {0, true, "operation not permitted"},
		"make a folder":          {0, true, "operation not permitted"},
		"link":                   {0, true, "operation not permitted"},
		"TCP":                    {0, true, "operation not permitted"},
		"UDP":                    {0, true, "operation not permitted"},
		"a Unix socket":          {0, true, "operation not permitted"},
		"signal the parent":      {0, true, "operation not permitted"},
		"limit the parent":       {0, true, "operation not permitted"},
		"leave the group":        {0, true, "operation not permitted"},
		"outlive the parent":     {0, true, "operation not permitted"},
		"trace the parent":       {0, true, "operation not permitted"},
		"a namespace":            {0, true, "operation not permitted"},
		"mount":                  {0, true, "operation not permitted"},
		"become another":         {0, true, "operation not permitted"},
		"run a program":          {1, false, "permission denied"},
		"new privileges":         {0, false, "1 <nil>"},
		"a core dump":            {0, false, "0 0 <nil>"},
	} {
		if landlock < must.landlock || must.seccomp && !filtered {
			t.Logf("this kernel does not keep a process from: %s", what)
			continue
		}
		if got := said[what]; !strings.HasSuffix(got, must.want) {
			t.Errorf("%s: %s, want %s", what, got, must.want)
		}
	}
}

func TestMemory(t *testing.T) {
	if said, _ := run(t, "memory"); !strings.Contains(said["map"], "cannot allocate memory") {
		t.Errorf("300 MB beyond a limit of 256: %s", said["map"])
	}
}

func TestProcessorTime(t *testing.T) {
	_, state := run(t, "cpu")
	if status, ok := state.Sys().(syscall.WaitStatus); !ok || !status.Signaled() || status.Signal() != syscall.SIGKILL {
		t.Errorf("it ended with %v", state)
	}
}
