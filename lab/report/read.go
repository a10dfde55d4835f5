package report

import (
	"cmp"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"

	"spinebox/internal/spine"
	"spinebox/lab/look"
	"spinebox/lab/statistics"
	"spinebox/lab/study"
	"spinebox/lab/train"
	"spinebox/models/nets"
)

// Runs is what the small files of a study's finished folds say.
type Runs struct {
	Dir      string
	Splits   *study.Splits
	Variants []Run    // in the paper's order
	Waiting  []string // variants of the study that have no finished fold
}

// Run is one variant's folds.
type Run struct {
	Name    string // NETWORK-METHOD
	Folds   []Fold // finished ones, by number
	Missing []int  // those that are not
}

// Fold is one finished fold.
type Fold struct {
	Number   int
	Dir      string
	Config   train.Config
	Done     train.Result
	History  []train.Epoch // since the last restart
	Restarts int           // after stalls
	Answers  []Answer      // about the held-out pictures, by SHA-256
	Maps     *look.Rows    // nil while the fold's heatmaps are not measured
}

// Answer is what a fold's model said of a picture that it had not seen.
type Answer struct {
	SHA256 string
	statistics.Prediction
}

// ErrNothing says that a folder holds no finished fold.
var ErrNothing = errors.New("no fold is finished here")

// Read reads the folder that "spinelab cv" wrote, or one with the small files
// of its folds. What does not belong to one study is an error: folds of other
// settings, a picture in two folds, predictions that are not those that the
// fold ended with.
func Read(dir string) (*Runs, error) {
	splits, err := study.ReadSplits(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s: %w: it has no splits.json", dir, ErrNothing)
	}
	if err != nil {
		return nil, err
	}
	runs := &Runs{Dir: dir, Splits: splits}
	names, err := filepath.Glob(filepath.Join(dir, "*", "fold[0-9]", doneName))
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		folder := filepath.Dir(name)
		variant := filepath.Base(filepath.Dir(folder))
		fold, err := readFold(folder)
		if err == nil && fold.variant() != variant {
			err = fmt.Errorf("it holds a fold of %s", fold.variant())
		}
		if err != nil {
			return nil, fmt.Errorf("%s/%s: %w", variant, filepath.Base(folder), err)
		}
		i := slices.IndexFunc(runs.Variants, func(r Run) bool { return r.Name == variant })
		if i < 0 {
			i = len(runs.Variants)
			runs.Variants = append(runs.Variants, Run{Name: variant})
		}
		runs.Variants[i].Folds = append(runs.Variants[i].Folds, *fold)
	}
	if len(runs.Variants) == 0 {
		return nil, fmt.Errorf("%s: %w", dir, ErrNothing)
	}
	slices.SortStableFunc(runs.Variants, func(a, b Run) int { return cmp.Compare(place(a), place(b)) })
	for i := range runs.Variants {
		runs.Variants[i].miss(splits.Folds)
	}
	if runs.Waiting, err = runs.waiting(); err != nil {
		return nil, err
	}
	return runs, runs.check()
}

func (r *Run) miss(folds int) {
	for k := range folds {
		if !slices.ContainsFunc(r.Folds, func(f Fold) bool { return f.Number == k }) {
			r.Missing = append(r.Missing, k)
		}
	}
}

// waiting lists the variants that the study's configuration has beside those
// with a finished fold.
func (r *Runs) waiting() ([]string, error) {
	config, _, err := study.ReadConfig(filepath.Join(r.Dir, "study.yaml"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var waiting []string
	for _, v := range config.All() {
		if !slices.ContainsFunc(r.Variants, func(run Run) bool { return run.Name == v.String() }) {
			waiting = append(waiting, v.String())
		}
	}
	return waiting, nil
}

// place orders variants as the paper's table does: by network, then by method.
func place(r Run) int {
	c := r.Folds[0].Config
	return 10*slices.Index(nets.Architectures(), c.Network) + slices.Index(train.Methods(), c.Method)
}

const doneName = "done.json"

func (f Fold) variant() string { return fmt.Sprintf("%s-%s", f.Config.Network, f.Config.Method) }

func readFold(dir string) (*Fold, error) {
	f := &Fold{Dir: dir}
	var err error
	if f.Number, err = strconv.Atoi(filepath.Base(dir)[len("fold"):]); err != nil {
		return nil, err
	}
	if err := readJSON(filepath.Join(dir, "config.json"), &f.Config); err != nil {
		return nil, err
	}
	if err := readJSON(filepath.Join(dir, doneName), &f.Done); err != nil {
		return nil, err
	}
	if f.Config.Fold != f.Number {
		return nil, fmt.Errorf("its config.json says that it is fold %d", f.Config.Fold)
	}
	if err := f.readHistory(); err != nil {
		return nil, err
	}
	if err := f.readAnswers(); err != nil {
		return nil, err
	}
	f.Maps, err = look.ReadFold(dir)
	if errors.Is(err, look.ErrNotJudged) {
		return f, nil
	}
	return f, err
}

func readJSON(name string, v any) error {
	raw, err := os.ReadFile(name)
	if err != nil {
		return fmt.Errorf("%s: %w", filepath.Base(name), unnamed(err))
	}
	if err := json.Unmarshal(raw, v); err != nil {
		return fmt.Errorf("%s: %w", filepath.Base(name), err)
	}
	return nil
}

// unnamed returns the error without the path, which the message has already.
func unnamed(err error) error {
	if p, ok := errors.AsType[*fs.PathError](err); ok {
		return p.Err
	}
	return err
}

// readTable returns a CSV's rows below the head, which must begin with these
// columns.
func readTable(name string, columns ...string) (rows [][]string, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("%s: %w", filepath.Base(name), unnamed(err))
		}
	}()
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if rows, err = csv.NewReader(f).ReadAll(); err != nil {
		return nil, err
	}
	if len(rows) == 0 || len(rows[0]) < len(columns) || !slices.Equal(rows[0][:len(columns)], columns) {
		return nil, fmt.Errorf("its columns are not %v", columns)
	}
	return rows[1:], nil
}

