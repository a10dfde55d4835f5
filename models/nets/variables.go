package nets

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"

	tf "github.com/wamuir/graft/tensorflow"
	"github.com/wamuir/graft/tensorflow/op"
)

// Spec names one variable of a network.
type Spec struct {
	Name  string // Keras' name, e.g. "conv1_conv/kernel"
	Shape []int64
}

// Size is the number of values.
func (s Spec) Size() int64 {
	n := int64(1)
	for _, d := range s.Shape {
		n *= d
	}
	return n
}

// Trainable reports whether gradients may change the variable; the moving
// statistics of batch normalisation are not trainable.
func (s Spec) Trainable() bool { return !strings.Contains(s.Name, "/moving_") }

// Decayed reports whether weight decay applies: to kernels only.
func (s Spec) Decayed() bool { return strings.HasSuffix(s.Name, "/kernel") }

// Specs lists the variables of a network with that many classes, in the order
// of its layers. A folded network has no batch-normalisation variables.
func (a Architecture) Specs(classes int64, folded bool) []Spec {
	specs := a.resnet().specs()
	if a == VGG16 {
		specs = vggSpecs()
	}
	specs = append(specs,
		Spec{"predictions/kernel", []int64{a.Features(), classes}},
		Spec{"predictions/bias", []int64{classes}})
	if folded {
		specs = slices.DeleteFunc(specs, func(s Spec) bool { return strings.Contains(s.Name, "_bn/") })
	}
	return specs
}

func convSpecs(name string, size, in, out int64) []Spec {
	return []Spec{
		{name + "/kernel", []int64{size, size, in, out}},
		{name + "/bias", []int64{out}},
	}
}

func batchNormSpecs(name string, channels int64) []Spec {
	shape := []int64{channels}
	return []Spec{{name + "/gamma", shape}, {name + "/beta", shape},
		{name + "/moving_mean", shape}, {name + "/moving_variance", shape}}
}

// Weights are a network's values by variable name, each flat in row-major
// order.
type Weights map[string][]float32

// Check reports what does not fit between the weights and the variables.
func (w Weights) Check(specs []Spec) error {
	for _, s := range specs {
		values, ok := w[s.Name]
		if !ok {
			return fmt.Errorf("weights lack %s", s.Name)
		}
		if int64(len(values)) != s.Size() {
			return fmt.Errorf("weights of %s: %d values for shape %v", s.Name, len(values), s.Shape)
		}
	}
	if len(w) != len(specs) {
		for name := range w {
			if !slices.ContainsFunc(specs, func(s Spec) bool { return s.Name == name }) {
				return fmt.Errorf("weights hold %s, which the network does not have", name)
			}
		}
	}
	return nil
}

// Initializer says how the first kernels of convolutions are drawn.
type Initializer string

const (
	// He is He et al.'s normal distribution (2015, arXiv 1502.01852).
	He Initializer = "he"
	// Glorot is Glorot and Bengio's uniform one (2010), Keras' default. With
	// it, VGG16 often stalls at ln 3.
	Glorot Initializer = "glorot"
)

// Initializers lists them.
func Initializers() []Initializer { return []Initializer{He, Glorot} }

// Initial returns He's random weights.
func Initial(specs []Spec, seed uint64) Weights { return He.Draw(specs, seed) }

// Draw returns random weights: kernels of convolutions as the initializer has
// it, the head's by Glorot; scales and variances are one, all else is zero.
func (i Initializer) Draw(specs []Spec, seed uint64) Weights {
	w := Weights{}
	for k, s := range specs {
		// A stream of its own for each variable: adding one changes no other.
		random := rand.New(rand.NewPCG(seed, uint64(k)))
		values := make([]float32, s.Size())
		switch {
		case strings.HasSuffix(s.Name, "/kernel"):
			in, out := s.fans()
			deviation, limit := math.Sqrt(2/in), math.Sqrt(6/(in+out))
			uniform := i == Glorot || s.Name == "predictions/kernel"
			for k := range values {
				if uniform {
					values[k] = float32((2*random.Float64() - 1) * limit)
				} else {
					values[k] = float32(random.NormFloat64() * deviation)
				}
			}
		case strings.HasSuffix(s.Name, "/gamma"), strings.HasSuffix(s.Name, "/moving_variance"):
			for k := range values {
				values[k] = 1
			}
		}
		w[s.Name] = values
	}
	return w
}

