// Package decode reads strangers' files in processes that can do no harm.
//
// A [Decoder] is the box's half: [Open] starts one child, the program
// spinebox-decode, and [Decoder.Decode] hands it one file and takes one grey
// picture, or the reason why there is none. Each child serves one file and ends;
// the next one is started while it works, so that nobody waits for a start. A
// child that crashes, hangs or asks for too much memory costs its own file and
// nothing else, and what one patient's file did to a process never meets the
// next patient's.
//
// [Serve] is the child's half.
//
// What a child gets and gives: the file as an open descriptor, so that it needs
// no right to open any; the picture's values in a file in memory that the box
// made and reads (it never maps it: what a child does to it meanwhile can only
// spoil the child's own picture); everything else in one message, which is held
// against patterns. docs/security.md has the whole.
package decode

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"spinebox/internal/spine"
	"spinebox/runtime/confine"
)

// Program is the name of the child's program.
const Program = "spinebox-decode"

// ErrNoProgram says that the child's program is not where it was looked for.
var ErrNoProgram = errors.New("the program " + Program + " is not there")

// Options are what a Decoder needs. All but Converter and Stderr must be set.
type Options struct {
	Program string // path of spinebox-decode; see [Beside]

	Bytes  int64         // the most that a file may have
	Pixels int           // the most that a picture may have
	Memory int64         // the most that one child may take, in bytes
	Limit  time.Duration // for one file

	// Converter is the path of gdcmconv, which unpacks compressed DICOM. It may
	// be "" or lead nowhere: such files are refused then, by name.
	Converter string

	Log *slog.Logger

	// Stderr gets what a child has to say when it crashes: for tests. It may
	// hold anything of the file, so that without it nobody reads it.
	Stderr *os.File
}

// Beside returns the path that the child's program has in the folder of the
// running one.
func Beside() (string, error) {
	self, err := os.Executable()
	if err != nil {
		return "", fmt.Errorf("find %s: %w", Program, err)
	}
	if self, err = filepath.EvalSymlinks(self); err != nil {
		return "", fmt.Errorf("find %s: %w", Program, err)
	}
	return filepath.Join(filepath.Dir(self), Program), nil
}

// Decoder hands files to children. It is safe for concurrent use.
type Decoder struct {
	o      Options
	report hello         // of the first child
	ready  chan *child   // the next one
	spent  chan *child   // those that have answered
	quit   chan struct{} // closed at the end
	once   sync.Once     // for closing it
	parts  sync.WaitGroup

	// ended is told of each child that has gone; for tests.
	ended func(*os.ProcessState)
}

// Open starts the first child and returns when it is confined.
func Open(o Options) (*Decoder, error) {
	if info, err := os.Stat(o.Program); err != nil || !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%w: looked for %s", ErrNoProgram, o.Program)
	}
	d := &Decoder{o: o, ready: make(chan *child), spent: make(chan *child), quit: make(chan struct{})}
	first := make(chan *child, 1)
	d.parts.Go(func() { d.keepOneReady(first) })
	d.parts.Go(d.reap)
	c := <-first
	if c.err != nil {
		return nil, errors.Join(c.err, d.Close())
	}
	d.report = c.hello
	return d, nil
}

// Confined says what holds the children.
func (d *Decoder) Confined() confine.Report { return d.report.Confined }

// Converts reports whether the children have a program for compressed DICOM.
func (d *Decoder) Converts() bool { return d.report.Converter }

// Close ends the child that waits. A Decode that is under way is finished; later
// ones get an error.
func (d *Decoder) Close() error {
	d.once.Do(func() { close(d.quit) })
	d.parts.Wait()
	return nil
}

// keepOneReady starts children, one ahead. It reports the first to first.
func (d *Decoder) keepOneReady(first chan<- *child) {
	// Children end with the thread that started them, so this one must last.
	// (Unlocked again it lives on, and so does a child that is at work.)
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	for {
		c := d.start()
		if first != nil {
			first <- c
			first = nil
		}
		select {
		case d.ready <- c:
		case <-d.quit:
			c.end()
			return
		}
	}
}

// reap buries spent children. Tearing down an address space takes milliseconds:
// not while somebody waits for the picture.
func (d *Decoder) reap() {
	for {
		select {
		case c := <-d.spent:
			d.bury(c)
		case <-d.quit:
			return
		}
	}
}

func (d *Decoder) bury(c *child) {
	state := c.end()
	if d.ended != nil {
		d.ended(state)
	}
}

