package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"image/png"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"spinebox/explain"
	"spinebox/internal/spine"
	"spinebox/runtime/pipeline"
)

type classifyOptions struct {
	config, model, method, out string
	json                       bool
}

func classifyCommand() *cobra.Command {
	var o classifyOptions
	c := &cobra.Command{
		Use:   "classify FILE…",
		Short: "Classify X-rays now, without the service",
		Long: `Classify X-rays (DICOM, JPEG, PNG or TIFF) with the model of the configuration
or of --model. Nothing is kept or sent. A refusal is an answer, and the exit
code is 0; it is 3 when some files failed, 1 when all did, 5 without a model.`,
		Example: `  spinebox classify x-ray.dcm
  spinebox classify --json --out overlays/ *.dcm
  spinebox classify --model models/demo --method hirescam x-ray.png`,
		Args: arguments(cobra.MinimumNArgs(1)),
		RunE: func(c *cobra.Command, files []string) error {
			if _, err := explain.ParseMethod(o.method); err != nil && o.method != "" {
				return asUsage(c, err)
			}
			ctx, stop := signal.NotifyContext(c.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			return classify(ctx, o, files, c.OutOrStdout(), c.ErrOrStderr())
		},
	}
	c.Flags().StringVar(&o.config, "config", defaultPath, "configuration `FILE`")
	c.Flags().StringVar(&o.model, "model", "", "model `DIR`, instead of the configuration's")
	c.Flags().StringVar(&o.method, "method", "", "how heatmaps are made: gradcam or hirescam (default: the configuration's)")
	c.Flags().StringVar(&o.out, "out", "", "write an overlay PNG for each X-ray into `DIR`")
	c.Flags().BoolVar(&o.json, "json", false, "print one JSON object for each file")
	return c
}

// answer is what `classify --json` prints for one file.
type answer struct {
	Use           string                  `json:"use"`
	File          string                  `json:"file"`
	Outcome       spine.Outcome           `json:"outcome"`
	Code          spine.Code              `json:"code,omitempty"`
	Label         spine.Label             `json:"label,omitempty"`
	Sentence      string                  `json:"sentence,omitempty"`
	Reason        string                  `json:"reason,omitempty"`
	Probabilities map[spine.Label]float64 `json:"probabilities,omitempty"`
	Heatmap       *heatmapAnswer          `json:"heatmap,omitempty"`
	Overlay       string                  `json:"overlay,omitempty"`
	Model         spine.ModelID           `json:"model"`
	Second        *readingAnswer          `json:"second,omitempty"` // of two readers; the first's is above
	Unsigned      bool                    `json:"unsigned"`
	Phantom       bool                    `json:"phantom"` // trained on made X-rays
	Gaps          []string                `json:"gaps,omitempty"`
	Timings       spine.Timings           `json:"timings"`
}

type readingAnswer struct {
	Model         spine.ModelID           `json:"model"`
	Label         spine.Label             `json:"label"`
	Probabilities map[spine.Label]float64 `json:"probabilities"`
	Heatmap       *heatmapAnswer          `json:"heatmap,omitempty"`
}

type heatmapAnswer struct {
	Method  string     `json:"method"`
	Width   int        `json:"width"`
	Height  int        `json:"height"`
	Max     float32    `json:"max"`
	Content spine.Rect `json:"content"`
	Values  []float32  `json:"values"` // row by row, unscaled
}

func classify(ctx context.Context, o classifyOptions, files []string, out, errs io.Writer) error {
	config, err := classifyConfig(o)
	if err != nil {
		return err
	}
	log := slog.New(slog.NewTextHandler(errs, nil))
	decoder, err := openDecoder(config, log)
	if err != nil {
		return err
	}
	defer decoder.Close()
	// The first picture is decoded while TensorFlow loads: on a small box
	// that is half of what somebody waits for.
	first := decodeAhead(ctx, files[0], decoder.Decode)
	opened, err := openReaders(ctx, config)
	if err != nil {
		return err
	}
	defer opened.Close()
	judge := pipeline.NewJudge(first.decode, opened.Readers, config.rules(), log)

	buffered := bufio.NewWriter(out)
	p := printer{out: buffered, json: o.json, files: files, unsigned: opened.unsigned(), phantom: opened.phantom(), gaps: opened.gaps()}
	failed := 0
	err = inOrder(ctx, files, judge, func(file string, verdict pipeline.Verdict) error {
		if file == first.path && first.took > 0 {
			verdict.Timings.Decode = milliseconds(first.took)
			first.took = 0
		}
		a := newAnswer(file, verdict, opened)
		if o.out != "" {
			if a.Overlay, err = writeOverlay(o.out, file, verdict); err != nil {
				return err
			}
		}
		if verdict.Decision.Outcome == spine.Failed {
			failed++
		}
		p.print(a)
		if err := buffered.Flush(); err != nil {
			return fmt.Errorf("print the answer: %w", err)
		}
		return nil
	})
	if err != nil {
		return err
	}
	p.end()
	if err := buffered.Flush(); err != nil {
		return fmt.Errorf("print the answers: %w", err)
	}
	switch failed {
	case 0:
		return nil
	case len(files):
		return errors.New("no file could be processed")
	}
	return fmt.Errorf("%d of %d: %w", failed, len(files), errPartial)
}

// inOrder judges the files, two at a time so that one is decoded while another
// is read, and gives the verdicts to each in the files' order. When it returns,
// nothing is being judged any more.
func inOrder(ctx context.Context, files []string, judge *pipeline.Judge, each func(file string, v pipeline.Verdict) error) error {
	type result struct {
		verdict pipeline.Verdict
		err     error
	}
	ctx, stop := context.WithCancel(ctx)
	var judging sync.WaitGroup
	defer judging.Wait()
	defer stop()
	begin := func(file string) chan result {
		done := make(chan result, 1)
		judging.Go(func() {
			v, err := judge.Judge(ctx, file)
			done <- result{v, err}
		})
		return done
	}
	next := begin(files[0])
	for i, file := range files {
		present := next
		if i+1 < len(files) {
			next = begin(files[i+1])
		}
		r := <-present
		if r.err != nil {
			return r.err
		}
		if err := each(file, r.verdict); err != nil {
			return err
		}
	}
	return nil
}

// classifyConfig is the configuration for one run: with a model given by hand,
// the defaults do, and giving it is somebody's word for it.
func classifyConfig(o classifyOptions) (*config, error) {
	c, err := loadConfig(o.config)
	if errors.Is(err, errNoConfig) && o.config == defaultPath {
		if o.model == "" {
			return nil, withHint(errNoModel, "give its folder with --model DIR")
		}
		c, err = builtinConfig()
	}
	if err != nil {
		return nil, err
	}
	if o.model != "" {
		c.Models.Path, c.Models.Second, c.Models.AllowUnsigned = o.model, "", true
	}
	if o.method != "" {
		c.Inference.Method = o.method
	}
	return c, nil
}

// ahead is a file whose decoding began before its turn.
type ahead struct {
	path   string
	other  pipeline.Decoder
	result chan func() (*spine.Picture, error)
	took   time.Duration // of the decoding, once the picture was given out
}

func decodeAhead(ctx context.Context, path string, decode pipeline.Decoder) *ahead {
	a := &ahead{path: path, other: decode, result: make(chan func() (*spine.Picture, error), 1)}
	began := time.Now()
	go func() {
		picture, err := decode(ctx, path)
		a.took = time.Since(began)
		a.result <- func() (*spine.Picture, error) { return picture, err }
		close(a.result)
	}()
	return a
}

// decode returns the picture that was decoded ahead, once; every other one is
// decoded now.
func (a *ahead) decode(ctx context.Context, path string) (*spine.Picture, error) {
	if path == a.path {
		if result, first := <-a.result; first {
			return result()
		}
	}
	return a.other(ctx, path)
}

func newAnswer(file string, v pipeline.Verdict, by readers) answer {
	d := v.Decision
	a := answer{
		Use: spine.IntendedUse, File: file, Outcome: d.Outcome, Code: d.Code, Label: d.Label,
		Sentence: d.Code.Sentence(), Reason: d.Reason, Model: by.opened[0].id(), Unsigned: by.unsigned(), Phantom: by.phantom(), Gaps: by.gaps(), Timings: v.Timings,
	}
	a.Timings.Total = a.Timings.Decode + a.Timings.Infer + a.Timings.Explain
	for i, r := range v.Readings {
		one := newReading(r)
		if i == 0 {
			a.Probabilities, a.Heatmap = one.Probabilities, one.Heatmap
			continue
		}
		a.Second = &one
	}
	return a
}

func newReading(r spine.Reading) readingAnswer {
	a := readingAnswer{Model: r.Model, Label: r.Label, Probabilities: map[spine.Label]float64{}}
	for i, label := range r.Labels {
		a.Probabilities[label] = r.Probabilities[i]
	}
	if h := r.Heatmap; h != nil {
		a.Heatmap = &heatmapAnswer{r.Method, h.Width, h.Height, h.Max, h.Content, h.Values}
	}
	return a
}

// writeOverlay draws the X-ray with its heatmap into the folder and returns
// the file's path, or "" when the file was not read by the network.
func writeOverlay(folder, file string, v pipeline.Verdict) (string, error) {
	if len(v.Readings) == 0 {
		return "", nil
	}
	shown := max(slices.IndexFunc(v.Readings, func(r spine.Reading) bool { return r.Heatmap != nil }), 0)
	drawing, err := explain.Overlay(v.Picture, &v.Readings[shown], explain.Options{Withheld: v.Decision.Code})
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return "", fmt.Errorf("make the folder for overlays: %w", err)
	}
	stem := filepath.Base(file)
	f, path, err := createNew(folder, strings.TrimSuffix(stem, filepath.Ext(stem)))
	if err != nil {
		return "", fmt.Errorf("write overlay: %w", err)
	}
	w := bufio.NewWriter(f)
	encoder := png.Encoder{CompressionLevel: png.BestSpeed}
	if err := errors.Join(encoder.Encode(w, drawing), w.Flush(), f.Close()); err != nil {
		return "", fmt.Errorf("write overlay %s: %w", path, err)
	}
	return path, nil
}

