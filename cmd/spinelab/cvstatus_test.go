package main

import (
	"bytes"
	"testing"
	"time"

	"spinebox/lab/study"
	"spinebox/lab/train"
	"spinebox/models/nets"
)

func TestOverall(t *testing.T) {
	task := study.Task{Variant: study.Variant{Network: nets.VGG16, Method: train.Random}, Fold: 3}
	o := study.Overall{Finished: 2, Failed: 1, Total: 30, Left: 3*time.Hour + 12*time.Minute, Known: true, Running: []study.Running{
		{Task: task, Epoch: 17, Epochs: 60}, {Task: task, Epoch: 60, Epochs: 60, Measured: 0.5},
	}}
	want := "2 of 30 folds, 1 failed, about 3 h 12 min left · vgg16-random fold 3: 17/60 · vgg16-random fold 3: 50 % measured"
	if got := overall(o); got != want {
		t.Errorf("it says %q", got)
	}
	if got := fitting(want, new(bytes.Buffer)); len([]rune(got)) != 79 {
		t.Errorf("on 80 columns it takes %d: %q", len([]rune(got)), got)
	}
	if got := overall(study.Overall{Total: 3, Left: time.Hour}); got != "0 of 3 folds" {
		t.Errorf("while nothing is known it says %q", got)
	}
}

func TestRoughly(t *testing.T) {
	for d, want := range map[time.Duration]string{
		59*time.Minute + 59*time.Second: "60 min", 90 * time.Second: "90 s", 2 * time.Minute: "2 min", 26*time.Hour + time.Minute: "26 h 1 min",
	} {
		if got := roughly(d); got != want {
			t.Errorf("%s is %q", d, got)
		}
	}
}
