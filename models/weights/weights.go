// Package weights keeps a backbone's weights in a file of the safetensors
// format (github.com/huggingface/safetensors): a header in JSON, then the
// values as they lie in memory. Variables have Keras' names and layouts, as
// everywhere (models/nets); the head is not part of a backbone. What Keras and
// TensorFlow have written is imported.
//
// Most callers need three calls: Read, Import and File.Write.
package weights

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"os"
	"slices"
	"strings"

	"spinebox/models/nets"
)

// File is a backbone.
type File struct {
	Architecture nets.Architecture
	// Origin says in a few words what the backbone learned from, e.g.
	// "ImageNet, Keras' own file". Every model that descends from it repeats it.
	Origin string
	// StandIn says that it learned from made pictures, and is no substitute for
	// ImageNet's weights.
	StandIn bool
	Weights nets.Weights
	Digest  string // SHA-256 of the file, hex; set by Read and Write
}

// Specs lists a backbone's variables: the network's without its head.
func Specs(a nets.Architecture) []nets.Spec {
	return slices.DeleteFunc(a.Specs(1, false), func(s nets.Spec) bool { return strings.HasPrefix(s.Name, "predictions/") })
}

// Backbone returns the weights without the head.
func Backbone(w nets.Weights) nets.Weights {
	backbone := maps.Clone(w)
	maps.DeleteFunc(backbone, func(name string, _ []float32) bool { return strings.HasPrefix(name, "predictions/") })
	return backbone
}

// entry is a tensor in the header.
type entry struct {
	Type    string   `json:"dtype"`
	Shape   []int64  `json:"shape"`
	Offsets [2]int64 `json:"data_offsets"`
}

// maxHeader is the longest header that is read, in bytes.
const maxHeader = 1 << 20

// Keys of the header's metadata.
const (
	keyArchitecture = "architecture"
	keyOrigin       = "origin"
	keyStandIn      = "stand_in"
)

// Write writes the file, whole or not at all, and sets Digest.
func (f *File) Write(name string) (err error) {
	defer func() {
		if err != nil {
			_ = os.Remove(name + ".part") // what fits on a full disk is of no use
			err = fmt.Errorf("write weights %s: %w", name, err)
		}
	}()
	specs := Specs(f.Architecture)
	if err := f.Weights.Check(specs); err != nil {
		return err
	}
	header := map[string]any{"__metadata__": map[string]string{
		keyArchitecture: string(f.Architecture), keyOrigin: f.Origin, keyStandIn: fmt.Sprint(f.StandIn),
	}}
	offset := int64(0)
	for _, s := range specs {
		header[s.Name] = entry{"F32", s.Shape, [2]int64{offset, offset + 4*s.Size()}}
		offset += 4 * s.Size()
	}
	head, err := json.Marshal(header)
	if err != nil {
		return err
	}
	head = append(head, bytes.Repeat([]byte(" "), (8-len(head)%8)%8)...) // values begin at a multiple of 8
	out, err := os.Create(name + ".part")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	digest := sha256.New()
	w := bufio.NewWriterSize(io.MultiWriter(out, digest), 1<<20)
	if err := binary.Write(w, binary.LittleEndian, uint64(len(head))); err != nil {
		return err
	}
	if _, err := w.Write(head); err != nil {
		return err
	}
	for _, s := range specs {
		if err := binary.Write(w, binary.LittleEndian, f.Weights[s.Name]); err != nil {
			return err
		}
	}
	if err := errors.Join(w.Flush(), out.Sync()); err != nil {
		return err
	}
	f.Digest = hex.EncodeToString(digest.Sum(nil))
	return os.Rename(name+".part", name)
}

// Read reads a backbone. Whatever is wrong with the file is an error that says
// so: another format, an unknown architecture, a variable that is missing, too
// much or of another shape, values that are not float32 or not finite, a
// truncated file.
func Read(name string) (*File, error) {
	f, err := read(name)
	if err != nil {
		return nil, fmt.Errorf("read weights %s: %w", name, err)
	}
	return f, nil
}

func read(name string) (*File, error) {
	raw, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	header, values, err := split(raw)
	if err != nil {
		return nil, err
	}
	meta := map[string]string{}
	if err := json.Unmarshal(header["__metadata__"], &meta); err != nil {
		return nil, errors.New("its header says nothing of an architecture: it was not written by spinelab")
	}
	delete(header, "__metadata__")
	f := &File{Origin: meta[keyOrigin], StandIn: meta[keyStandIn] == "true", Weights: nets.Weights{}}
	if f.Architecture, err = nets.ParseArchitecture(meta[keyArchitecture]); err != nil {
		return nil, err
	}
	shapes := map[string][]int64{}
	for _, s := range Specs(f.Architecture) {
		shapes[s.Name] = s.Shape
	}
	for name, raw := range header {
		var e entry
		if err := json.Unmarshal(raw, &e); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		if want, ok := shapes[name]; !ok || !slices.Equal(want, e.Shape) {
			return nil, fmt.Errorf("%s has the shape %v, which a %s does not", name, e.Shape, f.Architecture)
		}
		if f.Weights[name], err = e.values(values); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	if err := f.Weights.Check(Specs(f.Architecture)); err != nil {
		return nil, err
	}
	sum := sha256.Sum256(raw)
	f.Digest = hex.EncodeToString(sum[:])
	return f, nil
}

func split(raw []byte) (header map[string]json.RawMessage, values []byte, err error) {
	if len(raw) < 8 {
		return nil, nil, errors.New("it is too short to be a safetensors file")
	}
	n := binary.LittleEndian.Uint64(raw)
	if n > maxHeader || n > uint64(len(raw)-8) {
		return nil, nil, errors.New("it is no safetensors file")
	}
	if err := json.Unmarshal(raw[8:8+n], &header); err != nil {
		return nil, nil, fmt.Errorf("it is no safetensors file: %w", err)
	}
	return header, raw[8+n:], nil
}

func (e entry) values(all []byte) ([]float32, error) {
	size := int64(1)
	for _, d := range e.Shape {
		size *= d
	}
	switch {
	case e.Type != "F32":
		return nil, fmt.Errorf("its values are %s and not F32", e.Type)
	case e.Offsets[0] < 0 || e.Offsets[1] > int64(len(all)) || e.Offsets[1]-e.Offsets[0] != 4*size:
		return nil, errors.New("the file does not hold its values: it is cut short or damaged")
	}
	values := make([]float32, size)
	for i := range values {
		values[i] = math.Float32frombits(binary.LittleEndian.Uint32(all[e.Offsets[0]+4*int64(i):]))
	}
	return values, finite(values)
}
