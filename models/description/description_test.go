package description_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"spinebox/internal/spine"
	"spinebox/models/description"
	"spinebox/models/input"
)

// good describes the folder that folder makes.
func good() *description.Model {
	return &description.Model{
		Name: "net", Version: "1", Release: 3, Architecture: "resnet50", Method: "random",
		Labels:        spine.Labels(),
		Input:         input.Spec{Width: 128, Height: 320, Resize: input.Letterbox, Grey: input.Percentile},
		Preprocessing: "none", ExplainSignature: "explain", ExplainLayer: "conv5_block3_out",
		Temperature: 1.2, Thresholds: description.Thresholds{Confidence: 0.5},
		Figures: map[string]float64{"held_out_accuracy": 0.9},
		Golden: []description.Golden{{
			File: "golden/normal.png", Label: spine.Normal, Probabilities: []float64{0.8, 0.1, 0.1}, HeatmapMax: 2, Tolerance: 0.01,
		}},
		MinimumSpinebox: "0.1.0", Phantom: true,
	}
}

// folder makes a model folder without its description. The contents are not a
// network's: to this package, a file is its bytes.
func folder(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range map[string]string{
		"saved_model.pb": "graph", "variables/variables.index": "index", "golden/normal.png": "picture",
	} {
		write(t, filepath.Join(dir, name), content)
	}
	return dir
}

