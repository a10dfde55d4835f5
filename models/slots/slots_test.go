package slots

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"spinebox/internal/spine"
	"spinebox/models/description"
	"spinebox/models/input"
)

// model makes a folder that is described as a model; its files are no network,
// which nobody here looks at.
func model(t *testing.T, name, version string) (dir, digest string) {
	t.Helper()
	dir = t.TempDir()
	must(t, os.Mkdir(filepath.Join(dir, "variables"), 0o755))
	for _, f := range []string{"saved_model.pb", "variables/variables.index", "variables/variables.data-00000-of-00001"} {
		must(t, os.WriteFile(filepath.Join(dir, f), []byte(name+version+f), 0o644))
	}
	m := &description.Model{
		Name: name, Version: version, Architecture: "tiny", Method: "random", Labels: spine.Labels(),
		Input:         input.Spec{Width: 64, Height: 96, Resize: input.Letterbox, Grey: input.Percentile},
		Preprocessing: "none", Temperature: 1,
	}
	must(t, m.Seal(dir))
	return dir, m.Digest()
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestInstallActivateRollBack(t *testing.T) {
	s := Open(filepath.Join(t.TempDir(), "models"))
	if _, err := s.Active(First); !errors.Is(err, ErrEmpty) {
		t.Errorf("an empty store: %v", err)
	}
	one, first := model(t, "net", "1")
	two, second := model(t, "net", "2")
	for _, dir := range []string{one, two, one} { // once more changes nothing
		if _, err := s.Install(dir); err != nil {
			t.Fatal(err)
		}
	}
	installed, err := s.Installed()
	if slices.Sort(installed); err != nil || !slices.Equal(installed, slices.Sorted(slices.Values([]string{first, second}))) {
		t.Errorf("installed are %v (%v)", installed, err)
	}
	if _, err := description.Load(s.Path(first)); err != nil {
		t.Error(err)
	}
	must(t, s.Activate(First, first))
	if _, err := s.Former(First); !errors.Is(err, ErrNoFormer) {
		t.Errorf("the first model has a former one: %v", err)
	}
	must(t, s.Activate(First, second))
	must(t, s.Activate(First, second)) // again: the former stays
	former, err := s.Former(First)
	if err != nil || former != first {
		t.Errorf("the former model is %.8s (%v)", former, err)
	}
	must(t, s.Activate(Second, first)) // the readers do not know each other
	must(t, s.Activate(First, former))
	if dir, err := s.Active(First); err != nil || dir != s.Path(first) {
		t.Errorf("after the rollback %s is active (%v)", dir, err)
	}
	if former, _ := s.Former(First); former != second {
		t.Error("the rollback cannot be rolled back")
	}
	if _, err := s.Former(Second); !errors.Is(err, ErrNoFormer) {
		t.Errorf("the second reader follows the first: %v", err)
	}
	if err := s.Activate(First, strings.Repeat("0", 64)); !errors.Is(err, ErrUnknown) {
		t.Errorf("a model that is not installed is activated: %v", err)
	}
}

func TestFind(t *testing.T) {
	s := Open(t.TempDir())
	one, first := model(t, "net", "1")
	two, second := model(t, "net", "2")
	for _, dir := range []string{one, two} {
		if _, err := s.Install(dir); err != nil {
			t.Fatal(err)
		}
	}
	for name, want := range map[string]string{first: first, second[:8]: second, "net@1": first} {
		if got, err := s.Find(name); err != nil || got != want {
			t.Errorf("%q is %.8s (%v)", name, got, err)
		}
	}
	if _, err := s.Find("net"); err == nil || !strings.Contains(err.Error(), first[:12]) || !strings.Contains(err.Error(), second[:12]) {
		t.Errorf("a name of two: %v", err)
	}
	for _, name := range []string{"other", "", first[:3]} {
		if _, err := s.Find(name); !errors.Is(err, ErrUnknown) {
			t.Errorf("%q: %v", name, err)
		}
	}
}

func TestNothingIsWrittenOfAFolderThatIsNotWhole(t *testing.T) {
	s := Open(filepath.Join(t.TempDir(), "models"))
	dir, _ := model(t, "net", "1")
	must(t, os.WriteFile(filepath.Join(dir, "variables/variables.index"), []byte("another"), 0o644))
	if _, err := s.Install(dir); err == nil {
		t.Error("it is installed")
	}
	if _, err := os.Stat(s.dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the store was touched: %v", err)
	}
}

func TestAFolderThatChangesWhileItIsCopied(t *testing.T) {
	s := Open(t.TempDir())
	dir, digest := model(t, "net", "1")
	s.step = func(name string) {
		if name == "copy variables/variables.index" {
			must(t, os.WriteFile(filepath.Join(dir, "variables/variables.index"), []byte("another"), 0o644))
		}
	}
	if _, err := s.Install(dir); err == nil || !strings.Contains(err.Error(), "variables.index") {
		t.Errorf("it is installed: %v", err)
	}
	if _, err := os.Stat(s.Path(digest)); !errors.Is(err, os.ErrNotExist) {
		t.Error("it has got its name")
	}
}

// A model that was damaged on the disk is installed anew.
func TestADamagedModelIsReplaced(t *testing.T) {
	s := Open(t.TempDir())
	dir, digest := model(t, "net", "1")
	_, err := s.Install(dir)
	must(t, err)
	must(t, os.WriteFile(filepath.Join(s.Path(digest), "saved_model.pb"), []byte("bits fell over"), 0o644))
	_, err = s.Install(dir)
	must(t, err)
	if _, err := description.Load(s.Path(digest)); err != nil {
		t.Error(err)
	}
}

// killed in the environment makes the test binary install and activate a model,
// and die at a step: "STEP STORE FOLDER DIGEST".
const killed = "SPINEBOX_SLOTS_KILLED_AT"

func TestMain(m *testing.M) {
	var at int
	var dir, from, digest string
	if n, _ := fmt.Sscan(os.Getenv(killed), &at, &dir, &from, &digest); n == 4 {
		s := Open(dir)
		s.step = func(string) {
			if at--; at < 0 {
				syscall.Kill(os.Getpid(), syscall.SIGKILL)
			}
		}
		if err := change(s, from, digest); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func change(s *Store, from, digest string) error {
	if _, err := s.Install(from); err != nil {
		return err
	}
	return s.Activate(First, digest)
}

// Whatever step the process is killed at: the former state stands or the new
// one does, what has a name is whole, and the same commands go through
// afterwards and leave nothing behind.
func TestKilledAtEachStep(t *testing.T) {
	from, former := model(t, "net", "1")
	to, next := model(t, "net", "2")
	outcomes := map[string]int{}
	for step := 0; ; step++ {
		s := Open(t.TempDir())
		must(t, change(s, from, former))
		child := exec.Command(os.Args[0])
		child.Env = append(os.Environ(), fmt.Sprintf("%s=%d %s %s %s", killed, step, s.dir, to, next))
		out, err := child.CombinedOutput()
		if err == nil {
			if step < 10 {
				t.Errorf("there are only %d steps", step)
			}
			break
		}
		if exit, ok := errors.AsType[*exec.ExitError](err); !ok || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
			t.Fatalf("step %d: %v\n%s", step, err, out)
		}
		dir, err := s.Active(First)
		if err != nil || dir != s.Path(former) && dir != s.Path(next) {
			t.Errorf("step %d: active is %s (%v)", step, dir, err)
			continue
		}
		outcomes[dir[len(s.dir):]]++
		installed, err := s.Installed()
		must(t, err)
		for _, digest := range installed {
			if _, err := description.Load(s.Path(digest)); err != nil {
				t.Errorf("step %d: %v", step, err)
			}
		}
		must(t, change(s, to, next))
		if dir, _ := s.Active(First); dir != s.Path(next) {
			t.Errorf("step %d: afterwards %s is active", step, dir)
		}
		if got, _ := s.Former(First); got != former {
			t.Errorf("step %d: afterwards the former model is %.8s", step, got)
		}
		third, _ := model(t, "net", "3")
		_, err = s.Install(third)
		must(t, err)
		if left, _ := filepath.Glob(filepath.Join(s.dir, newPrefix+"*")); len(left) > 0 {
			t.Errorf("step %d: %v is left", step, left)
		}
	}
	if len(outcomes) != 2 {
		t.Errorf("the kills never met both states: %v", outcomes)
	}
}

func TestANewerFormatIsNotGuessedAt(t *testing.T) {
	s := Open(t.TempDir())
	must(t, os.WriteFile(filepath.Join(s.dir, stateName), []byte(fmt.Sprintf(`{"schema": %q}`, "spinebox.slots.v2")), 0o600))
	if _, err := s.Active(First); err == nil || !strings.Contains(err.Error(), "spinebox.slots.v2") {
		t.Errorf("%v", err)
	}
}
