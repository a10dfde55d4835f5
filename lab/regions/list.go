package regions

import (
	"fmt"
	"runtime"

	"spinebox/lab/dataset"
	"spinebox/runtime/xray"
)

// readList reads the masks that a data set's CSV list names.
func readList(path string) (*Set, error) {
	data, err := dataset.Read(path)
	if err != nil {
		return nil, err
	}
	set, err := Of(data)
	if err != nil {
		return nil, err
	}
	if len(set.regions) == 0 {
		return nil, fmt.Errorf("no line names a mask: the column mask holds each picture's, a PNG that is white where to look")
	}
	return set, nil
}

// Of reads the masks that the pictures of a data set come with, as a list names
// them; each must have its picture's size. They count as drawn.
func Of(data *dataset.Set) (*Set, error) {
	masked := new(dataset.Set)
	for _, item := range data.Items {
		if item.Mask != "" {
			masked.Items = append(masked.Items, item)
		}
	}
	all, err := dataset.Decode(masked, runtime.NumCPU(), func(item dataset.Item) (Region, error) {
		m, err := readMask(item.Mask)
		if err != nil {
			return Region{}, err
		}
		p, err := xray.Decode(item.Path, xray.DefaultLimits())
		if err != nil {
			return Region{}, err
		}
		r := fromMask(Drawn, m)
		return r, r.Fits(p.Width, p.Height)
	}, func() {})
	if err != nil {
		return nil, err
	}
	set := NewSet()
	set.Source = "masks that came with the pictures"
	for i, item := range masked.Items {
		set.regions[item.SHA256] = all[i]
	}
	return set, nil
}
