package train

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"time"

	tf "github.com/wamuir/graft/tensorflow"
	"github.com/wamuir/graft/tensorflow/op"

	"spinebox/models/nets"
)

// pool replaces each sample's picture by the backbone's pooled features of it,
// and of its mirror image. The backbone runs once for each picture: what is in
// the cache is not computed again.
func (r *Run) pool(ctx context.Context) error {
	start := time.Now()
	defer func() { r.pooling = time.Since(start) }()
	p, err := newPooler(r)
	if err != nil {
		return err
	}
	defer p.close()
	for _, samples := range [][]sample{r.fit, r.validation} {
		for i := range samples {
			if err := ctx.Err(); err != nil {
				return err
			}
			s := &samples[i]
			mirror := mirrored(s.plane, r.Config.Input.Width)
			if s.plane, err = p.features(s.plane); err != nil {
				return err
			}
			if s.mirrored, err = p.features(mirror); err != nil {
				return err
			}
		}
	}
	return nil
}

// mirrored returns the plane with left and right exchanged.
func mirrored(plane []float32, width int) []float32 {
	out := make([]float32, len(plane))
	for i, v := range plane {
		x := i % width
		out[i-x+width-1-x] = v
	}
	return out
}

// pooler finds pooled features in its folder, or computes them.
type pooler struct {
	run     *Run
	dir     string      // for this backbone on this shape of input; empty: no cache
	session *tf.Session // nil until something has to be computed
	image   tf.Output
	pooled  tf.Output
}

func newPooler(r *Run) (*pooler, error) {
	p := &pooler{run: r}
	if r.Cache != "" {
		// What the features depend on beside the picture.
		shape, err := json.Marshal(r.Config.Input)
		if err != nil {
			return nil, err
		}
		p.dir = filepath.Join(r.Cache, digest([]byte(r.Config.Backbone), shape)[:32])
		if err := os.MkdirAll(p.dir, 0o700); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// start builds the backbone.
func (p *pooler) start() error {
	r, s := p.run, op.NewScope()
	in := r.Config.Input
	p.image = op.Placeholder(s.SubScope("image"), tf.Float, op.PlaceholderShape(tf.MakeShape(-1, int64(in.Height), int64(in.Width), 1)))
	vars := nets.NewVariables(s, r.Config.Network.Specs(1, true))
	loader := nets.NewLoader(s.SubScope("load"), vars)
	rgb := op.Tile(s.SubScope("rgb"), p.image, op.Const(s.SubScope("rgb/multiples"), []int32{1, 1, 1, 3}))
	p.pooled = nets.Build(s, r.Config.Network, vars, rgb, nets.Options{BatchNorm: nets.Folded}).Features
	graph, err := s.Finalize()
	if err != nil {
		return fmt.Errorf("build the backbone: %w", err)
	}
	options, err := threads(r.Cores)
	if err != nil {
		return err
	}
	if p.session, err = nets.NewSession(graph, options); err != nil {
		return err
	}
	whole := nets.Initial(r.Config.Network.Specs(1, false), 0) // a head that nobody asks
	maps.Copy(whole, r.Backbone.Weights)
	folded, err := nets.Fold(whole)
	if err != nil {
		return err
	}
	return loader.Load(p.session, folded)
}

func (p *pooler) close() {
	if p.session != nil {
		_ = p.session.Close() // nothing is written through it
	}
}

// features of one picture: [C].
func (p *pooler) features(plane []float32) ([]float32, error) {
	name := ""
	if p.dir != "" {
		name = filepath.Join(p.dir, digest(littleEndian(plane))[:32]+".f32")
		kept, err := os.ReadFile(name)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		features := make([]float32, p.run.Config.Network.Features())
		if n, err := binary.Decode(kept, binary.LittleEndian, features); err == nil && n == len(kept) {
			return features, nil
		}
	}
	if p.session == nil {
		if err := p.start(); err != nil {
			return nil, err
		}
	}
	in := p.run.Config.Input
	image, err := nets.FloatTensor(plane, 1, int64(in.Height), int64(in.Width), 1)
	if err != nil {
		return nil, err
	}
	out, err := p.session.Run(map[tf.Output]*tf.Tensor{p.image: image}, []tf.Output{p.pooled}, nil)
	if err != nil {
		return nil, fmt.Errorf("run the backbone: %w", err)
	}
	features := nets.Floats(out[0], nil)
	if name == "" {
		return features, nil
	}
	return features, p.keep(name, features)
}

// keep writes the features under a name of its own first: several folds may
// work on one cache.
func (p *pooler) keep(name string, features []float32) error {
	f, err := os.CreateTemp(p.dir, "new-*")
	if err != nil {
		return err
	}
	_, err = f.Write(littleEndian(features))
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), name)
}

func littleEndian(values []float32) []byte {
	raw, err := binary.Append(nil, binary.LittleEndian, values)
	if err != nil {
		panic(err) // floats have a fixed size
	}
	return raw
}

func digest(parts ...[]byte) string {
	h := sha256.New()
	for _, p := range parts {
		h.Write(p)
	}
	return hex.EncodeToString(h.Sum(nil))
}
