package infer

/*
#include <stdlib.h>

static void assume(void) { setenv("TF_ONEDNN_ASSUME_FROZEN_WEIGHTS", "1", 0); }
*/
import "C"

import (
	"errors"
	"fmt"
	"math"
	"os"
	"slices"
	"unsafe"

	tf "github.com/wamuir/graft/tensorflow"
	"golang.org/x/sys/unix"

	"spinebox/internal/spine"
)

// assumeFrozen lets oneDNN keep the kernels of convolutions in the order that it
// reads them fastest in, beside the variables, which have the order that they are
// stored in (docs/decisions/inference-speed.md). TensorFlow asks once in a process.
func assumeFrozen() { C.assume() }

// errKernels says that the variables of the kernels have to stay.
var errKernels = errors.New("the variables of the kernels have to stay")

// letGoOfKernels gives back the memory of the variables that only convolutions
// read, which since the first run have kernels of their own: 94 MB of ResNet50's.
// Those variables are zeros afterwards. Where a convolution goes on reading one, as
// with another library, the network sees something else in the picture than it did
// before (its numbers): that is errKernels, as when the system takes no memory back
// (locked pages are not given), and the model is of no more use.
func (m *Model) letGoOfKernels(p *spine.Picture, before []float32) error {
	var kernels []tf.Output
	for _, o := range m.graph.Operations() {
		if o.Type() == "ReadVariableOp" && onlyConvolved(&o) {
			kernels = append(kernels, o.Output(0))
		}
	}
	if len(kernels) == 0 {
		return nil
	}
	variables, err := m.session.Run(nil, kernels, nil) // the variables' own memory, not a copy
	if err != nil {
		return fmt.Errorf("find the memory of the kernels: %w", err)
	}
	m.plain = false
	for _, v := range variables {
		if _, err := v.WriteContentsTo(giveBack{}); err != nil {
			return fmt.Errorf("%w: %w", errKernels, err)
		}
	}
	after, err := m.numbers(p)
	if err != nil {
		return fmt.Errorf("%w: %w", errKernels, err)
	}
	const rounding = 1e-5 // of the greatest number
	limit := rounding * max(slices.Max(before), -slices.Min(before))
	for i, v := range after {
		if !(math.Abs(float64(v-before[i])) <= float64(limit)) { // so that it is a number, too
			return errKernels
		}
	}
	return nil
}

// onlyConvolved reports whether what the operation returns is the kernel of a
// convolution, or of several, and nothing else.
func onlyConvolved(o *tf.Operation) bool {
	n := 0
	for i := range o.NumOutputs() {
		for _, c := range o.Output(i).Consumers() {
			switch t := c.Op.Type(); {
			case t == "Conv2D" && c.Index == 1, t == "Split" && onlyConvolved(c.Op):
				n++
			case t != "SaveV2": // which nobody runs
				return false
			}
		}
	}
	return n > 0
}

// giveBack is a writer that writes nothing: it gives the whole pages of what it is
// shown back to the system.
type giveBack struct{}

func (giveBack) Write(p []byte) (int, error) {
	page := uintptr(os.Getpagesize())
	start := uintptr(unsafe.Pointer(unsafe.SliceData(p)))
	from := (start + page - 1) / page * page
	to := (start + uintptr(len(p))) / page * page
	if from < to {
		if err := unix.Madvise(p[from-start:to-start], unix.MADV_DONTNEED); err != nil {
			return 0, err
		}
	}
	return len(p), nil
}
