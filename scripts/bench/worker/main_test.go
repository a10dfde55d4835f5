package main

import (
	"bytes"
	"encoding/json"
	"io"
	"slices"
	"strings"
	"testing"
)

// reports reads what a worker said after it was ready: the number of steps in
// each report.
func reports(t *testing.T, said io.Reader) (counts []int) {
	t.Helper()
	d := json.NewDecoder(said)
	var ready struct {
		Ready    bool              `json:"ready"`
		Versions map[string]string `json:"versions"`
	}
	if err := d.Decode(&ready); err != nil || !ready.Ready || len(ready.Versions) == 0 {
		t.Fatalf("the first line is not a ready one: %+v, %v", ready, err)
	}
	for d.More() {
		var report struct {
			MS []float64 `json:"ms"`
		}
		if err := d.Decode(&report); err != nil {
			t.Fatal(err)
		}
		counts = append(counts, len(report.MS))
	}
	return counts
}

func TestServe(t *testing.T) {
	var said bytes.Buffer
	steps := 0
	err := serve(newConversation(strings.NewReader("run 3\nrun 1\n"), &said), "", func() error { steps++; return nil })
	if err != nil {
		t.Fatal(err)
	}
	if got := reports(t, &said); !slices.Equal(got, []int{3, 1}) || steps != 4 {
		t.Errorf("reports of %v steps, %d taken", got, steps)
	}
}

func TestServeRefusesOtherCommands(t *testing.T) {
	err := serve(newConversation(strings.NewReader("walk 3\n"), io.Discard), "", func() error { return nil })
	if err == nil || !strings.Contains(err.Error(), "walk 3") {
		t.Errorf("got %v", err)
	}
}

// A training is held after its warm-up and after each report, and ends with
// its input.
func TestPace(t *testing.T) {
	var said bytes.Buffer
	ended := false
	p := &pace{
		conversation: newConversation(strings.NewReader("run 2\nrun 3\n"), &said), left: warmUps,
		ended: func(err error) {
			if err != nil {
				t.Error(err)
			}
			ended = true
		},
	}
	steps := 0
	for ; !ended; steps++ {
		p.step()
	}
	if got := reports(t, &said); !slices.Equal(got, []int{2, 3}) || steps != warmUps+5 {
		t.Errorf("reports of %v steps, %d taken", got, steps)
	}
}
