// Package brokertest starts a real mosquitto for tests.
package brokertest

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Mosquitto is a mosquitto with an empty store on a port of its own.
type Mosquitto struct {
	t       testing.TB
	binary  string
	address string
	cmd     *exec.Cmd
}

// New finds mosquitto and a free port for it; Start starts it. Without
// mosquitto the test is skipped, and with CI=true it fails.
func New(t testing.TB) *Mosquitto {
	t.Helper()
	binary, err := exec.LookPath("mosquitto")
	if err != nil {
		binary, err = exec.LookPath("/usr/sbin/mosquitto") // not in everybody's PATH
	}
	if err != nil && os.Getenv("CI") == "true" {
		t.Fatal("mosquitto is not installed: apt-get install mosquitto")
	}
	if err != nil {
		t.Skip("mosquitto is not installed")
	}
	m := &Mosquitto{t: t, binary: binary, address: FreeAddress(t)}
	t.Cleanup(m.Kill)
	return m
}

// URL returns where the broker is, or will be.
func (m *Mosquitto) URL() string { return "tcp://" + m.address }

// Start starts mosquitto, with more lines of configuration if there are any, and
// returns when it takes connections. It remembers nothing from before.
func (m *Mosquitto) Start(more ...string) {
	m.t.Helper()
	_, port, err := net.SplitHostPort(m.address)
	if err != nil {
		m.t.Fatal(err)
	}
	dir := m.t.TempDir()
	config := filepath.Join(dir, "mosquitto.conf")
	text := fmt.Sprintf("listener %s 127.0.0.1\nallow_anonymous true\npersistence false\nlog_type error\n", port)
	text += strings.Join(more, "\n") + "\n"
	if err := os.WriteFile(config, []byte(text), 0o644); err != nil {
		m.t.Fatal(err)
	}
	m.cmd = exec.Command(m.binary, "-c", config)
	m.cmd.Stderr = os.Stderr
	if err := m.cmd.Start(); err != nil {
		m.t.Fatal(err)
	}
	for range 200 {
		conn, err := net.Dial("tcp", m.address)
		if err == nil {
			conn.Close()
			return
		}
		time.Sleep(50 * time.Millisecond) // between two looks at the condition
	}
	m.t.Fatal("mosquitto does not take connections")
}

// Passwords are the lines of configuration with which only these users are let
// in, each with a password.
func (m *Mosquitto) Passwords(users map[string]string) []string {
	m.t.Helper()
	file := filepath.Join(m.t.TempDir(), "passwords")
	for user, password := range users {
		arguments := []string{"-b", file, user, password}
		if _, err := os.Stat(file); err != nil {
			arguments = append([]string{"-c"}, arguments...)
		}
		// Of mosquitto's own package.
		if out, err := exec.Command("mosquitto_passwd", arguments...).CombinedOutput(); err != nil {
			m.t.Fatalf("%v\n%s", err, out)
		}
	}
	return []string{"allow_anonymous false", "password_file " + file}
}

// Kill ends mosquitto as a power cut would. It may be started again.
func (m *Mosquitto) Kill() {
	if m.cmd == nil {
		return
	}
	m.cmd.Process.Kill()
	m.cmd.Wait() // its error is the kill
	m.cmd = nil
}

// FreeAddress returns an address that nobody listens on.
func FreeAddress(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}
