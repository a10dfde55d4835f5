package report

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"spinebox/internal/spine"
	"spinebox/lab/statistics"
)

// Plot is a panel of lines and points, in the units of its drawing: the page's
// template turns it into SVG. All are of one size, so that they can be compared.
type Plot struct {
	Title, X, Y string
	Width       int
	Height      int
	XTicks      []tick
	YTicks      []tick
	Lines       []line
	Marks       []mark
	Left, Right float64 // the frame
	Top, Bottom float64

	x, y axis
	Rows []tick // of a forest: its rows' names
}

// TickY, TickX and NameY are where the texts beside the frame stand.
func (p *Plot) TickY() float64 { return p.Bottom + 14 }
func (p *Plot) TickX() float64 { return p.Left - 5 }
func (p *Plot) NameY() float64 { return p.Bottom + 32 }

type axis struct{ low, high float64 }

type tick struct {
	At   float64
	Text string
}

// line is a polyline; Dash tells lines apart without colour.
type line struct {
	Points, Colour, Dash, Name string
	Width                      float64
}

// mark is an estimate: a dot with its interval, or a bar.
type mark struct {
	X, Y, X0, X1     float64 // the interval runs from X0 to X1
	Colour, Text     string
	Hollow, Interval bool
}

func newPlot(title, xName, yName string, x, y axis) *Plot {
	p := &Plot{Title: title, X: xName, Y: yName, Width: 250, Height: 220, Left: 52, Right: 244, Top: 22, Bottom: 178, x: x, y: y}
	for _, v := range x.ticks(5) {
		p.XTicks = append(p.XTicks, tick{p.px(v), label(v)})
	}
	for _, v := range y.ticks(5) {
		p.YTicks = append(p.YTicks, tick{p.py(v), label(v)})
	}
	return p
}

// ticks are round numbers on the axis, about as many as wanted.
func (a axis) ticks(wanted int) []float64 {
	step := math.Pow(10, math.Floor(math.Log10((a.high-a.low)/float64(wanted))))
	for _, factor := range []float64{2, 2.5, 2} { // 2, 5, 10
		if (a.high-a.low)/step <= float64(wanted)+0.5 {
			break
		}
		step *= factor
	}
	var all []float64
	for k := int(math.Ceil(a.low/step - 1e-9)); float64(k)*step <= a.high+1e-9*step; k++ {
		all = append(all, float64(k)*step)
	}
	return all
}

func label(v float64) string { return strconv.FormatFloat(math.Round(v*1000)/1000, 'f', -1, 64) }

func (p *Plot) px(v float64) float64 {
	return p.Left + (p.Right-p.Left)*clip((v-p.x.low)/(p.x.high-p.x.low))
}

func (p *Plot) py(v float64) float64 {
	return p.Bottom - (p.Bottom-p.Top)*clip((v-p.y.low)/(p.y.high-p.y.low))
}

// clip keeps what is off the scale at its edge.
func clip(f float64) float64 { return min(max(f, 0), 1) }

func (p *Plot) add(name, colour, dash string, width float64, points []statistics.Point) {
	var s []string
	for _, q := range points {
		s = append(s, fmt.Sprintf("%.1f,%.1f", p.px(q.X), p.py(q.Y)))
	}
	if len(s) > 0 {
		p.Lines = append(p.Lines, line{strings.Join(s, " "), colour, dash, name, width})
	}
}

// colours of the classes and of the networks, told apart by colour-blind
// readers too (Okabe and Ito).
func classColour(class int) string { return []string{"#009e73", "#cc79a7", "#e69f00"}[class%3] }

func networkColour(network string) string {
	switch network {
	case "resnet50":
		return "#0072b2"
	case "vgg16":
		return "#d55e00"
	}
	return "#555555"
}

// dash of a method: they are told apart in print without colour.
func dash(method string) string {
	switch method {
	case "random":
		return "2 3"
	case "features":
		return "7 4"
	}
	return ""
}

const grey = "#8a8f98"

func unitAxis() axis { return axis{0, 1} }

func diagonal() []statistics.Point { return []statistics.Point{{}, {X: 1, Y: 1}} }

// rocPlot shows each class against the rest.
func rocPlot(v Variant) *Plot {
	p := newPlot(v.Name, "false positive rate", "true positive rate", unitAxis(), unitAxis())
	p.add("chance", grey, "1 3", 1, diagonal())
	for k, curve := range v.ROC {
		p.add(string(spine.Labels()[k]), classColour(k), "", 1.8, curve)
	}
	return p
}

