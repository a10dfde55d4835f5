package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"

	"github.com/rogpeppe/go-internal/testscript"

	"spinebox/explain"
	"spinebox/models/description"
	"spinebox/models/modeltest"
	"spinebox/models/nets"
	"spinebox/runtime/infer"
	"spinebox/runtime/xray"
)

// writeGolden writes a model folder with a golden case that holds on this
// machine. Models of different versions have different answers.
func writeGolden(dir, version string, a nets.Architecture, height, width int) error {
	if err := modeltest.WriteNet(dir, a, height, width); err != nil {
		return err
	}
	content, err := makePicture("grey", 7)
	if err != nil {
		return err
	}
	picture := filepath.Join(dir, "golden.png")
	if err := os.WriteFile(picture, content, 0o644); err != nil {
		return err
	}
	return reseal(dir, func(d *description.Model) {
		d.Version = version
		d.Temperature = 1 + float64(version[len(version)-1]-'0')/10
	}, func(d *description.Model, m *infer.Model) error {
		p, err := xray.Decode(picture, xray.DefaultLimits())
		if err != nil {
			return err
		}
		r, _, err := m.Read(context.Background(), p, explain.MethodGradCAM)
		if err != nil {
			return err
		}
		d.Golden = []description.Golden{{
			File: "golden.png", Label: r.Label, Probabilities: r.Probabilities,
			HeatmapMax: float64(r.Heatmap.Max), Tolerance: 1e-3,
		}}
		return nil
	})
}

// reseal changes a folder's description, and again with what the model says.
func reseal(dir string, change func(*description.Model), ask func(*description.Model, *infer.Model) error) error {
	d, err := description.Read(dir)
	if err != nil {
		return err
	}
	change(d)
	if err := d.Seal(dir); err != nil || ask == nil {
		return err
	}
	m, err := infer.Open(dir, infer.Options{Threads: 1})
	if err != nil {
		return err
	}
	return errors.Join(ask(d, m), m.Close(), d.Seal(dir))
}

// scriptGolden makes a model with a golden case: golden FOLDER VERSION.
func scriptGolden(ts *testscript.TestScript, _ bool, args []string) {
	ts.Check(os.MkdirAll(ts.MkAbs(args[0]), 0o755))
	ts.Check(writeGolden(ts.MkAbs(args[0]), args[1], nets.Tiny, modeltest.Height, modeltest.Width))
}

// scriptWrong makes a model whose golden case does not hold: wrong FOLDER.
func scriptWrong(ts *testscript.TestScript, _ bool, args []string) {
	scriptGolden(ts, false, []string{args[0], "3"})
	ts.Check(reseal(ts.MkAbs(args[0]), func(d *description.Model) {
		p := d.Golden[0].Probabilities
		d.Golden[0].Probabilities = []float64{p[0] + 0.002, p[1] - 0.002, p[2]}
	}, nil))
}
