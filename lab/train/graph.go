package train

import (
	"fmt"
	"math"
	"slices"

	tf "github.com/wamuir/graft/tensorflow"
	pb "github.com/wamuir/graft/tensorflow/core/protobuf/for_core_protos_go_proto"
	"github.com/wamuir/graft/tensorflow/op"
	"google.golang.org/protobuf/proto"

	"spinebox/models/nets"
)

// graph is a network twice on the same variables, once to train and once to
// judge, with an optimizer between them.
type graph struct {
	session *tf.Session
	vars    *nets.Variables
	slots   *nets.Variables // the optimizer's, of each trainable variable
	loader  *nets.Loader
	slotsIn *nets.Loader

	image, labels, weights         tf.Output // fed: [N,H,W,1] or [N,features], [N,classes], [N]
	rate, power1, power2, momentum tf.Output // fed scalars
	dropoutSeed                    tf.Output // fed: int32 [2]
	loss                           tf.Output
	step, headStep                 []*tf.Operation // of all that is trained, and of the head alone
	logits                         tf.Output       // of the judging network
}

// Adam's constants (Kingma and Ba 2015).
const (
	beta1, beta2, epsilon = 0.9, 0.999, 1e-7
)

func newGraph(c Config, classes int64, cores int) (*graph, error) {
	s := op.NewScope()
	g := &graph{}
	feed := func(name string, t tf.DataType, shape ...int64) tf.Output {
		return op.Placeholder(s.SubScope("feed/"+name), t, op.PlaceholderShape(tf.MakeShape(shape...)))
	}
	g.image = feed("image", tf.Float, append([]int64{-1}, c.sampleShape()...)...)
	g.labels, g.weights = feed("labels", tf.Float, -1, classes), feed("weights", tf.Float, -1)
	g.rate, g.momentum = feed("rate", tf.Float), feed("momentum", tf.Float)
	g.power1, g.power2 = feed("beta1_power", tf.Float), feed("beta2_power", tf.Float)
	g.dropoutSeed = feed("dropout_seed", tf.Int32, 2)

	g.vars = nets.NewVariables(s, c.specs(classes))
	g.slots = nets.NewVariables(s.SubScope("slots"), c.slotSpecs(classes))
	g.loader = nets.NewLoader(s.SubScope("load"), g.vars)
	g.slotsIn = nets.NewLoader(s.SubScope("load_slots"), g.slots)

	logits, updates := g.addNetworks(s, c)
	g.addLoss(s.SubScope("loss"), logits)
	g.step = g.addStep(s, c, c.trained(classes))
	if c.HeadEpochs > 0 {
		g.headStep = g.addStep(s.SubScope("head"), c, only(c.trained(classes), inHead))
	}
	g.addUpdates(s.SubScope("moving"), updates)

	built, err := s.Finalize()
	if err != nil {
		return nil, fmt.Errorf("build the training graph: %w", err)
	}
	if built, err = lean(built); err != nil {
		return nil, fmt.Errorf("build the training graph: %w", err)
	}
	g.moveTo(built)
	options, err := threads(cores)
	if err != nil {
		return nil, err
	}
	g.session, err = nets.NewSession(built, options)
	return g, err
}

func threads(cores int) (*tf.SessionOptions, error) {
	raw, err := proto.Marshal(&pb.ConfigProto{IntraOpParallelismThreads: int32(cores), InterOpParallelismThreads: int32(cores)})
	if err != nil {
		return nil, fmt.Errorf("session options: %w", err)
	}
	return &tf.SessionOptions{Config: raw}, nil
}

// sampleShape is the shape of what the graph is fed with for each picture.
func (c Config) sampleShape() []int64 {
	if c.Method == Features {
		return []int64{c.Network.Features()}
	}
	return []int64{int64(c.Input.Height), int64(c.Input.Width), 1}
}

// trained lists the variables that gradients change.
func (c Config) trained(classes int64) []nets.Spec {
	trainable := slices.DeleteFunc(c.specs(classes), func(s nets.Spec) bool { return !s.Trainable() })
	if c.Method != Finetune {
		return trainable
	}
	tuned := c.tuned()
	return only(trainable, func(name string) bool { return inHead(name) || slices.Contains(tuned, name) })
}

func (c Config) slotSpecs(classes int64) []nets.Spec {
	suffixes := []string{adamM, adamV}
	if c.Optimizer == "sgd" {
		suffixes = []string{momentumSlot}
	}
	var slots []nets.Spec
	for _, spec := range c.trained(classes) {
		for _, suffix := range suffixes {
			slots = append(slots, nets.Spec{Name: spec.Name + suffix, Shape: spec.Shape})
		}
	}
	return slots
}

// The optimizers' slots of a variable.
const (
	adamM, adamV = "/adam_m", "/adam_v"
	momentumSlot = "/momentum"
)

// addNetworks adds the network that judges and the one that is trained. It
// returns the latter's logits and the statistics of its batches.
func (g *graph) addNetworks(s *op.Scope, c Config) (logits tf.Output, updates []nets.Update) {
	training := nets.Options{Dropout: float32(c.Dropout), DropoutSeed: g.dropoutSeed}
	judge, train := s.SubScope("judge"), s.SubScope("train")
	if c.Method == Features {
		g.logits = nets.Head(judge, g.vars, g.image, nets.Options{})
		return nets.Head(train, g.vars, g.image, training), nil
	}
	if c.Method == Random {
		training.BatchNorm = nets.Batch
	}
	rgb := op.Tile(s.SubScope("rgb"), g.image, op.Const(s.SubScope("rgb/multiples"), []int32{1, 1, 1, 3}))
	g.logits = nets.Build(judge, c.Network, g.vars, rgb, nets.Options{BatchNorm: nets.Moving}).Logits
	net := nets.Build(train, c.Network, g.vars, rgb, training)
	return net.Logits, net.Updates
}

