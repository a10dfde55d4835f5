//go:build !race

package xray

const raceDetector = false
