package savedmodel

import (
	"fmt"
	"slices"
	"strings"

	tf "github.com/wamuir/graft/tensorflow"

	"spinebox/internal/libtensorflow"
)

// Want is what a caller needs of a SavedModel.
type Want struct {
	Height, Width int64 // of the input
	Classes       int64
	Input, Output string // of serving_default: Image and Logits, or others' names for them
	Explain       string // the explain signature's name; "" when it is not needed

	// Rewrite lets Load rewrite large convolutions by Winograd's filtering,
	// which a CPU gains by (a GPU's library has kernels for it). The session
	// then takes one picture in a run.
	Rewrite bool
}

// Load checks the SavedModel in dir against what is wanted, and only then
// loads it into a session, which the caller closes.
func Load(dir string, want Want, options *tf.SessionOptions) (*tf.SavedModel, error) {
	if err := check(dir, want); err != nil {
		return nil, fmt.Errorf("SavedModel %s: %w", dir, err)
	}
	if want.Rewrite {
		m, err := loadRewritten(dir, options)
		if err != nil {
			return nil, fmt.Errorf("load SavedModel %s with rewritten convolutions: %w", dir, err)
		}
		if m != nil {
			return m, nil
		}
	}
	libtensorflow.Hush()
	m, err := tf.LoadSavedModel(dir, []string{tag}, options)
	if err != nil {
		return nil, fmt.Errorf("load SavedModel %s: %w", dir, err)
	}
	return m, nil
}

func check(dir string, want Want) error {
	info, err := inspect(dir)
	if err != nil {
		return err
	}
	if len(info.Unknown) > 0 {
		return fmt.Errorf("it needs operations that TensorFlow %s does not have here: %s (it was written by TensorFlow %s)",
			tf.Version(), strings.Join(info.Unknown, ", "), info.TensorFlow)
	}
	if err := info.meets(want); err != nil {
		return err
	}
	stored, err := readBundle(bundlePrefix(dir))
	if err != nil {
		return err
	}
	if n := len(info.Variables); n > 0 && stored.shards == 0 {
		// TensorFlow loads it all the same, as if it were of constants only,
		// and ends the first run.
		return fmt.Errorf("variables/variables.index is missing, but the graph has %d variables", n)
	}
	return stored.check()
}

// meets compares signatures and shapes with what is wanted.
func (info *Info) meets(want Want) error {
	image, scores := []int64{-1, want.Height, want.Width, 3}, []int64{-1, want.Classes}
	needed := []need{
		{Serving, input, want.Input, "float32", image},
		{Serving, output, want.Output, "float32", scores},
	}
	if want.Explain != "" {
		activations := info.Signatures[want.Explain].Outputs[Activations].Shape
		needed = append(needed,
			need{want.Explain, input, Image, "float32", image},
			need{want.Explain, input, ClassIndex, "int32", []int64{-1}},
			need{want.Explain, output, ClassIndex, "int32", []int64{-1}},
			need{want.Explain, output, Features, "float32", []int64{-1, -1}},
			need{want.Explain, output, Activations, "float32", []int64{-1, -1, -1, -1}},
			need{want.Explain, output, Gradients, "float32", activations})
	}
	for _, n := range needed {
		if err := n.check(info); err != nil {
			return err
		}
	}
	return nil
}

// need is one tensor that a signature must have.
type need struct {
	signature, way, name, kind string
	shape                      []int64 // a -1 here or there is free
}

const input, output = "input", "output"

func (n need) check(info *Info) error {
	s, ok := info.Signatures[n.signature]
	if !ok {
		return fmt.Errorf("there is no signature %s, only %s", n.signature, names(info.Signatures))
	}
	all := s.Inputs
	if n.way == output {
		all = s.Outputs
	}
	t, ok := all[n.name]
	if !ok {
		return fmt.Errorf("signature %s has no %s %q, only %s", n.signature, n.way, n.name, names(all))
	}
	equal := slices.EqualFunc(t.Shape, n.shape, func(a, b int64) bool { return a == b || a < 0 || b < 0 })
	if t.Type != n.kind || !equal {
		return fmt.Errorf("signature %s: %s %q is %v, %v is needed", n.signature, n.way, n.name, t, Tensor{Type: n.kind, Shape: n.shape})
	}
	return nil
}

// names lists the keys of a map for a person.
func names[V any](m map[string]V) string {
	if len(m) == 0 {
		return "none"
	}
	return strings.Join(Names(m), ", ")
}

// Input returns the graph's tensor behind a signature's input.
func Input(m *tf.SavedModel, signature, name string) (tf.Output, bool) {
	return find(m, m.Signatures[signature].Inputs, name)
}

// Output returns the graph's tensor behind a signature's output.
func Output(m *tf.SavedModel, signature, name string) (tf.Output, bool) {
	return find(m, m.Signatures[signature].Outputs, name)
}

func find(m *tf.SavedModel, infos map[string]tf.TensorInfo, name string) (tf.Output, bool) {
	return tensorOf(m.Graph, infos[name].Name)
}
