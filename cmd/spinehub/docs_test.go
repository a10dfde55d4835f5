package main

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/pflag"

	"spinebox/internal/systemdtest"
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

func TestTheUnitIsHardened(t *testing.T) { systemdtest.Hardened(t, "../../systemd/spinehub.service") }
