package look

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"spinebox/explain"
	"spinebox/explain/relevance"
	"spinebox/internal/spine"
	"spinebox/lab/phantom"
	"spinebox/models/description"
	"spinebox/models/nets"
)

// probePicture is a picture of the probe set with what the network made of it.
type probePicture struct {
	picture *spine.Picture
	answer  spine.Label
	plane   relevance.Plane // its map for that answer, ProbeSide×ProbeSide
}

// probeSeed is the probe set's: one set for all networks there ever are.
const probeSeed = 20_260_311

func (j *judge) probeCount() int {
	if j.Options.Probe == 0 {
		return 12
	}
	return j.Options.Probe
}

// sanityCount is how many of the probe set the sanity check looks at: two of
// each class.
func (j *judge) sanityCount() int { return min(6, j.probeCount()) }

// probe draws the probe set, the classes taking turns, and lets the network
// look at it.
func (j *judge) probe(ctx context.Context) ([]probePicture, error) {
	set := phantom.Set{Seed: probeSeed, Sizing: phantom.Sizing{Kind: phantom.FixedSize, Width: 180, Height: 480},
		Cobb: phantom.Range{Min: 30, Max: 50}, Slip: phantom.Range{Min: 30, Max: 50}}
	var all []probePicture
	for i := range j.probeCount() {
		p, err := phantom.Draw(set.Spec(i))
		if err != nil {
			return nil, fmt.Errorf("draw the probe set: %w", err)
		}
		r, _, err := j.model.Read(ctx, &p.Picture, explain.MethodGradCAM)
		if err != nil {
			return nil, err
		}
		plane, err := relevance.OnGrid(r.Heatmap, ProbeSide, ProbeSide)
		if err != nil {
			return nil, err
		}
		all = append(all, probePicture{&p.Picture, r.Label, plane})
		j.ran(1, 0)
	}
	return all, nil
}

// scaled returns the plane with its maximum at 1.
func scaled(p relevance.Plane) relevance.Plane {
	greatest := slices.Max(p.Values)
	out := relevance.NewPlane(p.Width, p.Height)
	for i, v := range p.Values {
		if greatest > 0 {
			out.Values[i] = v / greatest
		}
	}
	return out
}

// sanity gives the layers random weights one after the other, from the top
// down, each on top of the ones before (cascading randomisation, Adebayo et al.
// 2018, arXiv 1810.03292), and says how alike the maps still are to the trained
// network's for the same class. A map that stays as it was does not show what
// the network has learned. Pictures of which the trained network's map is empty
// cannot be compared; without any others there are no steps.
func (j *judge) sanity(ctx context.Context, probe []probePicture) ([]Step, error) {
	d := j.model.Description()
	probe = slices.DeleteFunc(slices.Clone(probe[:j.sanityCount()]), func(p probePicture) bool { return p.plane.Sum() == 0 })
	if len(probe) == 0 {
		return nil, nil
	}
	weights, err := j.plain.Weights()
	if err != nil {
		return nil, err
	}
	random := initial(d, j.Seed)
	var steps []Step
	for i, layer := range layers(d) {
		maps.Copy(weights, only(random, layer))
		step := Step{Step: i + 1, Layer: layer}
		altered, err := j.plain.With(weights)
		if err != nil {
			return nil, err
		}
		for _, p := range probe {
			h, err := altered.Heatmap(ctx, p.picture, p.answer, explain.MethodGradCAM)
			if err != nil {
				return nil, err
			}
			if err := step.add(h, p.plane, len(probe)); err != nil {
				return nil, err
			}
		}
		j.ran(j.sanityCount(), 0)
		steps = append(steps, step)
	}
	return steps, nil
}

// add adds one of n pictures to the step's means.
func (s *Step) add(h *spine.Heatmap, trained relevance.Plane, n int) error {
	plane, err := relevance.OnGrid(h, ProbeSide, ProbeSide)
	if err != nil {
		return err
	}
	ssim, err := relevance.SSIM(trained, plane)
	if err != nil {
		return err
	}
	spearman, err := relevance.Spearman(trained, plane)
	s.SSIM += ssim / float64(n)
	s.Spearman += spearman / float64(n)
	return err
}

// initial returns random weights for the model, as its training from random
// ones would begin.
func initial(d *description.Model, seed uint64) nets.Weights { return nets.Initial(specs(d), seed) }

// specs lists the variables of the model's SavedModel, in the order of the
// layers.
func specs(d *description.Model) []nets.Spec {
	return nets.Architecture(d.Architecture).Specs(int64(len(d.Labels)), true)
}

// layers lists what is randomised at a time, the network's top first: layers of
// VGG16, blocks of ResNet50.
func layers(d *description.Model) []string {
	var names []string
	for _, s := range specs(d) {
		if name := layer(s.Name); !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	slices.Reverse(names)
	return names
}

// layer returns the part that a variable belongs to: of
// conv2_block1_3_conv/kernel it is conv2_block1, of block5_conv3/kernel
// block5_conv3.
func layer(variable string) string {
	name, _, _ := strings.Cut(variable, "/")
	if parts := strings.Split(name, "_"); len(parts) > 2 && strings.HasPrefix(parts[1], "block") {
		return parts[0] + "_" + parts[1]
	}
	return name
}

func only(w nets.Weights, of string) nets.Weights {
	w = maps.Clone(w)
	maps.DeleteFunc(w, func(name string, _ []float32) bool { return layer(name) != of })
	return w
}
