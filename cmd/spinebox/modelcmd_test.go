package main

import (
	"strings"
	"testing"

	"spinebox/models/description"
	"spinebox/models/modeltest"
)

// Whoever looks at a model learns that it was released against the gate, and why.
func TestModelShowTellsOfTheReleaseGate(t *testing.T) {
	d := modeltest.Description()
	show := func() string {
		var out strings.Builder
		if err := printModel(&out, d); err != nil {
			t.Fatal(err)
		}
		return out.String()
	}
	if strings.Contains(show(), "\ngate ") {
		t.Error("a model that is no release has cleared a gate")
	}
	d.Judgement = &description.Judgement{Thresholds: map[string]float64{"lift": 1.2}}
	if got := show(); !strings.Contains(got, "gate        cleared at release\n") {
		t.Errorf("a release that cleared the gate:\n%s", got)
	}
	d.Judgement.Failed, d.Judgement.Why = []string{"lift is not measured"}, "for the ward round"
	for _, want := range []string{"gate        RELEASED AGAINST THE GATE: for the ward round\n", "not cleared: lift is not measured\n"} {
		if got := show(); !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
}
