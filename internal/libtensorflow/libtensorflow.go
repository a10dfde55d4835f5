// Package libtensorflow turns a missing C library into a sentence that says
// what to do. Every package that imports the TensorFlow binding imports it.
package libtensorflow

/*
#if !__has_include(<tensorflow/c/c_api.h>)
#error "libtensorflow is not set up: run 'make build' (or 'make tensorflow', then go with the flags of 'make env')"
#endif
*/
import "C"
