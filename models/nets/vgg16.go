package nets

import (
	"fmt"

	tf "github.com/wamuir/graft/tensorflow"
	"github.com/wamuir/graft/tensorflow/op"
)

// vggBlocks lists convolutions and channels of VGG16's five blocks
// (configuration D of Simonyan and Zisserman, table 1).
func vggBlocks() [][2]int64 {
	return [][2]int64{{2, 64}, {2, 128}, {3, 256}, {3, 512}, {3, 512}}
}

func (b *builder) vgg16(s *op.Scope, x tf.Output) tf.Output {
	for i, block := range vggBlocks() {
		for k := range block[0] {
			name := fmt.Sprintf("block%d_conv%d", i+1, k+1)
			x = op.Relu(s.SubScope(name+"_relu"), b.conv(s, x, name, 1, "SAME"))
			if name == "block5_conv3" {
				b.net.Layers[name] = x
			}
		}
		pool := fmt.Sprintf("block%d_pool", i+1)
		x = maxPool(s.SubScope(pool), x, 2, 2)
		if i == 4 {
			b.net.Layers[pool] = x
		}
	}
	return x
}

func vggSpecs() []Spec {
	var specs []Spec
	in := int64(3)
	for i, block := range vggBlocks() {
		for k := range block[0] {
			specs = append(specs, convSpecs(fmt.Sprintf("block%d_conv%d", i+1, k+1), 3, in, block[1])...)
			in = block[1]
		}
	}
	return specs
}