func write(t *testing.T, name, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

func sealed(t *testing.T) (string, *description.Model) {
	t.Helper()
	dir, m := folder(t), good()
	if err := m.Seal(dir); err != nil {
		t.Fatal(err)
	}
	return dir, m
}

func TestSealThenLoad(t *testing.T) {
	dir, m := sealed(t)
	got, err := description.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(m.Digest()) != 64 || got.Digest() != m.Digest() {
		t.Errorf("digest %q, sealed was %q", got.Digest(), m.Digest())
	}
	if want := (spine.ModelID{Name: "net", Version: "1", Digest: m.Digest()}); got.ID() != want {
		t.Errorf("id %v, want %v", got.ID(), want)
	}
	if !got.Explained() || got.Temperature != 1.2 || got.Release != 3 || got.Golden[0].HeatmapMax != 2 ||
		got.Figures["held_out_accuracy"] != 0.9 || !got.Phantom || got.Input != m.Input {
		t.Errorf("it comes back as %+v", got)
	}
	var paths []string
	for _, f := range got.Files {
		paths = append(paths, f.Path)
	}
	if list := strings.Join(paths, " "); list != "golden/normal.png saved_model.pb variables/variables.index" {
		t.Errorf("files: %s", list)
	}
	// Sealing again changes nothing: the description does not describe itself.
	if err := got.Seal(dir); err != nil || got.Digest() != m.Digest() {
		t.Errorf("sealed again: %v, digest %s", err, got.Digest())
	}
}

func TestDigestIsTheModelsIdentity(t *testing.T) {
	_, m := sealed(t)
	for what, change := range map[string]func(string, *description.Model){
		"another threshold":   func(_ string, m *description.Model) { m.Thresholds.Confidence = 0.6 },
		"another temperature": func(_ string, m *description.Model) { m.Temperature = 1.3 },
		"another version":     func(_ string, m *description.Model) { m.Version = "2" },
		"another weight": func(dir string, _ *description.Model) {
			write(t, filepath.Join(dir, "variables/variables.index"), "Index")
		},
	} {
		dir, other := folder(t), good()
		change(dir, other)
		if err := other.Seal(dir); err != nil {
			t.Fatal(err)
		}
		if other.Digest() == m.Digest() {
			t.Errorf("%s leaves the digest as it was", what)
		}
	}
}

func TestValidate(t *testing.T) {
	_, m := sealed(t)
	if err := m.Validate(); err != nil {
		t.Fatal(err)
	}
	m.Serving = &description.Serving{Input: "keras_tensor", Output: "output_0", Kind: description.Probabilities}
	if err := m.Validate(); err != nil {
		t.Error(err)
	}
	for _, c := range []struct {
		want  string
		spoil func(*description.Model)
	}{
		{`schema is "spinebox.model.v9", this program reads "spinebox.model.v1"`, func(m *description.Model) { m.Schema = "spinebox.model.v9" }},
		{"name and version must be given", func(m *description.Model) { m.Name = "" }},
		{"name and version must be given", func(m *description.Model) { m.Version = "" }},
		{"at least two labels", func(m *description.Model) { m.Labels = m.Labels[:1]; m.Golden = nil }},
		{`label "kyphosis" is unknown or given twice`, func(m *description.Model) { m.Labels[1] = "kyphosis" }},
		{`label "normal" is unknown or given twice`, func(m *description.Model) { m.Labels[1] = spine.Normal }},
		{"input size 8x128", func(m *description.Model) { m.Input.Height = 8 }},
		{`preprocessing "imagenet" is none of none, caffe, torch, unit`, func(m *description.Model) { m.Preprocessing = "imagenet" }},
		{`preprocessing "" is none of`, func(m *description.Model) { m.Preprocessing = "" }},
		{"serving needs the names of input and output", func(m *description.Model) { m.Serving.Input = "" }},
		{"serving needs the names of input and output", func(m *description.Model) { m.Serving.Output = "" }},
		{"and their kind: logits or probabilities", func(m *description.Model) { m.Serving.Kind = "" }},
		{"an explain signature needs its explain_layer", func(m *description.Model) { m.ExplainLayer = "" }},
		{"temperature 0 is outside 0 to 100", func(m *description.Model) { m.Temperature = 0 }},
		{"temperature 101 is outside", func(m *description.Model) { m.Temperature = 101 }},
		{"confidence threshold -0.1 is outside 0 to 1", func(m *description.Model) { m.Thresholds.Confidence = -0.1 }},
		{"confidence threshold 1 is outside", func(m *description.Model) { m.Thresholds.Confidence = 1 }},
		{"a release names the thresholds of its gate", func(m *description.Model) { m.Judgement = &description.Judgement{} }},
		{"nobody says why it is released all the same: too low", func(m *description.Model) {
			m.Judgement = &description.Judgement{Thresholds: map[string]float64{"accuracy": 0.9}, Failed: []string{"too low"}, Why: " "}
		}},
		{"a reason for a release against the gate, which did not refuse it", func(m *description.Model) {
			m.Judgement = &description.Judgement{Thresholds: map[string]float64{"accuracy": 0.9}, Why: "because"}
		}},
		{`golden case "golden/normal.png" needs one of the labels, 3 probabilities and a tolerance`, func(m *description.Model) { m.Golden[0].Probabilities = nil }},
		{`golden case "golden/normal.png" needs one of the labels`, func(m *description.Model) { m.Golden[0].Label = "" }},
		{"and a tolerance", func(m *description.Model) { m.Golden[0].Tolerance = 0 }},
		{`golden case "golden/else.png" is not among the files`, func(m *description.Model) { m.Golden[0].File = "golden/else.png" }},
		{`golden case "golden/normal.png" has 50001 bytes, more than 50000`, func(m *description.Model) { m.Files[0].Length = 50_001 }},
		{`file path "../passwd" is not allowed`, func(m *description.Model) { m.Files[2].Path = "../passwd" }},
		{`file path "/etc/passwd" is not allowed`, func(m *description.Model) { m.Files[2].Path = "/etc/passwd" }},
		{`file path "model.json" is not allowed`, func(m *description.Model) { m.Files[2].Path = "model.json" }},
		{"saved_model.pb is not among the files", func(m *description.Model) { m.Files = m.Files[:1] }},
	} {
		_, m := sealed(t)
		m.Serving = &description.Serving{Input: "in", Output: "out", Kind: description.Logits}
		c.spoil(m)
		err := m.Validate()
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("error %v does not say %q", err, c.want)
		} else if strings.Contains(err.Error(), "\n") {
			t.Errorf("one mistake, several complaints: %v", err)
		}
	}
}

func TestValidateSaysEverythingAtOnce(t *testing.T) {
	err := new(description.Model).Validate()
	for _, want := range []string{"schema", "name and version", "two labels", "input size", "preprocessing", "temperature", "saved_model.pb"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error does not mention %q: %v", want, err)
		}
	}
}

func TestSealRefusesWhatLoadWouldRefuse(t *testing.T) {
	dir, m := folder(t), good()
	m.Temperature = 0
	if err := m.Seal(dir); err == nil {
		t.Error("a description that is wrong is sealed")
	}
	if _, err := description.Load(dir); !errors.Is(err, description.ErrMissing) {
		t.Errorf("afterwards the folder has a description: %v", err)
	}
}

