package description

import "strings"

// Judgement is what the release gate said of a model's cross-validated figures
// before it was trained on all pictures.
type Judgement struct {
	Thresholds map[string]float64 `json:"thresholds"` // by name: accuracy, lift, border, padding
	// Regions says what lift was measured against: "truth" (a phantom's own),
	// "drawn" by a person, "weak" (outlined by a program), several of them with
	// a comma, or nothing.
	Regions string `json:"regions,omitempty"`
	// Failed holds a sentence for each threshold that was not cleared.
	Failed []string `json:"failed,omitempty"`
	// Why is the reason of the person who released the model all the same.
	Why string `json:"why,omitempty"`
}

func (j *Judgement) validate(say func(format string, args ...any)) {
	if len(j.Thresholds) == 0 {
		say("a release names the thresholds of its gate")
	}
	if len(j.Failed) > 0 && strings.TrimSpace(j.Why) == "" {
		say("the release gate refused the model, and nobody says why it is released all the same: %s", strings.Join(j.Failed, "; "))
	}
	if len(j.Failed) == 0 && j.Why != "" {
		say("a reason for a release against the gate, which did not refuse it")
	}
}
