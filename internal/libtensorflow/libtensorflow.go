// Package libtensorflow turns a missing C library into a sentence that says
// what to do, and keeps the library's chatter off the terminal. Every package
// that imports the TensorFlow binding imports it.
//
// TensorFlow logs a dozen lines of information to standard error, the first
// while it is being loaded, before main. Someone who sets TF_CPP_MIN_LOG_LEVEL
// gets them all.
package libtensorflow

/*
#if !__has_include(<tensorflow/c/c_api.h>)
#error "libtensorflow is not set up: run 'make build' (or 'make tensorflow', then go with the flags of 'make env')"
#endif

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int terminal = -1; // standard error, while the libraries are loaded

// hush runs before the libraries' own initialisers. The C library is not ready
// for setenv there, so standard error is put aside.
static void hush(int argc, char **argv, char **envp) {
	for (; *envp; envp++)
		if (strncmp(*envp, "TF_CPP_MIN_LOG_LEVEL=", 21) == 0) return;
	int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
	if (null < 0) return;
	terminal = fcntl(2, F_DUPFD_CLOEXEC, 3);
	if (terminal >= 0) dup2(null, 2);
	close(null);
}
__attribute__((section(".preinit_array"), used)) static void (*first)(int, char **, char **) = hush;

// restore runs after them, and before main.
__attribute__((constructor)) static void restore(void) {
	if (terminal < 0) return;
	dup2(terminal, 2);
	close(terminal);
	terminal = -1;
	setenv("TF_CPP_MIN_LOG_LEVEL", "2", 0);
}
*/
import "C"
