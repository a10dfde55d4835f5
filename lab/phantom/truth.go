package phantom

import (
	"image"
	"math"

	"spinebox/internal/spine"
)

// Truth is all that is known of a phantom, as written beside it. Places are in
// pixels of the picture, from its upper left corner; a pixel's middle lies at
// one half.
type Truth struct {
	File    string      `json:"file,omitempty"` // within the set's folder
	Phantom bool        `json:"phantom"`        // always true: this is no patient
	Label   spine.Label `json:"label"`
	View    View        `json:"view"`
	Seed    uint64      `json:"seed"`
	Index   int         `json:"index"`

	Width      int      `json:"width"`
	Height     int      `json:"height"`
	MMPerPixel float64  `json:"mm_per_pixel"`
	Rotation   float64  `json:"rotation_degrees"`          // clockwise on the screen
	FacesRight bool     `json:"faces_right,omitempty"`     // a mirrored lateral view
	Shuttered  bool     `json:"shuttered,omitempty"`       // black collimated borders
	Quality    int      `json:"jpeg_quality,omitempty"`    // only of a JPEG
	Bits       int      `json:"bits,omitempty"`            // for each grey value, of the file
	Region     string   `json:"region,omitempty"`          // the mask file of where to look
	ColumnMask string   `json:"column_mask,omitempty"`     // the mask file of the column
	Curves     []Curve  `json:"curves,omitempty"`          // of an AP view, the greatest first
	Slip       *Slip    `json:"slip,omitempty"`            // of spondylolisthesis
	Marker     *Marker  `json:"marker,omitempty"`          // the side marker burned in
	Shortcut   string   `json:"shortcut,omitempty"`        // only where this picture carries it
	Abnormal   []string `json:"abnormal_levels,omitempty"` // e.g. T7, T8, T9

	Vertebrae   []Vertebra `json:"vertebrae"` // those whose middle lies in the picture
	ColumnBox   *Box       `json:"column_box"`
	AbnormalBox *Box       `json:"abnormal_box,omitempty"`
}

// Curve is a lateral curve with its Cobb angle, measured between the superior
// endplate of Upper and the inferior endplate of Lower as drawn.
type Curve struct {
	Cobb   float64 `json:"cobb_degrees"`
	Upper  string  `json:"upper"`
	Lower  string  `json:"lower"`
	Apex   string  `json:"apex"`
	Convex string  `json:"convex"` // the patient's side: "right" or "left"
}

// Slip is an anterior slip, measured on the endplates as drawn.
type Slip struct {
	Percent float64 `json:"percent"` // of the depth of the endplate below (Taillard)
	Grade   int     `json:"grade"`   // Meyerding's 1 to 4
	Level   string  `json:"level"`   // e.g. "L5/S1"
	Lysis   bool    `json:"lysis"`   // the isthmus is broken, the arch stayed behind
}

// Vertebra gives the ends of a body's endplates: in an AP view the picture's
// left then right one, in a lateral view the front then the back one.
type Vertebra struct {
	Level string        `json:"level"`
	Upper [2][2]float64 `json:"upper"`
	Lower [2][2]float64 `json:"lower"`
}

// Box is a rectangle of whole pixels: columns X0 up to, not including, X1.
type Box struct {
	X0 int `json:"x0"`
	Y0 int `json:"y0"`
	X1 int `json:"x1"`
	Y1 int `json:"y1"`
}

// Marker is a side marker.
type Marker struct {
	Text string `json:"text"`
	Box  Box    `json:"box"`
}

// truth writes down what was drawn. Angles and slips are measured on the
// column's corners, not copied from what was asked for.
func (s Spec) truth(sc *scene, a ailment) Truth {
	cam := sc.camera
	t := Truth{
		Phantom: true, Label: s.Label, View: s.View, Seed: s.Seed, Index: s.Index,
		Width: s.Width, Height: s.Height, MMPerPixel: round(1/cam.scale, 5),
		Rotation: round(degrees(cam.tilt), 3), FacesRight: cam.mirrored,
	}
	if cam.mirrored {
		t.Rotation = -t.Rotation
	}
	for _, k := range a.curves {
		side := "left"
		if k.side < 0 { // an AP view shows the patient's right on the left
			side = "right"
		}
		t.Curves = append(t.Curves, Curve{Cobb: round(k.angle, 3), Upper: k.upper.String(),
			Lower: k.lower.String(), Apex: k.apex.String(), Convex: side})
	}
	if a.slip != nil {
		percent := 100 * sc.column.slipAt(a.slip.level)
		t.Slip = &Slip{Percent: round(percent, 3), Grade: int(math.Ceil(percent / 25)),
			Level: a.slip.level.String() + "/" + (a.slip.level + 1).String(), Lysis: a.slip.lysis}
	}
	for _, l := range a.levels {
		t.Abnormal = append(t.Abnormal, l.String())
	}
	ends := func(plate [2]point) [2][2]float64 {
		p, q := cam.pixel(plate[0]), cam.pixel(plate[1])
		return [2][2]float64{{round(p.X, 3), round(p.Y, 3)}, {round(q.X, 3), round(q.Y, 3)}}
	}
	for i := range sc.column {
		v := &sc.column[i]
		m := cam.pixel(v.centre())
		if m.X < 0 || m.Y < 0 || m.X >= float64(s.Width) || m.Y >= float64(s.Height) {
			continue
		}
		t.Vertebrae = append(t.Vertebrae, Vertebra{v.level.String(), ends(v.upper), ends(v.lower)})
	}
	return t
}

func round(v float64, digits int) float64 {
	f := math.Pow(10, float64(digits))
	return math.Round(v*f) / f
}

// masks returns the masks of the column and of the abnormal levels.
func (s *scene) masks(a ailment) (all, abnormal *image.Gray) {
	all = image.NewGray(image.Rect(0, 0, s.camera.width, s.camera.height))
	for i := range s.column {
		s.stamp(all, &s.column[i])
		if i > 0 {
			s.add(all, s.column[i-1].disc(&s.column[i]))
		}
	}
	if len(a.levels) == 0 {
		return all, nil
	}
	abnormal = image.NewGray(all.Rect)
	for _, g := range a.groups {
		for i, l := range a.levels[g[0]:g[1]] {
			v := s.column.find(l)
			s.stamp(abnormal, v)
			if i > 0 {
				s.add(abnormal, s.column.find(l-1).disc(v))
			}
		}
	}
	return all, abnormal
}

func (s *scene) stamp(m *image.Gray, v *vertebra) { s.add(m, v.body(0.08, 0)) }

// add sets the pixels of a mask that an outline covers by half or more.
func (s *scene) add(m *image.Gray, outline []point) {
	box, ok := s.rasterise(outline, 0)
	if !ok {
		return
	}
	for y := range box.Dy() {
		row := m.Pix[(box.Min.Y+y)*m.Stride+box.Min.X:]
		for x, c := range s.cover.Pix[y*box.Dx() : (y+1)*box.Dx()] {
			if c >= 128 {
				row[x] = 255
			}
		}
	}
}

func boxOf(m *image.Gray) *Box {
	if m == nil {
		return nil
	}
	b := Box{m.Rect.Dx(), m.Rect.Dy(), 0, 0}
	for y := range m.Rect.Dy() {
		for x, v := range m.Pix[y*m.Stride : y*m.Stride+m.Rect.Dx()] {
			if v != 0 {
				b = Box{min(b.X0, x), min(b.Y0, y), max(b.X1, x+1), max(b.Y1, y+1)}
			}
		}
	}
	if b.X1 == 0 {
		return nil
	}
	return &b
}
