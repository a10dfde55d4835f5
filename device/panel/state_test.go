package panel

import (
	"math/rand/v2"
	"testing"

	"spinebox/internal/spine"
)

func TestState(t *testing.T) {
	shares := func(s spine.ShareStatus) map[string]spine.ShareStatus {
		return map[string]spine.ShareStatus{"scanner": s}
	}
	online := shares(spine.ShareStatus{Online: true})
	for _, test := range []struct {
		name   string
		status spine.Status
		lamps  Lamps
		lines  Lines
	}{
		{"nothing known yet", spine.Status{}, Lamps{Amber: true}, Lines{"STARTING"}},
		{"ready", spine.Status{Ready: true, Shares: online}, Lamps{Green: true}, Lines{"READY"}},
		{"working", spine.Status{Ready: true, Busy: true, Shares: online}, Lamps{Green: true, White: true}, Lines{"WORKING"}},
		{"ready, no broker wanted", spine.Status{Ready: true, Shares: online, Outbox: 0}, Lamps{Green: true}, Lines{"READY"}},
		{"a file waits for its second half", spine.Status{Ready: true, Shares: shares(spine.ShareStatus{Online: true, Waiting: 1})},
			Lamps{Green: true, Amber: true}, Lines{"READY", "1 waiting"}},
		{"share offline", spine.Status{Ready: true, Shares: shares(spine.ShareStatus{Error: "The share is offline: it does not answer."})},
			Lamps{Green: true, Amber: true}, Lines{"READY", "share scanner offline"}},
		{"share complains", spine.Status{Ready: true, Shares: shares(spine.ShareStatus{Online: true, Error: "1 of its files is too large."})},
			Lamps{Green: true, Amber: true}, Lines{"READY", "look at share scanner"}},
		{"network offline", spine.Status{Ready: true, Shares: online, Outbox: 12, Broker: spine.LinkStatus{Configured: true}},
			Lamps{Green: true, Amber: true}, Lines{"READY", "network offline", "12 to send"}},
		{"results on their way", spine.Status{Ready: true, Shares: online, Outbox: 2, Broker: spine.LinkStatus{Configured: true, Online: true}},
			Lamps{Green: true}, Lines{"READY", "2 to send"}},
		{"a file in quarantine, an unsigned model", spine.Status{Ready: true, Shares: online, Quarantine: 1, Unsigned: true},
			Lamps{Green: true}, Lines{"READY", "1 in quarantine", "unsigned model"}},
		{"trouble", spine.Status{Ready: true, Shares: online, Trouble: "The disk is full: remove files from /var."},
			Lamps{Red: true}, Lines{"NEEDS SOMEBODY", "The disk is full:", "remove files from", "/var."}},
		{"trouble while working", spine.Status{Busy: true, Trouble: "No model could be loaded."},
			Lamps{White: true, Amber: true, Red: true}, Lines{"NEEDS SOMEBODY", "No model could be", "loaded."}},
		{"a share's name that no font has", spine.Status{Ready: true, Shares: map[string]spine.ShareStatus{"Röntgen\x1b[31m": {}}},
			Lamps{Green: true, Amber: true}, Lines{"READY", "share R?ntgen?[31m of"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			lamps, lines := State(test.status)
			if lamps != test.lamps {
				t.Errorf("lamps %+v, want %+v", lamps, test.lamps)
			}
			if lines != test.lines {
				t.Errorf("lines %q, want %q", lines, test.lines)
			}
		})
	}
}

// Whatever the box has found in whatever number of X-rays, and however many it
// refused or failed on, red is lit when it needs somebody and only then.
func TestRedNeverStandsForAFinding(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	some := func() bool { return random.IntN(2) == 0 }
	reds := 0
	for range 5000 {
		s := spine.Status{
			Ready: some(), Busy: some(), Unsigned: some(),
			Shares:     map[string]spine.ShareStatus{"a": {Online: some(), Waiting: random.IntN(3)}},
			Broker:     spine.LinkStatus{Configured: some(), Online: some()},
			Outbox:     random.IntN(100),
			Quarantine: random.IntN(3),
			Classified: random.Uint64(), Refused: random.Uint64(), Failed: random.Uint64(), Duplicates: random.Uint64(),
		}
		if some() {
			s.Trouble = "The box needs somebody."
			reds++
		}
		lamps, lines := State(s)
		if lamps.Red != (s.Trouble != "") {
			t.Fatalf("red is %v for %+v", lamps.Red, s)
		}
		if lamps == (Lamps{}) {
			t.Fatalf("all lamps dark, as if the box were off, for %+v", s)
		}
		for _, line := range lines {
			if len(line) > LineWidth {
				t.Fatalf("line %q is too long", line)
			}
		}
	}
	if reds == 0 || reds == 5000 {
		t.Fatal("the test lit red always or never")
	}
}
