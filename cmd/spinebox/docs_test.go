package main

import (
	"fmt"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"spinebox/internal/spine"
	"spinebox/internal/systemdtest"
	"spinebox/runtime/health"
)

func readText(t *testing.T, path string) string {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// What the room reads is explained where somebody would look it up.
func TestOperationsExplainsEveryCode(t *testing.T) {
	text := readText(t, "../../docs/operations.md")
	for _, c := range []spine.Code{
		spine.NotXray, spine.NotSpine, spine.TooSmall, spine.LowConfidence, spine.ReadersDisagree, spine.HeatmapEmpty,
		spine.HeatmapOff, spine.Conflict, spine.Unsupported, spine.Corrupt, spine.Timeout, spine.Internal,
	} {
		if row := fmt.Sprintf("| %s | `%s` | %s |", c.Outcome(), c, c.Sentence()); !strings.Contains(text, row) {
			t.Errorf("docs/operations.md lacks the row %s", row)
		}
	}
}

// The unit and the default configuration agree with each other and with the
// program.
func TestTheUnitFitsTheConfiguration(t *testing.T) {
	unit := readText(t, "../../systemd/spinebox.service")
	c, err := builtinConfig()
	if err != nil {
		t.Fatal(err)
	}
	seconds := regexp.MustCompile(`(?m)^WatchdogSec=(\d+)$`).FindStringSubmatch(unit)
	if seconds == nil {
		t.Fatal("the unit has no watchdog")
	}
	watchdog, err := time.ParseDuration(seconds[1] + "s")
	if err != nil || c.Limits.Image > watchdog/2 {
		t.Errorf("one image may take %s, the watchdog waits %s (%v)", c.Limits.Image, watchdog, err)
	}
	if !strings.Contains(unit, "--config "+defaultPath+"\n") {
		t.Errorf("the unit does not name %s", defaultPath)
	}
	if !strings.Contains(unit, "\nMountFlags=slave\n") {
		t.Error("a remount would not reach the service")
	}
	// Without both, a model that is tried is not tried behind the one at work.
	if !strings.Contains(unit, "\nLimitNICE=+0\n") || !strings.Contains(unit, "\nSystemCallFilter=setpriority\n") {
		t.Error("a thread's priority that was lowered could not be raised again")
	}
	for line := range strings.Lines(unit) {
		if key, value, _ := strings.Cut(line, "="); strings.HasSuffix(key, "Paths") && strings.Contains(value, "/srv") {
			t.Errorf("%s would keep an old share in view", strings.TrimSpace(line))
		}
	}
	if got, err := os.Readlink("../../systemd/spinebox.yml"); err != nil || got != "../cmd/spinebox/spinebox.yml" {
		t.Errorf("systemd/spinebox.yml is another one: %q (%v)", got, err)
	}
}

func TestTheUnitIsHardened(t *testing.T) {
	systemdtest.Hardened(t, "../../systemd/spinebox.service")
	for _, unit := range []string{"srv-spinebox-scanner.mount", "srv-spinebox-scanner.automount"} {
		if out, err := systemdtest.Analyze(t, "verify", "--man=no", "../../systemd/"+unit); err != nil || out != "" {
			t.Errorf("%s: %v\n%s", unit, err, out)
		}
	}
}

// The example of a board file is one, down to the keys that it explains.
func TestTheExampleOfABoard(t *testing.T) {
	f, problems, err := panelConfig{Board: "../../systemd/boards/jetson-orin-nano.yml"}.front()
	if err != nil || len(problems) > 0 || f.lights == nil || f.display == nil {
		t.Errorf("it gives %+v, %v, %v", f, problems, err)
	}
	if !strings.Contains(readText(t, "../../docs/operations.md"), "systemd/boards/jetson-orin-nano.yml") {
		t.Error("docs/operations.md does not name it")
	}
}

// Every metric is explained, and none that does not exist.
func TestOperationsExplainsEveryMetric(t *testing.T) {
	text := readText(t, "../../docs/operations.md")
	names := health.MetricNames()
	for _, name := range names {
		if !strings.Contains(text, "| `"+name+"` |") {
			t.Errorf("docs/operations.md has no row for %s", name)
		}
	}
	for _, m := range regexp.MustCompile("`(spinebox_[a-z_]+)`").FindAllStringSubmatch(text, -1) {
		if !slices.Contains(names, m[1]) {
			t.Errorf("docs/operations.md speaks of %s, which does not exist", m[1])
		}
	}
}

// The table of exit codes is the program's, and the unit keeps from restarting
// after those that a restart would meet again.
func TestFormatsHasEveryExitCode(t *testing.T) {
	text := readText(t, "../../docs/formats.md")
	_, table, _ := strings.Cut(text, "Exit codes")
	for _, code := range []int{exitOK, exitError, exitUsage, exitPartial, exitNoModel} {
		if !strings.Contains(table, fmt.Sprintf("\n| %d | ", code)) {
			t.Errorf("docs/formats.md has no row for exit code %d", code)
		}
	}
	if unit := readText(t, "../../systemd/spinebox.service"); !strings.Contains(unit, fmt.Sprintf("\nRestartPreventExitStatus=%d %d\n", exitUsage, exitNoModel)) {
		t.Error("the unit restarts a service that has no model or no configuration")
	}
}

// Keys that operations.md names exist.
func TestOperationsNamesOnlyKeysThatExist(t *testing.T) {
	text := readText(t, "../../docs/operations.md")
	sections := map[string]reflect.Type{}
	for field := range reflect.TypeFor[config]().Fields() {
		if name := field.Tag.Get("yaml"); name != "" && field.Type.Kind() == reflect.Struct {
			sections[name] = field.Type
		}
	}
	found := 0
	for _, m := range regexp.MustCompile("`([a-z_]+)\\.([a-z_]+)`").FindAllStringSubmatch(text, -1) {
		section, is := sections[m[1]]
		if !is {
			continue // another file's name, such as spinebox.yml
		}
		if found++; !slices.Contains(keys(section), m[2]) {
			t.Errorf("docs/operations.md names the key %s.%s, which does not exist", m[1], m[2])
		}
	}
	if found < 5 {
		t.Errorf("it names only %d keys", found)
	}
}
