package wire

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Every field that a message can have is in docs/formats.md.
func TestFieldsAreDocumented(t *testing.T) {
	page, err := os.ReadFile("../../docs/formats.md")
	if err != nil {
		t.Fatal(err)
	}
	examples, err := filepath.Glob("testdata/*.json")
	if err != nil || len(examples) == 0 {
		t.Fatalf("no examples: %v", err)
	}
	for _, example := range examples {
		text, err := os.ReadFile(example)
		if err != nil {
			t.Fatal(err)
		}
		var message map[string]any
		if err := json.Unmarshal(text, &message); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(page), "`"+message["schema"].(string)+"`") {
			t.Errorf("schema %s is not in docs/formats.md", message["schema"])
		}
		walk(message, func(field string) {
			if !strings.Contains(string(page), "`"+field+"`") {
				t.Errorf("%s: field %q is not in docs/formats.md", example, field)
			}
		})
	}
}

// walk calls each for the name of every field, but not for labels.
func walk(value any, each func(field string)) {
	switch v := value.(type) {
	case []any:
		for _, element := range v {
			walk(element, each)
		}
	case map[string]any:
		for field, element := range v {
			each(field)
			if field != "probabilities" {
				walk(element, each)
			}
		}
	}
}
