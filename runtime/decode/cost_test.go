package decode

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"spinebox/runtime/xray"
)

// BenchmarkOverhead measures what a child costs over decoding in the process
// itself: wall time, and the processor time of both together.
//
//	SPINEBOX_XRAYS=DIR go test -run - -bench Overhead ./runtime/decode
func BenchmarkOverhead(b *testing.B) {
	dir := os.Getenv("SPINEBOX_XRAYS")
	if dir == "" {
		b.Skip("SPINEBOX_XRAYS names no folder of X-rays")
	}
	files, err := filepath.Glob(filepath.Join(dir, "*", "*"))
	if err != nil || len(files) == 0 {
		b.Fatalf("no files in %s (%v)", dir, err)
	}
	b.Run("itself", func(b *testing.B) {
		before := processorTime(b)
		for i := range b.N {
			if _, err := xray.Decode(files[i%len(files)], xray.DefaultLimits()); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric((processorTime(b)-before)/float64(b.N)*1e3, "cpu-ms/op")
	})
	b.Run("child", func(b *testing.B) {
		d := open(b, options(b))
		b.ResetTimer()
		before := processorTime(b)
		for i := range b.N {
			if _, err := d.Decode(b.Context(), files[i%len(files)]); err != nil {
				b.Fatal(err)
			}
		}
		d.Close()
		b.ReportMetric((processorTime(b)-before)/float64(b.N)*1e3, "cpu-ms/op")
	})
}

// processorTime returns the seconds that this process and its children that
// have ended took.
func processorTime(b *testing.B) float64 {
	b.Helper()
	var sum float64
	for _, who := range []int{syscall.RUSAGE_SELF, syscall.RUSAGE_CHILDREN} {
		var r syscall.Rusage
		if err := syscall.Getrusage(who, &r); err != nil {
			b.Fatal(err)
		}
		for _, t := range []syscall.Timeval{r.Utime, r.Stime} {
			sum += float64(t.Sec) + float64(t.Usec)/1e6
		}
	}
	return sum
}
