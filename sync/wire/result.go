package wire

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"maps"
	"math"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"spinebox/internal/spine"
)

// ResultSchema names the message about one image.
const ResultSchema = "spinebox.result.v1"

// Result is the message about one image: docs/formats.md, contract 4.
type Result struct {
	Schema string `json:"schema"`
	Use    string `json:"use"` // spine.IntendedUse

	ID       string `json:"result"` // HMAC of device, content hash, decision digest and attempt, hex
	Image    string `json:"image"`  // HMAC of the SOPInstanceUID, else of the content hash, hex
	Site     string `json:"site"`
	Device   string `json:"device"`
	Sequence uint64 `json:"sequence"` // of the device, from 1
	Attempt  int    `json:"attempt"`  // of the image on this device, from 1
	Decision string `json:"decision"` // DecisionDigest

	Outcome  spine.Outcome `json:"outcome"`
	Code     spine.Code    `json:"code,omitempty"`  // unless classified
	Label    spine.Label   `json:"label,omitempty"` // only when classified
	Sentence string        `json:"sentence,omitempty"`
	Readings []Reading     `json:"readings"` // none when nothing was read

	Captured   Time          `json:"captured,omitzero"` // the file's modification time on the share
	Received   Time          `json:"received,omitzero"`
	Finished   Time          `json:"finished,omitzero"` // never left out
	Historical bool          `json:"historical"`        // it waited: what the room shows may be another image by now
	Timings    spine.Timings `json:"timings"`
}

// Reading is what one network saw.
type Reading struct {
	Model         spine.ModelID           `json:"model"`
	Label         spine.Label             `json:"label"`
	Probabilities map[spine.Label]float64 `json:"probabilities"` // calibrated, sum 1
	Heatmap       *Heatmap                `json:"heatmap,omitempty"`
}

// Heatmap is a class activation map on the network's own grid.
type Heatmap struct {
	Method  string     `json:"method"` // "gradcam" or "hirescam"
	Width   int        `json:"width"`  // columns of the grid, 1 to 128
	Height  int        `json:"height"` // rows
	Max     float32    `json:"max"`    // the greatest raw value; 0: the map is empty
	Content spine.Rect `json:"content"`

	// Grid holds width×height values row by row, each a fraction of Max from
	// 0 to 1, as little-endian binary16 in base64. Fractions, because raw
	// maps run from 1e-9 to 1e6 and binary16 from 6e-8 to 65504.
	Grid string `json:"grid"`
}

// Origin is who speaks.
type Origin struct {
	Site, Device string
	Key          SiteKey
}

// DecisionDigest stands for everything that decides about an image beside the
// image: the thresholds by name, and the readers in their order. Another
// threshold or another model gives another digest, hence another result.
func DecisionDigest(thresholds map[string]float64, readers []spine.ModelID) string {
	var text strings.Builder
	for _, name := range slices.Sorted(maps.Keys(thresholds)) {
		fmt.Fprintf(&text, "threshold %q %s\n", name, strconv.FormatFloat(thresholds[name], 'g', -1, 64))
	}
	for _, r := range readers {
		fmt.Fprintf(&text, "reader %q\n", r.Digest)
	}
	sum := sha256.Sum256([]byte(text.String()))
	return hex.EncodeToString(sum[:])
}

// uid is a SOPInstanceUID as DICOM PS3.5, section 9.1 has it. A content hash
// has no dots, so that a file cannot borrow another image's identifier by
// giving that one's hash as its UID.
var uid = regexp.MustCompile(`^[0-9]+(\.[0-9]+)+$`)

// ImageID returns the identifier under which an image leaves. An image that is
// refused because it carries another's UID goes by its own bytes: under the
// UID it would take the other's place at the hub.
func ImageID(key SiteKey, img *spine.Image) string {
	if len(img.SOPInstanceUID) <= 64 && uid.MatchString(img.SOPInstanceUID) && img.Decision.Code != spine.Conflict {
		return key.sum(img.SOPInstanceUID)
	}
	return key.sum(img.Digest)
}

