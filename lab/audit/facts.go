package audit

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"image"
	_ "image/jpeg" // for the tint
	_ "image/png"
	"math"
	"os"
	"regexp"

	"github.com/corona10/goimagehash"
	"github.com/rwcarlsen/goexif/exif"

	"spinebox/internal/spine"
	"spinebox/lab/dataset"
	"spinebox/runtime/xray"
)

// Facts are what one file tells without its picture being looked at.
type Facts struct {
	SHA256     string      `json:"sha256"`
	Label      spine.Label `json:"label"`
	Group      string      `json:"-"`
	Unreadable string      `json:"unreadable,omitempty"` // why; the rest is empty then

	Format      string   `json:"format"`
	Width       int      `json:"width"` // pixels
	Height      int      `json:"height"`
	Bytes       int64    `json:"bytes"`
	MeanGrey    float64  `json:"mean_grey"`    // 0 to 1
	BlackBorder float64  `json:"black_border"` // share of the picture's rows and columns from its edges that are black, 0 to 1
	Tinted      bool     `json:"tinted"`
	Text        bool     `json:"burned_in_text,omitempty"` // letters or a scale, as far as a program sees
	View        string   `json:"view,omitempty"`
	Quantiser   string   `json:"jpeg_quantiser,omitempty"` // of its tables, short digest
	EXIF        bool     `json:"exif,omitempty"`
	GPS         bool     `json:"gps,omitempty"`
	Camera      string   `json:"camera,omitempty"` // short digest of maker and model
	Tells       []string `json:"name_tells,omitempty"`
}

// BytesPerPixel of the file.
func (f Facts) BytesPerPixel() float64 { return float64(f.Bytes) / float64(f.Width*f.Height) }

// kind is what sort of file it is, without any measure: two files of one kind
// come from like ways of taking, keeping and sending pictures.
func (f Facts) kind() string {
	return fmt.Sprint(f.Format, f.Quantiser, f.Camera, f.View, f.EXIF, f.Tinted, f.Text)
}

// look is a picture's facts and what pairs are found by.
type look struct {
	Facts
	hash      *goimagehash.ExtImageHash
	thumbnail []byte
}

// hashSide is the perceptual hash's: 16×16 of the lowest frequencies.
const hashSide = 16

func lookAt(item dataset.Item) (*look, error) {
	raw, err := os.ReadFile(item.Path)
	if err != nil {
		return nil, err
	}
	p, err := xray.DecodeReader(bytes.NewReader(raw), int64(len(raw)), xray.DefaultLimits())
	if err != nil {
		return nil, err
	}
	l := &look{Facts: Facts{
		SHA256: item.SHA256, Label: item.Label, Group: item.Group,
		Format: p.Facts.Format, Width: p.Width, Height: p.Height, Bytes: int64(len(raw)),
		MeanGrey: mean(p.Pix), BlackBorder: blackBorder(p), View: p.Facts.View,
		Quantiser: quantiser(raw), Text: burnedIn(p),
	}}
	if l.View == "" {
		l.View = item.View
	}
	l.metadata(raw)
	if p.Facts.Format != "dicom" {
		l.Tinted = tinted(raw)
	}
	img := grey(p)
	if l.hash, err = goimagehash.ExtPerceptionHash(img, hashSide, hashSide); err != nil {
		return nil, err
	}
	l.thumbnail, err = thumbnail(img)
	return l, err
}

func mean(v []float32) float64 {
	var sum float64
	for _, x := range v {
		sum += float64(x)
	}
	return sum / float64(len(v))
}

// black is the grey below which a row or column's mean counts as black.
const black = 0.03

// blackBorder returns which share of the picture lies in black rows and
// columns at its edges.
func blackBorder(p *spine.Picture) float64 {
	rows, columns := make([]float64, p.Height), make([]float64, p.Width)
	for y := range p.Height {
		for x, v := range p.Pix[y*p.Width : (y+1)*p.Width] {
			rows[y] += float64(v) / float64(p.Width)
			columns[x] += float64(v) / float64(p.Height)
		}
	}
	inner := func(v []float64) float64 {
		lo, hi := 0, len(v)
		for lo < hi && v[lo] < black {
			lo++
		}
		for hi > lo && v[hi-1] < black {
			hi--
		}
		return float64(hi-lo) / float64(len(v))
	}
	return 1 - inner(rows)*inner(columns)
}

