//go:build race

package admin_test

const oracleWorlds = 600 // each takes ten times as long
