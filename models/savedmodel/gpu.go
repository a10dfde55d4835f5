package savedmodel

import (
	"fmt"
	"slices"

	tf "github.com/wamuir/graft/tensorflow"

	"spinebox/internal/libtensorflow"
)

// HasGPU reports whether TensorFlow gives a session with these options a GPU.
func HasGPU(options *tf.SessionOptions) (bool, error) {
	libtensorflow.Hush()
	session, err := tf.NewSession(tf.NewGraph(), options)
	if err != nil {
		return false, fmt.Errorf("look for a GPU: %w", err)
	}
	defer session.Close()
	devices, err := session.ListDevices()
	if err != nil {
		return false, fmt.Errorf("look for a GPU: %w", err)
	}
	return slices.ContainsFunc(devices, func(d tf.Device) bool { return d.Type == "GPU" }), nil
}