// quantiser is a short digest of a JPEG's quantisation tables: of the encoder
// and its quality. It is empty for other formats.
func quantiser(raw []byte) string {
	if len(raw) < 4 || raw[0] != 0xff || raw[1] != 0xd8 {
		return ""
	}
	tables := sha256.New()
	for i := 2; i+4 <= len(raw) && raw[i] == 0xff; {
		length := int(raw[i+2])<<8 | int(raw[i+3])
		end := i + 2 + length
		if raw[i+1] == 0xda || length < 2 || end > len(raw) { // the scan begins
			break
		}
		if raw[i+1] == 0xdb {
			tables.Write(raw[i+4 : end])
		}
		i = end
	}
	return hex.EncodeToString(tables.Sum(nil))[:8]
}

// metadata looks into EXIF data. What stands there goes no further than into a
// digest: makers' names and places identify persons.
func (f *Facts) metadata(raw []byte) {
	x, err := exif.Decode(bytes.NewReader(raw))
	if err != nil && (x == nil || exif.IsCriticalError(err)) {
		return
	}
	f.EXIF = true
	if _, _, err := x.LatLong(); err == nil {
		f.GPS = true
	}
	camera := ""
	for _, field := range []exif.FieldName{exif.Make, exif.Model} {
		if tag, err := x.Get(field); err == nil {
			camera += tag.String() + "\n"
		}
	}
	if camera != "" {
		sum := sha256.Sum256([]byte(camera))
		f.Camera = hex.EncodeToString(sum[:4])
	}
}

// tinted reports whether a picture has colour: its mean difference between the
// strongest and the weakest of red, green and blue is above 2 % of the range.
func tinted(raw []byte) bool {
	img, _, err := image.Decode(bytes.NewReader(raw))
	if err != nil {
		return false
	}
	b := img.Bounds()
	step := max(1, int(math.Sqrt(float64(b.Dx()*b.Dy())/10000)))
	var sum, n float64
	for y := b.Min.Y; y < b.Max.Y; y += step {
		for x := b.Min.X; x < b.Max.X; x += step {
			r, g, blue, _ := img.At(x, y).RGBA()
			sum += float64(max(r, g, blue)-min(r, g, blue)) / 0xffff
			n++
		}
	}
	return sum/n > 0.02
}

// grey is the picture as the hash wants it.
func grey(p *spine.Picture) image.Image {
	img := image.NewGray(image.Rect(0, 0, p.Width, p.Height))
	for i, v := range p.Pix {
		img.Pix[i] = uint8(min(max(v, 0), 1)*255 + 0.5)
	}
	return img
}

// signs of persons in file names.
var signs = []struct {
	kind    string
	pattern *regexp.Regexp
}{
	{"age", regexp.MustCompile(`(?i)\b\d{1,3}\s*(y|yr|yrs|year|years|yo)\b|,\s*\d{1,3}\s*[_,.]`)},
	{"sex", regexp.MustCompile(`(?i)(^|[^a-z])(m|f|male|female)([^a-z]|$)`)},
	{"date", regexp.MustCompile(`(19|20)\d{2}[-_.]?[01]\d[-_.]?[0-3]\d|[0-3]?\d[-_.][01]?\d[-_.](19|20)\d{2}`)},
	{"diagnosis", regexp.MustCompile(`(?i)scolio|spondylo|olisthesis|listhesis|\bais\b|tais|lais|fracture|\b[tlc]\d{1,2}\b`)},
	{"person", regexp.MustCompile(`[A-Z][a-z]{2,}[ ,_^]+[A-Z][a-z]{2,}`)},
}

// tells returns which kinds of personal data the file's name seems to hold.
func tells(name string) []string {
	var kinds []string
	for _, s := range signs {
		if s.pattern.MatchString(name) {
			kinds = append(kinds, s.kind)
		}
	}
	return kinds
}