func TestLoadChecksTheFolder(t *testing.T) {
	for _, c := range []struct {
		what, want string
		change     func(t *testing.T, dir string)
	}{
		{"a changed file", "variables/variables.index is not the file that model.json describes", func(t *testing.T, dir string) {
			write(t, filepath.Join(dir, "variables/variables.index"), "indeX")
		}},
		{"a shortened file", "saved_model.pb has 4 bytes, model.json says 5", func(t *testing.T, dir string) {
			write(t, filepath.Join(dir, "saved_model.pb"), "grap")
		}},
		{"a missing file", "golden/normal.png is missing", func(t *testing.T, dir string) {
			must(t, os.Remove(filepath.Join(dir, "golden/normal.png")))
		}},
		{"one file more", "variables/extra is not described in model.json", func(t *testing.T, dir string) {
			write(t, filepath.Join(dir, "variables/extra"), "x")
		}},
		{"a link for a file", "saved_model.pb is not a plain file", func(t *testing.T, dir string) {
			elsewhere := filepath.Join(t.TempDir(), "graph")
			write(t, elsewhere, "graph") // the very same bytes, today
			must(t, os.Remove(filepath.Join(dir, "saved_model.pb")))
			must(t, os.Symlink(elsewhere, filepath.Join(dir, "saved_model.pb")))
		}},
		{"a link for a folder", "variables is not a plain file", func(t *testing.T, dir string) {
			elsewhere := t.TempDir()
			must(t, os.Rename(filepath.Join(dir, "variables"), filepath.Join(elsewhere, "variables")))
			must(t, os.Symlink(filepath.Join(elsewhere, "variables"), filepath.Join(dir, "variables")))
		}},
		{"a link for the description", "model.json is not a plain file", func(t *testing.T, dir string) {
			elsewhere := filepath.Join(t.TempDir(), "model.json")
			must(t, os.Rename(filepath.Join(dir, "model.json"), elsewhere))
			must(t, os.Symlink(elsewhere, filepath.Join(dir, "model.json")))
		}},
		{"a field that nobody knows", `unknown field "temprature"`, func(t *testing.T, dir string) {
			edit(t, dir, `"temperature": 1.2`, `"temprature": 1.2`)
		}},
		{"a field that nobody knows, inside", `unknown field "sureness"`, func(t *testing.T, dir string) {
			edit(t, dir, `"confidence": 0.5`, `"sureness": 0.5`)
		}},
		{"half a description", "model.json: unexpected EOF", func(t *testing.T, dir string) {
			must(t, os.Truncate(filepath.Join(dir, "model.json"), 100))
		}},
		{"two descriptions", "something follows the description", func(t *testing.T, dir string) {
			edit(t, dir, "{\n  \"schema\"", "{}\n{\n  \"schema\"")
		}},
		{"another schema", `schema is "spinebox.model.v2"`, func(t *testing.T, dir string) {
			edit(t, dir, "spinebox.model.v1", "spinebox.model.v2")
		}},
		{"no description", "no model.json in the model folder", func(t *testing.T, dir string) {
			must(t, os.Remove(filepath.Join(dir, "model.json")))
		}},
	} {
		t.Run(c.what, func(t *testing.T) {
			dir, _ := sealed(t)
			c.change(t, dir)
			_, err := description.Load(dir)
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), dir) {
				t.Errorf("error %v does not name the folder and say %q", err, c.want)
			}
		})
	}
}

// TestLoadThroughALink: the folder itself may be a link, as one to the model
// in use is.
func TestLoadThroughALink(t *testing.T) {
	dir, m := sealed(t)
	active := filepath.Join(t.TempDir(), "active")
	must(t, os.Symlink(dir, active))
	got, err := description.Load(active)
	if err != nil {
		t.Fatal(err)
	}
	if got.Digest() != m.Digest() {
		t.Errorf("digest %s, want %s", got.Digest(), m.Digest())
	}
}

// edit replaces text in the description, which must hold it.
func edit(t *testing.T, dir, from, to string) {
	t.Helper()
	name := filepath.Join(dir, "model.json")
	raw, err := os.ReadFile(name)
	must(t, err)
	if !strings.Contains(string(raw), from) {
		t.Fatalf("model.json does not hold %s:\n%s", from, raw)
	}
	write(t, name, strings.Replace(string(raw), from, to, 1))
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
