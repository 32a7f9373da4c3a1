package main

import "net/http"

// newServeMux needs no adapter.
func newServeMux(s *service) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /projects/{project}", s.read.Protect(http.HandlerFunc(showProject)))
	mux.Handle("POST /projects/{project}/restore", s.restore.Protect(http.HandlerFunc(showProject)))
	mux.Handle("GET /projects/{project}/watch", s.watch.Protect(http.HandlerFunc(s.stream)))
	mux.Handle("GET /projects/{project}/talk", s.talk.Protect(http.HandlerFunc(repeat)))
	return mux
}
