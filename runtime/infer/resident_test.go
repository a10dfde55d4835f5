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

// libraryResident returns how many kB of TensorFlow's library are in memory, as they
// are in the file.
func libraryResident(t *testing.T) int {
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
			ours = strings.Contains(lines.Text(), "/libtensorflow")
		case ours && (fields[0] == "Private_Clean:" || fields[0] == "Shared_Clean:"):
			n := 0
			for _, digit := range fields[1] {
				n = 10*n + int(digit-'0')
			}
			sum += n
		}
	}
	return sum
}

func TestSettleLetsGoOfTheLibraryAndHarmsNothing(t *testing.T) {
	m, p := open(t, modeltest.Tiny(t)), noise(64, 160, 7)
	before, want := libraryResident(t), read(t, m, p, explain.MethodGradCAM)
	if err := infer.Settle(); err != nil {
		t.Fatal(err)
	}
	after := libraryResident(t)
	if before == 0 || after >= before/2 {
		t.Errorf("%d kB of TensorFlow's library were resident, and %d are", before, after)
	}
	got := read(t, m, p, explain.MethodGradCAM)
	for i, p := range want.Probabilities {
		if math.Abs(got.Probabilities[i]-p) > 1e-5 {
			t.Errorf("it answered %v before and %v after", want.Probabilities, got.Probabilities)
			break
		}
	}
}