// NewResult makes the message about an image whose sequence and attempt are
// set. Decision.Reason stays on the box: it is written for its log, and may
// quote a file.
func NewResult(from Origin, img *spine.Image, decisionDigest string) Result {
	id := strings.Join([]string{from.Device, img.Digest, decisionDigest, strconv.Itoa(img.Attempt)}, "\n")
	r := Result{
		Schema: ResultSchema, Use: spine.IntendedUse,
		ID: from.Key.sum(id), Image: ImageID(from.Key, img),
		Site: from.Site, Device: from.Device,
		Sequence: img.Sequence, Attempt: img.Attempt, Decision: decisionDigest,
		Outcome: img.Decision.Outcome, Code: img.Decision.Code, Label: img.Decision.Label,
		Sentence: img.Decision.Code.Sentence(),
		Readings: []Reading{},
		Captured: instant(img.Captured), Received: instant(img.Received), Finished: instant(img.Finished),
		Timings: spine.Timings{
			Decode: microseconds(img.Timings.Decode), Infer: microseconds(img.Timings.Infer),
			Explain: microseconds(img.Timings.Explain), Total: microseconds(img.Timings.Total),
		},
	}
	for _, reading := range img.Readings {
		r.Readings = append(r.Readings, newReading(reading))
	}
	return r
}

// microseconds rounds milliseconds to three digits, which is what they are worth.
func microseconds(ms float64) float64 { return math.Round(ms*1000) / 1000 }

func newReading(from spine.Reading) Reading {
	r := Reading{Model: from.Model, Label: from.Label, Probabilities: map[spine.Label]float64{}}
	for i, label := range from.Labels {
		if i < len(from.Probabilities) {
			r.Probabilities[label] = from.Probabilities[i]
		}
	}
	if h := from.Heatmap; h != nil {
		r.Heatmap = &Heatmap{
			Method: from.Method, Width: h.Width, Height: h.Height,
			Content: h.Content, Max: h.Max,
		}
		fractions := make([]float32, len(h.Values))
		if h.Empty() {
			r.Heatmap.Max = 0 // NaN and negative maxima too: JSON has no NaN
		} else {
			for i, v := range h.Values {
				fractions[i] = v / h.Max
			}
		}
		r.Heatmap.Grid = base64.StdEncoding.EncodeToString(halves(fractions))
	}
	return r
}

// Values returns the raw map, width×height values row by row, as near to the
// network's own as binary16 is: within 1/2048 of each, or 3e-8 of the maximum.
func (h *Heatmap) Values() ([]float32, error) {
	b, err := base64.StdEncoding.Strict().DecodeString(h.Grid)
	if err != nil {
		return nil, fmt.Errorf("decode heatmap grid: %w", err)
	}
	if len(b) != 2*h.Width*h.Height {
		return nil, fmt.Errorf("heatmap grid holds %d bytes, not %d×%d values of two", len(b), h.Width, h.Height)
	}
	values := singles(b)
	for i, v := range values {
		if !(v >= 0 && v <= 1) {
			return nil, fmt.Errorf("heatmap value %d is %g, outside 0 to 1", i, v)
		}
		values[i] = v * h.Max
	}
	return values, nil
}

// Encode returns the message, or what is wrong with it.
func (r Result) Encode() ([]byte, error) {
	if err := r.check(); err != nil {
		return nil, fmt.Errorf("encode result: %w", err)
	}
	b, err := encode(r)
	if err != nil {
		return nil, fmt.Errorf("encode result: %w", err)
	}
	return b, nil
}

// ParseResult reads a message that somebody sent.
func ParseResult(message []byte) (Result, error) {
	var r Result
	if err := decode(message, &r); err != nil {
		return Result{}, fmt.Errorf("parse result: %w", err)
	}
	if err := r.check(); err != nil {
		return Result{}, fmt.Errorf("parse result: %w", err)
	}
	return r, nil
}

// MarkHistorical returns the message with historical set. The box sets it when
// it sends a message that has waited; results are compared without it.
func MarkHistorical(message []byte) ([]byte, error) {
	r, err := ParseResult(message)
	if err != nil {
		return nil, err
	}
	r.Historical = true
	return r.Encode()
}

// Agrees reports whether two messages say the same about an image. Times,
// timings and sequence do not count: a box that lost its ledger numbers anew.
func (r Result) Agrees(other Result) bool {
	return r.Outcome == other.Outcome && r.Code == other.Code && r.Label == other.Label &&
		reflect.DeepEqual(r.Readings, other.Readings)
}
