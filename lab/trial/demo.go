package trial

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"spinebox/internal/spine"
	"spinebox/lab/phantom"
	"spinebox/runtime/xray"
	"spinebox/sync/wire"
)

// demoSeed draws other phantoms than the training has seen.
const demoSeed = 20_000

// Count is what a demo ended with.
type Count struct {
	Files, Classified, Right, Refused, Failed, Duplicates int
	Wrong                                                 []string // what was not as it should be
}

// item is one file of the demo and what must become of it.
type item struct {
	name    string
	what    string
	content []byte
	uid     string // of a DICOM file
	label   spine.Label
	code    spine.Code // "" when it must be classified
}

// phantoms are the files that must be classified.
func phantoms() ([]item, error) {
	kinds := []struct {
		label  spine.Label
		view   phantom.View
		format phantom.Format
		what   string
	}{
		{spine.Scoliosis, phantom.AP, phantom.JPEG, "JPEG"},
		{spine.Spondylolisthesis, phantom.Lateral, phantom.PNG, "PNG"},
		{spine.Normal, phantom.AP, phantom.TIFF, "16-bit TIFF"},
		{spine.Scoliosis, phantom.AP, phantom.DICOM, "DICOM MONOCHROME2"},
		{spine.Spondylolisthesis, phantom.Lateral, phantom.DICOMMono1, "DICOM MONOCHROME1"},
		{spine.Normal, phantom.Lateral, phantom.JPEG, "JPEG, lateral"},
		{spine.Scoliosis, phantom.AP, phantom.PNG, "PNG"},
	}
	var items []item
	for i, s := range kinds {
		p, err := drawDemo(i, s.label, s.view)
		if err != nil {
			return nil, err
		}
		var out bytes.Buffer
		if err := p.Encode(&out, s.format); err != nil {
			return nil, err
		}
		it := item{name: fmt.Sprintf("phantom-%d%s", i+1, s.format.Extension()), what: s.what, content: out.Bytes(), label: s.label}
		read, err := xray.DecodeReader(bytes.NewReader(it.content), int64(len(it.content)), xray.DefaultLimits())
		if err != nil {
			return nil, err
		}
		it.uid = read.Facts.SOPInstanceUID
		items = append(items, it)
	}
	return items, nil
}

func drawDemo(i int, label spine.Label, view phantom.View) (*phantom.Phantom, error) {
	return phantom.Draw(phantom.Spec{
		Label: label, View: view, Seed: demoSeed, Index: i, Width: 270, Height: 720 + 8*i,
		Cobb: EasyCobb(), Slip: EasySlip(),
	})
}

// EasyCobb and EasySlip are the demo's phantoms: what is wrong with them is
// plain to see.
func EasyCobb() phantom.Range { return phantom.Range{Min: 25, Max: 60} }
func EasySlip() phantom.Range { return phantom.Range{Min: 30, Max: 60} }

// Demo drops its files one after the other, says what comes of each, and
// counts. The trial must be started.
func (t *Trial) Demo(ctx context.Context, out io.Writer) (*Count, error) {
	c := new(Count)
	items, err := phantoms()
	if err != nil {
		return nil, err
	}
	for _, it := range items {
		if err := t.one(ctx, out, c, it, nil); err != nil {
			return nil, err
		}
	}
	if right := c.Right; 5*right < 4*len(items) {
		c.wrong("only %d of %d phantoms got the right label, 4 of 5 must", right, len(items))
	}
	if err := t.duplicate(ctx, out, c, items[0]); err != nil {
		return nil, err
	}
	odd, err := t.oddities()
	if err != nil {
		return nil, err
	}
	for _, o := range odd {
		if err := t.one(ctx, out, c, o.item, o.drop); err != nil {
			return nil, err
		}
	}
	if extra := t.Extra(); extra > 0 {
		c.wrong("%d results came for files that should have none", extra)
	}
	return c, nil
}

func (c *Count) wrong(format string, args ...any) {
	c.Wrong = append(c.Wrong, fmt.Sprintf(format, args...))
}

// oddity is a file that is not simply dropped, or not classified.
type oddity struct {
	item
	drop func(context.Context) error // nil: dropped whole
}

