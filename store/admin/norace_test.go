//go:build !race

package admin_test

const oracleWorlds = 3000
