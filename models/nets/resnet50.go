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
	for i, stage := range p.stages {
		for k := range stage.blocks {
			stride := int64(1)
			if k == 0 && i > 0 {
				stride = 2
			}
			x = b.bottleneck(s, x, blockName(i, k), stride, k == 0)
		}
	}
	b.net.Layers[p.lastLayer()] = x
	return x
}

func (b *builder) bottleneck(s *op.Scope, x tf.Output, name string, stride int64, project bool) tf.Output {
	unit := func(x tf.Output, i int, stride int64) tf.Output {
		return b.convNorm(s, x, fmt.Sprintf("%s_%d", name, i), stride, "SAME")
	}
	shortcut := x
	if project {
		shortcut = unit(x, 0, stride)
	}
	y := op.Relu(s.SubScope(name+"_1_relu"), unit(x, 1, stride))
	y = op.Relu(s.SubScope(name+"_2_relu"), unit(y, 2, 1))
	y = unit(y, 3, 1)
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
