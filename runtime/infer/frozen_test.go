package infer_test

import (
	"math"
	"os"
	"os/exec"
	"runtime"
	"testing"

	"spinebox/explain"
	"spinebox/models/modeltest"
	"spinebox/models/nets"
	"spinebox/runtime/infer"
)

// TestFrozen reads with a frozen model in a process whose library keeps kernels,
// and in one whose library does not: the answers are those of the model that is
// not frozen, and only the first has given its own kernels back. The library asks
// once in a process, so that each needs its own.
func TestFrozen(t *testing.T) {
	const keeps, child = "TF_ONEDNN_ASSUME_FROZEN_WEIGHTS", "SPINEBOX_TEST_FROZEN"
	if os.Getenv(child) == "" {
		for _, value := range []string{"1", "0"} {
			c := exec.Command(os.Args[0], "-test.run=^TestFrozen$")
			c.Env = append(os.Environ(), child+"=1", keeps+"="+value)
			if out, err := c.CombinedOutput(); err != nil {
				t.Errorf("%s=%s: %v\n%s", keeps, value, err, out)
			}
		}
		return
	}
	dir := t.TempDir()
	if err := modeltest.WriteNet(dir, nets.ResNet50, 64, 64); err != nil {
		t.Fatal(err)
	}
	usual := open(t, dir)
	frozen, err := infer.Open(dir, infer.Options{Threads: 2, Frozen: true})
	if err != nil {
		t.Fatal(err)
	}
	defer frozen.Close()
	if kept := os.Getenv(keeps) == "1"; frozen.Plain() == kept && (!kept || runtime.GOARCH == "amd64") {
		t.Errorf("the library keeps kernels: %v; the graph has its own still: %v", kept, frozen.Plain())
	}
	for seed := range uint64(3) {
		p := noise(64, 96, seed)
		want, got := read(t, usual, p, explain.MethodGradCAM), read(t, frozen, p, explain.MethodGradCAM)
		for i, probability := range want.Probabilities {
			if math.Abs(got.Probabilities[i]-probability) > 1e-5 {
				t.Fatalf("picture %d: %v, frozen %v", seed, want.Probabilities, got.Probabilities)
			}
		}
		for i, v := range want.Heatmap.Values {
			if math.Abs(float64(got.Heatmap.Values[i]-v)) > 1e-4*float64(want.Heatmap.Max) {
				t.Fatalf("picture %d: value %d of the heatmap is %v, frozen %v", seed, i, v, got.Heatmap.Values[i])
			}
		}
	}
}
