package infer

import (
	"fmt"
	"runtime"
	"sync"

	tf "github.com/wamuir/graft/tensorflow"
	pb "github.com/wamuir/graft/tensorflow/core/protobuf/for_core_protos_go_proto"
	"google.golang.org/protobuf/proto"

	"spinebox/models/savedmodel"
)

// Options of the session.
type Options struct {
	// Threads for one operation; 0 takes one for each core.
	Threads int
	// GPU lets TensorFlow use the GPU, when it finds one; without, the session is
	// that of a CPU.
	GPU bool
	// AllowGrowth takes the GPU's memory as it is needed. Without it,
	// TensorFlow takes all of it at once.
	AllowGrowth bool
	// NoHeatmaps leaves the heatmap out of every reading: a second reader
	// may be asked for its answer alone.
	NoHeatmaps bool
	// Plain leaves the graph as it was written, for those who need Weights,
	// With or batches: convolutions that are rewritten to be faster have
	// weights of their own, and take one picture in a run.
	Plain bool
	// Frozen says that this process never trains and never gives a model other
	// weights. On a PC's CPU the model is then faster, and like a rewritten one it
	// has no weights to show.
	Frozen bool
}

var (
	looking sync.Mutex
	looked  bool
	gpu     bool
)

// OnGPU reports whether a model that is opened with these options runs on a GPU.
// TensorFlow is asked once in a process, by a session with the same options: the
// first one settles how the GPU's memory is taken.
func (o Options) OnGPU() (bool, error) {
	if !o.GPU {
		return false, nil
	}
	looking.Lock()
	defer looking.Unlock()
	if looked {
		return gpu, nil
	}
	options, err := o.session()
	if err != nil {
		return false, err
	}
	gpu, err = savedmodel.HasGPU(options)
	looked = err == nil
	return gpu, err
}

// frozen: what is gained was measured on amd64. Where TensorFlow has other kernels,
// each model would be loaded twice for nothing.
func (o Options) frozen() bool { return o.Frozen && !o.GPU && !o.Plain && runtime.GOARCH == "amd64" }

func (o Options) session() (*tf.SessionOptions, error) {
	config := &pb.ConfigProto{
		IntraOpParallelismThreads: int32(o.Threads),
		// The networks are chains: a second operation at the same time would
		// only take threads from the first.
		InterOpParallelismThreads: 1,
		// Threads of its own, with the environment's default that
		// internal/libtensorflow sets: in one pool for all, a model that is
		// being loaded makes those at work wait for whole operations.
		UsePerSessionThreads: true,
		GpuOptions:           &pb.GPUOptions{AllowGrowth: o.AllowGrowth},
	}
	if !o.GPU {
		config.DeviceCount = map[string]int32{"GPU": 0}
		// Runs the chain's operations one after the other in the calling
		// thread, without queueing each of them. It knows one device only.
		config.Experimental = &pb.ConfigProto_Experimental{ExecutorType: "SINGLE_THREADED_EXECUTOR"}
	}
	raw, err := proto.Marshal(config)
	if err != nil {
		return nil, fmt.Errorf("session options: %w", err)
	}
	return &tf.SessionOptions{Config: raw}, nil
}
