package train

import (
	"fmt"
	"strings"

	"spinebox/models/nets"
)

// Method is one of the paper's three ways to train a network.
type Method string

const (
	// Random trains everything from random weights.
	Random Method = "random"
	// Features takes a pretrained backbone as it is, computes its pooled
	// features once, and trains the head on them.
	Features Method = "features"
	// Finetune begins with a pretrained backbone and a random head, trains the
	// head first and then the backbone too. Batch normalisation keeps the
	// backbone's statistics: with a batch's own, it forgets (keras#9214).
	Finetune Method = "finetune"
)

// Methods lists them.
func Methods() []Method { return []Method{Random, Features, Finetune} }

func (m Method) pretrained() bool { return m == Features || m == Finetune }

func (m Method) check(c Config) error {
	switch m {
	case Random, Features:
	case Finetune:
		if c.HeadEpochs < 0 || c.HeadEpochs >= c.Epochs {
			return fmt.Errorf("%d of %d epochs for the head leave none for the backbone", c.HeadEpochs, c.Epochs)
		}
		if c.HeadEpochs > 0 && !(c.HeadRate > 0) {
			return fmt.Errorf("the head's learning rate must be above zero")
		}
		if len(c.tuned()) == 0 {
			return fmt.Errorf("no layer of %s begins with %q: there is nothing to fine-tune", c.Network, c.From)
		}
	default:
		return fmt.Errorf("training method %q is not known: there are random, features and finetune", m)
	}
	if m.pretrained() != (c.Backbone != "") {
		return fmt.Errorf("method %s and pretrained weights: features and finetune need a file of them, random takes none", m)
	}
	return nil
}

// For returns settings of the method that work on the paper's 338 X-rays.
func (c Config) For(m Method) Config {
	c.Method = m
	switch m {
	case Features:
		c.Epochs, c.Batch, c.Rate = 100, 32, 3e-3
	case Finetune:
		c.Epochs, c.HeadEpochs, c.HeadRate, c.Rate = 25, 5, 1e-3, 1e-4
	}
	return c
}

// specs of the variables that the training graph holds: all, or the head's.
func (c Config) specs(classes int64) []nets.Spec {
	all := c.Network.Specs(classes, false)
	if c.Method == Features {
		return only(all, inHead)
	}
	return all
}

func inHead(name string) bool { return strings.HasPrefix(name, "predictions/") }

// tuned lists the variables of the backbone that fine-tuning changes, in the
// network's order.
func (c Config) tuned() []string {
	var names []string
	begun := false
	for _, s := range c.Network.Specs(1, false) {
		begun = begun || strings.HasPrefix(s.Name, c.From)
		if begun && s.Trainable() && !inHead(s.Name) {
			names = append(names, s.Name)
		}
	}
	return names
}

func only(specs []nets.Spec, keep func(name string) bool) []nets.Spec {
	var kept []nets.Spec
	for _, s := range specs {
		if keep(s.Name) {
			kept = append(kept, s)
		}
	}
	return kept
}
