package infer

import (
	"fmt"
	"os"
	"runtime"
	"strconv"

	"golang.org/x/sys/unix"

	"spinebox/models/description"
)

// lowest is the kernel's least priority for a thread, as a nice value.
const lowest = 19

// OpenBehind is Open for a model that is to take another one's place while that
// one still reads: it loads, warms up and is tried at the lowest priority, so
// that the model at work is answered first. try is the last word on whether the
// model may be used, and may be nil. Before OpenBehind returns a model, its
// threads have the priority of all others.
//
// Where the kernel would not give a priority back (RLIMIT_NICE), none is taken
// away: the two then share the processor like any two programs.
func OpenBehind(dir string, o Options, try func(*Model) error) (*Model, error) {
	// Not behind: Go's collector stops every goroutine for a moment, and would
	// wait for one that computes a hash at the lowest priority.
	d, err := description.Load(dir)
	if err != nil {
		return nil, err
	}
	normal, err := priority(0)
	if err != nil {
		return nil, err
	}
	type result struct {
		model *Model
		err   error
	}
	done := make(chan result)
	behind := mayReturn(normal)
	go func() {
		if behind {
			// TensorFlow's threads inherit the priority of the one that makes
			// them. This one is never unlocked: it ends with the goroutine.
			runtime.LockOSThread()
			if err := unix.Setpriority(unix.PRIO_PROCESS, 0, lowest); err != nil {
				done <- result{err: fmt.Errorf("lower the priority: %w", err)}
				return
			}
		}
		m, err := open(dir, d, o)
		if err == nil && try != nil {
			if err = try(m); err != nil {
				m.Close()
				m = nil
			}
		}
		done <- result{m, err}
	}()
	r := <-done
	if r.err != nil || !behind {
		return r.model, r.err
	}
	if err := raise(normal); err != nil {
		r.model.Close()
		return nil, err
	}
	return r.model, nil
}

// mayReturn finds out on a thread that is thrown away whether a priority that
// was lowered can be raised again.
func mayReturn(normal int) bool {
	may := make(chan bool)
	go func() {
		runtime.LockOSThread()
		may <- unix.Setpriority(unix.PRIO_PROCESS, 0, lowest) == nil && unix.Setpriority(unix.PRIO_PROCESS, 0, normal) == nil
	}()
	return <-may
}

// raise gives every thread of this process that is at the lowest priority the
// normal one.
func raise(normal int) error {
	threads, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return fmt.Errorf("list the threads: %w", err)
	}
	for _, entry := range threads {
		thread, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		if now, err := priority(thread); err != nil || now != lowest {
			continue // it has ended meanwhile, or was never lowered
		}
		if err := unix.Setpriority(unix.PRIO_PROCESS, thread, normal); err != nil && err != unix.ESRCH {
			return fmt.Errorf("raise the priority: %w", err)
		}
	}
	return nil
}

// priority returns a thread's nice value, -20 to 19; 0 is the calling one. The
// system call itself returns 20 less that value, which is never negative.
func priority(thread int) (int, error) {
	raw, err := unix.Getpriority(unix.PRIO_PROCESS, thread)
	if err != nil {
		return 0, fmt.Errorf("read a thread's priority: %w", err)
	}
	return 20 - raw, nil
}
