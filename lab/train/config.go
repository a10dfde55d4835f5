// Package train trains one network on one split of a data set and leaves a
// model folder that the box takes as it is.
package train

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"spinebox/lab/dataset"
	"spinebox/models/input"
	"spinebox/models/nets"
)

// Config is everything that a training depends on beside the pictures.
type Config struct {
	Network nets.Architecture `json:"network"`
	Method  Method            `json:"method"`
	// Backbone is the digest of the weights that features and finetune begin
	// with; empty for random.
	Backbone string     `json:"backbone,omitempty"`
	Input    input.Spec `json:"input"`
	Fold     int        `json:"fold"`            // this one is held out
	Folds    int        `json:"folds,omitempty"` // how many there are; 0: dataset.Folds
	Seed     uint64     `json:"seed"`

	Epochs int `json:"epochs"`
	// StopAfter trains on every picture, and ends after so many of the Epochs
	// that the learning rate is planned for: the last one is the model. 0 holds
	// a fold out, and chooses on the validation part.
	StopAfter int `json:"stop_after,omitempty"`
	Batch     int `json:"batch"` // pictures in one step
	// Rate is the highest learning rate. It rises from zero over the part
	// Warmup of all steps, 0 to 1, and then follows the Schedule: "cosine"
	// falls to zero in half a cosine, "constant" stays.
	Rate           float64 `json:"rate"`
	Schedule       string  `json:"schedule"`
	Warmup         float64 `json:"warmup"`
	Optimizer      string  `json:"optimizer"`       // "adam", or "sgd" with Momentum
	Momentum       float64 `json:"momentum"`        // of sgd, 0 to 1
	WeightDecay    float64 `json:"weight_decay"`    // decoupled (Loshchilov and Hutter 2019), on kernels
	LabelSmoothing float64 `json:"label_smoothing"` // 0 to 1
	ClassWeights   bool    `json:"class_weights"`   // on the loss: each class counts alike, however rare
	Dropout        float64 `json:"dropout"`         // before the head, 0 to 1
	// Tail is the part of the highest rate, 0 to 1, to which the rate must
	// have fallen by the end of an epoch that may become the model. Before,
	// the weights are unfinished, and a low loss on a few validation pictures
	// is luck. The last epoch always may. With 1, every epoch may: the only
	// choice for a constant rate.
	Tail float64 `json:"tail"`
	// Patience ends a training early: after so many epochs of the tail without
	// a lower validation loss. 0 trains to the end.
	Patience int     `json:"patience"`
	Augment  Augment `json:"augment"`

	// Initializer draws the convolutions' first kernels of random; the head's
	// are Glorot's in every method.
	Initializer nets.Initializer `json:"initializer"`
	// StallEpochs and Restarts are of random: a training whose loss has not
	// left that of the best constant answer after so many epochs begins again
	// with the next seed, at most Restarts times. 0: it never does.
	StallEpochs int `json:"stall_epochs"`
	Restarts    int `json:"restarts"`

	// Fine-tuning trains the head alone first, for HeadEpochs of Epochs with a
	// constant HeadRate: a random head would tear the backbone apart. Then
	// everything from the first layer on whose name begins with From ("" is the
	// whole network).
	HeadEpochs int     `json:"head_epochs,omitempty"`
	HeadRate   float64 `json:"head_rate,omitempty"`
	From       string  `json:"from,omitempty"`

	// ZeroResiduals begins with residual blocks that add nothing: the demo's
	// few steps go further so. On the paper's X-rays it was no gain
	// (docs/training.md).
	ZeroResiduals bool `json:"zero_residuals,omitempty"`
}

// Augment bounds what a training picture may be turned into. There is no
// vertical flip and no crop: neither leaves a spine whole.
type Augment struct {
	Flip     bool    `json:"flip"`     // left and right, every second time
	Rotate   float64 `json:"rotate"`   // degrees, either way
	Scale    float64 `json:"scale"`    // 0.1 is 0.9 to 1.1 times
	Stretch  float64 `json:"stretch"`  // of width against height, likewise
	Shift    float64 `json:"shift"`    // of the input's size, either way
	Contrast float64 `json:"contrast"` // 0.2 is 0.8 to 1.2 times, about the middle grey
	Light    float64 `json:"light"`    // of the grey range, either way
	Gamma    float64 `json:"gamma"`    // 0.2 is exponents 0.8 to 1.25
	Erase    float64 `json:"erase"`    // chance of one grey rectangle of up to a tenth of the area
}

