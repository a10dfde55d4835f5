package main

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"spinebox/internal/livetest"
)

// slurm is a cluster of one machine: munged, slurmctld and slurmd, whose files
// all lie in one folder.
type slurm struct {
	t   *testing.T
	dir string
}

const slurmConf = `
ClusterName=test
SlurmctldHost=HOST(127.0.0.1)
SlurmctldPort=PORT0
SlurmdPort=PORT1
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket=DIR/munge.sock
CredType=cred/munge
StateSaveLocation=DIR/state
SlurmdSpoolDir=DIR/spool
SlurmctldPidFile=DIR/slurmctld.pid
SlurmdPidFile=DIR/slurmd.pid
SlurmctldLogFile=DIR/slurmctld.log
SlurmdLogFile=DIR/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
MailProg=/bin/true
MpiDefault=none
ReturnToService=2
MinJobAge=3600
NodeName=HOST NodeAddr=127.0.0.1 CPUs=2 State=UNKNOWN
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP
`

// startSlurm starts the cluster. Without Slurm, or without the right to start
// it, the test is skipped, and fails in CI.
func startSlurm(t *testing.T) *slurm {
	t.Helper()
	missing := t.Skipf
	if os.Getenv("CI") == "true" {
		missing = t.Fatalf
	}
	t.Setenv("PATH", os.Getenv("PATH")+":/usr/sbin")
	for _, program := range []string{"munged", "slurmctld", "slurmd", "sbatch"} {
		if _, err := exec.LookPath(program); err != nil {
			missing("Slurm is missing (scripts/test-tools): %v", err)
		}
	}
	if os.Geteuid() != 0 {
		missing("Slurm's daemons are started as root")
	}
	s := &slurm{t: t, dir: t.TempDir()}
	t.Cleanup(s.logs)
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	host, _, _ = strings.Cut(host, ".")
	conf := strings.NewReplacer("DIR", s.dir, "HOST", host, "PORT0", freePort(t), "PORT1", freePort(t)).Replace(slurmConf)
	s.write("slurm.conf", conf, 0o644)
	s.write("cgroup.conf", "CgroupPlugin=cgroup/v1\n", 0o644) // it is not used, but the other one asks for systemd
	s.write("munge.key", strings.Repeat("not a secret, for this test alone ", 32), 0o400)
	for _, name := range []string{"state", "spool"} {
		if err := os.Mkdir(filepath.Join(s.dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	in := func(name string) string { return filepath.Join(s.dir, name) }
	s.daemon("munged", "--foreground", "--force", "--key-file", in("munge.key"), "--socket", in("munge.sock"),
		"--pid-file", in("munge.pid"), "--log-file", in("munge.log"), "--seed-file", in("munge.seed"))
	livetest.Eventually(t, "munged answers", func() bool { _, err := os.Stat(in("munge.sock")); return err == nil })
	s.daemon("slurmctld", "-D")
	s.daemon("slurmd", "-D", "-N", host)
	livetest.Eventually(t, "slurmctld answers", func() bool { return s.command("scontrol", "ping").Run() == nil })
	return s
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return fmt.Sprint(l.Addr().(*net.TCPAddr).Port)
}

func (s *slurm) write(name, content string, mode os.FileMode) {
	s.t.Helper()
	if err := os.WriteFile(filepath.Join(s.dir, name), []byte(content), mode); err != nil {
		s.t.Fatal(err)
	}
}

func (s *slurm) command(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(name, args...)
	cmd.Env = append(os.Environ(), "SLURM_CONF="+filepath.Join(s.dir, "slurm.conf"))
	return cmd
}

// daemon starts a program that runs until the test is over.
func (s *slurm) daemon(name string, args ...string) {
	s.t.Helper()
	cmd := s.command(name, args...)
	log, err := os.Create(filepath.Join(s.dir, name+".out"))
	if err != nil {
		s.t.Fatal(err)
	}
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := errors.Join(cmd.Start(), log.Close()); err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
	})
}

// logs shows what the daemons have said, when the test has failed.
func (s *slurm) logs() {
	if !s.t.Failed() {
		return
	}
	for _, name := range []string{"munge.log", "munged.out", "slurmctld.log", "slurmd.log"} {
		log, _ := os.ReadFile(filepath.Join(s.dir, name))
		s.t.Logf("%s:\n%s", name, log[max(0, len(log)-3000):])
	}
}

// submit hands the script to sbatch.
func (s *slurm) submit(script string) {
	s.t.Helper()
	cmd := s.command("sbatch")
	cmd.Stdin = strings.NewReader(script)
	if out, err := cmd.CombinedOutput(); err != nil {
		s.t.Fatalf("sbatch: %v\n%s\n%s", err, out, script)
	}
}

// testSlurm runs a study as an array of tasks. They are killed; all are
// submitted again, and the study is that of one machine.
func testSlurm(t *testing.T, r *cvRig, want map[string]string) {
	s := startSlurm(t)
	plan := r.cv("array")
	plan.Args = append([]string{plan.Args[0], "cv", "plan", "--slurm", "--memory", "1M"}, plan.Args[2:]...)
	script, err := plan.Output()
	if err != nil {
		t.Fatal(err)
	}
	finished := func() int {
		folds, _ := filepath.Glob(r.path("array/tiny-random/fold*/judged.json"))
		return len(folds)
	}
	s.submit(string(script))
	begun := r.path("array/tiny-random/fold1/config.json")
	livetest.Eventually(t, "a task has begun to train", func() bool { _, err := os.Stat(begun); return err == nil })
	if out, err := s.command("scancel", "--signal=KILL", "--full", "--state=RUNNING", "--user=root").CombinedOutput(); err != nil {
		t.Fatalf("scancel: %v\n%s", err, out)
	}
	if finished() == 2 {
		t.Error("nothing was killed")
	}
	s.submit(string(script))
	livetest.Eventually(t, "all folds are finished", func() bool { return finished() == 2 })
	livetest.Eventually(t, "no task is left", func() bool {
		left, err := s.command("squeue", "--noheader").Output()
		return err == nil && len(bytes.TrimSpace(left)) == 0
	})
	if diff := cmp.Diff(want, r.tables("array")); diff != "" {
		logs, _ := filepath.Glob(r.path("array/slurm-*.log"))
		for _, name := range logs {
			said, _ := os.ReadFile(name)
			t.Logf("%s:\n%s", filepath.Base(name), said)
		}
		t.Errorf("the array's study is not that of one machine (-one +array):\n%s", diff)
	}
}
