//go:build !race

package storetest

const stride = 1
