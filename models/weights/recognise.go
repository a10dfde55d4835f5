package weights

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"regexp"
	"slices"
	"strings"

	"spinebox/models/nets"
)

// recognise returns the network that the variables are of: it has all of them
// in their shapes, and there are no others in layers named like a backbone's.
func recognise(shapes map[string][]int64) (nets.Architecture, error) {
	for _, a := range nets.Architectures() {
		if misfit(a, shapes) == nil {
			return a, nil
		}
	}
	return "", diagnose(shapes)
}

// misfit says in what the variables differ from the network's.
func misfit(a nets.Architecture, shapes map[string][]int64) error {
	specs := Specs(a)
	known := map[string]bool{}
	for _, s := range specs {
		known[s.Name] = true
		got, ok := shapes[s.Name]
		if !ok {
			return fmt.Errorf("%s is missing", s.Name)
		}
		if !slices.Equal(got, s.Shape) {
			return fmt.Errorf("%s has the shape %v, and %s's has %v", s.Name, got, a, s.Shape)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(shapes)) {
		if !known[name] && backboneLayer.MatchString(name) {
			return fmt.Errorf("it has %s, which %s does not", name, a)
		}
	}
	return nil
}

// backboneLayer matches the layers that Keras' VGG and ResNet families have
// beneath their heads.
var backboneLayer = regexp.MustCompile(`^(block\d+_conv\d+|conv\d+_(block\d+_.*|conv|bn)|post_bn)/`)

const version15 = "it is a ResNet of version 1.5, whose convolutions have no biases (torchvision's and TensorFlow's model garden's): the stride sits elsewhere, and its weights do not fit version 1"

// diagnose says what variables are of that no network fits.
func diagnose(shapes map[string][]int64) error {
	layers := map[string]bool{}
	for name := range shapes {
		layers[layerOf(name)] = true
	}
	has := func(variable string) bool { _, ok := shapes[variable]; return ok }
	switch {
	case layers["block3_conv4"]:
		return errors.New("it is a VGG19, and there are vgg16 and resnet50")
	case layers["block1_conv1"]:
		return fmt.Errorf("it is no VGG16: %w", misfit(nets.VGG16, shapes))
	case layers["post_bn"] || layers["conv2_block1_preact_bn"]:
		return errors.New("it is a ResNet of version 2 (ResNet50V2), and only version 1 is known")
	case layers["conv4_block23_1_conv"]:
		return errors.New("it is a ResNet101 or ResNet152, and of these only ResNet50 is known")
	case layers["conv2_block1_1_conv"] && !layers["conv2_block1_1_bn"]:
		return errors.New("it is a ResNet without batch normalisation: it was folded into the kernels for running, and cannot be trained on")
	case layers["conv2_block1_1_conv"] && !has("conv2_block1_1_conv/bias"):
		return errors.New(version15)
	case layers["conv2_block1_1_conv"]:
		return fmt.Errorf("it is no ResNet50: %w", misfit(nets.ResNet50, shapes))
	case layers["res2a_branch2a"] && has("res2a_branch2a/bias"):
		return errors.New("it is the ResNet50 of Keras 2.2 and older, whose batch normalisation has another epsilon (0.001): take the file that newer ones download")
	case layers["res2a_branch2a"]:
		return errors.New(version15)
	}
	some := slices.Sorted(maps.Keys(layers))
	return fmt.Errorf("it has no layer of VGG16 or ResNet50 by Keras' names, but %d others: %s", len(some), strings.Join(some[:min(3, len(some))], ", "))
}

// finite reports a value that is no number.
func finite(values []float32) error {
	for _, v := range values {
		if f := float64(v); math.IsNaN(f) || math.IsInf(f, 0) {
			return errors.New("it holds a value that is no number")
		}
	}
	return nil
}
