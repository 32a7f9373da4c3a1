//go:build !race

package apikey_test

const allocsOfPool = 0
