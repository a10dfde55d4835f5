package train

import (
	"fmt"
	"math"

	tf "github.com/wamuir/graft/tensorflow"
	pb "github.com/wamuir/graft/tensorflow/core/protobuf/for_core_protos_go_proto"
	"github.com/wamuir/graft/tensorflow/op"
	"google.golang.org/protobuf/proto"

	"spinebox/models/nets"
)

// graph is a network twice on the same variables, once to train and once to
// judge, with Adam between them.
type graph struct {
	session *tf.Session
	vars    *nets.Variables
	slots   *nets.Variables // Adam's two moments of each trainable variable
	loader  *nets.Loader
	slotsIn *nets.Loader

	image, labels, weights         tf.Output // fed: [N,H,W,1], [N,classes], [N]
	rate, power1, power2, momentum tf.Output // fed scalars
	dropoutSeed                    tf.Output // fed: int32 [2]
	loss                           tf.Output
	step                           []*tf.Operation
	logits                         tf.Output // of the judging network
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
	g.image = feed("image", tf.Float, -1, int64(c.Input.Height), int64(c.Input.Width), 1)
	g.labels, g.weights = feed("labels", tf.Float, -1, classes), feed("weights", tf.Float, -1)
	g.rate, g.momentum = feed("rate", tf.Float), feed("momentum", tf.Float)
	g.power1, g.power2 = feed("beta1_power", tf.Float), feed("beta2_power", tf.Float)
	g.dropoutSeed = feed("dropout_seed", tf.Int32, 2)

	specs := c.Network.Specs(classes, false)
	g.vars = nets.NewVariables(s, specs)
	g.slots = nets.NewVariables(s.SubScope("slots"), slotSpecs(specs))
	g.loader = nets.NewLoader(s.SubScope("load"), g.vars)
	g.slotsIn = nets.NewLoader(s.SubScope("load_slots"), g.slots)

	rgb := op.Tile(s.SubScope("rgb"), g.image, op.Const(s.SubScope("rgb/multiples"), []int32{1, 1, 1, 3}))
	g.logits = nets.Build(s.SubScope("judge"), c.Network, g.vars, rgb, nets.Options{BatchNorm: nets.Moving}).Logits
	net := nets.Build(s.SubScope("train"), c.Network, g.vars, rgb, nets.Options{
		BatchNorm: nets.Batch, Dropout: float32(c.Dropout), DropoutSeed: g.dropoutSeed,
	})
	g.addLoss(s.SubScope("loss"), net.Logits)
	g.addStep(s, c, net)

	built, err := s.Finalize()
	if err != nil {
		return nil, fmt.Errorf("build the training graph: %w", err)
	}
	options, err := proto.Marshal(&pb.ConfigProto{IntraOpParallelismThreads: int32(cores), InterOpParallelismThreads: int32(cores)})
	if err != nil {
		return nil, fmt.Errorf("session options: %w", err)
	}
	g.session, err = tf.NewSession(built, &tf.SessionOptions{Config: options})
	return g, err
}

func slotSpecs(specs []nets.Spec) []nets.Spec {
	var slots []nets.Spec
	for _, spec := range specs {
		if spec.Trainable() {
			slots = append(slots, nets.Spec{Name: spec.Name + "/adam_m", Shape: spec.Shape},
				nets.Spec{Name: spec.Name + "/adam_v", Shape: spec.Shape})
		}
	}
	return slots
}

// addLoss is the mean of the weighted cross-entropies. Class weights multiply
// the loss, never the labels: the gradient of the cross-entropy operation
// assumes labels that sum to 1.
func (g *graph) addLoss(s *op.Scope, logits tf.Output) {
	each, _ := op.SoftmaxCrossEntropyWithLogits(s, logits, g.labels)
	weighted := op.Mul(s, each, g.weights)
	g.loss = op.Mean(s, weighted, op.Const(s.SubScope("axis"), []int32{0}))
}

// addStep is Adam with decoupled weight decay, and the moving statistics of
// batch normalisation.
func (g *graph) addStep(s *op.Scope, c Config, net *nets.Network) {
	var names []string
	var reads []tf.Output
	decayed := map[string]bool{}
	for _, spec := range g.vars.Specs {
		if spec.Trainable() {
			names, reads = append(names, spec.Name), append(reads, g.vars.Read(spec.Name))
			decayed[spec.Name] = spec.Decayed()
		}
	}
	gradients := op.Gradients(s.SubScope("gradients"), []tf.Output{g.loss}, reads)
	if len(gradients) != len(names) { // the error is in the scope
		return
	}
	adam := s.SubScope("adam")
	constant := func(name string, v float32) tf.Output { return op.Const(adam.SubScope(name), v) }
	b1, b2, eps := constant("beta1", beta1), constant("beta2", beta2), constant("epsilon", epsilon)
	shrink := op.Mul(adam.SubScope("shrink"), g.rate, constant("weight_decay", float32(c.WeightDecay)))
	for i, name := range names {
		each := adam.SubScope(name)
		if c.WeightDecay > 0 && decayed[name] {
			loss := op.AssignSubVariableOp(each, g.vars.Handle(name), op.Mul(each, reads[i], shrink))
			each = each.WithControlDependencies(loss) // one order, so that the sum rounds one way
		}
		g.step = append(g.step, op.ResourceApplyAdam(each, g.vars.Handle(name),
			g.slots.Handle(name+"/adam_m"), g.slots.Handle(name+"/adam_v"),
			g.power1, g.power2, g.rate, b1, b2, eps, gradients[i]))
	}
	moving := s.SubScope("moving")
	rest := op.Sub(moving, constant("one", 1), g.momentum)
	for _, u := range net.Updates {
		each := moving.SubScope(u.Variable)
		change := op.Mul(each, op.Sub(each, g.vars.Read(u.Variable), u.Value), rest)
		g.step = append(g.step, op.AssignSubVariableOp(each, g.vars.Handle(u.Variable), change))
	}
}

// train runs one step and returns its loss. t counts steps up from 1.
func (g *graph) train(b *batch, t int, rate, momentum float64, seed uint64) (float64, error) {
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
	out, err := g.session.Run(feeds, []tf.Output{g.loss}, g.step)
	if err != nil {
		return 0, err
	}
	loss := float64(out[0].Value().(float32))
	if math.IsNaN(loss) || math.IsInf(loss, 0) {
		return 0, fmt.Errorf("the loss is no number any more at step %d: a lower --rate helps", t)
	}
	return loss, nil
}

// judge returns the logits of the planes, [len(planes)][classes] flat, from
// the network with moving statistics.
func (g *graph) judge(planes [][]float32, c Config) ([]float32, error) {
	var all []float32
	for start := 0; start < len(planes); start += c.Batch {
		part := planes[start:min(start+c.Batch, len(planes))]
		flat := make([]float32, 0, len(part)*c.Input.Width*c.Input.Height)
		for _, p := range part {
			flat = append(flat, p...)
		}
		image, err := nets.FloatTensor(flat, int64(len(part)), int64(c.Input.Height), int64(c.Input.Width), 1)
		if err != nil {
			return nil, err
		}
		out, err := g.session.Run(map[tf.Output]*tf.Tensor{g.image: image}, []tf.Output{g.logits}, nil)
		if err != nil {
			return nil, err
		}
		all = append(all, nets.Floats(out[0], nil)...)
	}
	return all, nil
}
