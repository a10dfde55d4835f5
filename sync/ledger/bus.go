package ledger

/*
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>

// One ballast for the process: that of the ledger opened last.
static _Atomic int ballast_file = -1;
static _Atomic long ballast_left, ballast_given;
static long ballast_step;
static struct sigaction go_handler;

// give opens the next hole in the ballast and says whether there was one left.
// Two threads that fault at the same time open two holes.
static int give(void) {
	long left = atomic_load(&ballast_left);
	for (;;) {
		long step = left < ballast_step ? left : ballast_step;
		int file = atomic_load(&ballast_file);
		if (step <= 0 || file < 0)
			return 0;
		if (!atomic_compare_exchange_weak(&ballast_left, &left, left - step))
			continue;
		atomic_fetch_add(&ballast_given, step);
		return fallocate(file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, left - step, step) == 0;
	}
}

static void on_bus(int number, siginfo_t *info, void *context) {
	// BUS_ADRERR is what the kernel says of a page that it finds no block for.
	// To return is to run the instruction again.
	if (info->si_code == BUS_ADRERR && give())
		return;
	if (go_handler.sa_flags & SA_SIGINFO)
		go_handler.sa_sigaction(number, info, context);
}

// On Go's signal stack, as os/signal asks of handlers that are not Go's.
static int catch_bus(void) {
	struct sigaction ours;
	if (sigaction(SIGBUS, NULL, &go_handler) != 0)
		return -1;
	ours = go_handler;
	ours.sa_sigaction = on_bus;
	ours.sa_flags |= SA_SIGINFO | SA_ONSTACK | SA_RESTART;
	return sigaction(SIGBUS, &ours, NULL);
}

static void lay_ballast(int file, long bytes, long step) {
	ballast_step = step;
	atomic_store(&ballast_left, bytes);
	atomic_store(&ballast_file, file);
}

static int ballast_of(void) { return atomic_load(&ballast_file); }
static long left(void) { return atomic_load(&ballast_left); }
static long given(void) { return atomic_load(&ballast_given); }
*/
import "C"

import "sync"

// A page of a memory map that finds no block on a full disk is a SIGBUS, and
// Badger writes nothing but memory maps: its log, its tables. Free space that
// was asked for before is no help, since a flush or a compaction begins whenever
// Badger likes and another program may take the last block in the middle of it.
//
// So the fault itself is where room is made. The handler opens a hole in the
// ballast and lets the instruction run again, which then finds a block: the
// write that needs the room takes it within microseconds of its being given.
// Only when the ballast is used up does the signal go on to Go, which ends the
// process as it always did. Go cannot do this: its recover catches no fault in
// another's goroutine, and it runs no handler of ours on a synchronous signal.

// catchOnce installs the handler, once for the process.
var catchOnce = sync.OnceValue(func() bool { return C.catch_bus() == 0 })

// layBallast hands the handler the first bytes of a file to give away. -1 as
// file takes it back.
func layBallast(fd int, bytes, step int64) bool {
	C.lay_ballast(C.int(fd), C.long(bytes), C.long(step))
	return catchOnce()
}

// giveBallast gives away what the handler would give for so many bytes, or
// what is left.
func giveBallast(bytes int64) {
	for ; bytes > 0 && C.give() != 0; bytes -= ballastStep {
	}
}

// ballastFD returns the file that the handler gives away, or -1.
func ballastFD() int { return int(C.ballast_of()) }

// ballastLeft returns how many bytes the handler still has to give.
func ballastLeft() int64 { return int64(C.left()) }

// ballastGiven returns how many bytes the handler has given away since the
// process began.
func ballastGiven() int64 { return int64(C.given()) }
