package phantom

import (
	"bytes"
	"image"
	"image/jpeg"
	"image/png"
	"math"
	"strings"
	"testing"

	"github.com/suyashkumar/dicom"
	"github.com/suyashkumar/dicom/pkg/tag"
	"golang.org/x/image/tiff"

	"spinebox/internal/spine"
)

func encoded(t *testing.T, p *Phantom, f Format) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := p.Encode(&b, f); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestPicturesReadBackAsDrawn(t *testing.T) {
	for _, s := range specs(1, nil) {
		p := drawn(t, s)
		for _, k := range []struct {
			format Format
			decode func(b []byte) (image.Image, error)
			within float64 // mean error
		}{
			{JPEG, func(b []byte) (image.Image, error) { return jpeg.Decode(bytes.NewReader(b)) }, 0.02},
			{PNG, func(b []byte) (image.Image, error) { return png.Decode(bytes.NewReader(b)) }, 0.5 / 255},
			{TIFF, func(b []byte) (image.Image, error) { return tiff.Decode(bytes.NewReader(b)) }, 0.5 / 65535},
		} {
			b := encoded(t, p, k.format)
			if !bytes.Contains(b, []byte(notice)) {
				t.Errorf("%s does not say that it is a phantom", k.format)
			}
			m, err := k.decode(b)
			if err != nil {
				t.Fatalf("%s: %v", k.format, err)
			}
			if m.Bounds() != image.Rect(0, 0, s.Width, s.Height) {
				t.Fatalf("%s: %v for %dx%d", k.format, m.Bounds(), s.Width, s.Height)
			}
			var sum float64
			for i, v := range p.Picture.Pix {
				r, _, _, _ := m.At(i%s.Width, i/s.Width).RGBA()
				sum += math.Abs(float64(r)/65535 - float64(v))
			}
			if mean := sum / float64(len(p.Picture.Pix)); mean > k.within {
				t.Errorf("%s %s %s: read back with a mean error of %.5f", s.Label, s.View, k.format, mean)
			}
		}
	}
}

func TestDICOMInBothSenses(t *testing.T) {
	bits, seen := map[int]bool{}, map[string]bool{}
	for _, s := range specs(3, nil) {
		p := drawn(t, s)
		bits[p.bits] = true
		for _, f := range []Format{DICOM, DICOMMono1} {
			b := encoded(t, p, f)
			set, err := dicom.Parse(bytes.NewReader(b), int64(len(b)), nil)
			if err != nil {
				t.Fatalf("%s: %v", f, err)
			}
			value := func(at tag.Tag) string {
				e, err := set.FindElementByTag(at)
				if err != nil {
					t.Fatalf("%s: %v", f, err)
				}
				return strings.Trim(e.Value.String(), "[] ")
			}
			photometric, view := "MONOCHROME2", map[bool]string{true: "AP", false: "LL"}[s.View == AP]
			if f == DICOMMono1 {
				photometric = "MONOCHROME1"
			}
			if p.Truth.FacesRight {
				view = "RL"
			}
			for at, want := range map[tag.Tag]string{
				tag.PatientName: "PHANTOM", tag.ImageComments: notice, tag.QualityControlImage: "YES",
				tag.PhotometricInterpretation: photometric, tag.ViewPosition: view,
			} {
				if got := value(at); got != want {
					t.Errorf("%s: %v is %q, want %q", f, at, got, want)
				}
			}
			for _, at := range []tag.Tag{tag.SOPInstanceUID, tag.SeriesInstanceUID, tag.StudyInstanceUID} {
				if id := value(at); !strings.HasPrefix(id, "2.25.") || len(id) > 64 {
					t.Errorf("%v is %q", at, id)
				}
			}
			if id := value(tag.SOPInstanceUID); seen[id] {
				t.Errorf("two files share the identifier %s", id)
			} else {
				seen[id] = true
			}
			comparePixels(t, set, p, f == DICOMMono1)
		}
	}
	if len(bits) < 2 {
		t.Errorf("all files have the same depth: %v", bits)
	}
}

func comparePixels(t *testing.T, set dicom.Dataset, p *Phantom, inverted bool) {
	t.Helper()
	e, err := set.FindElementByTag(tag.PixelData)
	if err != nil {
		t.Fatal(err)
	}
	frame, err := dicom.MustGetPixelDataInfo(e.Value).Frames[0].GetNativeFrame()
	if err != nil {
		t.Fatal(err)
	}
	if frame.Rows() != p.Picture.Height || frame.Cols() != p.Picture.Width {
		t.Fatalf("%dx%d pixels, want %dx%d", frame.Rows(), frame.Cols(), p.Picture.Height, p.Picture.Width)
	}
	most := float64(int(1)<<p.bits - 1)
	for i, v := range p.Picture.Pix {
		got, err := frame.GetPixel(i%p.Picture.Width, i/p.Picture.Width)
		if err != nil {
			t.Fatal(err)
		}
		grey := float64(got[0]) / most
		if inverted {
			grey = 1 - grey
		}
		if math.Abs(grey-float64(v)) > 0.6/most {
			t.Fatalf("pixel %d is %.5f, want %.5f", i, grey, v)
		}
	}
}

func TestIdentifiersDiffer(t *testing.T) {
	seen := map[string]bool{}
	for _, i := range []int{0, 1} {
		for _, seed := range []uint64{1, 2} {
			p := &Phantom{Truth: Truth{Index: i, Seed: seed}}
			for _, role := range []string{"study", "series", "instance"} {
				seen[p.uid(role)] = true
			}
		}
	}
	if len(seen) != 12 {
		t.Errorf("%d of 12 identifiers differ", len(seen))
	}
}

func TestUnknownFormat(t *testing.T) {
	p := &Phantom{Picture: spine.Picture{Width: 1, Height: 1, Pix: []float32{0}}}
	if err := p.Encode(new(bytes.Buffer), "bmp"); err == nil {
		t.Error("a format that does not exist is written")
	}
}
