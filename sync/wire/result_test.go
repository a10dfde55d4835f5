package wire

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"flag"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"spinebox/internal/spine"
)

var update = flag.Bool("update", false, "write the golden files anew")

func origin() Origin {
	o := Origin{Site: "north", Device: "box-1"}
	for i := range o.Key {
		o.Key[i] = byte(i)
	}
	return o
}

func hash(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:])
}

var models = []spine.ModelID{
	{Name: "resnet50-finetune", Version: "3", Digest: hash("resnet50")},
	{Name: "vgg16-finetune", Version: "2", Digest: hash("vgg16")},
}

func classified() *spine.Image {
	at := time.Date(2026, 3, 4, 9, 10, 11, 123_456_789, time.FixedZone("CET", 3600))
	return &spine.Image{
		Digest: hash("bytes"), SOPInstanceUID: "1.2.840.10008.5.1.4", Sequence: 7, Attempt: 1,
		Source: "room", Name: "a.dcm", Size: 1234, Width: 300, Height: 1200,
		Decision: spine.Decision{Outcome: spine.Classified, Label: spine.Scoliosis},
		Readings: []spine.Reading{
			{
				Model: models[0], Labels: spine.Labels(), Probabilities: []float64{0.0125, 0.9375, 0.05}, Label: spine.Scoliosis,
				Method: "gradcam",
				Heatmap: &spine.Heatmap{
					Width: 2, Height: 3, Values: []float32{0, 1e-6, 2e-6, 3e-6, 4e-6, 1.5e-6}, Max: 4e-6,
					Content: spine.Rect{X0: 0.25, Y0: 0, X1: 0.75, Y1: 1},
				},
			},
			{Model: models[1], Labels: spine.Labels(), Probabilities: []float64{0.25, 0.5, 0.25}, Label: spine.Scoliosis},
		},
		Captured: at, Received: at.Add(2 * time.Second), Finished: at.Add(3 * time.Second),
		Timings: spine.Timings{Decode: 14.12345, Infer: 24.5, Explain: 0.25, Total: 41},
	}
}

func decisionDigest() string {
	return DecisionDigest(map[string]float64{"confidence": 0.8, "border": 0.25}, models)
}

func TestResultGolden(t *testing.T) {
	refused := classified()
	refused.Sequence, refused.SOPInstanceUID, refused.Readings = 8, "", nil
	refused.Captured = time.Time{}
	refused.Decision = spine.Decision{Outcome: spine.Refused, Code: spine.NotXray}
	for name, image := range map[string]*spine.Image{"classified": classified(), "refused": refused} {
		t.Run(name, func(t *testing.T) {
			r := NewResult(origin(), image, decisionDigest())
			got, err := r.Encode()
			if err != nil {
				t.Fatal(err)
			}
			golden(t, "result-"+name+".json", got)
			back, err := ParseResult(got)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(r, back); diff != "" {
				t.Errorf("parsed again (-sent +received):\n%s", diff)
			}
			if !r.Agrees(back) {
				t.Error("a message does not agree with itself")
			}
		})
	}
}

// golden compares a message, indented for people, with the file of that name.
func golden(t *testing.T, name string, message []byte) {
	t.Helper()
	var indented bytes.Buffer
	if err := json.Indent(&indented, message, "", "  "); err != nil {
		t.Fatal(err)
	}
	indented.WriteByte('\n')
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, indented.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), indented.String()); diff != "" {
		t.Errorf("%s (-want +got):\n%s", name, diff)
	}
}

// Whoever has the key can make the identifiers from docs/formats.md alone.
func TestIdentifiers(t *testing.T) {
	o, image := origin(), classified()
	sum := func(text string) string {
		mac := hmac.New(sha256.New, o.Key[:])
		mac.Write([]byte(text))
		return hex.EncodeToString(mac.Sum(nil))
	}
	r := NewResult(o, image, decisionDigest())
	if want := sum("1.2.840.10008.5.1.4"); r.Image != want {
		t.Errorf("image is %s, want the HMAC of the SOPInstanceUID, %s", r.Image, want)
	}
	if want := sum("box-1\n" + image.Digest + "\n" + decisionDigest() + "\n1"); r.ID != want {
		t.Errorf("result is %s, want %s", r.ID, want)
	}
	for _, uid := range []string{"", image.Digest, "1.2.patient", strings.Repeat("1.", 40) + "1"} {
		image.SOPInstanceUID = uid
		if got := NewResult(o, image, decisionDigest()).Image; got != sum(image.Digest) {
			t.Errorf("with the UID %q image is %s, want the HMAC of the content hash", uid, got)
		}
	}
}

