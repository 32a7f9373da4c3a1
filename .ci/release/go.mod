// Nothing imports this module. Its path is one that nobody can publish (the domain .test is
// reserved), because the path of its folder is none: an element may not begin with a dot.
module sallyport.test/release

go 1.26.0

require golang.org/x/mod v0.43.0
