// Package libtensorflow turns a missing C library into a sentence that says
// what to do, and keeps most of the library's chatter off the terminal. Every package
// that imports the TensorFlow binding imports it.
package libtensorflow

/*
#if !__has_include(<tensorflow/c/c_api.h>)
#error "libtensorflow is not set up: run 'make build' (or 'make tensorflow', then go with the flags of 'make env')"
#endif

#include <string.h>

extern char **environ;

// TensorFlow logs a dozen lines of information to standard error, the first of
// them while it is being loaded: a variable set in main comes too late. So the
// program has its own getenv, which the library finds before the C library's
// and which knows one default more. Who sets TF_CPP_MIN_LOG_LEVEL is heard.
// Two lines about an "MLIR V1 optimization pass" remain at the first run: they
// are logged by a copy of Abseil hidden in the library, which nothing can hush.
char *getenv(const char *name) {
	size_t n = strlen(name);
	for (char **e = environ; e && *e; e++)
		if (strncmp(*e, name, n) == 0 && (*e)[n] == '=') return *e + n + 1;
	return strcmp(name, "TF_CPP_MIN_LOG_LEVEL") == 0 ? "2" : 0;
}
*/
import "C"
