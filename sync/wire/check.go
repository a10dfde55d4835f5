package wire

import (
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"unicode"
	"unicode/utf8"

	"spinebox/internal/spine"
)

const (
	maxReadings = 4
	maxLabels   = 32
	maxGrid     = 128 // columns or rows: an input of 4096 on ResNet50's grid
)

// check reports what is wrong with the result, whether made here or received.
func (r *Result) check() error {
	if r.Schema != ResultSchema {
		return fmt.Errorf("schema is %.40q, not %q", r.Schema, ResultSchema)
	}
	for _, err := range []error{
		checkUse(r.Use),
		checkDigest("result", r.ID), checkDigest("image", r.Image), checkDigest("decision", r.Decision),
		CheckName(r.Site), CheckName(r.Device),
		checkText("sentence", r.Sentence, 0, 300),
		r.checkDecision(),
	} {
		if err != nil {
			return err
		}
	}
	switch {
	case r.Sequence < 1:
		return errors.New("sequence is 0; sequences count from 1")
	case r.Attempt < 1:
		return fmt.Errorf("attempt is %d; attempts count from 1", r.Attempt)
	case r.Finished.IsZero():
		return errors.New("finished is missing")
	}
	for _, ms := range []float64{r.Timings.Decode, r.Timings.Infer, r.Timings.Explain, r.Timings.Total} {
		if !(ms >= 0 && ms <= math.MaxFloat32) {
			return fmt.Errorf("a timing of %g ms", ms)
		}
	}
	return nil
}

// checkDecision checks outcome, code, label and readings, and that they fit.
func (r *Result) checkDecision() error {
	if r.Code != "" && r.Code.Sentence() == "" {
		return fmt.Errorf("unknown code %.40q", r.Code)
	}
	if r.Outcome != r.Code.Outcome() {
		return fmt.Errorf("outcome %.40q does not go with code %q", r.Outcome, r.Code)
	}
	if r.Readings == nil {
		return errors.New("readings are missing")
	}
	if len(r.Readings) > maxReadings {
		return fmt.Errorf("%d readings; at most %d", len(r.Readings), maxReadings)
	}
	seen := false
	for i := range r.Readings {
		if err := r.Readings[i].check(); err != nil {
			return fmt.Errorf("reading %d: %w", i+1, err)
		}
		if _, ok := r.Readings[i].Probabilities[r.Label]; ok {
			seen = true
		}
	}
	switch {
	case r.Outcome != spine.Classified && r.Label != "":
		return fmt.Errorf("label %.40q on a result that is %s", r.Label, r.Outcome)
	case r.Outcome == spine.Classified && !seen:
		return fmt.Errorf("no reading knows the label %.40q", r.Label)
	}
	return nil
}

func (r *Reading) check() error {
	for _, err := range []error{
		checkText("model name", r.Model.Name, 1, 128),
		checkText("model version", r.Model.Version, 1, 64),
		checkDigest("model digest", r.Model.Digest),
	} {
		if err != nil {
			return err
		}
	}
	if n := len(r.Probabilities); n < 2 || n > maxLabels {
		return fmt.Errorf("probabilities of %d labels; 2 to %d", n, maxLabels)
	}
	var sum float64
	for label, p := range r.Probabilities {
		if err := checkText("label", string(label), 1, 64); err != nil {
			return err
		}
		if !(p >= 0 && p <= 1) {
			return fmt.Errorf("probability of %s is %g, outside 0 to 1", label, p)
		}
		sum += p
	}
	if math.Abs(sum-1) > 1e-3 {
		return fmt.Errorf("probabilities sum to %g, not 1", sum)
	}
	if _, ok := r.Probabilities[r.Label]; !ok {
		return fmt.Errorf("label %.40q has no probability", r.Label)
	}
	if r.Heatmap != nil {
		return r.Heatmap.check()
	}
	return nil
}

func (h *Heatmap) check() error {
	if err := checkText("heatmap method", h.Method, 1, 32); err != nil {
		return err
	}
	if h.Width < 1 || h.Height < 1 || h.Width > maxGrid || h.Height > maxGrid {
		return fmt.Errorf("heatmap grid of %d×%d (height×width), outside 1 to %d", h.Height, h.Width, maxGrid)
	}
	if !(h.Max >= 0 && h.Max <= math.MaxFloat32) {
		return fmt.Errorf("heatmap maximum is %g", h.Max)
	}
	c := h.Content
	if !(0 <= c.X0 && c.X0 < c.X1 && c.X1 <= 1 && 0 <= c.Y0 && c.Y0 < c.Y1 && c.Y1 <= 1) {
		return fmt.Errorf("heatmap content %v is not a rectangle in fractions of the grid", c)
	}
	_, err := h.Values()
	return err
}

func checkUse(use string) error {
	if use != spine.IntendedUse {
		return fmt.Errorf("use is %.60q, not %q", use, spine.IntendedUse)
	}
	return nil
}

// checkDigest wants 32 bytes in lower-case hex: one spelling, so that equal
// identifiers are equal strings.
func checkDigest(what, s string) error {
	raw, err := hex.DecodeString(s)
	if err != nil || len(raw) != 32 || hex.EncodeToString(raw) != s {
		return fmt.Errorf("%s %.80q is not 64 lower-case hex digits", what, s)
	}
	return nil
}

// checkText wants text that a terminal and a page can show as it is: no
// control characters, so that no message can move a cursor or forge a line.
func checkText(what, s string, low, high int) error {
	if len(s) < low || len(s) > high {
		return fmt.Errorf("%s of %d bytes, outside %d to %d", what, len(s), low, high)
	}
	if !utf8.ValidString(s) {
		return fmt.Errorf("%s is not UTF-8", what)
	}
	for _, c := range s {
		if !unicode.IsPrint(c) {
			return fmt.Errorf("%s holds the unprintable character %U", what, c)
		}
	}
	return nil
}
