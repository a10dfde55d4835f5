// Package nets builds the paper's two networks, VGG16 and ResNet50 (Keras'
// v1), as TensorFlow graphs: feature layers, global average pooling, dropout
// and one dense head. Height and width of the input are free.
//
// Variables carry Keras' names and layouts (kernels HWIO, float32), so that
// Keras' weights fit as they are. Layer shapes and constants follow
// keras.applications (resnet.py and vgg16.py, Keras 2.15 and 3) and the papers
// behind them (He et al. 2015, arXiv 1512.03385; Simonyan and Zisserman 2014,
// arXiv 1409.1556).
//
// Most callers need two calls: NewVariables, then Build.
package nets

import (
	"fmt"
	"slices"

	tf "github.com/wamuir/graft/tensorflow"
	"github.com/wamuir/graft/tensorflow/op"
)

// Architecture names a network.
type Architecture string

const (
	ResNet50 Architecture = "resnet50"
	VGG16    Architecture = "vgg16"
	// Tiny is ResNet50's plan with one narrow block for each stage. It exists
	// for tests, which need a network with every kind of layer and no weight.
	Tiny Architecture = "tiny"
)

// Architectures lists what Build knows.
func Architectures() []Architecture { return []Architecture{ResNet50, VGG16, Tiny} }

// ParseArchitecture returns the architecture of that name.
func ParseArchitecture(name string) (Architecture, error) {
	if a := Architecture(name); slices.Contains(Architectures(), a) {
		return a, nil
	}
	return "", fmt.Errorf("unknown network %q: there are resnet50 and vgg16", name)
}

// ExplainLayer is the layer whose activations and gradients make the heatmap.
func (a Architecture) ExplainLayer() string {
	if a == VGG16 {
		return "block5_conv3"
	}
	return a.resnet().lastLayer()
}

// Features is the number of channels after global average pooling.
func (a Architecture) Features() int64 {
	if a == VGG16 {
		return 512
	}
	return a.resnet().channels()
}

// BatchNorm says which statistics batch normalisation uses.
type BatchNorm int

const (
	// Moving uses the moving statistics, for judging and for fine-tuning (with
	// batch statistics there, a pretrained network forgets: keras#9214). For one
	// picture at a time, Folded is faster.
	Moving BatchNorm = iota
	// Batch uses the statistics of the batch and reports them as Updates.
	Batch
	// Folded has no batch normalisation, and no swap of red and blue: Fold has
	// put both into the kernels.
	Folded
)

// Options of Build.
type Options struct {
	BatchNorm BatchNorm
	// Dropout is the share of features dropped before the head, 0 to 1. It
	// needs DropoutSeed, an int32 tensor of shape [2], fed with each step.
	Dropout     float32
	DropoutSeed tf.Output
}

// Network is a built graph. Outputs are float32; N is the batch.
type Network struct {
	Features      tf.Output            // [N,C] after global average pooling
	Logits        tf.Output            // [N,classes]
	Probabilities tf.Output            // [N,classes], softmax of the raw logits
	Layers        map[string]tf.Output // [N,h,w,C] by Keras' layer name: the explain layers
	Updates       []Update             // statistics of the batch, when BatchNorm is Batch
}

// Update is a batch's statistic that belongs into a moving one.
type Update struct {
	Variable string // e.g. "conv1_bn/moving_mean"
	Value    tf.Output
}

// Build adds a network to the graph of s, on variables that NewVariables made
// there. image is float32 [N,H,W,3], 0 to 255, RGB; the networks' own "caffe"
// preprocessing is inside.
func Build(s *op.Scope, a Architecture, vars *Variables, image tf.Output, o Options) *Network {
	b := &builder{vars: vars, options: o, net: &Network{Layers: map[string]tf.Output{}}}
	x := b.caffe(s.SubScope("preprocess"), image)
	if a == VGG16 {
		x = b.vgg16(s, x)
	} else {
		x = b.resnet(s, a.resnet(), x)
	}
	b.head(s, x)
	return b.net
}

// builder carries what every layer needs. The first error sticks to the scope.
type builder struct {
	vars    *Variables
	options Options
	net     *Network
}

// caffe is the preprocessing that both Keras networks were trained with: BGR
// minus the mean of ImageNet, no scaling (keras.applications.imagenet_utils).
func (b *builder) caffe(s *op.Scope, image tf.Output) tf.Output {
	const blue, green, red = 103.939, 116.779, 123.68
	mean := []float32{blue, green, red}
	if b.options.BatchNorm == Folded { // the first kernel reads RGB
		slices.Reverse(mean)
	} else {
		image = op.ReverseV2(s, image, op.Const(s.SubScope("axis"), []int32{3}))
	}
	return op.Sub(s, image, op.Const(s.SubScope("mean"), [][][][]float32{{{mean}}}))
}

// head is global average pooling, dropout and the dense layer "predictions".
func (b *builder) head(s *op.Scope, x tf.Output) {
	pool := s.SubScope("avg_pool")
	b.net.Features = op.Mean(pool, x, op.Const(pool.SubScope("axes"), []int32{1, 2}))
	b.net.Logits = Head(s, b.vars, b.net.Features, b.options)
	b.net.Probabilities = op.Softmax(s.SubScope("predictions"), b.net.Logits)
}

