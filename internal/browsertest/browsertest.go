// Package browsertest shows tests a page in a real Chromium. It is for tests
// only.
package browsertest

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// Browser is a real Chromium with one page.
type Browser struct {
	t   *testing.T
	ctx context.Context

	mu         sync.Mutex
	complaints []string // what the page logged as an error
}

// chromium is the one browser of all tests, started by the first that needs it:
// a start takes longer than a test. Each test has a page of its own in it.
type chromium struct {
	once   sync.Once
	ctx    context.Context
	stop   []context.CancelFunc
	missed string // why there is none
}

var shared chromium

// Main runs the package's tests and closes the browser after them: a TestMain
// hands its exit code to os.Exit.
func Main(m *testing.M) int {
	code := m.Run()
	for _, stop := range slices.Backward(shared.stop) {
		stop()
	}
	return code
}

func (c *chromium) start() {
	path := ""
	for _, name := range []string{"chromium", "chromium-browser"} {
		if found, err := exec.LookPath(name); err == nil {
			path = found
			break
		}
	}
	if path == "" {
		c.missed = "no Chromium in the PATH: install Debian's package chromium"
		return
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.Flag("disable-background-networking", true),
		chromedp.WSURLReadTimeout(2*time.Minute),
	)
	allocator, stop := chromedp.NewExecAllocator(context.Background(), options...)
	ctx, cancel := chromedp.NewContext(allocator)
	c.ctx, c.stop = ctx, []context.CancelFunc{stop, cancel}
	if err := chromedp.Do(ctx); err != nil {
		c.missed = fmt.Sprintf("start Chromium: %v", err)
	}
}

// New opens a page of that size in CSS pixels. Without a Chromium the test is
// skipped, and fails in CI.
func New(t *testing.T, width, height int) *Browser {
	t.Helper()
	shared.once.Do(shared.start)
	if shared.missed != "" {
		if os.Getenv("CI") == "true" || shared.ctx != nil {
			t.Fatal(shared.missed)
		}
		t.Skip(shared.missed)
	}
	b := &Browser{t: t}
	ctx, cancel := chromedp.NewContext(shared.ctx, chromedp.WithListener(b.listen))
	t.Cleanup(cancel)
	// No test takes this long, also on a busy machine.
	ctx, expire := context.WithTimeout(ctx, 5*time.Minute)
	t.Cleanup(expire)
	b.ctx = ctx
	b.Do(chromedp.EmulateViewport(int64(width), int64(height)))
	return b
}

func (b *Browser) listen(event any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch e := event.(type) {
	case *runtime.EventExceptionThrown:
		b.complaints = append(b.complaints, e.ExceptionDetails.Text)
	case *log.EventEntryAdded:
		if e.Entry.Level == log.EntryLevelError {
			b.complaints = append(b.complaints, e.Entry.Text+" "+e.Entry.URL)
		}
	}
}

// Complained returns what the page logged as an error so far.
func (b *Browser) Complained() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return strings.Join(b.complaints, "\n")
}

// Do runs the actions, or ends the test.
func (b *Browser) Do(actions ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	if err := chromedp.Do(b.ctx, actions...); err != nil {
		b.t.Fatal(err)
	}
}

// Until waits for a condition, a JavaScript expression.
func (b *Browser) Until(condition string) {
	b.t.Helper()
	poll := chromedp.Poll[bool](condition, chromedp.WithPollingTimeout(time.Minute), chromedp.WithPollingInterval(20*time.Millisecond))
	if _, err := chromedp.Run(b.ctx, poll); err != nil {
		page, _ := chromedp.Run(b.ctx, chromedp.Evaluate[string]("document.body.innerText"))
		b.t.Fatalf("%v, waiting for %s; the page says:\n%s\nand complains:\n%s", err, condition, page, b.Complained())
	}
}

// Ask evaluates a JavaScript expression in the page.
func Ask[T any](b *Browser, expression string) T {
	b.t.Helper()
	answer, err := chromedp.Run(b.ctx, chromedp.Evaluate[T](expression))
	if err != nil {
		b.t.Fatalf("evaluate %s: %v", expression, err)
	}
	return answer
}