// Default returns settings that work on the paper's 338 X-rays.
func Default() Config {
	return Config{
		Network: nets.ResNet50, Method: Random, Optimizer: "adam", Momentum: 0.9, Schedule: Cosine, Warmup: 0.1,
		Input:  input.Spec{Height: 320, Width: 128, Resize: input.Letterbox, Grey: input.Percentile},
		Epochs: 40, Batch: 8, Rate: 1e-3, WeightDecay: 0.02, LabelSmoothing: 0.05, ClassWeights: true, Dropout: 0.2, Tail: 0.1, Seed: 1,
		Initializer: nets.He, StallEpochs: 10, Restarts: 3,
		Augment: Augment{Flip: true, Rotate: 6, Scale: 0.1, Stretch: 0.08, Shift: 0.05, Contrast: 0.2, Light: 0.1, Gamma: 0.2, Erase: 0.25},
	}
}

// stride is how many input pixels one cell of VGG16's map covers, and of
// ResNet50's before its last stage, which keeps every second one.
const stride = 16

// Validate reports everything that is wrong, at once.
func (c Config) Validate() error {
	var wrong []error
	say := func(format string, args ...any) { wrong = append(wrong, fmt.Errorf(format, args...)) }
	if _, err := nets.ParseArchitecture(string(c.Network)); err != nil {
		wrong = append(wrong, err)
	}
	wrong = append(wrong, c.Method.check(c))
	if c.Optimizer != "adam" && c.Optimizer != "sgd" {
		say("optimizer %q is not known: there are adam and sgd", c.Optimizer)
	}
	if err := c.Input.Validate(); err != nil {
		wrong = append(wrong, err)
	}
	if c.Fold < 0 || c.Fold >= c.folds() {
		say("fold %d is not one of 0 to %d", c.Fold, c.folds()-1)
	}
	if c.Input.Height%stride != 0 || c.Input.Width%stride != 0 {
		say("input size %dx%d (height x width): both must be multiples of %d, or the heatmap's cells do not cover the picture evenly",
			c.Input.Height, c.Input.Width, stride)
	}
	if c.Epochs < 1 || c.Batch < 2 {
		say("at least one epoch and a batch of two are needed")
	}
	if c.StopAfter < 0 || c.StopAfter > c.Epochs {
		say("it cannot stop after epoch %d of %d", c.StopAfter, c.Epochs)
	}
	if !(c.Rate > 0) {
		say("the learning rate must be above zero")
	}
	if c.Schedule != Cosine && c.Schedule != Constant {
		say("schedule %q is not known: there are %s and %s", c.Schedule, Cosine, Constant)
	}
	if c.Tail < 0 || c.Tail > 1 {
		say("tail %v is outside 0 to 1", c.Tail)
	}
	if c.Schedule == Constant && c.Tail != 1 {
		say("a constant rate never falls, so that no epoch is one of its tail: set tail to 1")
	}
	if !slices.Contains(nets.Initializers(), c.Initializer) {
		say("initializer %q is not known: there are %v", c.Initializer, nets.Initializers())
	}
	for name, v := range map[string]float64{"label smoothing": c.LabelSmoothing, "dropout": c.Dropout, "momentum": c.Momentum, "warmup": c.Warmup} {
		if !(v >= 0 && v < 1) {
			say("%s %v is outside 0 to 1", name, v)
		}
	}
	if !(c.WeightDecay >= 0) || c.Patience < 0 || c.StallEpochs < 0 || c.Restarts < 0 {
		say("weight decay, patience, stall epochs and restarts cannot be below zero")
	}
	return errors.Join(wrong...)
}

func (c Config) folds() int { return cmp.Or(c.Folds, dataset.Folds) }

// last is the number of the last epoch.
func (c Config) last() int { return cmp.Or(c.StopAfter, c.Epochs) }

// Digest identifies the configuration; a training resumes only its own.
func (c Config) Digest() string {
	raw, err := json.Marshal(c)
	if err != nil {
		panic(err) // no field can fail
	}
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:])
}