// Head adds dropout and the dense layer "predictions" on features [N,C], and
// returns the logits [N,classes]: all of a network that is trained on features
// which were computed before.
func Head(s *op.Scope, vars *Variables, features tf.Output, o Options) tf.Output {
	if o.Dropout > 0 {
		features = o.dropout(s.SubScope("dropout"), features)
	}
	dense := s.SubScope("predictions")
	product := op.MatMul(dense, features, vars.Read("predictions/kernel"))
	return op.BiasAdd(dense, product, vars.Read("predictions/bias"))
}

// dropout drops features with a mask that depends only on the fed seed, so
// that a resumed training repeats the undisturbed one.
func (o Options) dropout(s *op.Scope, x tf.Output) tf.Output {
	rate := o.Dropout
	uniform := op.StatelessRandomUniform(s, op.Shape(s, x), o.DropoutSeed)
	keep := op.Cast(s, op.GreaterEqual(s, uniform, op.Const(s.SubScope("rate"), rate)), tf.Float)
	scaled := op.Mul(s.SubScope("scale"), x, op.Const(s.SubScope("factor"), 1/(1-rate)))
	return op.Mul(s.SubScope("mask"), scaled, keep)
}

// conv adds a convolution with bias.
func (b *builder) conv(s *op.Scope, x tf.Output, name string, stride int64, padding string) tf.Output {
	s = s.SubScope(name)
	x = op.Conv2D(s, x, b.vars.Read(name+"/kernel"), []int64{1, stride, stride, 1}, padding)
	return op.BiasAdd(s, x, b.vars.Read(name+"/bias"))
}

// convNorm is a convolution and the batch normalisation after it, LAYER_conv and
// LAYER_bn.
func (b *builder) convNorm(s *op.Scope, x tf.Output, layer string, stride int64, padding string) tf.Output {
	switch b.options.BatchNorm {
	case Moving:
		return b.heldNorm(s, x, layer, stride, padding)
	case Batch:
		return b.batchNorm(s, b.conv(s, x, layer+"_conv", stride, padding), layer+"_bn")
	}
	return b.conv(s, x, layer+"_conv", stride, padding) // Folded
}

// batchNorm normalises with the statistics of the batch. Its ε is Keras' for
// ResNet50, 1.001e-5.
func (b *builder) batchNorm(s *op.Scope, x tf.Output, name string) tf.Output {
	s = s.SubScope(name)
	mean, variance := name+"/moving_mean", name+"/moving_variance"
	y, batchMean, batchVariance, _, _, _ := op.FusedBatchNormV3(s, x,
		b.vars.Read(name+"/gamma"), b.vars.Read(name+"/beta"), b.vars.Read(mean), b.vars.Read(variance),
		op.FusedBatchNormV3Epsilon(batchNormEpsilon), op.FusedBatchNormV3IsTraining(true))
	b.net.Updates = append(b.net.Updates, Update{mean, batchMean}, Update{variance, batchVariance})
	return y
}

// heldNorm normalises with the moving statistics. Held fast, they make batch
// normalisation a scale and a shift of each channel, and the kernel takes both
// over in each run: a pass over the kernel instead of one over the activations,
// which are many times larger with a batch, and two more for their gradients.
// The gradients of all four variables go through the same products.
func (b *builder) heldNorm(s *op.Scope, x tf.Output, layer string, stride int64, padding string) tf.Output {
	conv, norm := layer+"_conv", layer+"_bn"
	read := func(variable string) tf.Output { return b.vars.Read(norm + "/" + variable) }
	fold := s.SubScope(norm)
	variance := op.AddV2(fold, read("moving_variance"), op.Const(fold.SubScope("epsilon"), float32(batchNormEpsilon)))
	scale := op.Mul(fold, read("gamma"), op.Rsqrt(fold, variance))
	shift := fold.SubScope("shift")
	bias := op.AddV2(shift, op.Mul(shift, op.Sub(shift, b.vars.Read(conv+"/bias"), read("moving_mean")), scale), read("beta"))
	kernel := op.Mul(fold.SubScope("kernel"), b.vars.Read(conv+"/kernel"), scale)
	s = s.SubScope(conv)
	return op.BiasAdd(s, op.Conv2D(s, x, kernel, []int64{1, stride, stride, 1}, padding), bias)
}

const batchNormEpsilon = 1.001e-5

// pad adds n pixels of zero on each side.
func pad(s *op.Scope, x tf.Output, n int32) tf.Output {
	return op.Pad(s, x, op.Const(s.SubScope("paddings"), [][]int32{{0, 0}, {n, n}, {n, n}, {0, 0}}))
}

func maxPool(s *op.Scope, x tf.Output, size, stride int64) tf.Output {
	return op.MaxPool(s, x, []int64{1, size, size, 1}, []int64{1, stride, stride, 1}, "VALID")
}