func (t *Trial) oddities() ([]oddity, error) {
	halves, err := drawDemo(7, spine.Scoliosis, phantom.AP)
	if err != nil {
		return nil, err
	}
	short, err := drawDemo(8, spine.Normal, phantom.AP)
	if err != nil {
		return nil, err
	}
	var slow, cut bytes.Buffer
	if err := errors.Join(halves.Encode(&slow, phantom.PNG), short.Encode(&cut, phantom.JPEG)); err != nil {
		return nil, err
	}
	photo, err := photograph()
	if err != nil {
		return nil, err
	}
	two := item{name: "phantom-slow.png", what: "written in two halves, 5 s apart", content: slow.Bytes(), label: spine.Scoliosis}
	return []oddity{
		{two, func(ctx context.Context) error { return t.halves(ctx, two.name, two.content) }},
		{item{name: "phantom-cut.jpg", what: "truncated", content: cut.Bytes()[:cut.Len()/2], code: spine.Corrupt}, nil},
		{item{name: "holiday.jpg", what: "a colour photograph", content: photo, code: spine.NotXray}, nil},
		{item{name: "letter.dcm", what: "a text file named .dcm", content: []byte("Dear colleague, the X-ray comes by post.\n"), code: spine.Corrupt}, nil},
	}, nil
}

// halves writes a file the way a slow scanner does.
func (t *Trial) halves(ctx context.Context, name string, content []byte) error {
	f, err := os.Create(filepath.Join(t.Share(), name))
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := f.Write(content[:len(content)/2]); err != nil {
		return err
	}
	select {
	case <-time.After(5 * time.Second):
	case <-ctx.Done():
		return ctx.Err()
	}
	_, err = f.Write(content[len(content)/2:])
	return err
}

// resultLimit is how long a result may take: the patience for a short file,
// and a slow machine's inference.
const resultLimit = Patience + 40*time.Second

// one drops a file and compares what comes with what should.
func (t *Trial) one(ctx context.Context, out io.Writer, c *Count, it item, drop func(context.Context) error) error {
	c.Files++
	fmt.Fprintf(out, "%-22s %-33s ", it.name, it.what)
	if drop == nil {
		drop = func(context.Context) error { return t.Drop(it.name, it.content) }
	}
	if err := drop(ctx); err != nil {
		return err
	}
	start := time.Now()
	r, err := t.Result(ctx, t.ImageID(it.content, it.uid), resultLimit)
	if errors.Is(err, ErrNoResult) {
		fmt.Fprintln(out, "no result")
		c.wrong("%s (%s): no result came", it.name, it.what)
		return nil
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "%s  (%.1f s)\n", Line(r), time.Since(start).Seconds())
	c.add(it, r)
	return nil
}

func (c *Count) add(it item, r wire.Result) {
	switch r.Outcome {
	case spine.Classified:
		c.Classified++
	case spine.Refused:
		c.Refused++
	case spine.Failed:
		c.Failed++
	}
	if r.Code != it.code {
		c.wrong("%s (%s): came as %s, should be %s", it.name, it.what, Line(r), orClassified(it.code))
	}
	if it.code == "" && r.Label == it.label {
		c.Right++
	}
}

func orClassified(code spine.Code) string {
	if code == "" {
		return string(spine.Classified)
	}
	return string(code.Outcome()) + "/" + string(code)
}

// Line is a result in a few words.
func Line(r wire.Result) string {
	if r.Outcome != spine.Classified {
		return fmt.Sprintf("%s/%s: %s", r.Outcome, r.Code, r.Sentence)
	}
	return fmt.Sprintf("%s, %.0f %%", r.Label, 100*r.Readings[0].Probabilities[r.Label])
}

// duplicate drops the same bytes under another name: they are counted, and no
// message comes.
func (t *Trial) duplicate(ctx context.Context, out io.Writer, c *Count, it item) error {
	c.Files++
	before, err := t.Status(ctx)
	if err != nil {
		return err
	}
	name := "copy-of-" + it.name
	fmt.Fprintf(out, "%-22s %-33s ", name, "the same bytes, another name")
	if err := t.Drop(name, it.content); err != nil {
		return err
	}
	err = t.Until(ctx, resultLimit, "the duplicate was not counted", func(s spine.Status) bool {
		return s.Duplicates == before.Duplicates+1 && !s.Busy
	})
	if err != nil {
		fmt.Fprintln(out, "not counted")
		c.wrong("%s: %v", name, err)
		return nil
	}
	fmt.Fprintln(out, "duplicate: counted, no second result")
	c.Duplicates++
	return nil
}
