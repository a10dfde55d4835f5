package decode

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"spinebox/internal/spine"
)

// child is one process, or the reason why there is none.
type child struct {
	err     error
	hello   hello
	process *os.Process
	control *net.UnixConn
	pixels  *os.File

	over  sync.Once
	state *os.ProcessState // once it is over
}

// startLimit is how long a child may take until it waits for its file.
const startLimit = 30 * time.Second

// start starts a child and waits until it is confined.
func (d *Decoder) start() *child {
	c := &child{}
	if err := c.launch(d.o); err != nil {
		c.end()
		return &child{err: fmt.Errorf("start %s: %w", Program, err)}
	}
	err := c.control.SetReadDeadline(time.Now().Add(startLimit))
	if err == nil {
		err = c.receive(&c.hello)
	}
	switch {
	case err != nil:
		state := c.end()
		return &child{err: fmt.Errorf("start %s: %w (%v)", Program, err, state)}
	case c.hello.Protocol != protocol:
		c.end()
		return &child{err: fmt.Errorf("%s is of another version than this program; install both from one package", d.o.Program)}
	}
	return c
}

func (c *child) launch(o Options) error {
	memory, err := unix.MemfdCreate("picture", unix.MFD_CLOEXEC)
	if err != nil {
		return fmt.Errorf("make a file in memory: %w", err)
	}
	c.pixels = os.NewFile(uintptr(memory), "picture")
	ends, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("make a pair of sockets: %w", err)
	}
	ours, theirs := os.NewFile(uintptr(ends[0]), "control"), os.NewFile(uintptr(ends[1]), "control")
	defer ours.Close()
	defer theirs.Close()
	conn, err := net.FileConn(ours)
	if err != nil {
		return err
	}
	c.control = conn.(*net.UnixConn)
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer null.Close()
	stderr := o.Stderr
	if stderr == nil {
		stderr = null
	}
	c.process, err = os.StartProcess(o.Program, flags(o), &os.ProcAttr{
		Dir:   "/",
		Env:   []string{"GOMAXPROCS=1"}, // one file is no work for two; nothing of the box's is its concern
		Files: []*os.File{null, null, stderr, theirs, c.pixels},
		Sys:   &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL},
	})
	return err
}

// end kills the child with all that it started, and returns how it ended. It
// may be called again.
func (c *child) end() *os.ProcessState {
	c.over.Do(func() {
		if c.process != nil {
			// The group first: its leader's number is free once it is waited for.
			_ = syscall.Kill(-c.process.Pid, syscall.SIGKILL)
			_ = c.process.Kill()
			c.state, _ = c.process.Wait()
		}
		c.close()
	})
	return c.state
}

// await returns how a child ended that has closed its socket: it has exited, or
// is about to, and killing it would hide why.
func (c *child) await() *os.ProcessState {
	c.over.Do(func() {
		hurry := time.AfterFunc(startLimit, func() { _ = c.process.Kill() })
		defer hurry.Stop()
		c.state, _ = c.process.Wait()
		_ = syscall.Kill(-c.process.Pid, syscall.SIGKILL) // what it has left behind
		c.close()
	})
	return c.state
}

func (c *child) close() {
	if c.control != nil {
		c.control.Close()
	}
	if c.pixels != nil {
		c.pixels.Close()
	}
}

// receive reads the child's next message.
func (c *child) receive(message any) error {
	buf := make([]byte, maxMessage)
	n, err := c.control.Read(buf)
	if err == nil && n == 0 { // what the end looks like between such sockets
		err = io.EOF
	}
	if err != nil {
		return err
	}
	return json.Unmarshal(buf[:n], message)
}

// crashed says what the end of a child without an answer means for its file.
func crashed(state *os.ProcessState) error {
	status, ok := state.Sys().(syscall.WaitStatus)
	if ok && status.Signaled() && status.Signal() == syscall.SIGKILL {
		return spine.Faultf(spine.Timeout, "the system ended the decoder, which took more processor time or memory than it may")
	}
	return spine.Faultf(spine.Corrupt, "decoding needs more memory than it may take, or crashes the decoder (%v)", state)
}
