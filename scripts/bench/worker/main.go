// Worker is our side of the benchmark: it speaks the protocol of
// scripts/bench/README.md and runs the product's own code.
//
//	worker model --net resnet50|vgg16 [--plain] --out DIR
//	worker read --model DIR
//	worker train --net resnet50 [--method finetune]
//	worker backbone --net resnet50|vgg16 --out FILE
//
// model writes a model folder with random weights, for time does not depend on
// them; with --plain its description promises no heatmap. read is the whole way
// from a picture of 224×224 to the answer and its heatmap, if there is one,
// with runtime/infer. train is spinelab's training with batches of 16,
// augmentation included. backbone writes random weights for fine-tuning and
// features.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"time"

	"spinebox/explain"
	"spinebox/internal/spine"
	"spinebox/lab/train"
	"spinebox/models/description"
	"spinebox/models/input"
	"spinebox/models/nets"
	"spinebox/models/savedmodel"
	"spinebox/runtime/infer"
)

const (
	threads = 2 // what every contestant gets
	side    = 224
	warmUps = 3
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "worker:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) == 0 {
		return errors.New("usage: worker model|backbone|read|train …")
	}
	f := flag.NewFlagSet("worker", flag.ContinueOnError)
	network := f.String("net", string(nets.ResNet50), "the network")
	out := f.String("out", "", "the model folder to write")
	model := f.String("model", "", "the model folder to read with")
	method := f.String("method", string(train.Random), "of training: random or finetune")
	plain := f.Bool("plain", false, "a model without heatmap")
	if err := f.Parse(args[1:]); err != nil {
		return err
	}
	architecture, err := nets.ParseArchitecture(*network)
	if err != nil {
		return err
	}
	switch args[0] {
	case "model":
		return writeModel(*out, architecture, *plain)
	case "backbone":
		_, err := randomBackbone(architecture, *out)
		return err
	case "read":
		return readWorker(*model)
	case "train":
		return trainWorker(architecture, train.Method(*method))
	}
	return fmt.Errorf("unknown command %q", args[0])
}

func spec() input.Spec {
	return input.Spec{Width: side, Height: side, Resize: input.Letterbox, Grey: input.Percentile}
}

func writeModel(dir string, a nets.Architecture, plain bool) error {
	labels := spine.Labels()
	err := savedmodel.Write(dir, savedmodel.Export{
		Architecture: a, Height: side, Width: side, Classes: int64(len(labels)),
		Weights: nets.Initial(a.Specs(int64(len(labels)), false), 1),
	})
	if err != nil {
		return err
	}
	d := &description.Model{
		Name: string(a) + "-untrained", Version: "0", Architecture: string(a), Method: "random",
		Labels: labels, Input: spec(), Preprocessing: "none",
		ExplainSignature: savedmodel.Explain, ExplainLayer: a.ExplainLayer(),
		Temperature: 1, Golden: []description.Golden{}, MinimumSpinebox: "0.1.0", Phantom: true,
	}
	if plain {
		d.ExplainSignature, d.ExplainLayer = "", ""
	}
	return d.Seal(dir)
}

func readWorker(dir string) (err error) {
	m, err := infer.Open(dir, infer.Options{Threads: threads, Frozen: true})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, m.Close()) }()
	explained := m.Description().Explained()
	p := &spine.Picture{Width: side, Height: side, Pix: make([]float32, side*side)}
	for i := range p.Pix {
		p.Pix[i] = float32(i*7919%251) / 250
	}
	step := func() error {
		r, _, err := m.Read(context.Background(), p, explain.MethodGradCAM)
		if err == nil && (r.Heatmap != nil) != explained {
			return errors.New("the model is explained and there is no heatmap, or the reverse")
		}
		return err
	}
	for range warmUps {
		if err := step(); err != nil {
			return err
		}
	}
	settings := fmt.Sprintf("runtime/infer, %d threads, picture to answer", threads)
	if explained {
		settings += " and heatmap"
	}
	return serve(newConversation(os.Stdin, os.Stdout), settings, step)
}

// serve times single steps, as many as are asked for.
func serve(c *conversation, settings string, step func() error) error {
	if err := c.ready(settings); err != nil {
		return err
	}
	for {
		n, err := c.next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		ms := make([]float64, n)
		for i := range ms {
			start := time.Now()
			if err := step(); err != nil {
				return err
			}
			ms[i] = milliseconds(time.Since(start))
		}
		if err := c.report(ms); err != nil {
			return err
		}
	}
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// conversation is the worker's side of the protocol.
type conversation struct {
	in  *bufio.Scanner
	out *json.Encoder
}

func newConversation(in io.Reader, out io.Writer) *conversation {
	return &conversation{bufio.NewScanner(in), json.NewEncoder(out)}
}

func (c *conversation) ready(settings string) error {
	return c.out.Encode(map[string]any{
		"ready": true, "pid": os.Getpid(), "settings": settings,
		"versions": map[string]string{"go": strings.TrimPrefix(runtime.Version(), "go")},
	})
}

// next returns how many steps are asked for, or io.EOF at the end.
func (c *conversation) next() (n int, err error) {
	if !c.in.Scan() {
		return 0, errors.Join(c.in.Err(), io.EOF)
	}
	if _, err := fmt.Sscanf(strings.TrimSpace(c.in.Text()), "run %d", &n); err != nil {
		return 0, fmt.Errorf("command %q: %w", c.in.Text(), err)
	}
	return n, nil
}

func (c *conversation) report(ms []float64) error {
	return c.out.Encode(map[string]any{"ms": ms})
}
