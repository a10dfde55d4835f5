package weights

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	"spinebox/models/hdf5"
)

// legacy lists the variables of a file of Keras' legacy layout by their names,
// LAYER/VARIABLE. Nothing of them is read yet.
func legacy(file *hdf5.File) (map[string]found, error) {
	root, err := file.Root()
	if err != nil {
		return nil, err
	}
	if whole, err := root.Has("model_weights"); err != nil {
		return nil, err
	} else if whole { // model.save: the optimizer and the model's plan lie beside
		if root, err = root.Get("model_weights"); err != nil {
			return nil, err
		}
	}
	layers, ok, err := names(root, "layer_names")
	if err != nil {
		return nil, err
	}
	if !ok {
		if newer, err := root.Has("layers"); err == nil && newer {
			return nil, errors.New("it is a .weights.h5 of Keras 3, whose layout is not read" + newerKeras)
		}
		return nil, errors.New("it is an HDF5 file, but not of Keras: it has no layer_names")
	}
	variables := map[string]found{}
	for _, layer := range layers {
		group, err := root.Get(layer)
		if err != nil {
			return nil, err
		}
		if err := ofLayer(group, layer, variables); err != nil {
			return nil, err
		}
	}
	return variables, nil
}

// ofLayer adds a layer's variables.
func ofLayer(group *hdf5.Object, layer string, variables map[string]found) error {
	weights, ok, err := names(group, "weight_names")
	if err != nil {
		return err
	}
	if !ok {
		return fmt.Errorf("layer %s has no weight_names", layer)
	}
	for _, weight := range weights {
		data, err := group.Get(weight)
		if err != nil {
			return err
		}
		name := layer + "/" + role(layer, weight)
		if inner := path.Base(path.Dir(weight)); len(weights) > batchNormWeights && inner != "." {
			name = inner + "/" + role(inner, weight) // the layer is a whole network
		}
		shape, err := data.Shape()
		if err != nil {
			return err
		}
		if _, twice := variables[name]; twice {
			return fmt.Errorf("%s is there twice", name)
		}
		variables[name] = found{shape, data.Floats}
	}
	return nil
}

// batchNormWeights is the most that one layer of these networks has.
const batchNormWeights = 4

// role is what a weight is to its layer: "kernel" of kernel:0, conv/kernel:0 and
// of conv_W_1:0, as Keras 1 named it.
func role(layer, weight string) string {
	r, _, _ := strings.Cut(path.Base(weight), ":")
	if first, ok := strings.CutPrefix(r, layer+"_"); ok {
		kind, _, _ := strings.Cut(first, "_")
		switch kind {
		case "W":
			return "kernel"
		case "b":
			return "bias"
		}
	}
	return r
}

// names reads a list of names, which Keras cuts in pieces (layer_names0, …) when
// it is too long for one attribute.
func names(o *hdf5.Object, attribute string) ([]string, bool, error) {
	all, ok, err := o.Strings(attribute)
	if ok || err != nil {
		return all, ok, err
	}
	for i := 0; ; i++ {
		part, more, err := o.Strings(attribute + strconv.Itoa(i))
		if err != nil || !more {
			return all, i > 0, err
		}
		all = slices.Concat(all, part)
	}
}