// Decode returns the picture in the file at path, as xray.Decode does. A file
// that gives none is a *[spine.Fault]: Unsupported or Corrupt as xray.Decode
// says, Corrupt when a child crashed on it, Timeout when it took longer than
// the limit. spine.ErrBox says that no child could be had. Other errors are
// ctx's, or those of the file's copy.
func (d *Decoder) Decode(ctx context.Context, path string) (*spine.Picture, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0) // a pipe would block
	if err != nil {
		return nil, fmt.Errorf("decode picture: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("decode picture: %w", err)
	}
	if !info.Mode().IsRegular() {
		return nil, spine.Faultf(spine.Corrupt, "not a regular file")
	}
	c, err := d.engage(ctx, f)
	if err != nil {
		return nil, fmt.Errorf("decode picture: %w", err)
	}
	defer func() {
		select {
		case d.spent <- c:
		case <-d.quit:
			d.bury(c)
		}
	}()
	defer context.AfterFunc(ctx, func() { _ = c.control.SetReadDeadline(time.Unix(1, 0)) })()
	p, err := d.result(c)
	if ctx.Err() != nil && spine.CodeOf(err) == spine.Timeout {
		return nil, fmt.Errorf("decode picture: %w", ctx.Err())
	}
	return p, err
}

// engage hands the file to a child. One that has died while it waited is no
// word about the file: the next one gets it.
func (d *Decoder) engage(ctx context.Context, f *os.File) (*child, error) {
	const attempts = 3
	var err error
	for range attempts {
		var c *child
		select {
		case c = <-d.ready:
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-d.quit:
			return nil, errors.New("the decoder is closed")
		}
		if err = c.err; err != nil {
			continue
		}
		if err = c.control.SetDeadline(time.Now().Add(d.o.Limit)); err == nil {
			_, _, err = c.control.WriteMsgUnix([]byte{'f'}, unix.UnixRights(int(f.Fd())), nil)
		}
		if err == nil {
			return c, nil
		}
		d.o.Log.Warn("a waiting decoder has died", "error", err)
		c.end()
	}
	return nil, fmt.Errorf("%w: %w", spine.ErrBox, err)
}

// result waits for the child's answer and takes the picture.
func (d *Decoder) result(c *child) (*spine.Picture, error) {
	var a answer
	switch err := c.receive(&a); {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return nil, spine.Faultf(spine.Timeout, "decoding took longer than %s", d.o.Limit)
	case errors.Is(err, io.EOF), errors.Is(err, syscall.ECONNRESET):
		return nil, crashed(c.await())
	case err != nil || !a.sound(d.o.Pixels):
		return nil, spine.Faultf(spine.Corrupt, "the decoder gave an answer that makes no sense")
	case a.Broken != "":
		return nil, fmt.Errorf("decode picture: %s", a.Broken)
	case a.Fault != nil:
		return nil, a.Fault
	}
	p, err := d.take(c, a)
	if err != nil {
		return nil, spine.Faultf(spine.Corrupt, "the decoder gave less of the picture than it said")
	}
	return p, nil
}

// take reads the picture from the child's memory.
func (d *Decoder) take(c *child, a answer) (*spine.Picture, error) {
	p := &spine.Picture{Width: a.Width, Height: a.Height, Facts: a.Facts, Pix: make([]float32, a.Width*a.Height)}
	if a.CodeBytes == 4 {
		_, err := c.pixels.ReadAt(bytesOf(p.Pix), 0)
		return p, err
	}
	// Codes that the table does not have are black.
	table := make([]float32, 1<<(8*a.CodeBytes))
	if _, err := c.pixels.ReadAt(bytesOf(table[:a.Greys]), int64(len(p.Pix)*a.CodeBytes)); err != nil {
		return nil, err
	}
	const chunk = 256 << 10 // stays in the processor's cache
	raw := make([]byte, min(chunk, len(p.Pix)*a.CodeBytes))
	for rest, off := p.Pix, int64(0); len(rest) > 0; off += int64(len(raw)) {
		raw = raw[:min(len(raw), len(rest)*a.CodeBytes)]
		if _, err := c.pixels.ReadAt(raw, off); err != nil {
			return nil, err
		}
		n := len(raw) / a.CodeBytes
		greys := rest[:n]
		if a.CodeBytes == 1 {
			table := (*[1 << 8]float32)(table) // a code is never beyond
			for i, code := range raw[:n] {
				greys[i] = table[code]
			}
		} else {
			table := (*[1 << 16]float32)(table)
			for i := range greys {
				greys[i] = table[binary.NativeEndian.Uint16(raw[2*i:])]
			}
		}
		rest = rest[n:]
	}
	return p, nil
}
