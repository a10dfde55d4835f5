// Package libtensorflow turns a missing C library into a sentence that says
// what to do, keeps most of the library's chatter off the terminal, and sets
// what the library reads from its environment. Every package
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
// and which knows two defaults more. Who sets TF_CPP_MIN_LOG_LEVEL is heard.
// TF_OVERRIDE_GLOBAL_THREADPOOL lets each session have threads of its own
// (runtime/infer asks for them). Measured on 2 cores, the slowest image while
// another ResNet50 was loaded came late by 1.7 inferences instead of 3.0.
char *getenv(const char *name) {
	size_t n = strlen(name);
	for (char **e = environ; e && *e; e++)
		if (strncmp(*e, name, n) == 0 && (*e)[n] == '=') return *e + n + 1;
	if (strcmp(name, "TF_CPP_MIN_LOG_LEVEL") == 0) return "2";
	if (strcmp(name, "TF_OVERRIDE_GLOBAL_THREADPOOL") == 0) return "1";
	return 0;
}
*/
import "C"
