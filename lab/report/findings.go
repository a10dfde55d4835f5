package report

import (
	"fmt"
	"slices"
)

// find holds the paper's findings against the figures. What takes a variant
// that is not there, or maps that are not measured, is left out.
func (r *Report) find() {
	if v, ok := r.Variant("vgg16-random"); ok {
		if lift, ok := liftOf(*v); ok {
			r.Findings = append(r.Findings, r.elsewhere(*v, lift))
		}
	}
	if q, swapped, ok := r.pair("resnet50-finetune", "vgg16-finetune"); ok {
		r.Findings = append(r.Findings, accuracyFinding(q, swapped))
		if q.Lift != nil {
			r.Findings = append(r.Findings, liftFinding(*q.Lift, swapped))
		}
	}
}

// elsewhere is the paper's main point: right answers with maps that miss.
func (r *Report) elsewhere(v Variant, lift Estimate) string {
	answer := "Whether that holds here cannot be said"
	switch {
	case v.Accuracy.Low <= r.blind().Accuracy.Value:
		answer = "Here it is not accurate, so that the question does not arise"
	case lift.High < r.Gate.Lift:
		answer = "That holds here"
	case lift.Low >= r.Gate.Lift:
		answer = "That does not hold here"
	}
	return fmt.Sprintf("VGG16 from random weights is accurate, but its maps miss the clinically relevant regions. %s: %s right, lift %.2f (%.2f to %.2f).",
		answer, percent(v.Accuracy.Value), lift.Value, lift.Low, lift.High)
}

func accuracyFinding(q Pair, swapped bool) string {
	resnet, vgg := q.OnlyFirst, q.OnlySecond
	if swapped {
		resnet, vgg = vgg, resnet
	}
	answer := "no difference is shown"
	if q.Holm < level {
		answer = "the difference is no chance"
	}
	return fmt.Sprintf("Fine-tuned VGG16 is right more often than fine-tuned ResNet50 (335 and 332 of 338, which is no significant difference: p is 0.25 at the least). Here %s: VGG16 alone is right about %d, ResNet50 alone about %d of %d pictures (p = %s, with Holm's correction).",
		answer, vgg, resnet, q.Pictures, pValue(q.Holm))
}

func liftFinding(d Estimate, swapped bool) string {
	if swapped {
		d = Estimate{-d.Value, d.Interval}
		d.Low, d.High = -d.High, -d.Low
	}
	answer := "Here no difference is shown"
	switch {
	case d.Low > 0:
		answer = "That holds here"
	case d.High < 0:
		answer = "Here it is the other way round"
	}
	return fmt.Sprintf("The maps of fine-tuned ResNet50 agree better with the clinical view than those of fine-tuned VGG16. %s: lift of ResNet50 less that of VGG16, on the same pictures, %.2f (%.2f to %.2f).",
		answer, d.Value, d.Low, d.High)
}

// pair returns the comparison of two variants, and whether it has them the
// other way round.
func (r *Report) pair(a, b string) (q Pair, swapped, ok bool) {
	i := slices.IndexFunc(r.Pairs, func(q Pair) bool { return q.First == a && q.Second == b || q.First == b && q.Second == a })
	if i < 0 {
		return Pair{}, false, false
	}
	return r.Pairs[i], r.Pairs[i].First == b, true
}
