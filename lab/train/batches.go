package train

import (
	"context"
	"math/rand/v2"

	tf "github.com/wamuir/graft/tensorflow"

	"spinebox/internal/spine"
	"spinebox/models/nets"
)

// sample is one training picture, prepared for the network.
type sample struct {
	plane    []float32 // [H*W], 0 to 255; or features [C]
	mirrored []float32 // features of the mirrored picture; nil for pictures
	label    int
}

// batch is what one step is fed with.
type batch struct {
	n               int
	images          []float32 // [n,H,W,1] or [n,C]
	labels, weights []float32 // [n,classes], [n]
	shape           []int64   // of one of the images
	classes         int
}

func (b *batch) feeds(g *graph) (map[tf.Output]*tf.Tensor, error) {
	n := int64(b.n)
	image, err := nets.FloatTensor(b.images, append([]int64{n}, b.shape...)...)
	if err != nil {
		return nil, err
	}
	labels, err := nets.FloatTensor(b.labels, n, int64(b.classes))
	if err != nil {
		return nil, err
	}
	weights, err := nets.FloatTensor(b.weights, n)
	if err != nil {
		return nil, err
	}
	return map[tf.Output]*tf.Tensor{g.image: image, g.labels: labels, g.weights: weights}, nil
}

// feeder makes the batches of an epoch beside the training, so that no step
// waits for one.
type feeder struct {
	config  Config
	samples []sample
	classes int
	weights []float32 // by class
}

func newFeeder(c Config, samples []sample, classes int) *feeder {
	f := &feeder{config: c, samples: samples, classes: classes, weights: make([]float32, classes)}
	count := make([]int, classes)
	for _, s := range samples {
		count[s.label]++
	}
	for k, n := range count {
		switch {
		case n > 0 && c.ClassWeights:
			f.weights[k] = float32(len(samples)) / float32(classes*n)
		case n > 0:
			f.weights[k] = 1
		}
	}
	return f
}

// steps is the number of batches in an epoch. The last one is filled up from
// the beginning, for batch normalisation wants full batches.
func (f *feeder) steps() int { return (len(f.samples) + f.config.Batch - 1) / f.config.Batch }

// epoch sends the batches of one epoch. They depend on seed and epoch alone:
// a resumed training sees what an undisturbed one would have seen.
func (f *feeder) epoch(ctx context.Context, epoch int, out chan<- *batch) {
	defer close(out)
	order := rand.New(rand.NewPCG(f.config.Seed, uint64(epoch))).Perm(len(f.samples))
	for start := 0; start < len(order); start += f.config.Batch {
		b := f.batch(order, start, epoch)
		select {
		case out <- b:
		case <-ctx.Done():
			return
		}
	}
}

func (f *feeder) batch(order []int, start, epoch int) *batch {
	c := f.config
	n, size := c.Batch, len(f.samples[0].plane)
	b := &batch{
		n: n, shape: c.sampleShape(), classes: f.classes,
		images: make([]float32, n*size), labels: make([]float32, n*f.classes), weights: make([]float32, n),
	}
	smooth := float32(c.LabelSmoothing)
	for i := range n {
		s := f.samples[order[(start+i)%len(order)]]
		random := rand.New(rand.NewPCG(c.Seed+uint64(epoch)<<32, uint64(start+i)))
		switch image := b.images[i*size : (i+1)*size]; {
		case s.mirrored == nil:
			c.Augment.apply(image, s.plane, c.Input.Width, c.Input.Height, random)
		case c.Augment.Flip && random.IntN(2) == 0:
			copy(image, s.mirrored)
		default:
			copy(image, s.plane)
		}
		row := b.labels[i*f.classes : (i+1)*f.classes]
		for k := range row {
			row[k] = smooth / float32(f.classes)
		}
		row[s.label] += 1 - smooth
		b.weights[i] = f.weights[s.label]
	}
	return b
}

// labelIndex returns where the label stands among the classes.
func labelIndex(labels []spine.Label, l spine.Label) int {
	for i, other := range labels {
		if other == l {
			return i
		}
	}
	return -1
}
