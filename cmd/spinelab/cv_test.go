package main

import (
	"bytes"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"spinebox/internal/disktest"
	"spinebox/internal/livetest"
)

// cvRig is a small study on phantoms, to be run by the real program.
type cvRig struct {
	t     *testing.T
	dir   string // data, configuration, weights
	folds string
}

const tinyStudy = `
networks: [tiny]
methods: [METHODS]
input: {height: 64, width: 32}
weights: {tiny: WEIGHTS}
random: {epochs: 4, batch: 4}
features: {epochs: 4, batch: 4}
finetune: {epochs: 4, head_epochs: 1, batch: 4}
heatmaps: {faithful: 2, probe: 2}
save_every: 1ms
`

func newCVRig(t *testing.T, methods, folds string) *cvRig {
	t.Helper()
	r := &cvRig{t: t, dir: t.TempDir(), folds: folds}
	r.spinelab("phantom", "--out", r.path("set"), "--count", "18", "--size", "120x64", "--format", "png")
	if methods != "random" {
		r.spinelab("pretrain", "--net", "tiny", "--size", "32x32", "--pictures", "10", "--epochs", "1", "--out", r.path("tiny.safetensors"))
	}
	text := strings.NewReplacer("METHODS", methods, "WEIGHTS", r.path("tiny.safetensors")).Replace(tinyStudy)
	if err := os.WriteFile(r.path("study.yaml"), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return r
}

func (r *cvRig) path(name string) string { return filepath.Join(r.dir, name) }

// spinelab runs the program to its end.
func (r *cvRig) spinelab(args ...string) {
	r.t.Helper()
	if out, err := exec.Command("spinelab", args...).CombinedOutput(); err != nil {
		r.t.Fatalf("spinelab %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// cv makes the command that runs the study into the folder.
func (r *cvRig) cv(out string, more ...string) *exec.Cmd {
	args := []string{"cv", "--data", r.path("set"), "--config", r.path("study.yaml"), "--out", r.path(out), "--folds", r.folds}
	return exec.Command("spinelab", append(args, more...)...)
}

func (r *cvRig) finish(out string, more ...string) {
	r.t.Helper()
	cmd := r.cv(out, more...)
	if said, err := cmd.CombinedOutput(); err != nil {
		r.t.Fatalf("%v: %v\n%s", cmd.Args, err, said)
	}
}

// tables returns what the study's CSVs and its splits hold, by their path.
func (r *cvRig) tables(out string) map[string]string {
	r.t.Helper()
	all := map[string]string{}
	root, err := filepath.EvalSymlinks(r.path(out))
	if err != nil {
		r.t.Fatal(err)
	}
	err = filepath.WalkDir(root, func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || filepath.Ext(name) != ".csv" && entry.Name() != "splits.json" {
			return err
		}
		raw, err := os.ReadFile(name)
		at, _ := filepath.Rel(root, name)
		all[at] = string(raw)
		return err
	})
	if err != nil {
		r.t.Fatal(err)
	}
	return all
}

// kill runs the study again and again, each time killed (kill -9) after a random
// time, until that has happened often enough and the study is finished. It
// returns the folders in which one was finished.
func (r *cvRig) kill(times int, random *rand.Rand, longest time.Duration) (finished []string) {
	r.t.Helper()
	out := "killed-0"
	for killed := 0; killed < times; {
		var said bytes.Buffer
		cmd := r.cv(out)
		cmd.Stderr = &said
		if err := cmd.Start(); err != nil {
			r.t.Fatal(err)
		}
		after := time.Duration(random.Int64N(int64(longest)))
		timer := time.AfterFunc(after, func() { _ = cmd.Process.Kill() })
		err := cmd.Wait()
		switch {
		case err == nil: // it was finished before
			timer.Stop()
			finished = append(finished, out)
			out = "killed-" + string(rune('0'+len(finished)))
		case cmd.ProcessState.ExitCode() >= 0:
			r.t.Fatalf("after %d kills it failed by itself: %v\n%s", killed, err, &said)
		default:
			killed++
			r.t.Logf("killed after %v", after.Round(time.Millisecond))
		}
	}
	r.finish(out)
	return append(finished, out)
}

// undisturbed runs the study once, into "whole", and returns its tables.
func (r *cvRig) undisturbed() map[string]string {
	r.t.Helper()
	r.finish("whole")
	tables := r.tables("whole")
	if n := len(tables); n < 13 {
		r.t.Fatalf("an undisturbed study leaves %d tables", n)
	}
	return tables
}

// testKills: a study that is killed at random moments leaves the very bytes of
// an undisturbed one.
func testKills(t *testing.T, r *cvRig, want map[string]string, times int, longest time.Duration) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	for _, out := range r.kill(times, rand.New(rand.NewPCG(seed, 0)), longest) {
		if diff := cmp.Diff(want, r.tables(out)); diff != "" {
			t.Errorf("%s is not as an undisturbed study (-undisturbed +killed):\n%s", out, diff)
		}
	}
}

// classified lets the box's own program read a picture with every fold's model,
// as it is.
func classified(t *testing.T, r *cvRig) {
	t.Helper()
	bin := t.TempDir()
	build := exec.Command("go", "build", "-o", bin, "spinebox/cmd/spinebox", "spinebox/cmd/spinebox-decode")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", build, err, out)
	}
	models, err := filepath.Glob(r.path("whole/*/fold*/model"))
	if err != nil || len(models) < 2 {
		t.Fatalf("%d models, %v", len(models), err)
	}
	for _, model := range models {
		picture := filepath.Join(model, "golden", "phantom-scoliosis.png")
		out, err := exec.Command(filepath.Join(bin, "spinebox"), "classify", "--model", model, "--json", picture).CombinedOutput()
		if err != nil || !bytes.Contains(out, []byte(`"probabilities"`)) {
			t.Errorf("spinebox classify --model %s: %v\n%s", model, err, out)
		}
	}
}

// testFullDisk: a disk that fills up in the middle of a checkpoint leaves the
// checkpoint before and nothing that looks finished, and a sentence that says
// what to do; with room, the study ends as an undisturbed one.
func testFullDisk(t *testing.T, r *cvRig, want map[string]string) {
	checkpoint, err := os.Stat(r.path("whole/tiny-random/fold0/checkpoint"))
	if err != nil {
		t.Fatal(err)
	}
	disk := disktest.InMemory(t, checkpoint.Size()*3/2, 0) // one fits, and half of the next
	if err := os.Symlink(disk.Dir, r.path("full")); err != nil {
		t.Fatal(err)
	}
	said, err := r.cv("full", "--parallel", "1").CombinedOutput()
	if err == nil || !bytes.Contains(said, []byte("no space left on device")) || !bytes.Contains(said, []byte("Make room there and give the same command again")) {
		t.Errorf("on a full disk it ends with %v and says\n%s", err, said)
	}
	if kept, err := os.Stat(r.path("full/tiny-random/fold0/checkpoint")); err != nil || kept.Size() < checkpoint.Size()/2 {
		t.Errorf("the first checkpoint: %v, %v", kept, err)
	}
	for _, never := range []string{"done.json", "checkpoint.part"} {
		if left, _ := filepath.Glob(r.path("full/tiny-random/fold*/" + never)); len(left) > 0 {
			t.Errorf("there is %v", left)
		}
	}
	if err := unix.Mount("none", disk.Dir, "tmpfs", unix.MS_REMOUNT, "size=200M"); err != nil {
		t.Fatal(err)
	}
	r.finish("full")
	if diff := cmp.Diff(want, r.tables("full")); diff != "" {
		t.Errorf("with room, it ends otherwise than an undisturbed study (-undisturbed +this):\n%s", diff)
	}
}

// testStopped: a Ctrl-C ends the study in order, says how to go on, and costs
// nothing.
func testStopped(t *testing.T, r *cvRig, want map[string]string) {
	var said bytes.Buffer
	cmd := r.cv("stopped", "--parallel", "1")
	cmd.Stderr = &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	begun := r.path("stopped/tiny-random/fold0/config.json")
	livetest.Eventually(t, "a fold has begun to train", func() bool { _, err := os.Stat(begun); return err == nil })
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); cmd.ProcessState.ExitCode() != 1 || !strings.Contains(said.String(), "the same command goes on with it") {
		t.Errorf("it ends with %v and says\n%s", err, &said)
	}
	if _, err := os.Stat(r.path("stopped/tiny-random/fold1")); err == nil {
		t.Error("another fold was begun after it")
	}
	r.finish("stopped")
	if diff := cmp.Diff(want, r.tables("stopped")); diff != "" {
		t.Errorf("it ends otherwise than an undisturbed study (-undisturbed +this):\n%s", diff)
	}
}

