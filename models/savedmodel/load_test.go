package savedmodel_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/wamuir/graft/tensorflow/core/framework/tensor_shape_go_proto"
	"github.com/wamuir/graft/tensorflow/core/framework/types_go_proto"
	pb "github.com/wamuir/graft/tensorflow/core/protobuf/for_core_protos_go_proto"
	"google.golang.org/protobuf/proto"

	"spinebox/models/nets"
	"spinebox/models/savedmodel"
)

// TestLoadRefuses spoils a SavedModel, or wants what it does not have: each
// error names the cause, and none comes from TensorFlow's loader.
func TestLoadRefuses(t *testing.T) {
	const data = "variables/variables.data-00000-of-00001"
	const index = "variables/variables.index"
	source := os.DirFS(write(t, nets.Tiny, 64, 48))
	for _, c := range []struct {
		what, cause string
		spoil       func(t *testing.T, dir string, want *savedmodel.Want)
	}{
		{"no graph", "no saved_model.pb in the folder", func(t *testing.T, dir string, _ *savedmodel.Want) {
			check(t, os.Remove(filepath.Join(dir, "saved_model.pb")))
		}},
		{"something else for a graph", "saved_model.pb is not a SavedModel", func(t *testing.T, dir string, _ *savedmodel.Want) {
			check(t, os.WriteFile(filepath.Join(dir, "saved_model.pb"), []byte("%PDF-1.4\n"), 0o644))
		}},
		{"half a graph", "saved_model.pb is not a SavedModel", func(t *testing.T, dir string, _ *savedmodel.Want) {
			half(t, filepath.Join(dir, "saved_model.pb"))
		}},
		{"another tag", `no graph is tagged "serve"`, func(t *testing.T, dir string, _ *savedmodel.Want) {
			edit(t, dir, func(m *pb.MetaGraphDef) { m.MetaInfoDef.Tags = []string{"train"} })
		}},
		{"no serving signature", "there is no signature serving_default, only explain", func(t *testing.T, dir string, _ *savedmodel.Want) {
			edit(t, dir, func(m *pb.MetaGraphDef) { delete(m.SignatureDef, savedmodel.Serving) })
		}},
		{"no signature at all", "there is no signature serving_default, only none", func(t *testing.T, dir string, _ *savedmodel.Want) {
			edit(t, dir, func(m *pb.MetaGraphDef) { m.SignatureDef = nil })
		}},
		{"no explain signature", "there is no signature explain, only serving_default", func(t *testing.T, dir string, _ *savedmodel.Want) {
			edit(t, dir, func(m *pb.MetaGraphDef) { delete(m.SignatureDef, savedmodel.Explain) })
		}},
		{"VGG16's explain signature", "there is no signature explain_block5_pool, only explain, serving_default", func(_ *testing.T, _ string, want *savedmodel.Want) {
			want.Explain = savedmodel.ExplainPooled
		}},
		{"another input size", `signature serving_default: input "image" is float32 [-1 64 48 3], float32 [-1 320 128 3] is needed`, func(_ *testing.T, _ string, want *savedmodel.Want) {
			want.Height, want.Width = 320, 128
		}},
		{"a grey input", `input "image" is float32 [-1 64 48 1]`, func(t *testing.T, dir string, _ *savedmodel.Want) {
			edit(t, dir, func(m *pb.MetaGraphDef) {
				m.SignatureDef[savedmodel.Serving].Inputs[savedmodel.Image].TensorShape.Dim[3].Size = 1
			})
		}},
		{"an input of any rank", `input "image" is float32 of unknown rank`, func(t *testing.T, dir string, _ *savedmodel.Want) {
			edit(t, dir, func(m *pb.MetaGraphDef) {
				m.SignatureDef[savedmodel.Serving].Inputs[savedmodel.Image].TensorShape = &tensor_shape_go_proto.TensorShapeProto{UnknownRank: true}
			})
		}},
		{"an input of bytes", `input "image" is uint8 [-1 64 48 3]`, func(t *testing.T, dir string, _ *savedmodel.Want) {
			edit(t, dir, func(m *pb.MetaGraphDef) {
				m.SignatureDef[savedmodel.Serving].Inputs[savedmodel.Image].Dtype = types_go_proto.DataType_DT_UINT8
			})
		}},
		{"another number of classes", `output "logits" is float32 [-1 3], float32 [-1 2] is needed`, func(_ *testing.T, _ string, want *savedmodel.Want) {
			want.Classes = 2
		}},
		{"another name for the input", `signature serving_default has no input "keras_tensor", only image`, func(_ *testing.T, _ string, want *savedmodel.Want) {
			want.Input = "keras_tensor"
		}},
		{"another name for the output", `signature serving_default has no output "output_0", only logits, probabilities`, func(_ *testing.T, _ string, want *savedmodel.Want) {
			want.Output = "output_0"
		}},
		{"no gradients", `signature explain has no output "gradients", only activations, class_index, features`, func(t *testing.T, dir string, _ *savedmodel.Want) {
			edit(t, dir, func(m *pb.MetaGraphDef) { delete(m.SignatureDef[savedmodel.Explain].Outputs, savedmodel.Gradients) })
		}},
		{"gradients of another layer", `signature explain: output "gradients" is float32 [-1 4 2 32], float32 [-1 2 2 32] is needed`, func(t *testing.T, dir string, _ *savedmodel.Want) {
			edit(t, dir, func(m *pb.MetaGraphDef) {
				m.SignatureDef[savedmodel.Explain].Outputs[savedmodel.Gradients].TensorShape.Dim[1].Size = 4
			})
		}},
		{"an operation from the future", "operations that TensorFlow 2.18.1 does not have here: HyperRelu (it was written by TensorFlow 3.0.0)", func(t *testing.T, dir string, _ *savedmodel.Want) {
			edit(t, dir, func(m *pb.MetaGraphDef) {
				m.MetaInfoDef.TensorflowVersion = "3.0.0"
				for _, node := range m.GraphDef.Node {
					if node.Op == "Relu" {
						node.Op = "HyperRelu"
					}
				}
			})
		}},
		{"truncated variables", data + " is truncated: ", func(t *testing.T, dir string, _ *savedmodel.Want) { half(t, filepath.Join(dir, data)) }},
		{"no variables' data", data + " is missing", func(t *testing.T, dir string, _ *savedmodel.Want) {
			check(t, os.Remove(filepath.Join(dir, data)))
		}},
		{"no variables' index", index + " is missing, but the graph has ", func(t *testing.T, dir string, _ *savedmodel.Want) {
			check(t, os.Remove(filepath.Join(dir, index)))
		}},
		{"half an index", "variables.index is damaged", func(t *testing.T, dir string, _ *savedmodel.Want) { half(t, filepath.Join(dir, index)) }},
		{"an empty index", "variables.index is damaged", func(t *testing.T, dir string, _ *savedmodel.Want) {
			check(t, os.Truncate(filepath.Join(dir, index), 0))
		}},
		{"one wrong bit in the index", "variables.index is damaged", func(t *testing.T, dir string, _ *savedmodel.Want) {
			raw, err := os.ReadFile(filepath.Join(dir, index))
			check(t, err)
			raw[len(raw)/3] ^= 4
			check(t, os.WriteFile(filepath.Join(dir, index), raw, 0o644))
		}},
	} {
		t.Run(c.what, func(t *testing.T) {
			dir := t.TempDir()
			want := savedmodel.Want{Height: 64, Width: 48, Classes: 3,
				Input: savedmodel.Image, Output: savedmodel.Logits, Explain: savedmodel.Explain}
			check(t, os.CopyFS(dir, source))
			c.spoil(t, dir, &want)
			m, err := savedmodel.Load(dir, want, nil)
			if err == nil {
				m.Session.Close()
				t.Fatal("it is loaded")
			}
			if !strings.HasPrefix(err.Error(), "SavedModel "+dir+": ") || !strings.Contains(err.Error(), c.cause) {
				t.Errorf("error %v does not name the folder and say %q", err, c.cause)
			}
		})
	}
}

func edit(t *testing.T, dir string, change func(*pb.MetaGraphDef)) {
	t.Helper()
	name := filepath.Join(dir, "saved_model.pb")
	raw, err := os.ReadFile(name)
	check(t, err)
	model := new(pb.SavedModel)
	check(t, proto.Unmarshal(raw, model))
	change(model.MetaGraphs[0])
	raw, err = proto.Marshal(model)
	check(t, err)
	check(t, os.WriteFile(name, raw, 0o644))
}

func half(t *testing.T, name string) {
	t.Helper()
	stat, err := os.Stat(name)
	check(t, err)
	check(t, os.Truncate(name, stat.Size()/2))
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