// fans of a kernel [...,in,out]: how many values each output is made of, and
// each input goes into.
func (s Spec) fans() (in, out float64) {
	field := 1.0
	n := len(s.Shape)
	for _, d := range s.Shape[:n-2] {
		field *= float64(d)
	}
	return field * float64(s.Shape[n-2]), field * float64(s.Shape[n-1])
}

// ZeroResiduals sets the last scale of each residual block to zero, so that the
// network begins as a shallow one (Goyal et al. 2017, arXiv 1706.02677).
func (w Weights) ZeroResiduals() {
	for name, values := range w {
		if strings.HasSuffix(name, "_3_bn/gamma") {
			clear(values)
		}
	}
}

// Fold returns the weights of the same network without batch normalisation:
// each convolution's kernel and bias take over what the layer after it did
// with its moving statistics, and the first kernel's red and blue are swapped,
// so that it reads the picture as it comes. The output is equal but for
// rounding.
func Fold(w Weights) (Weights, error) {
	folded := Weights{}
	for name, values := range w {
		if !strings.Contains(name, "_bn/") {
			folded[name] = slices.Clone(values)
		}
	}
	for _, first := range []string{"conv1_conv/kernel", "block1_conv1/kernel"} {
		swapRedAndBlue(folded[first], len(folded[strings.TrimSuffix(first, "kernel")+"bias"]))
	}
	for name, gamma := range w {
		layer, ok := strings.CutSuffix(name, "_bn/gamma")
		if !ok {
			continue
		}
		kernel, bias := folded[layer+"_conv/kernel"], folded[layer+"_conv/bias"]
		beta, mean, variance := w[layer+"_bn/beta"], w[layer+"_bn/moving_mean"], w[layer+"_bn/moving_variance"]
		channels := len(gamma)
		for _, v := range [][]float32{bias, beta, mean, variance} {
			if len(v) != channels {
				return nil, fmt.Errorf("fold %s: a variable is missing or of another size", layer)
			}
		}
		for c := range channels {
			factor := float64(gamma[c]) / math.Sqrt(float64(variance[c])+batchNormEpsilon)
			for i := c; i < len(kernel); i += channels {
				kernel[i] = float32(float64(kernel[i]) * factor)
			}
			bias[c] = float32((float64(bias[c])-float64(mean[c]))*factor + float64(beta[c]))
		}
	}
	return folded, nil
}

// swapRedAndBlue of a kernel [h,w,3,filters].
func swapRedAndBlue(kernel []float32, filters int) {
	for i := 0; i+3*filters <= len(kernel) && filters > 0; i += 3 * filters {
		for f := range filters {
			red, blue := i+f, i+2*filters+f
			kernel[red], kernel[blue] = kernel[blue], kernel[red]
		}
	}
}

// Variables are a network's variables in one graph.
type Variables struct {
	Specs   []Spec
	handles map[string]tf.Output
	reads   map[string]tf.Output
	scope   *op.Scope
}

// NewVariables adds the variables and one read of each.
func NewVariables(s *op.Scope, specs []Spec) *Variables {
	v := &Variables{Specs: specs, handles: map[string]tf.Output{}, reads: map[string]tf.Output{}, scope: s}
	for _, spec := range specs {
		handle := op.VarHandleOp(s.SubScope(spec.Name), tf.Float, tf.MakeShape(spec.Shape...), op.VarHandleOpSharedName(spec.Name))
		v.handles[spec.Name] = handle
		v.reads[spec.Name] = op.ReadVariableOp(s.SubScope(spec.Name+"/read"), handle, tf.Float)
	}
	return v
}