// reliabilityPlot shows how often answers of a confidence are right. Bins with
// fewer than five pictures say nothing and are left out.
func reliabilityPlot(v Variant) *Plot {
	p := newPlot(v.Name, "confidence", "right", unitAxis(), unitAxis())
	p.add("calibrated", grey, "1 3", 1, diagonal())
	var points []statistics.Point
	for _, b := range v.Reliability {
		if b.Count >= 5 {
			points = append(points, statistics.Point{X: b.Confidence, Y: b.Accuracy})
			p.Marks = append(p.Marks, mark{X: p.px(b.Confidence), Y: p.py(b.Accuracy), Colour: networkColour(v.Network)})
		}
	}
	p.add(v.Name, networkColour(v.Network), "", 1.2, points)
	return p
}

// riskPlot shows how often answers are wrong when the less sure ones are
// refused, for all variants of a network.
func riskPlot(network string, variants []Variant) *Plot {
	top := 0.05
	for _, v := range variants {
		top = max(top, 1-v.Accuracy.Value)
	}
	p := newPlot(network, "share answered", "wrong among these", unitAxis(), axis{0, math.Ceil(20*top) / 20})
	for _, v := range variants {
		if v.Network == network {
			p.add(v.Method, networkColour(network), dash(v.Method), 1.6, v.RiskCoverage)
		}
	}
	return p
}

// learningPlot shows the loss on training batches and on the validation part,
// each fold a line.
func learningPlot(v Variant) *Plot {
	last, top := 1.0, 0.1
	for _, f := range v.Folds {
		for _, e := range f.History {
			last, top = max(last, float64(e.Epoch)), max(top, e.Loss, min(e.Validation, 2))
		}
	}
	p := newPlot(v.Name, "epoch", "loss", axis{1, max(last, 2)}, axis{0, math.Ceil(10*top) / 10})
	for _, f := range v.Folds {
		var fit, validation []statistics.Point
		for _, e := range f.History {
			fit = append(fit, statistics.Point{X: float64(e.Epoch), Y: e.Loss})
			validation = append(validation, statistics.Point{X: float64(e.Epoch), Y: e.Validation})
		}
		p.add("training", grey, "", 1, fit)
		p.add("validation", networkColour(v.Network), "", 1, validation)
		for _, e := range f.History {
			if e.Epoch == f.BestEpoch {
				p.Marks = append(p.Marks, mark{X: p.px(float64(e.Epoch)), Y: p.py(e.Validation), Colour: networkColour(v.Network)})
			}
		}
	}
	return p
}

// forest lays estimates out in rows, one for each variant, with vertical lines
// for what they are to be held against.
type forest struct{ *Plot }

const forestRow = 26

func newForest(title, xName string, x axis, rows int) *forest {
	p := newPlot(title, xName, "", x, axis{0, 1})
	p.Width, p.Left, p.Right = 460, 128, 450
	p.Bottom = p.Top + forestRow*float64(rows)
	p.Height = int(p.Bottom) + 42
	p.XTicks, p.YTicks = nil, nil
	for _, v := range x.ticks(6) {
		p.XTicks = append(p.XTicks, tick{p.px(v), label(v)})
	}
	return &forest{p}
}

// row adds the estimate of the variant of row i.
func (f *forest) row(i int, name, colour string, e Estimate) {
	y := f.Top + forestRow*(float64(i)+0.5)
	f.Rows = append(f.Rows, tick{y, name})
	f.Marks = append(f.Marks, mark{X: f.px(e.Value), Y: y, X0: f.px(e.Low), X1: f.px(e.High), Colour: colour, Interval: true})
}

// line draws a vertical line to hold estimates against.
func (f *forest) line(name, colour, dash string, at float64) {
	f.add(name, colour, dash, 1.4, []statistics.Point{{X: at}, {X: at, Y: 1}})
}

// sanityPlot begins with the map itself, which is like itself.
func sanityPlot(v Variant) *Plot {
	p := newPlot(v.Name, "layers randomised from the top", "likeness", axis{0, float64(len(v.Maps.Sanity))}, unitAxis())
	ssim, rank := []statistics.Point{{Y: 1}}, []statistics.Point{{Y: 1}}
	for i, s := range v.Maps.Sanity {
		ssim = append(ssim, statistics.Point{X: float64(i + 1), Y: s.SSIM})
		rank = append(rank, statistics.Point{X: float64(i + 1), Y: s.Spearman})
	}
	p.add("SSIM", networkColour(v.Network), "", 1.8, ssim)
	p.add("Spearman", grey, "5 3", 1.6, rank)
	return p
}
