package description

// GateVersion is the version of the views that models/gate makes of a picture.
// Limits of another version say nothing about them.
const GateVersion = 1

// Gate describes how far a picture may be from those that the model was trained
// on before it is refused as no spine. The numbers themselves lie in File.
type Gate struct {
	Version int    `json:"version"`
	File    string `json:"file"` // among the model's files, e.g. "gate.bin"
	Views   []View `json:"views"`
}

// View is one way to look at a picture, as a row of numbers, with the training
// pictures' mean and principal axes in it.
type View struct {
	Name   string `json:"name"`   // "grey", "edges", "texture" or "features"
	Length int    `json:"length"` // numbers that the view has
	Axes   int    `json:"axes"`   // principal axes that are kept
	// Middle and Tail are the median and the 95 % quantile of the distances
	// of spines that the view was not made from. A distance d counts as
	// (d−Middle)/(Tail−Middle).
	Middle float64 `json:"middle"`
	Tail   float64 `json:"tail"`
}

// Values returns how many float32 the view has in the gate's file.
func (v View) Values() int { return v.Length + v.Axes*v.Length + v.Axes + 1 }

func (g *Gate) validate(say func(format string, args ...any), files []File) {
	if g.Version != GateVersion {
		say("gate version is %d, this program has %d: train the gate again with this spinelab", g.Version, GateVersion)
	}
	values := 0
	for _, v := range g.Views {
		if v.Name == "" || v.Length < 1 || v.Axes < 1 || v.Axes > v.Length || v.Length > 1<<16 || v.Axes > 1<<10 ||
			!(v.Middle >= 0 && v.Tail > v.Middle) {
			say("gate view %q: it needs a length, at most as many axes, and 0 <= middle < tail", v.Name)
			return
		}
		values += v.Values()
	}
	for _, f := range files {
		if f.Path == g.File {
			if f.Length != int64(4*values) {
				say("gate file %s has %d bytes, its views need %d", f.Path, f.Length, 4*values)
			}
			return
		}
	}
	say("gate file %q is not among the files", g.File)
}

// Gaps says in words what the model's gate does not look at. A model from
// before the gate has some, and so has one made elsewhere.
func (m *Model) Gaps() []string {
	var gaps []string
	t := m.Thresholds
	if m.Gate == nil || t.Picture == 0 && t.Features == 0 {
		gaps = append(gaps, "whether a picture is a spine at all")
	}
	if t.Outside == 0 {
		gaps = append(gaps, "whether the network looked outside the body")
	}
	if t.Confidence == 0 {
		gaps = append(gaps, "how sure an answer is")
	}
	return gaps
}

func (t Thresholds) validate(say func(format string, args ...any), gate *Gate) {
	if c := t.Confidence; !(c >= 0 && c < 1) {
		say("confidence threshold %v is outside 0 to 1", c)
	}
	if o := t.Outside; !(o >= 0 && o <= 1) {
		say("threshold outside %v is no share, 0 to 1", o)
	}
	for name, v := range map[string]float64{"picture": t.Picture, "features": t.Features} {
		if !(v >= 0 && v < 1e6) {
			say("threshold %s %v is no distance", name, v)
		}
		if v > 0 && gate == nil {
			say("threshold %s is given, but no gate", name)
		}
	}
}

// Map returns the thresholds by their names, as they go into the decision
// digest.
func (t Thresholds) Map() map[string]float64 {
	return map[string]float64{
		"confidence": t.Confidence, "picture": t.Picture, "features": t.Features, "outside": t.Outside,
	}
}
