package description

import "testing"

func TestRunsOn(t *testing.T) {
	for _, c := range []struct {
		least, version string
		runs           bool
	}{
		{"", "0.1.0", true},
		{"0.1.0", "0.1.0", true},
		{"0.1.0", "v0.1.0", true},
		{"0.2.0", "v0.1.9", false},
		{"0.10.0", "0.9.0", false},
		{"0.9.0", "0.10.0", true},
		{"0.1.0", "v0.1.0-12-gabcdef0", true},
		{"0.2.0", "v0.1.0-12-gabcdef0-dirty", false},
		{"99.0.0", "development", true},
		{"99.0.0", "abcdef0", true},
		{"newest", "0.1.0", false},
	} {
		err := (&Model{MinimumSpinebox: c.least}).RunsOn(c.version)
		if (err == nil) != c.runs {
			t.Errorf("a model for %q on %q: %v", c.least, c.version, err)
		}
	}
}