func numbers(fields []string) ([]float64, error) {
	v := make([]float64, len(fields))
	for i, s := range fields {
		var err error
		if v[i], err = strconv.ParseFloat(s, 64); err != nil {
			return nil, err
		}
	}
	return v, nil
}

func (f *Fold) readHistory() error {
	rows, err := readTable(filepath.Join(f.Dir, "history.csv"), "epoch", "rate", "loss", "validation_loss", "validation_accuracy")
	if err != nil {
		return err
	}
	for _, row := range rows {
		v, err := numbers(row[:5])
		if err != nil {
			return fmt.Errorf("history.csv: %w", err)
		}
		if n := len(f.History); n > 0 && int(v[0]) <= f.History[n-1].Epoch {
			f.History, f.Restarts = nil, f.Restarts+1 // it had stalled, and began again
		}
		f.History = append(f.History, train.Epoch{Epoch: int(v[0]), Rate: v[1], Loss: v[2], Validation: v[3], Accuracy: v[4]})
	}
	return nil
}

// readAnswers reads predictions.csv, and holds it against the confusion that
// the training ended with.
func (f *Fold) readAnswers() error {
	columns := []string{"sha256", "label", "answer"}
	for _, l := range spine.Labels() {
		columns = append(columns, "p_"+string(l))
	}
	rows, err := readTable(filepath.Join(f.Dir, "predictions.csv"), columns...)
	if err != nil {
		return err
	}
	confusion := make([][]int, len(spine.Labels()))
	for k := range confusion {
		confusion[k] = make([]int, len(confusion))
	}
	for _, row := range rows {
		p, err := numbers(row[3:len(columns)])
		if err != nil {
			return fmt.Errorf("predictions.csv: %w", err)
		}
		truth, answer := labelIndex(row[1]), labelIndex(row[2])
		if truth < 0 || answer < 0 {
			return fmt.Errorf("predictions.csv: %q or %q is no label", row[1], row[2])
		}
		a := Answer{row[0], statistics.Prediction{Probabilities: p, Truth: truth}}
		if p[answer] < slices.Max(p) {
			return fmt.Errorf("predictions.csv: picture %s: the answer is not the most probable label", short(a.SHA256))
		}
		confusion[truth][answer]++
		f.Answers = append(f.Answers, a)
	}
	if !reflect.DeepEqual(confusion, f.Done.Confusion) {
		return errors.New("predictions.csv is not what the training in done.json ended with")
	}
	slices.SortFunc(f.Answers, func(a, b Answer) int { return cmp.Compare(a.SHA256, b.SHA256) })
	return nil
}

func labelIndex(name string) int { return slices.Index(spine.Labels(), spine.Label(name)) }

func short(sha256 string) string { return sha256[:min(12, len(sha256))] }

// check reports whether the folds are of one study, and each has judged the
// pictures that it has held out.
func (r *Runs) check() error {
	held := map[string]study.Split{}
	count := make([]int, r.Splits.Folds)
	for _, item := range r.Splits.Items {
		if item.Fold < 0 || item.Fold >= len(count) {
			return fmt.Errorf("splits.json puts picture %s into fold %d of %d", short(item.SHA256), item.Fold, len(count))
		}
		held[item.SHA256] = item
		count[item.Fold]++
	}
	for _, v := range r.Variants {
		for _, f := range v.Folds {
			if a, b := settings(f), settings(v.Folds[0]); a != b {
				return fmt.Errorf("%s: fold %d was trained with other settings than fold %d", v.Name, f.Number, v.Folds[0].Number)
			}
			for i, a := range f.Answers {
				item, ok := held[a.SHA256]
				if !ok || item.Fold != f.Number || item.Label != spine.Labels()[a.Truth] || i > 0 && f.Answers[i-1].SHA256 == a.SHA256 {
					return fmt.Errorf("%s: fold %d has judged picture %s, which splits.json gives another fold or label, or not at all", v.Name, f.Number, short(a.SHA256))
				}
			}
			if f.Number >= len(count) || len(f.Answers) != count[f.Number] {
				return fmt.Errorf("%s: fold %d has judged %d pictures, which are not all that splits.json gives it", v.Name, f.Number, len(f.Answers))
			}
		}
	}
	return nil
}

// settings of a fold without what may differ between folds: stand-ins for
// pretrained weights come out a little different on each machine.
func settings(f Fold) string {
	c := f.Config
	c.Fold = 0
	if b := f.Done.Backbone; b != nil && b.StandIn {
		c.Backbone = "stand-in"
	}
	return c.Digest()
}
