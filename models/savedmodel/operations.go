package savedmodel

// #include <stdlib.h>
// #include <tensorflow/c/c_api.h>
import "C"

import (
	"fmt"
	"unsafe"

	"github.com/wamuir/graft/tensorflow/core/framework/op_def_go_proto"
	"google.golang.org/protobuf/proto"

	_ "spinebox/internal/libtensorflow"
)

// libraryOperations returns the operation types that the linked library has.
// The Go binding does not offer the list.
func libraryOperations() (map[string]bool, error) {
	buffer := C.TF_GetAllOpList()
	if buffer == nil {
		return nil, fmt.Errorf("TensorFlow does not list its operations")
	}
	defer C.TF_DeleteBuffer(buffer)
	list := new(op_def_go_proto.OpList)
	if err := proto.Unmarshal(C.GoBytes(unsafe.Pointer(buffer.data), C.int(buffer.length)), list); err != nil {
		return nil, fmt.Errorf("read TensorFlow's list of operations: %w", err)
	}
	names := map[string]bool{}
	for _, o := range list.GetOp() {
		names[o.GetName()] = true
	}
	return names, nil
}
