package libtensorflow

/*
#cgo LDFLAGS: -ltensorflow

#define _GNU_SOURCE
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <tensorflow/c/c_api.h>

// firstRun runs a graph of nothing in a session without GPU. An error would come
// again at the first real run, and is said there.
static void firstRun(void) {
	// A ConfigProto: one thread of its own, and {"GPU": 0} for device_count.
	static const unsigned char config[] = {0x0a, 0x07, 0x0a, 0x03, 'G', 'P', 'U', 0x10, 0x00, 0x10, 0x01, 0x28, 0x01, 0x48, 0x01};
	TF_Status *status = TF_NewStatus();
	TF_Graph *graph = TF_NewGraph();
	const TF_Operation *nothing = TF_FinishOperation(TF_NewOperation(graph, "NoOp", "nothing"), status);
	TF_SessionOptions *options = TF_NewSessionOptions();
	TF_SetConfig(options, config, sizeof config, status);
	TF_Session *session = TF_NewSession(graph, options, status);
	if (session != NULL) {
		TF_SessionRun(session, NULL, NULL, NULL, 0, NULL, NULL, 0, &nothing, 1, NULL, status);
		TF_CloseSession(session, status);
		TF_DeleteSession(session, status);
	}
	TF_DeleteSessionOptions(options);
	TF_DeleteGraph(graph);
	TF_DeleteStatus(status);
}

// aside runs it with standard error going to a file in memory, and returns the
// file, or -1 when there is none and everything was said aloud.
static int aside(void) {
	int file = memfd_create("stderr", MFD_CLOEXEC), kept = dup(2);
	if (file < 0 || kept < 0 || dup3(file, 2, 0) < 0) {
		if (file >= 0) close(file);
		file = -1;
	}
	firstRun();
	if (file >= 0) dup3(kept, 2, 0);
	if (kept >= 0) close(kept);
	return file;
}
*/
import "C"

import (
	"bufio"
	"bytes"
	"io"
	"os"
	"sync"
)

var hush sync.Once

// Hush makes TensorFlow say once, unheard, what it says of itself at the first
// run: two lines about an optimization pass, from a copy of Abseil hidden in the
// library, which no setting reaches. Whatever else is written to standard error
// in those milliseconds comes after them. Call it before the first session.
func Hush() {
	hush.Do(func() {
		fd := int(C.aside())
		if fd < 0 {
			return
		}
		said := os.NewFile(uintptr(fd), "stderr")
		defer said.Close()
		if _, err := said.Seek(0, io.SeekStart); err != nil {
			return
		}
		for lines := bufio.NewScanner(said); lines.Scan(); {
			if line := lines.Bytes(); !chatter(line) {
				os.Stderr.Write(append(line, '\n'))
			}
		}
	})
}

func chatter(line []byte) bool {
	return bytes.Contains(line, []byte("before absl::InitializeLog()")) || bytes.Contains(line, []byte("MLIR V1 optimization pass"))
}
