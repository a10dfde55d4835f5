package infer

/*
#include <malloc.h>
#include <stdlib.h>

// jemalloc's, when the service has brought it along.
extern int mallctl(const char *, void *, size_t *, void *, size_t) __attribute__((weak));

static void trim(void) {
	malloc_trim(0);
	if (mallctl) mallctl("arena.4096.purge", NULL, NULL, NULL, 0); // MALLCTL_ARENAS_ALL
}

// Two heaps do for a chain of operations, and what TensorFlow frees goes back to
// them: with the C library's heap for each thread and TensorFlow's own pool of
// freed memory, each model that takes another one's place leaves some of its
// memory behind. What one inference has freed stays for the next: handed back
// and asked for again, page for page, it costs a millisecond of 43. The service
// brings another allocator along (systemd/spinebox.service), which heeds none of
// this.
static void settle(void) {
	mallopt(M_ARENA_MAX, 2);
	mallopt(M_MMAP_THRESHOLD, 32 << 20);
	mallopt(M_TRIM_THRESHOLD, 64 << 20);
	setenv("TF_ONEDNN_USE_SYSTEM_ALLOCATOR", "1", 0);
}
*/
import "C"

import (
	"runtime"
	"runtime/debug"
	"time"
)

// settleMemory tells the C library and TensorFlow how to keep memory. It comes
// before the first session. Measured with ResNet50 over 14 swaps: 375 to 381 MB
// resident after each, where it had grown from 482 to 555 MB; a service that has
// read 100 X-rays has 406 MB instead of 412 MB. An inference takes the same time.
func settleMemory() { C.settle() }

// Rest gives the memory that Go and the C library keep for later back to the
// system. It is for a process that has nothing to do for the moment.
func Rest() {
	debug.FreeOSMemory()
	C.trim()
}

// release gives back what nobody holds any more: first the graphs and tensors
// whose finalizers free TensorFlow's memory, then what is kept for later. The
// other way round a closed model's graph, 20 MB of ResNet50's, stayed until the
// next one was closed.
func release() {
	for range 2 { // among the finalizers of one round there is no order
		finalized := make(chan struct{})
		runtime.SetFinalizer(new([16]byte), func(*[16]byte) { close(finalized) })
		runtime.GC()
		select {
		case <-finalized:
		case <-time.After(time.Second): // then later
		}
	}
	Rest()
}
