// Package adminhttp is the administration of organizations and keys over HTTP.
package adminhttp
