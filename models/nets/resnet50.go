package nets

import (
	"fmt"

	tf "github.com/wamuir/graft/tensorflow"
	"github.com/wamuir/graft/tensorflow/op"
)

// plan is the shape of a bottleneck ResNet, version 1: the stride sits on the
// first 1×1 convolution of a stage (not on the 3×3 one, which is "v1.5").
type plan struct {
	stem   int64
	stages []stage
}

type stage struct{ blocks, filters int64 } // filters of the 1×1 and 3×3; the block ends with four times as many

func (a Architecture) resnet() plan {
	if a == Tiny {
		return plan{8, []stage{{1, 4}, {1, 4}, {1, 8}, {1, 8}}}
	}
	return plan{64, []stage{{3, 64}, {4, 128}, {6, 256}, {3, 512}}}
}

func (p plan) channels() int64 { return 4 * p.stages[len(p.stages)-1].filters }

func (p plan) lastLayer() string {
	return blockName(len(p.stages)-1, p.stages[len(p.stages)-1].blocks-1) + "_out"
}

func blockName(stage int, block int64) string { return fmt.Sprintf("conv%d_block%d", stage+2, block+1) }

func (b *builder) resnet(s *op.Scope, p plan, x tf.Output) tf.Output {
	x = pad(s.SubScope("conv1_pad"), x, 3)
	x = op.Relu(s.SubScope("conv1_relu"), b.convNorm(s, x, "conv1", 2, "VALID"))
	x = pad(s.SubScope("pool1_pad"), x, 1)
	x = maxPool(s.SubScope("pool1_pool"), x, 3, 2)
	// A stage begins by reading every second pixel of every second row, and of
	// nothing else. Where no statistics of the batch are taken, the block before
	// computes those alone: all values, and their gradients, are the same, and a
	// twelfth of the work is saved.
	early := b.options.BatchNorm != Batch
	for i, stage := range p.stages {
		for k := range stage.blocks {
			first, last := k == 0 && i > 0, k == stage.blocks-1 && i < len(p.stages)-1
			in, out := int64(1), int64(1)
			if first && !early {
				in = 2
			}
			if last && early {
				out = 2
			}
			x = b.bottleneck(s, x, blockName(i, k), in, out, k == 0)
		}
	}
	b.net.Layers[p.lastLayer()] = x
	return x
}

// bottleneck is a residual block: it reads every in-th pixel and row, and of
// what comes of them it returns every out-th.
func (b *builder) bottleneck(s *op.Scope, x tf.Output, name string, in, out int64, project bool) tf.Output {
	unit := func(x tf.Output, i int, stride int64, padding string) tf.Output {
		return b.convNorm(s, x, fmt.Sprintf("%s_%d", name, i), stride, padding)
	}
	shortcut := x
	if out > 1 {
		shortcut = maxPool(s.SubScope(name+"_0_pool"), shortcut, 1, out)
	}
	if project {
		shortcut = unit(shortcut, 0, in, "SAME")
	}
	y := op.Relu(s.SubScope(name+"_1_relu"), unit(x, 1, in, "SAME"))
	padding := "SAME"
	if out > 1 { // which would begin elsewhere
		y, padding = pad(s.SubScope(name+"_2_pad"), y, 1), "VALID"
	}
	y = op.Relu(s.SubScope(name+"_2_relu"), unit(y, 2, out, padding))
	y = unit(y, 3, 1, "SAME")
	return op.Relu(s.SubScope(name+"_out"), op.AddV2(s.SubScope(name+"_add"), shortcut, y))
}

func (p plan) specs() []Spec {
	specs := append(convSpecs("conv1_conv", 7, 3, p.stem), batchNormSpecs("conv1_bn", p.stem)...)
	in := p.stem
	for i, stage := range p.stages {
		f := stage.filters
		for k := range stage.blocks {
			unit := func(part int, size, in, out int64) {
				name := fmt.Sprintf("%s_%d", blockName(i, k), part)
				specs = append(specs, convSpecs(name+"_conv", size, in, out)...)
				specs = append(specs, batchNormSpecs(name+"_bn", out)...)
			}
			if k == 0 {
				unit(0, 1, in, 4*f)
			}
			unit(1, 1, in, f)
			unit(2, 3, f, f)
			unit(3, 1, f, 4*f)
			in = 4 * f
		}
	}
	return specs
}
