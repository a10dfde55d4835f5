//go:build race

package xray

// The race detector makes decoding an order slower, and one goroutine has
// nothing to race with: of the real X-rays every tenth is enough then.
const raceDetector = true