func TestIdentifiersTellApart(t *testing.T) {
	base := NewResult(origin(), classified(), decisionDigest())
	for name, c := range map[string]struct {
		change    func(*Origin, *spine.Image, *string)
		sameImage bool
	}{
		"another attempt": {func(_ *Origin, i *spine.Image, _ *string) { i.Attempt = 2 }, true},
		"another device":  {func(o *Origin, _ *spine.Image, _ *string) { o.Device = "box-2" }, true},
		"another threshold": {func(_ *Origin, _ *spine.Image, d *string) {
			*d = DecisionDigest(map[string]float64{"confidence": 0.9, "border": 0.25}, models)
		}, true},
		"other bytes": {func(_ *Origin, i *spine.Image, _ *string) { i.Digest = hash("other") }, true},
		"another key": {func(o *Origin, _ *spine.Image, _ *string) { o.Key[0] = 99 }, false},
		// Under the UID it would take the first image's place at the hub.
		"a conflict": {func(_ *Origin, i *spine.Image, _ *string) {
			i.Digest, i.Readings = hash("other"), nil
			i.Decision = spine.Decision{Outcome: spine.Refused, Code: spine.Conflict}
		}, false},
	} {
		o, image, digest := origin(), classified(), decisionDigest()
		c.change(&o, image, &digest)
		r := NewResult(o, image, digest)
		if r.ID == base.ID {
			t.Errorf("%s: the same result id", name)
		}
		if (r.Image == base.Image) != c.sameImage {
			t.Errorf("%s: same image id is %t, want %t", name, r.Image == base.Image, c.sameImage)
		}
	}
	swapped := DecisionDigest(map[string]float64{"confidence": 0.8, "border": 0.25}, []spine.ModelID{models[1], models[0]})
	if swapped == decisionDigest() {
		t.Error("first and second reader swapped: the same decision digest")
	}
}

// Nothing of a patient may leave, wherever in the image's record it stands.
func TestPlantedNames(t *testing.T) {
	image := classified()
	image.Source = "PLANTED^SOURCE"
	image.Name = "PLANTED^NAME,F,21.dcm"
	image.Decision.Reason = "open /srv/PLANTED^REASON.dcm"
	for _, uid := range []string{"1.2.826.0.1.99887766.1", "PLANTED^UID"} {
		image.SOPInstanceUID = uid
		message, err := NewResult(origin(), image, decisionDigest()).Encode()
		if err != nil {
			t.Fatal(err)
		}
		status, err := NewStatus(origin(), spine.Status{
			Trouble: "PLANTED^TROUBLE",
			Shares:  map[string]spine.ShareStatus{"PLANTED^SHARE": {Error: "stat /srv/PLANTED^PATH"}},
			Broker:  spine.LinkStatus{Error: "PLANTED^BROKER"},
		}, time.Now()).Encode()
		if err != nil {
			t.Fatal(err)
		}
		for _, planted := range []string{"PLANTED", "99887766", image.Digest, "21.dcm", "/srv"} {
			if bytes.Contains(message, []byte(planted)) {
				t.Errorf("%q leaves in a result: %s", planted, message)
			}
			if bytes.Contains(status, []byte(planted)) {
				t.Errorf("%q leaves in a status: %s", planted, status)
			}
		}
	}
}

func TestHeatmapValues(t *testing.T) {
	image := classified()
	sent := image.Readings[0].Heatmap
	got, err := NewResult(origin(), image, decisionDigest()).Readings[0].Heatmap.Values()
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range sent.Values {
		if math.Abs(float64(got[i]-want)) > float64(sent.Max)/2048 {
			t.Errorf("value %d is %g, want %g", i, got[i], want)
		}
	}
	sent.Max = float32(math.NaN())
	empty := NewResult(origin(), image, decisionDigest())
	if _, err := empty.Encode(); err != nil {
		t.Error(err)
	}
	if h := empty.Readings[0].Heatmap; h.Max != 0 {
		t.Errorf("an empty map has maximum %g", h.Max)
	}
}

func TestMarkHistorical(t *testing.T) {
	r := NewResult(origin(), classified(), decisionDigest())
	message, err := r.Encode()
	if err != nil {
		t.Fatal(err)
	}
	marked, err := MarkHistorical(message)
	if err != nil {
		t.Fatal(err)
	}
	back, err := ParseResult(marked)
	if err != nil {
		t.Fatal(err)
	}
	if !back.Historical || !back.Agrees(r) || back.ID != r.ID {
		t.Errorf("marked message is %s", marked)
	}
}

func TestAgrees(t *testing.T) {
	base := NewResult(origin(), classified(), decisionDigest())
	renumbered := classified()
	renumbered.Sequence, renumbered.Finished, renumbered.Timings = 900, time.Now(), spine.Timings{}
	if !base.Agrees(NewResult(origin(), renumbered, decisionDigest())) {
		t.Error("times and sequence make a difference")
	}
	other := classified()
	other.Readings[0].Probabilities = []float64{0.0125, 0.9275, 0.06}
	if base.Agrees(NewResult(origin(), other, decisionDigest())) {
		t.Error("other probabilities agree")
	}
}
