package trial

import (
	"context"
	"crypto/rand"
	"fmt"
	"image"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"time"

	"spinebox/explain"
	"spinebox/internal/spine"
	"spinebox/lab/dataset"
	"spinebox/runtime/xray"
	"spinebox/sync/wire"
)

// Figures are what a study of held-out X-rays came to.
type Figures struct {
	Labels    []spine.Label
	Confusion [][]int // as the file itself: true label by row, answer by column; the last column is no answer
	Agree     int     // files whose two forms got the same answer
	Files     int
	Decode    []float64 // milliseconds, each file
	Infer     []float64
	Total     []float64 // from received to finished
	Seconds   float64   // from the first drop to the last result
	Disagree  []string  // what the two forms were answered, by the picture's digest
	Empty     int       // heatmaps that were empty
}

// Accuracy is the share of right answers, 0 to 1; a refusal is no right answer.
func (f *Figures) Accuracy() float64 {
	right := 0
	for k, row := range f.Confusion {
		right += row[k]
	}
	return float64(right) / float64(max(f.Files, 1))
}

// Held drops the set's pictures on the share, each as its own file and wrapped
// as DICOM, and compares the answers. It returns a contact sheet of the
// overlays, errors first.
func (t *Trial) Held(ctx context.Context, set *dataset.Set, progress func(done, total int)) (*Figures, image.Image, error) {
	f := &Figures{Labels: spine.Labels(), Files: len(set.Items)}
	for range f.Labels {
		f.Confusion = append(f.Confusion, make([]int, len(f.Labels)+1))
	}
	var wrong, right []explain.Cell
	start := time.Now()
	for i, it := range set.Items {
		p, err := xray.Decode(it.Path, xray.DefaultLimits())
		if err != nil {
			return nil, nil, fmt.Errorf("%s: %w", it.Path, err)
		}
		plain, wrapped, err := t.pair(ctx, it, p)
		if err != nil {
			return nil, nil, err
		}
		f.add(it, plain, wrapped)
		cell, err := overlayCell(it, p, plain)
		if err != nil {
			return nil, nil, err
		}
		if plain.Label == it.Label {
			right = append(right, cell)
		} else {
			wrong = append(wrong, cell)
		}
		progress(i+1, len(set.Items))
	}
	f.Seconds = time.Since(start).Seconds()
	sheet, err := explain.Sheet(append(wrong, right...), 12)
	return f, sheet, err
}

// pair drops both forms of a picture and waits for both results.
func (t *Trial) pair(ctx context.Context, it dataset.Item, p *spine.Picture) (plain, wrapped wire.Result, err error) {
	content, err := os.ReadFile(it.Path)
	if err != nil {
		return plain, wrapped, err
	}
	instance, err := randomUID()
	if err != nil {
		return plain, wrapped, err
	}
	dicom, err := wrap(p, instance)
	if err != nil {
		return plain, wrapped, err
	}
	name := it.SHA256[:12] // a file's own name may tell a diagnosis
	if err := t.Drop(name+strings.ToLower(filepath.Ext(it.Path)), content); err != nil {
		return plain, wrapped, err
	}
	if err := t.Drop(name+".dcm", dicom); err != nil {
		return plain, wrapped, err
	}
	if plain, err = t.Result(ctx, t.ImageID(content, ""), resultLimit); err != nil {
		return plain, wrapped, fmt.Errorf("%.12s as it is: %w", it.SHA256, err)
	}
	if wrapped, err = t.Result(ctx, t.ImageID(dicom, instance), resultLimit); err != nil {
		return plain, wrapped, fmt.Errorf("%.12s as DICOM: %w", it.SHA256, err)
	}
	return plain, wrapped, nil
}

// randomUID makes a UID under 2.25 (PS3.5, B.2).
func randomUID() (string, error) {
	n, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 128))
	if err != nil {
		return "", err
	}
	return "2.25." + n.String(), nil
}

func (f *Figures) add(it dataset.Item, plain, wrapped wire.Result) {
	row, column := 0, len(f.Labels)
	for k, l := range f.Labels {
		if l == it.Label {
			row = k
		}
		if plain.Outcome == spine.Classified && l == plain.Label {
			column = k
		}
	}
	f.Confusion[row][column]++
	if plain.Outcome == wrapped.Outcome && plain.Label == wrapped.Label && plain.Code == wrapped.Code {
		f.Agree++
	} else {
		f.Disagree = append(f.Disagree, fmt.Sprintf("%.12s: %s, as DICOM %s", it.SHA256, Line(plain), Line(wrapped)))
	}
	if plain.Code == spine.HeatmapEmpty {
		f.Empty++
	}
	f.Decode = append(f.Decode, plain.Timings.Decode)
	f.Infer = append(f.Infer, plain.Timings.Infer+plain.Timings.Explain)
	f.Total = append(f.Total, plain.Timings.Total)
}

func overlayCell(it dataset.Item, p *spine.Picture, r wire.Result) (explain.Cell, error) {
	caption := fmt.Sprintf("%s: %s", it.Label, Line(r))
	if len(r.Readings) == 0 || r.Readings[0].Heatmap == nil || r.Readings[0].Heatmap.Max == 0 {
		m, err := explain.Grey(p)
		if err != nil {
			return explain.Cell{}, err
		}
		return explain.NewCell(m, caption), nil
	}
	sent := r.Readings[0].Heatmap
	values, err := sent.Values()
	if err != nil {
		return explain.Cell{}, err
	}
	h := &spine.Heatmap{Width: sent.Width, Height: sent.Height, Values: values, Max: sent.Max, Content: sent.Content}
	m, err := explain.Blend(p, h, explain.Options{})
	if err != nil {
		return explain.Cell{}, err
	}
	return explain.NewCell(m, caption), nil
}
