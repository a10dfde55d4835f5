package description_test

import (
	"path/filepath"
	"strings"
	"testing"

	"spinebox/models/description"
)

// gated is a sealed folder whose model has a gate of one view of two numbers.
func gated(t *testing.T, change func(*description.Model)) error {
	t.Helper()
	dir, m := folder(t), good()
	write(t, filepath.Join(dir, "gate.bin"), strings.Repeat("1234", 2+2+1+1))
	m.Gate = &description.Gate{Version: description.GateVersion, File: "gate.bin",
		Views: []description.View{{Name: "grey", Length: 2, Axes: 1, Middle: 1, Tail: 2}}}
	m.Thresholds.Picture = 3
	change(m)
	if err := m.Seal(dir); err != nil {
		return err
	}
	_, err := description.Load(dir)
	return err
}

func TestAGateIsDescribedInFull(t *testing.T) {
	if err := gated(t, func(*description.Model) {}); err != nil {
		t.Fatal(err)
	}
	for want, spoil := range map[string]func(*description.Model){
		"gate version is 2, this program has 1":                   func(m *description.Model) { m.Gate.Version = 2 },
		`gate file "other.bin" is not among the files`:            func(m *description.Model) { m.Gate.File = "other.bin" },
		"gate.bin has 24 bytes, its views need 48":                func(m *description.Model) { m.Gate.Views = append(m.Gate.Views, m.Gate.Views[0]) },
		`gate view "grey": it needs a length, at most as many ax`: func(m *description.Model) { m.Gate.Views[0].Axes = 3 },
		`and 0 <= middle < tail`:                                  func(m *description.Model) { m.Gate.Views[0].Tail = 1 },
		"threshold picture is given, but no gate":                 func(m *description.Model) { m.Gate = nil },
		"threshold features -1 is no distance":                    func(m *description.Model) { m.Thresholds.Features = -1 },
		"threshold outside 1.5 is no share":                       func(m *description.Model) { m.Thresholds.Outside = 1.5 },
	} {
		if err := gated(t, spoil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v does not say %q", err, want)
		}
	}
}

func TestAnOlderModelSaysWhatItDoesNotLookAt(t *testing.T) {
	m := good() // with a confidence, from before the gate
	if gaps := strings.Join(m.Gaps(), "; "); gaps != "whether a picture is a spine at all; whether the network looked outside the body" {
		t.Errorf("its gaps are %q", gaps)
	}
	m.Gate = &description.Gate{}
	m.Thresholds = description.Thresholds{Confidence: 0.4, Picture: 2, Outside: 0.9}
	if gaps := m.Gaps(); len(gaps) != 0 {
		t.Errorf("with all limits its gaps are %q", gaps)
	}
}