// FindVariables returns the variables of a graph that NewVariables had a part
// in and that came out of a SavedModel: for Feeds and Values, nothing else.
func FindVariables(graph *tf.Graph, specs []Spec) (*Variables, error) {
	v := &Variables{Specs: specs, reads: map[string]tf.Output{}}
	for _, spec := range specs {
		read := graph.Operation(spec.Name + "/read/ReadVariableOp")
		if read == nil {
			return nil, fmt.Errorf("the graph has no variable %s: it was made elsewhere", spec.Name)
		}
		v.reads[spec.Name] = read.Output(0)
	}
	return v, nil
}

// In finds the variables again in a graph that has the same names.
func (v *Variables) In(graph *tf.Graph) *Variables {
	moved := &Variables{Specs: v.Specs, handles: map[string]tf.Output{}, reads: map[string]tf.Output{}, scope: v.scope}
	for _, s := range v.Specs {
		moved.handles[s.Name] = graph.Operation(v.handles[s.Name].Op.Name()).Output(0)
		moved.reads[s.Name] = graph.Operation(v.reads[s.Name].Op.Name()).Output(0)
	}
	return moved
}

// Handle returns the variable's resource.
func (v *Variables) Handle(name string) tf.Output { return v.must(v.handles, name) }

// Read returns the variable's value. Every user of a variable shares one read,
// so that its gradient is the whole gradient.
func (v *Variables) Read(name string) tf.Output { return v.must(v.reads, name) }

func (v *Variables) must(from map[string]tf.Output, name string) tf.Output {
	out, ok := from[name]
	if !ok {
		v.scope.UpdateErr("Variables", fmt.Errorf("no variable %s", name))
	}
	return out
}

// Feeds returns the weights as values for the variables' reads: a run that is
// fed with them computes on the weights without any variable being assigned.
func (v *Variables) Feeds(w Weights) (map[tf.Output]*tf.Tensor, error) {
	if err := w.Check(v.Specs); err != nil {
		return nil, err
	}
	feeds := map[tf.Output]*tf.Tensor{}
	for _, s := range v.Specs {
		t, err := FloatTensor(w[s.Name], s.Shape...)
		if err != nil {
			return nil, fmt.Errorf("weights of %s: %w", s.Name, err)
		}
		feeds[v.reads[s.Name]] = t
	}
	return feeds, nil
}

// Values reads all variables from a session.
func (v *Variables) Values(session *tf.Session) (Weights, error) {
	fetches := make([]tf.Output, len(v.Specs))
	for i, s := range v.Specs {
		fetches[i] = v.reads[s.Name]
	}
	tensors, err := session.Run(nil, fetches, nil)
	if err != nil {
		return nil, err
	}
	w := Weights{}
	for i, s := range v.Specs {
		w[s.Name] = Floats(tensors[i], nil)
	}
	return w, nil
}

// Loader assigns weights to the variables.
type Loader struct {
	vars    *Variables
	assigns []*tf.Operation
}

// NewLoader adds an assignment for each variable. What it assigns is fed.
func NewLoader(s *op.Scope, v *Variables) *Loader {
	l := &Loader{vars: v}
	for _, spec := range v.Specs {
		// Assigning a read that is fed spares a placeholder each.
		l.assigns = append(l.assigns, op.AssignVariableOp(s.SubScope(spec.Name), v.Handle(spec.Name), v.Read(spec.Name)))
	}
	return l
}

// In finds the loader again in a graph that has the same names; v are the
// variables there.
func (l *Loader) In(v *Variables, graph *tf.Graph) *Loader {
	moved := &Loader{vars: v}
	for _, o := range l.assigns {
		moved.assigns = append(moved.assigns, graph.Operation(o.Name()))
	}
	return moved
}

// Load assigns the weights in a session of the variables' graph.
func (l *Loader) Load(session *tf.Session, w Weights) error {
	feeds, err := l.vars.Feeds(w)
	if err != nil {
		return err
	}
	_, err = session.Run(feeds, nil, l.assigns)
	return err
}
