// Package decodetest builds spinebox-decode for tests.
package decodetest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// Build builds the program into dir and returns its path.
func Build(dir string) (string, error) {
	program := filepath.Join(dir, "spinebox-decode")
	build := exec.Command("go", "build", "-o", program, "spinebox/cmd/spinebox-decode")
	build.Env = append(os.Environ(), "CGO_ENABLED=0") // as the Makefile does
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build spinebox-decode: %w\n%s", err, out)
	}
	return program, nil
}