// createNew makes stem.overlay.png, or with a number when there is one: files
// from two folders often have the same name, and none may take another's place.
func createNew(folder, stem string) (*os.File, string, error) {
	for n := 1; ; n++ {
		name := stem + ".overlay.png"
		if n > 1 {
			name = fmt.Sprintf("%s-%d.overlay.png", stem, n)
		}
		path := filepath.Join(folder, name)
		f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
		if !errors.Is(err, fs.ErrExist) {
			return f, path, err
		}
	}
}

// printer writes answers as they come: a table's row or a line of JSON each.
type printer struct {
	out   io.Writer
	json  bool
	files []string
	width int // of the table's first column

	unsigned, phantom bool
	gaps              []string
}

func (p *printer) print(a answer) {
	if p.json {
		// Strings and finite numbers only: this cannot fail but in writing,
		// which the buffer reports when it is flushed.
		_ = json.NewEncoder(p.out).Encode(a)
		return
	}
	if p.width == 0 {
		for _, f := range p.files {
			p.width = max(p.width, utf8.RuneCountInString(printable(f)))
		}
		fmt.Fprintf(p.out, "%-*s  %-28s  %6s  %7s\n", p.width, "FILE", "ANSWER", "SURE", "MS")
	}
	ms := a.Timings.Decode + a.Timings.Infer + a.Timings.Explain
	if a.Outcome == spine.Classified {
		fmt.Fprintf(p.out, "%-*s  %-28s  %5.1f%%  %7.0f\n", p.width, printable(a.File), a.Label, 100*a.Probabilities[a.Label], ms)
		return
	}
	fmt.Fprintf(p.out, "%-*s  %-28s  %6s  %7.0f  %s\n", p.width, printable(a.File),
		fmt.Sprintf("%s: %s", a.Outcome, a.Code), "", ms, explanation(a))
}

// explanation is the code's sentence and what was found. Of a file that could
// not be opened there is only the latter: the sentence speaks of a quarantine,
// and this command keeps nothing.
func explanation(a answer) string {
	switch {
	case a.Outcome == spine.Refused:
		return a.Sentence
	case a.Code == spine.Corrupt:
		return fmt.Sprintf("%s (%s)", a.Sentence, printable(a.Reason))
	}
	return printable(a.Reason)
}

func (p *printer) end() {
	if !p.json {
		fmt.Fprintln(p.out, spine.IntendedUse)
		if p.unsigned {
			fmt.Fprintln(p.out, "The model is not signed: for demonstration and tests.")
		}
		if p.phantom {
			fmt.Fprintln(p.out, "The model was trained on made X-rays: for demonstration only.")
		}
		if len(p.gaps) > 0 {
			fmt.Fprintf(p.out, "The model has no limits for: %s.\n", strings.Join(p.gaps, "; "))
		}
	}
}

// printable keeps a file's name from moving the cursor or the table.
func printable(name string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return '?'
		}
		return r
	}, name)
}
