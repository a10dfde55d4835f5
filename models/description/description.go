// Package description is the model description, model.json: what a model
// folder says about itself. What it does not say is refused, never guessed.
//
// Most callers need two calls: Load reads a folder's description and checks
// every file it lists; Seal lists a folder's files and writes the description.
package description

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"spinebox/internal/spine"
	"spinebox/models/input"
)

// FileName is the description's name in a model folder.
const FileName = "model.json"

// Schema is the version of the format that this package reads and writes.
const Schema = "spinebox.model.v1"

// ErrMissing says that a folder has no description.
var ErrMissing = errors.New("no model.json in the model folder")

// Model is the description of one model.
type Model struct {
	Schema       string `json:"schema"`
	Name         string `json:"name"`
	Version      string `json:"version"`
	Release      int    `json:"release"`      // counts up; 0 is no release
	Architecture string `json:"architecture"` // "resnet50" or "vgg16"
	Method       string `json:"method"`       // "random", "features" or "finetune"

	Labels []spine.Label `json:"labels"` // in the order of the outputs
	Input  input.Spec    `json:"input"`
	// Preprocessing is what the graph still expects done to the 0–255 RGB
	// input: "none" (it is inside the graph, as in ours), "caffe", "torch"
	// or "unit" (for SavedModels made elsewhere).
	Preprocessing string `json:"preprocessing"`
	// Serving names what goes in and out of the signature serving_default of
	// a SavedModel made elsewhere. Ours need none.
	Serving *Serving `json:"serving,omitempty"`

	// ExplainSignature is empty when the model cannot be explained.
	ExplainSignature string `json:"explain_signature,omitempty"`
	ExplainLayer     string `json:"explain_layer,omitempty"`

	// Temperature divides the logits before the softmax (Guo et al. 2017).
	Temperature float64 `json:"temperature"`
	// Thresholds decide between an answer and a refusal.
	Thresholds Thresholds `json:"thresholds"`
	// Gate is nil in a model that cannot tell whether a picture is a spine.
	Gate *Gate `json:"gate,omitempty"`

	Training Training           `json:"training"`
	Figures  map[string]float64 `json:"figures,omitempty"` // held-out accuracy and the like
	// Judgement is nil in a model that is no release.
	Judgement *Judgement `json:"judgement,omitempty"`

	Golden []Golden `json:"golden"`

	MinimumSpinebox string `json:"minimum_spinebox"`
	Phantom         bool   `json:"phantom"` // trained on made X-rays: for demonstration only

	Files []File `json:"files"`

	digest string
}

// Serving is how a SavedModel made elsewhere is served.
type Serving struct {
	Input  string `json:"input"`  // e.g. "keras_tensor"
	Output string `json:"output"` // e.g. "output_0"
	Kind   Kind   `json:"kind"`
}

// Kind is what an output holds.
type Kind string

const (
	Logits        Kind = "logits"
	Probabilities Kind = "probabilities" // softmax of the logits
)

// Thresholds are the limits under or over which the box refuses to answer.
type Thresholds struct {
	// Confidence is the least calibrated probability, 0 to 1, that is
	// answered; 0 answers always.
	Confidence float64 `json:"confidence"`
	// Picture and Features are the greatest distances that a picture and the
	// network's features of it may have from the training pictures' (see
	// Gate); 0 does not look.
	Picture  float64 `json:"picture,omitempty"`
	Features float64 `json:"features,omitempty"`
	// Outside is the greatest share of the heatmap, 0 to 1, that may lie in
	// padding, collimated border and outside the body; 0 does not look.
	Outside float64 `json:"outside,omitempty"`
}

// Training says what the model was made from.
type Training struct {
	DataDigest string `json:"data_digest"` // SHA-256 over the training pictures' digests and labels
	Pictures   int    `json:"pictures"`
	Epochs     int    `json:"epochs"`
	Seed       uint64 `json:"seed"`
	TensorFlow string `json:"tensorflow"`
	// Backbone is what the training began with; nil for random weights.
	Backbone *Backbone `json:"backbone,omitempty"`
}

