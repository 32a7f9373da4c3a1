package replay

// A role is what a field of a JSON log is for.
type role uint8

const (
	noRole        role = iota
	roleObject         // has fields with a role
	roleClient         // the client as the server resolved it
	rolePeer           // the peer of the connection
	roleForwarded      // X-Forwarded-For
	roleTime
	roleStatus
	roleMethod
	rolePath
	roleRequest // the request line
	roleUser
	roleAgent
	roleMessage // a whole line of another log
	roleName    // the name of what is logged: msg
	roleKey     // the rest: of the guard's log
	roleEntry
	roleReason
	roleAllowed
	roleLeftOut
	roles // the number of roles
)

// A jsonField is a field known by its path.
type jsonField struct {
	path string
	role role
	of   string // the software that writes the field; for the client only
}

// knownFields are the fields of JSON logs, with the better of a role first: if a line has
// several of one role, the first in this order is read.
var knownFields = []jsonField{
	{"request.client_ip", roleClient, "Caddy"},
	{"httpRequest.remoteIp", roleClient, "Google Cloud"},
	{"properties.clientIP", roleClient, "Azure Application Gateway"},
	{"properties.socketIp", roleClient, "Azure Front Door"}, // its clientIp is from X-Forwarded-For, the caller's word
	{"properties.clientIp", roleClient, "Azure"},
	{"ClientIP", roleClient, "Cloudflare"},
	{"ClientHost", roleClient, "Traefik"},
	{"client_ip", roleClient, ""},
	{"clientIp", roleClient, ""},
	{"real_ip", roleClient, ""},
	{"http.client_ip", roleClient, ""},
	{"client.ip", roleClient, "Elastic Common Schema"},
	{"client.address", roleClient, "OpenTelemetry"},
	{"client", roleClient, ""},
	{"identity.sourceIp", roleClient, "Amazon API Gateway"},

	{"request.remote_ip", rolePeer, "Caddy"},
	{"ClientAddr", rolePeer, "Traefik"},
	{"downstream_remote_address", rolePeer, "Envoy"},
	{"remote_addr", rolePeer, ""},
	{"remoteAddr", rolePeer, ""},
	{"request.remote_addr", rolePeer, ""},
	{"http.remote_addr", rolePeer, ""},
	{"remote_ip", rolePeer, ""},
	{"remoteIp", rolePeer, ""},
	{"remote_address", rolePeer, ""},
	{"remote", rolePeer, ""},
	{"source.ip", rolePeer, "Elastic Common Schema"},
	{"network.peer.address", rolePeer, "OpenTelemetry"},
	{"ip", rolePeer, ""},
	{"clientip", rolePeer, ""},
	{"c-ip", rolePeer, ""},

	{"request.headers.X-Forwarded-For", roleForwarded, ""},
	{"request_X-Forwarded-For", roleForwarded, ""},
	{"http_x_forwarded_for", roleForwarded, ""},
	{"x_forwarded_for", roleForwarded, ""},
	{"x-forwarded-for", roleForwarded, ""},
	{"xff", roleForwarded, ""},

	{"timestamp", roleTime, ""},
	{"time", roleTime, ""},
	{"ts", roleTime, ""},
	{"@timestamp", roleTime, ""},
	{"timeStamp", roleTime, ""},
	{"time_iso8601", roleTime, ""},
	{"start_time", roleTime, ""},
	{"StartUTC", roleTime, ""},
	{"EdgeStartTimestamp", roleTime, ""},
	{"msec", roleTime, ""},
	{"time_local", roleTime, ""},
	{"requestTime", roleTime, ""},
	{"datetime", roleTime, ""},

	{"status", roleStatus, ""},
	{"httpRequest.status", roleStatus, ""},
	{"properties.httpStatus", roleStatus, ""},
	{"properties.httpStatusCode", roleStatus, ""},
	{"DownstreamStatus", roleStatus, ""},
	{"EdgeResponseStatus", roleStatus, ""},
	{"response_code", roleStatus, ""},
	{"status_code", roleStatus, ""},
	{"statusCode", roleStatus, ""},
	{"http.response.status_code", roleStatus, ""},
	{"http.status", roleStatus, ""},
	{"response.status", roleStatus, ""},
	{"sc-status", roleStatus, ""},

	{"request.method", roleMethod, ""},
	{"httpRequest.requestMethod", roleMethod, ""},
	{"properties.httpMethod", roleMethod, ""},
	{"RequestMethod", roleMethod, ""},
	{"ClientRequestMethod", roleMethod, ""},
	{"method", roleMethod, ""},
	{"request_method", roleMethod, ""},
	{"httpMethod", roleMethod, ""},
	{"http.request.method", roleMethod, ""},
	{"http.method", roleMethod, ""},
	{"cs-method", roleMethod, ""},

	{"request.uri", rolePath, ""},
	{"httpRequest.requestUrl", rolePath, ""},
	{"properties.requestUri", rolePath, ""},
	{"RequestPath", rolePath, ""},
	{"ClientRequestURI", rolePath, ""},
	{"ClientRequestPath", rolePath, ""},
	{"path", rolePath, ""},
	{"uri", rolePath, ""},
	{"request_uri", rolePath, ""},
	{"url", rolePath, ""},
	{"url.path", rolePath, ""},
	{"http.path", rolePath, ""},
	{"resourcePath", rolePath, ""},
	{"cs-uri-stem", rolePath, ""},

	{"request", roleRequest, ""},

	{"user_id", roleUser, ""},
	{"remote_user", roleUser, ""},
	{"ClientUsername", roleUser, ""},
	{"user", roleUser, ""},
	{"user.name", roleUser, ""},

	{"request.headers.User-Agent", roleAgent, ""},
	{"httpRequest.userAgent", roleAgent, ""},
	{"properties.userAgent", roleAgent, ""},
	{"request_User-Agent", roleAgent, ""},
	{"ClientRequestUserAgent", roleAgent, ""},
	{"http_user_agent", roleAgent, ""},
	{"user_agent", roleAgent, ""},
	{"userAgent", roleAgent, ""},
	{"user_agent.original", roleAgent, ""},
	{"cs-user-agent", roleAgent, ""},

	{"log", roleMessage, ""},
	{"MESSAGE", roleMessage, ""},
	{"message", roleMessage, ""},
	{"textPayload", roleMessage, ""},

	{"msg", roleName, ""},
	{"key", roleKey, ""},
	{"entry", roleEntry, ""},
	{"reason", roleReason, ""},
	{"allowed", roleAllowed, ""},
	{"left_out", roleLeftOut, ""},
}

// fieldsByPath finds a field by its path. Paths of objects around one are in it, too.
var fieldsByPath = func() map[string]*pathEntry {
	paths := make(map[string]*pathEntry, 2*len(knownFields))
	entry := func(path string) *pathEntry {
		if paths[path] == nil {
			paths[path] = &pathEntry{index: -1}
		}
		return paths[path]
	}
	for i, f := range knownFields {
		e := entry(f.path)
		e.index, e.role = i, f.role
		for j, c := range f.path {
			if c == '.' {
				entry(f.path[:j]).object = true
			}
		}
	}
	return paths
}()

// A pathEntry is what is known of a path.
type pathEntry struct {
	index  int // in knownFields; -1: only an object
	role   role
	object bool // if its value is an object, that has known fields
}
