package infer

import (
	"testing"
	"weak"

	"spinebox/models/modeltest"
)

// What TensorFlow holds of a closed model is gone when Close returns, not at
// some later collection.
func TestCloseLetsGoOfTheGraph(t *testing.T) {
	m, err := Open(modeltest.Tiny(t), Options{})
	if err != nil {
		t.Fatal(err)
	}
	graph := weak.Make(m.graph)
	if graph.Value() == nil {
		t.Fatal("an open model has no graph")
	}
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	if graph.Value() != nil {
		t.Error("a closed model holds its graph")
	}
	if err := m.Close(); err != nil {
		t.Errorf("closed twice: %v", err)
	}
}