// Backbone is the pretrained part of a model.
type Backbone struct {
	Digest  string `json:"digest"`             // SHA-256 of its file
	Origin  string `json:"origin"`             // what it learned from, in a few words
	StandIn bool   `json:"stand_in,omitempty"` // made pictures, and not ImageNet
}

// Golden is a known picture with the answer that the model gave when it was
// made. Only phantoms may be stored in a model: never a patient's picture.
type Golden struct {
	File          string      `json:"file"` // PNG beside model.json
	Label         spine.Label `json:"label"`
	Probabilities []float64   `json:"probabilities"` // calibrated
	HeatmapMax    float64     `json:"heatmap_max"`
	Tolerance     float64     `json:"tolerance"` // absolute on probabilities, relative on the heatmap's maximum
}

// MaxGolden is the most bytes that a golden picture may have.
const MaxGolden = 50_000

// File is one file of the folder, with a slash-separated path.
type File struct {
	Path   string `json:"path"`
	Length int64  `json:"length"`
	SHA256 string `json:"sha256"`
}

// Digest returns the SHA-256 of the model.json that the description was read
// from or written to, in hex: the model's identity.
func (m *Model) Digest() string { return m.digest }

// ID returns the model's identity as it goes into readings.
func (m *Model) ID() spine.ModelID {
	return spine.ModelID{Name: m.Name, Version: m.Version, Digest: m.digest}
}

// Explained reports whether the model can show where it looked.
func (m *Model) Explained() bool { return m.ExplainSignature != "" }

// Validate reports everything that is wrong with the description, at once.
func (m *Model) Validate() error {
	var wrong []error
	say := func(format string, args ...any) { wrong = append(wrong, fmt.Errorf(format, args...)) }
	if m.Schema != Schema {
		say("schema is %q, this program reads %q", m.Schema, Schema)
	}
	if m.Name == "" || m.Version == "" {
		say("name and version must be given")
	}
	if len(m.Labels) < 2 {
		say("at least two labels must be given")
	}
	for i, l := range m.Labels {
		if !slices.Contains(spine.Labels(), l) || slices.Contains(m.Labels[:i], l) {
			say("label %q is unknown or given twice", l)
		}
	}
	if err := m.Input.Validate(); err != nil {
		wrong = append(wrong, err)
	}
	if !slices.Contains([]string{"none", "caffe", "torch", "unit"}, m.Preprocessing) {
		say("preprocessing %q is none of none, caffe, torch, unit", m.Preprocessing)
	}
	if s := m.Serving; s != nil && (s.Input == "" || s.Output == "" || s.Kind != Logits && s.Kind != Probabilities) {
		say("serving needs the names of input and output, and their kind: logits or probabilities")
	}
	if m.Explained() && m.ExplainLayer == "" {
		say("an explain signature needs its explain_layer")
	}
	if !(m.Temperature > 0 && m.Temperature <= 100) {
		say("temperature %v is outside 0 to 100", m.Temperature)
	}
	m.Thresholds.validate(say, m.Gate)
	if m.Gate != nil {
		m.Gate.validate(say, m.Files)
	}
	if m.Judgement != nil {
		m.Judgement.validate(say)
	}
	for _, g := range m.Golden {
		if len(g.Probabilities) != len(m.Labels) || !slices.Contains(m.Labels, g.Label) || !(g.Tolerance > 0) {
			say("golden case %q needs one of the labels, %d probabilities and a tolerance", g.File, len(m.Labels))
		}
		switch i := slices.IndexFunc(m.Files, func(f File) bool { return f.Path == g.File }); {
		case i < 0:
			say("golden case %q is not among the files", g.File)
		case m.Files[i].Length > MaxGolden:
			say("golden case %q has %d bytes, more than %d", g.File, m.Files[i].Length, MaxGolden)
		}
	}
	for _, f := range m.Files {
		if !fs.ValidPath(f.Path) || f.Path == FileName {
			say("file path %q is not allowed", f.Path)
		}
	}
	if !slices.ContainsFunc(m.Files, func(f File) bool { return f.Path == "saved_model.pb" }) {
		say("saved_model.pb is not among the files")
	}
	return errors.Join(wrong...)
}