// addLoss is the mean of the weighted cross-entropies. Class weights multiply
// the loss, never the labels: the gradient of the cross-entropy operation
// assumes labels that sum to 1.
func (g *graph) addLoss(s *op.Scope, logits tf.Output) {
	each, _ := op.SoftmaxCrossEntropyWithLogits(s, logits, g.labels)
	weighted := op.Mul(s, each, g.weights)
	g.loss = op.Mean(s, weighted, op.Const(s.SubScope("axis"), []int32{0}))
}

// addStep changes the variables: by Adam, or by gradient descent with momentum,
// both with decoupled weight decay.
func (g *graph) addStep(s *op.Scope, c Config, trained []nets.Spec) []*tf.Operation {
	reads := make([]tf.Output, len(trained))
	for i, spec := range trained {
		reads[i] = g.vars.Read(spec.Name)
	}
	gradients := op.Gradients(s.SubScope("gradients"), []tf.Output{g.loss}, reads)
	if len(gradients) != len(trained) { // the error is in the scope
		return nil
	}
	optimizer := s.SubScope(c.Optimizer)
	constant := func(name string, v float32) tf.Output { return op.Const(optimizer.SubScope(name), v) }
	b1, b2, eps := constant("beta1", beta1), constant("beta2", beta2), constant("epsilon", epsilon)
	momentum := constant("momentum", float32(c.Momentum))
	shrink := op.Mul(optimizer.SubScope("shrink"), g.rate, constant("weight_decay", float32(c.WeightDecay)))
	var step []*tf.Operation
	for i, spec := range trained {
		each, handle := optimizer.SubScope(spec.Name), g.vars.Handle(spec.Name)
		if c.WeightDecay > 0 && spec.Decayed() {
			loss := op.AssignSubVariableOp(each, handle, op.Mul(each, reads[i], shrink))
			each = each.WithControlDependencies(loss) // one order, so that the sum rounds one way
		}
		if c.Optimizer == "sgd" {
			step = append(step, op.ResourceApplyMomentum(each, handle, g.slots.Handle(spec.Name+momentumSlot),
				g.rate, gradients[i], momentum))
			continue
		}
		step = append(step, op.ResourceApplyAdam(each, handle, g.slots.Handle(spec.Name+adamM), g.slots.Handle(spec.Name+adamV),
			g.power1, g.power2, g.rate, b1, b2, eps, gradients[i]))
	}
	return step
}

// addUpdates moves batch normalisation's statistics with each step.
func (g *graph) addUpdates(s *op.Scope, updates []nets.Update) {
	rest := op.Sub(s, op.Const(s.SubScope("one"), float32(1)), g.momentum)
	for _, u := range updates {
		each := s.SubScope(u.Variable)
		change := op.Mul(each, op.Sub(each, g.vars.Read(u.Variable), u.Value), rest)
		g.step = append(g.step, op.AssignSubVariableOp(each, g.vars.Handle(u.Variable), change))
	}
}

// train runs one step, of the head alone or of all that is trained, and returns
// its loss. t counts steps up from 1.
func (g *graph) train(b *batch, t int, rate, momentum float64, seed uint64, head bool) (float64, error) {
	feeds, err := b.feeds(g)
	if err != nil {
		return 0, err
	}
	scalars := map[tf.Output]float64{
		g.rate: rate, g.momentum: momentum,
		g.power1: math.Pow(beta1, float64(t)), g.power2: math.Pow(beta2, float64(t)),
	}
	for output, v := range scalars {
		if feeds[output], err = tf.NewTensor(float32(v)); err != nil {
			return 0, err
		}
	}
	if feeds[g.dropoutSeed], err = tf.NewTensor([]int32{int32(seed), int32(t)}); err != nil {
		return 0, err
	}
	step := g.step
	if head {
		step = g.headStep
	}
	out, err := g.session.Run(feeds, []tf.Output{g.loss}, step)
	if err != nil {
		return 0, err
	}
	loss := float64(out[0].Value().(float32))
	if math.IsNaN(loss) || math.IsInf(loss, 0) {
		return 0, fmt.Errorf("the loss is no number any more at step %d: a lower --rate helps", t)
	}
	return loss, nil
}

// judge returns the logits of the samples, one row each, from the network with
// moving statistics.
func (g *graph) judge(samples []sample, c Config) ([][]float32, error) {
	var rows [][]float32
	for start := 0; start < len(samples); start += c.Batch {
		part := samples[start:min(start+c.Batch, len(samples))]
		var flat []float32
		for _, s := range part {
			flat = append(flat, s.plane...)
		}
		image, err := nets.FloatTensor(flat, append([]int64{int64(len(part))}, c.sampleShape()...)...)
		if err != nil {
			return nil, err
		}
		out, err := g.session.Run(map[tf.Output]*tf.Tensor{g.image: image}, []tf.Output{g.logits}, nil)
		if err != nil {
			return nil, err
		}
		logits := nets.Floats(out[0], nil)
		classes := len(logits) / len(part)
		for i := range part {
			rows = append(rows, logits[i*classes:(i+1)*classes])
		}
	}
	return rows, nil
}
