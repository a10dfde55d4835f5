package main

import (
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/pflag"
)

// The manual page names every option of serve, and no other.
func TestTheManualNamesEveryOption(t *testing.T) {
	manual, err := os.ReadFile("../../docs/hub.md")
	if err != nil {
		t.Fatal(err)
	}
	text := string(manual)
	known := map[string]bool{"help": true}
	for _, c := range newCommand().Commands() {
		if !strings.Contains(text, "spinehub "+c.Name()) && c.Name() != "version" {
			t.Errorf("docs/hub.md does not speak of %s", c.Name())
		}
		c.Flags().VisitAll(func(f *pflag.Flag) {
			known[f.Name] = true
			if !strings.Contains(text, "`--"+f.Name+"`") {
				t.Errorf("docs/hub.md does not explain --%s", f.Name)
			}
		})
	}
	for _, m := range regexp.MustCompile("`--([a-z-]+)`").FindAllStringSubmatch(text, -1) {
		if !known[m[1]] {
			t.Errorf("docs/hub.md speaks of --%s, which does not exist", m[1])
		}
	}
}

func TestTheUnitIsHardened(t *testing.T) {
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil && os.Getenv("CI") == "true" {
		t.Fatal("systemd-analyze is not installed: apt-get install systemd")
	}
	if err != nil {
		t.Skip("systemd-analyze is not installed")
	}
	out, err := exec.Command(analyze, "security", "--offline=true", "--threshold=20", "--no-pager", "../../systemd/spinehub.service").CombinedOutput()
	if err != nil {
		t.Errorf("the unit's exposure is above 2.0: %v\n%s", err, out)
	}
}
