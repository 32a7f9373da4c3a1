// Nothing imports this module. Its path is one that nobody can publish (the domain .test is
// reserved), because the path of its folder is none: an element may not begin with a dot.
module sallyport.test/release

go 1.26.0

require (
	golang.org/x/exp v0.0.0-20261113113407-e3970619a1a4
	golang.org/x/mod v0.43.0
	golang.org/x/tools v0.52.1-0.20261106145633-d407941a339a
)

require golang.org/x/sync v0.24.0 // indirect
