package nets

import (
	"bytes"
	"fmt"
	"unsafe"

	tf "github.com/wamuir/graft/tensorflow"

	"spinebox/internal/libtensorflow"
)

// NewSession opens a session on the graph, without TensorFlow's chatter about its
// first run. The caller closes it.
func NewSession(graph *tf.Graph, options *tf.SessionOptions) (*tf.Session, error) {
	libtensorflow.Hush()
	return tf.NewSession(graph, options)
}

// FloatTensor makes a float32 tensor of flat values, without the reflection
// that nested slices cost.
func FloatTensor(values []float32, shape ...int64) (*tf.Tensor, error) {
	t, err := tf.ReadTensor(tf.Float, shape, bytes.NewReader(asBytes(values)))
	if err != nil {
		return nil, fmt.Errorf("tensor of shape %v from %d values: %w", shape, len(values), err)
	}
	return t, nil
}

// Floats copies a float32 tensor into dst, which is reused when it is large
// enough, and returns it.
func Floats(t *tf.Tensor, dst []float32) []float32 {
	n := 1
	for _, d := range t.Shape() {
		n *= int(d)
	}
	if cap(dst) < n {
		dst = make([]float32, n)
	}
	dst = dst[:n]
	w := sink{asBytes(dst)}
	if _, err := t.WriteContentsTo(&w); err != nil || len(w.rest) != 0 {
		panic("nets: tensor is not float32") // a programmer's error: the graph fixes the type
	}
	return dst
}

type sink struct{ rest []byte }

func (s *sink) Write(p []byte) (int, error) {
	n := copy(s.rest, p)
	s.rest = s.rest[n:]
	if n < len(p) {
		return n, fmt.Errorf("%d bytes too many", len(p)-n)
	}
	return n, nil
}

// asBytes views the values in the machine's own byte order, which is
// TensorFlow's too.
func asBytes(values []float32) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(values))), 4*len(values))
}
