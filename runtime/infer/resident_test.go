package infer_test

import (
	"bufio"
	"math"
	"os"
	"strings"
	"testing"

	"spinebox/explain"
	"spinebox/models/modeltest"
	"spinebox/runtime/infer"
)

// codeResident returns how many kB of TensorFlow's code are in memory.
func codeResident(t *testing.T) int {
	t.Helper()
	f, err := os.Open("/proc/self/smaps")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	sum, ours := 0, false
	for lines := bufio.NewScanner(f); lines.Scan(); {
		fields := strings.Fields(lines.Text())
		switch {
		case strings.Contains(fields[0], "-"):
			ours = fields[1] == "r-xp" && strings.Contains(lines.Text(), "/libtensorflow")
		case ours && fields[0] == "Rss:":
			n := 0
			for _, digit := range fields[1] {
				n = 10*n + int(digit-'0')
			}
			sum += n
		}
	}
	return sum
}

func TestSettleLetsGoOfCodeAndHarmsNothing(t *testing.T) {
	m, p := open(t, modeltest.Tiny(t)), noise(64, 160, 7)
	before, want := codeResident(t), read(t, m, p, explain.MethodGradCAM)
	if err := infer.Settle(); err != nil {
		t.Fatal(err)
	}
	after := codeResident(t)
	if before == 0 || after >= before/2 {
		t.Errorf("%d kB of TensorFlow's code were resident, and %d are", before, after)
	}
	got := read(t, m, p, explain.MethodGradCAM)
	for i, p := range want.Probabilities {
		if math.Abs(got.Probabilities[i]-p) > 1e-5 {
			t.Errorf("it answered %v before and %v after", want.Probabilities, got.Probabilities)
			break
		}
	}
}