// Load reads the description of the model folder dir and checks that the
// folder holds exactly the files that it lists, with their lengths and
// digests. Unknown fields are errors. Nothing of the model is run.
func Load(dir string) (*Model, error) {
	m, err := Read(dir)
	if err != nil {
		return nil, err
	}
	present, err := list(dir)
	if err == nil {
		err = compare(m.Files, present)
	}
	if err != nil {
		return nil, fmt.Errorf("model %s: %w", dir, err)
	}
	return m, nil
}

// Read reads the description of the model folder dir without a look at the
// files that it lists: for folders that were checked before.
func Read(dir string) (*Model, error) {
	m, err := read(dir)
	if err != nil {
		return nil, fmt.Errorf("model %s: %w", dir, err)
	}
	return m, nil
}

func read(dir string) (*Model, error) {
	raw, err := os.ReadFile(filepath.Join(dir, FileName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, ErrMissing
	}
	if err != nil {
		return nil, err
	}
	if len(bytes.TrimSpace(raw)) == 0 {
		return nil, fmt.Errorf("%s is empty", FileName)
	}
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.DisallowUnknownFields()
	m := new(Model)
	if err := decoder.Decode(m); err != nil {
		return nil, fmt.Errorf("%s: %w", FileName, err)
	}
	if _, err := decoder.Token(); err != io.EOF {
		return nil, fmt.Errorf("%s: something follows the description", FileName)
	}
	if err := m.Validate(); err != nil {
		return nil, fmt.Errorf("%s: %w", FileName, err)
	}
	m.digest = digest(raw)
	return m, nil
}

// Seal fills in the files of dir, checks the description and writes it there.
func (m *Model) Seal(dir string) error {
	m.Schema = Schema
	files, err := list(dir)
	if err != nil {
		return fmt.Errorf("seal model %s: %w", dir, err)
	}
	m.Files = files
	if err := m.Validate(); err != nil {
		return fmt.Errorf("seal model %s: %w", dir, err)
	}
	raw, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return fmt.Errorf("seal model %s: %w", dir, err)
	}
	raw = append(raw, '\n')
	if err := os.WriteFile(filepath.Join(dir, FileName), raw, 0o644); err != nil {
		return fmt.Errorf("seal model %s: %w", dir, err)
	}
	m.digest = digest(raw)
	return nil
}

func digest(raw []byte) string {
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:])
}

// list hashes every file below dir but the description itself. Anything that
// is not a plain file or folder is an error: a link could change behind it.
func list(dir string) ([]File, error) {
	var files []File
	root := os.DirFS(dir) // which may itself be a link, to the model in use
	err := fs.WalkDir(root, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		if !entry.Type().IsRegular() {
			return fmt.Errorf("%s is not a plain file", name)
		}
		if name == FileName {
			return nil
		}
		f, err := hash(root, name)
		files = append(files, f)
		return err
	})
	slices.SortFunc(files, func(a, b File) int { return strings.Compare(a.Path, b.Path) })
	return files, err
}

func hash(root fs.FS, name string) (File, error) {
	f, err := root.Open(name)
	if err != nil {
		return File{}, err
	}
	defer f.Close()
	h := sha256.New()
	n, err := io.Copy(h, f)
	return File{Path: name, Length: n, SHA256: hex.EncodeToString(h.Sum(nil))}, err
}

func compare(listed, present []File) error {
	var wrong []error
	for _, f := range listed {
		i := slices.IndexFunc(present, func(p File) bool { return p.Path == f.Path })
		switch {
		case i < 0:
			wrong = append(wrong, fmt.Errorf("%s is missing", f.Path))
		case present[i].Length != f.Length:
			wrong = append(wrong, fmt.Errorf("%s has %d bytes, model.json says %d", f.Path, present[i].Length, f.Length))
		case present[i].SHA256 != f.SHA256:
			wrong = append(wrong, fmt.Errorf("%s is not the file that model.json describes (SHA-256 differs)", f.Path))
		}
	}
	for _, p := range present {
		if !slices.ContainsFunc(listed, func(f File) bool { return f.Path == p.Path }) {
			wrong = append(wrong, fmt.Errorf("%s is not described in model.json", p.Path))
		}
	}
	return errors.Join(wrong...)
}
