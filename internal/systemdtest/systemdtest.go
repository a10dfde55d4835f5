// Package systemdtest looks at units without a running systemd.
package systemdtest

import (
	"os"
	"os/exec"
	"testing"
)

// Analyze runs systemd-analyze and returns what it says. Without it the test is
// skipped, and with CI=true it fails.
func Analyze(t testing.TB, args ...string) (out string, err error) {
	t.Helper()
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil && os.Getenv("CI") == "true" {
		t.Fatal("systemd-analyze is not installed: apt-get install systemd")
	}
	if err != nil {
		t.Skip("systemd-analyze is not installed")
	}
	text, err := exec.Command(analyze, args...).CombinedOutput()
	return string(text), err
}

// Hardened fails the test when a unit's exposure is above 2.0.
func Hardened(t testing.TB, unit string) {
	t.Helper()
	if out, err := Analyze(t, "security", "--offline=true", "--threshold=20", "--no-pager", unit); err != nil {
		t.Errorf("the unit's exposure is above 2.0: %v\n%s", err, out)
	}
}
