package decode

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"strconv"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"spinebox/internal/spine"
	"spinebox/runtime/confine"
)

// Settings are what a child is told about itself when it is started.
type Settings struct {
	Bytes     int64
	Pixels    int
	Converter string // path of gdcmconv; "" without
	Limits    confine.Limits
}

// flags are a child's command line; parseFlags reads it.
func flags(o Options) []string {
	return []string{
		Program,
		"-bytes=" + strconv.FormatInt(o.Bytes, 10),
		"-pixels=" + strconv.Itoa(o.Pixels),
		"-memory=" + strconv.FormatInt(o.Memory, 10),
		"-cpu=" + strconv.Itoa(2*seconds(o.Limit)), // behind the clock, should it fail
		"-converter=" + o.Converter,
	}
}

// ParseSettings reads a child's command line without its first word.
func ParseSettings(args []string, out io.Writer) (Settings, error) {
	var s Settings
	set := flag.NewFlagSet(Program, flag.ContinueOnError)
	set.SetOutput(out)
	set.Usage = func() {
		fmt.Fprintf(out, "%s reads one picture for spinebox, which starts it. It is of no use by itself:\nrun `spinebox classify FILE`.\n", Program)
	}
	set.Int64Var(&s.Bytes, "bytes", 0, "")
	set.IntVar(&s.Pixels, "pixels", 0, "")
	set.Int64Var(&s.Limits.Memory, "memory", 0, "")
	set.StringVar(&s.Converter, "converter", "", "")
	cpu := set.Int("cpu", 0, "")
	if err := set.Parse(args); err != nil {
		return s, err
	}
	s.Limits.CPU = time.Duration(*cpu) * time.Second
	s.Limits.File = 4*int64(s.Pixels) + 4<<16 // greys, or codes and their table
	if s.Bytes < 1 || s.Pixels < 1 || s.Limits.Memory < 1 || *cpu < 1 {
		set.Usage()
		return s, errors.New("it was not started by spinebox")
	}
	return s, nil
}

// Coded is a picture as the child hands it over: codes of one or two bytes, row
// by row, and a table with the grey of each, 0 to 1; or all the greys.
type Coded struct {
	Width, Height int
	Facts         spine.Facts

	Codes8  []byte
	Codes16 []uint16
	Table   []float32
	Values  []float32
}

// Child is one file's process.
type Child struct {
	// Decode reads the size bytes of r.
	Decode func(r io.ReaderAt, size int64) (*Coded, error)
	// Converter says that there is a program for compressed DICOM.
	Converter bool
}

// Serve confines the process, waits for its one file, decodes it and answers.
// An error means that the box has gone or that the process cannot be confined.
func (c Child) Serve(s Settings, rights confine.Rights) error {
	// The collector's work is wasted on a process that ends after one file; it
	// begins when the heap nears what the process may have.
	debug.SetGCPercent(-1)
	debug.SetMemoryLimit(s.Limits.Memory / 2)
	confined, err := confine.Self(s.Limits, rights)
	if err != nil {
		return err
	}
	if err := send(hello{Protocol: protocol, Confined: confined, Converter: c.Converter}); err != nil {
		return err
	}
	f, err := receiveFile()
	if err != nil {
		return err
	}
	return send(c.decode(f))
}

func (c Child) decode(f *os.File) answer {
	info, err := f.Stat()
	if err != nil {
		return answer{Broken: "the file cannot be looked at"}
	}
	p, err := c.Decode(f, info.Size())
	if fault, ok := errors.AsType[*spine.Fault](err); ok {
		return answer{Fault: fault}
	}
	if err != nil {
		return answer{Broken: "the file cannot be read to its end"}
	}
	a := answer{Width: p.Width, Height: p.Height, Facts: p.Facts, Greys: len(p.Table)}
	var codes []byte
	switch {
	case p.Codes8 != nil:
		a.CodeBytes, codes = 1, p.Codes8
	case p.Codes16 != nil:
		a.CodeBytes, codes = 2, bytesOf(p.Codes16)
	default:
		a.CodeBytes, codes = 4, bytesOf(p.Values)
	}
	pixels := os.NewFile(pixelsFD, "picture")
	if _, err := pixels.Write(codes); err != nil {
		return answer{Broken: "there is no memory for the picture"}
	}
	if _, err := pixels.Write(bytesOf(p.Table)); err != nil {
		return answer{Broken: "there is no memory for the picture"}
	}
	return a
}

// bytesOf returns the memory in which s lies.
func bytesOf[T uint16 | float32](s []T) []byte {
	var one T
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(s))), len(s)*int(unsafe.Sizeof(one)))
}

func send(message any) error {
	b, err := json.Marshal(message)
	if err != nil {
		return fmt.Errorf("answer: %w", err)
	}
	if err := unix.Sendmsg(controlFD, b, nil, nil, unix.MSG_NOSIGNAL); err != nil {
		return fmt.Errorf("answer: %w", err)
	}
	return nil
}

// receiveFile waits for the descriptor of the file. It is closed, like all
// others, when the process ends.
func receiveFile() (*os.File, error) {
	rights := make([]byte, unix.CmsgSpace(4))
	for {
		n, oob, _, _, err := unix.Recvmsg(controlFD, make([]byte, 1), rights, unix.MSG_CMSG_CLOEXEC)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case err != nil:
			return nil, fmt.Errorf("wait for a file: %w", err)
		case n == 0:
			return nil, io.EOF
		}
		messages, err := unix.ParseSocketControlMessage(rights[:oob])
		if err != nil || len(messages) != 1 {
			return nil, errors.New("wait for a file: a message without one")
		}
		fds, err := unix.ParseUnixRights(&messages[0])
		if err != nil || len(fds) != 1 {
			return nil, errors.New("wait for a file: a message without one")
		}
		return os.NewFile(uintptr(fds[0]), "file"), nil
	}
}
