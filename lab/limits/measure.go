package limits

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"spinebox/explain"
	"spinebox/internal/spine"
	"spinebox/lab/dataset"
	"spinebox/lab/strangers"
	"spinebox/models/description"
	"spinebox/models/gate"
	"spinebox/runtime/infer"
	"spinebox/runtime/xray"
)

// Measurement is what a trained model's limits are measured on.
type Measurement struct {
	Run     string // the training's folder, with splits.json and model/
	Data    *dataset.Set
	Against string // a folder of pictures that are no spines; empty for none
	Each    int    // made strangers of each kind
	Cores   int
}

// strangersSeed begins the made strangers that limits are measured on; the
// rules' numbers were chosen on those below.
const strangersSeed = 1000

// Do lets the model look at everything and returns its description with the
// groups: the validation part, the held-out part, strangers that are made, and
// those of the folder.
func (m Measurement) Do(ctx context.Context) (*description.Model, []Group, error) {
	parts, err := m.Data.ReadParts(filepath.Join(m.Run, "splits.json"))
	if err != nil {
		return nil, nil, err
	}
	network, err := infer.Open(filepath.Join(m.Run, "model"), infer.Options{Threads: m.Cores})
	if err != nil {
		return nil, nil, err
	}
	groups, err := m.groups(ctx, network, parts)
	return network.Description(), groups, errors.Join(err, network.Close())
}

func (m Measurement) groups(ctx context.Context, network *infer.Model, parts []dataset.Part) ([]Group, error) {
	see := m.seer(ctx, network)
	var groups []Group
	broken := Group{Name: "spines cut up or laid down"}
	for _, part := range []dataset.Part{dataset.Validation, dataset.HeldOut} {
		chosen := m.Data.Only(parts, part)
		looks, err := dataset.Decode(chosen, max(m.Cores, 1), func(item dataset.Item) (Judged, error) {
			p, err := xray.Decode(item.Path, xray.DefaultLimits())
			if err != nil {
				return Judged{}, err
			}
			return see(p, item)
		}, func() {})
		if err != nil {
			return nil, err
		}
		groups = append(groups, Group{Name: string(part), Looks: looks})
	}
	made := Group{Name: "made strangers"}
	for _, kind := range strangers.Kinds() {
		for i := range m.Each {
			p, err := strangers.Draw(kind, strangersSeed+uint64(i))
			if err != nil {
				return nil, err
			}
			look, err := see(p, dataset.Item{})
			if err != nil {
				return nil, err
			}
			made.Looks = append(made.Looks, look)
		}
	}
	held := m.Data.Only(parts, dataset.HeldOut)
	for i, item := range held.Items[:min(m.Each, len(held.Items))] {
		p, err := xray.Decode(item.Path, xray.DefaultLimits())
		if err != nil {
			return nil, err
		}
		for _, spoilt := range []*spine.Picture{strangers.Shuffle(p, uint64(i)), strangers.Lay(p)} {
			look, err := see(spoilt, dataset.Item{})
			if err != nil {
				return nil, err
			}
			broken.Looks = append(broken.Looks, look)
		}
	}
	groups = append(groups, made, broken)
	if m.Against == "" {
		return groups, nil
	}
	others, err := m.against(see)
	return append(groups, others), err
}

// against looks at every picture of the folder. What cannot be decoded never
// comes to the gate, and is left out.
func (m Measurement) against(see func(*spine.Picture, dataset.Item) (Judged, error)) (Group, error) {
	g := Group{Name: "others given"}
	var files []string
	err := filepath.WalkDir(m.Against, func(name string, e fs.DirEntry, err error) error {
		if err == nil && e.Type().IsRegular() && !strings.HasPrefix(e.Name(), ".") {
			files = append(files, name)
		}
		return err
	})
	if err != nil {
		return g, fmt.Errorf("list the pictures that are no spines: %w", err)
	}
	slices.Sort(files)
	for _, name := range files {
		p, err := xray.Decode(name, xray.DefaultLimits())
		if err != nil {
			continue
		}
		look, err := see(p, dataset.Item{})
		if err != nil {
			return g, err
		}
		g.Looks = append(g.Looks, look)
	}
	if len(g.Looks) == 0 {
		return g, fmt.Errorf("there is no picture that can be read in %s", m.Against)
	}
	return g, nil
}

// seer returns what looks at one picture as the box does: first the fixed
// rules, then the network.
func (m Measurement) seer(ctx context.Context, network *infer.Model) func(*spine.Picture, dataset.Item) (Judged, error) {
	fixed := gate.Fixed()
	fixed.MaxHues = xray.MaxHues
	return func(p *spine.Picture, item dataset.Item) (Judged, error) {
		reading, seen, err := network.See(ctx, p, explain.MethodGradCAM)
		if err != nil {
			return Judged{}, err
		}
		return Judged{Look{Item: item, Reading: reading, Seen: seen}, fixed.Check(p)}, ctx.Err()
	}
}