// testBusy: two processes never work on one fold.
func testBusy(t *testing.T, r *cvRig) {
	r.spinelab("cv", "plan", "--slurm", "--data", r.path("set"), "--config", r.path("study.yaml"), "--out", r.path("busy"), "--folds", r.folds)
	fold := r.path("busy/tiny-random/fold0")
	if err := os.MkdirAll(fold, 0o755); err != nil {
		t.Fatal(err)
	}
	lock, err := os.Create(filepath.Join(fold, "lock"))
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	if err := unix.FcntlFlock(lock.Fd(), unix.F_OFD_SETLK, &unix.Flock_t{Type: unix.F_WRLCK}); err != nil {
		t.Fatal(err)
	}
	said, err := r.cv("busy", "--index", "0").CombinedOutput()
	if err == nil || !bytes.Contains(said, []byte("tiny-random fold 0: another process is working on this fold")) {
		t.Errorf("it ends with %v and says\n%s", err, said)
	}
	if files, _ := os.ReadDir(fold); len(files) != 1 {
		t.Errorf("it left %v", files)
	}
}

// TestCV runs a small study undisturbed, and then through whatever can happen
// to one.
func TestCV(t *testing.T) {
	r := newCVRig(t, "random", "2")
	want := r.undisturbed()
	each := func(name string, test func(*testing.T, *cvRig)) {
		t.Run(name, func(t *testing.T) {
			of := *r
			of.t = t
			test(t, &of)
		})
	}
	each("its models are the box's", classified)
	each("killed", func(t *testing.T, r *cvRig) { testKills(t, r, want, 2, 3*time.Second) })
	each("stopped", func(t *testing.T, r *cvRig) { testStopped(t, r, want) })
	each("busy", testBusy)
	each("full disk", func(t *testing.T, r *cvRig) { testFullDisk(t, r, want) })
	each("slurm", func(t *testing.T, r *cvRig) { testSlurm(t, r, want) })
}

// TestTortureCVOutlivesKills: with every method, and 20 times.
func TestTortureCVOutlivesKills(t *testing.T) {
	if os.Getenv("SPINEBOX_TORTURE") == "" {
		t.Skip("SPINEBOX_TORTURE is not set")
	}
	r := newCVRig(t, "random, features, finetune", "5")
	want := r.undisturbed()
	testKills(t, r, want, 20, 12*time.Second)
	classified(t, r)
}
