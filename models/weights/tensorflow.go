package weights

import (
	"errors"
	"slices"
	"strings"

	"spinebox/models/nets"
	"spinebox/models/savedmodel"
)

// fromSavedModel reads the variables of a SavedModel, and looks where its graph
// has its strides.
func fromSavedModel(dir string) (*Imported, error) {
	info, err := savedmodel.Inspect(dir)
	if err != nil {
		return nil, err
	}
	if _, ours := info.Signatures[savedmodel.Explain]; ours {
		return nil, errors.New("it is a model that spinelab made for the box, with its preprocessing in the kernels: take the backbone that it began with")
	}
	strided, err := savedmodel.Strided(dir)
	if err != nil {
		return nil, err
	}
	for _, name := range strided {
		for part := range strings.SplitSeq(name, "/") {
			// Version 1 has this stride at conv3_block1_1_conv.
			if strings.HasPrefix(part, "conv3_block1_2_conv") {
				return nil, errors.New("it is a ResNet of version 1.5, with the stride at the 3×3 convolution: its weights do not fit version 1")
			}
		}
	}
	i, err := fromCheckpoint(dir)
	if err != nil {
		return nil, err
	}
	i.Origin = "a SavedModel"
	return i, nil
}

// fromCheckpoint reads a checkpoint. A name may have the names of outer layers
// before its own, and an optimizer may keep something of the same name behind
// more of them: the shortest counts. Keras' export stores each variable twice.
func fromCheckpoint(path string) (*Imported, error) {
	c, err := savedmodel.OpenCheckpoint(path)
	if err != nil {
		return nil, err
	}
	nearest := map[string][]savedmodel.Stored{}
	for _, v := range c.Variables {
		parts := strings.Split(v.Name, "/")
		if len(parts) < 2 || v.Type != "float32" {
			continue
		}
		name, deeper := strings.Join(parts[len(parts)-2:], "/"), 0
		if before := nearest[name]; len(before) > 0 {
			deeper = len(v.Name) - len(before[0].Name)
		}
		switch {
		case deeper < 0:
			nearest[name] = []savedmodel.Stored{v}
		case deeper == 0:
			nearest[name] = append(nearest[name], v)
		}
	}
	variables := map[string]found{}
	for name, all := range nearest {
		variables[name] = found{all[0].Shape, func() ([]float32, error) { return same(c, all) }}
	}
	i := new(Imported)
	if err := i.take(variables); err != nil {
		return nil, err
	}
	i.Origin = "a TensorFlow checkpoint"
	return i, nil
}

// same reads what is stored under one name, which must be the same wherever.
func same(c *savedmodel.Checkpoint, all []savedmodel.Stored) ([]float32, error) {
	tensors, err := c.Read(all)
	if err != nil {
		return nil, err
	}
	values := nets.Floats(tensors[0], nil)
	for _, t := range tensors[1:] {
		if !slices.Equal(nets.Floats(t, nil), values) {
			return nil, errors.New("it is stored twice, with other values")
		}
	}
	return values, nil
}
