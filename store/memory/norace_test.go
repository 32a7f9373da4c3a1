//go:build !race

package memory

const effort = 10
