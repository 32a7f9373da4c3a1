//go:build !race

package records

const effort = 10
