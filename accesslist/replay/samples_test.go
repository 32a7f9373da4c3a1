package replay_test

// A sample is a line as the documentation of a server shows it, or as the server writes it,
// with what is to be read. Addresses are those of the documentation or of RFC 5737 and 3849.
type sample struct {
	name, head, line    string
	reads               string // Log.ReadsAs
	client, time        string
	status              int
	method, path        string
	user, agent         string
	key, entry, reason  string
	refused, unanswered bool
}

const (
	cloudFrontHead = "#Version: 1.0\n#Fields: date time x-edge-location sc-bytes c-ip cs-method cs(Host) cs-uri-stem sc-status cs(Referer) cs(User-Agent) cs-uri-query cs(Cookie) x-edge-result-type x-edge-request-id x-host-header cs-protocol cs-bytes time-taken x-forwarded-for ssl-protocol ssl-cipher x-edge-response-result-type cs-protocol-version fle-status fle-encrypted-fields c-port time-to-first-byte x-edge-detailed-result-type sc-content-type sc-content-len sc-range-start sc-range-end\n"
	iisHead        = "#Software: Microsoft Internet Information Services 10.0\n#Version: 1.0\n#Date: 2026-01-02 00:00:00\n#Fields: date time s-ip cs-method cs-uri-stem cs-uri-query s-port cs-username c-ip cs(User-Agent) cs(Referer) sc-status sc-substatus sc-win32-status time-taken\n"

	common  = "Common or Combined Log Format"
	w3cName = "W3C Extended Log File Format, as of IIS"

	combinedLine = `203.0.113.7 - - [07/Feb/2026:23:59:59 +0000] "POST /api/v1/backups HTTP/2.0" 201 0 "-" "curl/8.5.0"`
)

var samples = []sample{
	// The Common and the Combined Log Format.
	{
		name: "Apache common", line: `127.0.0.1 - frank [10/Oct/2000:13:55:36 -0700] "GET /apache_pb.gif HTTP/1.0" 200 2326`,
		reads: common, client: "127.0.0.1", time: "2000-10-10T20:55:36Z", status: 200, method: "GET", path: "/apache_pb.gif", user: "frank",
	}, {
		name: "Apache combined", line: `127.0.0.1 - frank [10/Oct/2000:13:55:36 -0700] "GET /apache_pb.gif HTTP/1.0" 200 2326 "http://www.example.com/start.html" "Mozilla/4.08 [en] (Win98; I ;Nav)"`,
		reads: common, client: "127.0.0.1", time: "2000-10-10T20:55:36Z", status: 200, method: "GET", path: "/apache_pb.gif", user: "frank", agent: "Mozilla/4.08 [en] (Win98; I ;Nav)",
	}, {
		name: "nginx combined, IPv6", line: `2001:db8::7 - - [07/Feb/2026:23:59:59 +0530] "GET /?q=\x22a\x5C HTTP/1.1" 404 196 "-" "say \x22hi\x22"`,
		reads: common, client: "2001:db8::7", time: "2026-02-07T18:29:59Z", status: 404, method: "GET", path: `/?q=\x22a\x5C`, agent: `say \x22hi\x22`,
	}, {
		name: "Apache vhost_combined", line: `www.example.com:443 192.0.2.9 - - [01/Jan/2026:10:00:00 +0000] "GET / HTTP/1.1" 401 381 "-" "say \"hi\" \\"`,
		reads: common, client: "192.0.2.9", time: "2026-01-01T10:00:00Z", status: 401, method: "GET", path: "/", agent: `say \"hi\" \\`, refused: true,
	}, {
		name: "ISO time", line: `[2001:db8::1]:443 - - [2026-01-02T15:04:05.123+01:00] "GET / HTTP/1.1" 200 1 "-" "curl"`,
		reads: common, client: "2001:db8::1", time: "2026-01-02T14:04:05.123Z", status: 200, method: "GET", path: "/", agent: "curl",
	}, {
		name: "Traefik", line: `203.0.113.9 - - [02/Jan/2026:15:04:05 +0000] "GET /api HTTP/2.0" 200 83 "-" "curl/8.5.0" 15 "api@docker" "http://172.18.0.3:80" 2ms`,
		reads: common, client: "203.0.113.9", time: "2026-01-02T15:04:05Z", status: 200, method: "GET", path: "/api", agent: "curl/8.5.0",
	}, {
		name: "HAProxy as common", line: `192.0.2.9 - - [02/Jan/2026:15:04:05 +0000] "GET /index.html HTTP/1.1" 200 2750 "" "" 33317 655 "http-in" "static" "srv1" 10 0 30 69 109 ---- 1 1 1 1 0 0 0 "" ""`,
		reads: common, client: "192.0.2.9", time: "2026-01-02T15:04:05Z", status: 200, method: "GET", path: "/index.html",
	}, {
		name: "no status", line: `::ffff:192.0.2.9 - - [01/Jan/2026:10:00:00 +0000] "-" - -`,
		reads: common, client: "::ffff:192.0.2.9", time: "2026-01-01T10:00:00Z", unanswered: true,
	},

	// What collectors put around a line.
	{
		name: "Docker", line: `{"log":"203.0.113.7 - - [07/Feb/2026:23:59:59 +0000] \"GET /?q=\u0026\\x22 HTTP/1.1\" 200 0 \"-\" \"curl\"\r\n","stream":"stdout","time":"2026-02-08T00:00:00.123456789Z"}`,
		reads: common + ", in JSON of a log collector", client: "203.0.113.7", time: "2026-02-07T23:59:59Z", status: 200, method: "GET", path: `/?q=&\x22`, agent: "curl",
	}, {
		name: "journald as JSON", line: `{"__REALTIME_TIMESTAMP":"1767366245000000","PRIORITY":"6","MESSAGE":"{\"ts\":1767366245.5,\"request\":{\"remote_ip\":\"2001:db8::7\"},\"status\":200}"}`,
		reads: "JSON as of Caddy, client in request.remote_ip, in JSON of a log collector", client: "2001:db8::7", time: "2026-01-02T15:04:05.5Z", status: 200,
	}, {
		name: "Kubernetes, CRI", line: "2016-10-06T00:17:09.669794202Z stdout F " + combinedLine,
		reads: common + ", after the prefix of a container runtime", client: "203.0.113.7", time: "2026-02-07T23:59:59Z", status: 201, method: "POST", path: "/api/v1/backups", agent: "curl/8.5.0",
	}, {
		name: "docker logs -t", line: "2016-10-06T00:17:09.669794202Z " + combinedLine,
		reads: common + ", after a time", client: "203.0.113.7", time: "2026-02-07T23:59:59Z", status: 201, method: "POST", path: "/api/v1/backups", agent: "curl/8.5.0",
	}, {
		name: "Docker Compose", line: "nginx-1  | " + combinedLine,
		reads: common + ", after the prefix of Docker Compose", client: "203.0.113.7", time: "2026-02-07T23:59:59Z", status: 201, method: "POST", path: "/api/v1/backups", agent: "curl/8.5.0",
	}, {
		name: "kubectl --prefix", line: "[pod/nginx-7c5ddbdf54-x2x5c/nginx] " + combinedLine,
		reads: common + ", after the prefix of kubectl", client: "203.0.113.7", time: "2026-02-07T23:59:59Z", status: 201, method: "POST", path: "/api/v1/backups", agent: "curl/8.5.0",
	}, {
		name: "syslog of RFC 3164", line: "<190>Feb  7 23:59:59 web1 nginx: " + combinedLine,
		reads: common + ", after syslog", client: "203.0.113.7", time: "2026-02-07T23:59:59Z", status: 201, method: "POST", path: "/api/v1/backups", agent: "curl/8.5.0",
	}, {
		name: "journalctl", line: "Feb 07 23:59:59 web1 nginx[812]: " + combinedLine,
		reads: common + ", after syslog", client: "203.0.113.7", time: "2026-02-07T23:59:59Z", status: 201, method: "POST", path: "/api/v1/backups", agent: "curl/8.5.0",
	}, {
		name: "journalctl -o short-precise", line: "Feb 07 23:59:59.123456 web1 nginx[812]: " + combinedLine,
		reads: common + ", after syslog", client: "203.0.113.7", time: "2026-02-07T23:59:59Z", status: 201, method: "POST", path: "/api/v1/backups", agent: "curl/8.5.0",
	}, {
		name: "docker compose logs -t", line: "nginx-1  | 2026-02-07T23:59:59.123456789Z " + combinedLine,
		reads: common + ", after the prefix of Docker Compose", client: "203.0.113.7", time: "2026-02-07T23:59:59Z", status: 201, method: "POST", path: "/api/v1/backups", agent: "curl/8.5.0",
	}, {
		name: "kubectl --prefix --timestamps", line: "[pod/nginx-7c5ddbdf54-x2x5c/nginx] 2026-02-07T23:59:59.123456789Z " + combinedLine,
		reads: common + ", after the prefix of kubectl", client: "203.0.113.7", time: "2026-02-07T23:59:59Z", status: 201, method: "POST", path: "/api/v1/backups", agent: "curl/8.5.0",
	}, {
		name: "rsyslog with ISO time", line: "2026-02-07T23:59:59.123456+00:00 web1 nginx[812]: " + combinedLine,
		reads: common + ", after syslog", client: "203.0.113.7", time: "2026-02-07T23:59:59Z", status: 201, method: "POST", path: "/api/v1/backups", agent: "curl/8.5.0",
	}, {
		name: "syslog of RFC 5424", line: `<190>1 2026-02-07T23:59:59.003Z web1 nginx 812 - [a@1 b="c [d\] e"][f@1 g="h"] ` + combinedLine,
		reads: common + ", after syslog", client: "203.0.113.7", time: "2026-02-07T23:59:59Z", status: 201, method: "POST", path: "/api/v1/backups", agent: "curl/8.5.0",
	}, {
		name: "syslog of RFC 5424 without data", line: "<190>1 2026-02-07T23:59:59Z web1 nginx - - - \xef\xbb\xbf" + combinedLine,
		reads: common + ", after syslog", client: "203.0.113.7", time: "2026-02-07T23:59:59Z", status: 201, method: "POST", path: "/api/v1/backups", agent: "curl/8.5.0",
	},

	// JSON.
	{
		name: "Caddy", line: `{"level":"info","ts":1646861401.5241024,"logger":"http.log.access","msg":"handled request","request":{"remote_ip":"127.0.0.1","remote_port":"41342","client_ip":"203.0.113.7","proto":"HTTP/2.0","method":"GET","host":"localhost","uri":"/","headers":{"User-Agent":["curl/7.82.0"],"Accept":["*/*"],"Accept-Encoding":["gzip, deflate, br"]},"tls":{"resumed":false,"version":772,"cipher_suite":4865,"proto":"h2","server_name":"example.com"}},"bytes_read":0,"user_id":"frank","duration":0.000929675,"size":10900,"status":200,"resp_headers":{"Server":["Caddy"],"Content-Encoding":["gzip"],"Content-Type":["text/html; charset=utf-8"],"Vary":["Accept-Encoding"]}}`,
		reads: "JSON as of Caddy, client in request.client_ip", client: "203.0.113.7", time: "2022-03-09T21:30:01.5241024Z", status: 200, method: "GET", path: "/", user: "frank", agent: "curl/7.82.0",
	}, {
		name: "Caddy 2.11.9, everything to escape", line: `{"level":"info","ts":1795960961.9283074,"logger":"http.log.access.log0","msg":"handled request","request":{"remote_ip":"2001:db8::7","remote_port":"37843","client_ip":"2001:db8::7","proto":"HTTP/1.1","method":"GET","host":"api.example","uri":"/q?x=\"y\"&z=\\\"","headers":{"Connection":["close"],"User-Agent":["say \"hi\" \\ {\"status\":200} ü\t\ufffd\" 200 0"]}},"bytes_read":0,"user_id":"","duration":0.000166533,"size":0,"status":404,"resp_headers":{"Via":["1.1 Caddy"]}}`,
		reads: "JSON as of Caddy, client in request.client_ip", client: "2001:db8::7", time: "2026-11-29T14:02:41.9283074Z", status: 404, method: "GET", path: `/q?x=\"y\"&z=\\\"`, agent: `say \"hi\" \\ {\"status\":200} ü\t\ufffd\" 200 0`,
	}, {
		name: "Caddy 2.11.9, time_format wall_milli", line: `{"level":"info","ts":"2026/11/29 13:59:30.806","logger":"http.log.access.log0","msg":"handled request","request":{"remote_ip":"192.0.2.7","remote_port":"45169","client_ip":"192.0.2.7","proto":"HTTP/1.1","method":"GET","host":"api.example","uri":"/things","headers":{"User-Agent":["curl/8.5.0"]}},"bytes_read":0,"user_id":"","duration":0.0020281,"size":0,"status":200,"resp_headers":{"Content-Length":["0"]}}`,
		reads: "JSON as of Caddy, client in request.client_ip", client: "192.0.2.7", time: "2026-11-29T13:59:30.806Z", status: 200, method: "GET", path: "/things", agent: "curl/8.5.0",
	}, {
		name: "nginx", line: `{"time_local":"07/Feb/2026:23:59:59 +0000","remote_addr":"2001:db8::7","remote_user":"","request":"GET /a HTTP/1.1","status": "403","body_bytes_sent":"0","http_referrer":"","http_user_agent":"curl/8.5.0 \x22"}`,
		reads: "JSON, client in remote_addr", client: "2001:db8::7", time: "2026-02-07T23:59:59Z", status: 403, method: "GET", path: "/a", agent: `curl/8.5.0 \x22`, refused: true,
	}, {
		name: "Traefik", line: `{"ClientAddr":"172.19.0.1:62090","ClientHost":"172.19.0.1","ClientPort":"62090","ClientUsername":"-","DownstreamContentSize":365,"DownstreamStatus":200,"Duration":2196000,"OriginContentSize":365,"OriginDuration":2079000,"OriginStatus":200,"Overhead":117000,"RequestAddr":"127.0.0.1:18081","RequestContentSize":0,"RequestCount":1,"RequestHost":"127.0.0.1","RequestMethod":"GET","RequestPath":"/ok/a,b","RequestPort":"18081","RequestProtocol":"HTTP/1.1","RequestScheme":"http","RetryAttempts":0,"RouterName":"ok@file","ServiceAddr":"who:80","ServiceURL":"http://who:80","StartLocal":"2026-10-05T07:33:48.823112007Z","StartUTC":"2026-10-05T07:33:48.823112007Z","entryPointName":"web","level":"info","msg":"","time":"2026-10-05T07:33:48Z"}`,
		reads: "JSON as of Traefik, client in ClientHost", client: "172.19.0.1", time: "2026-10-05T07:33:48Z", status: 200, method: "GET", path: "/ok/a,b",
	}, {
		name: "Envoy and Istio", line: `{"response_code_details":"via_upstream","user_agent":"curl/7.86.0","request_id":"722ef34b-553e-9b82-8a73-a716de0b14fc","response_flags":"-","upstream_cluster":"outbound|80|version-v2|catalog.istioinaction.svc.cluster.local","downstream_remote_address":"172.17.0.1:48499","connection_termination_details":null,"upstream_transport_failure_reason":null,"bytes_received":0,"duration":420,"authority":"catalog.istioinaction.io","route_name":null,"response_code":200,"x_forwarded_for":"172.17.0.1","bytes_sent":502,"start_time":"2023-03-23T04:09:46.421Z","path":"/items","upstream_service_time":"420","downstream_local_address":"172.17.0.14:8080","method":"GET","requested_server_name":null,"upstream_host":"172.17.0.17:3000","protocol":"HTTP/1.1"}`,
		reads: "JSON as of Envoy, client in downstream_remote_address", client: "172.17.0.1", time: "2023-03-23T04:09:46.421Z", status: 200, method: "GET", path: "/items", agent: "curl/7.86.0",
	}, {
		name: "Google Cloud", line: `{ "httpRequest": { "latency": "0.058927s", "referer": "http://dummy_referer/console/", "remoteIp": "198.51.100.1", "requestMethod": "GET", "requestSize": "257", "requestUrl": "https://34.1.0.35/console/", "responseSize": "1467", "status": 302, "userAgent": "Mozilla/5.0" }, "insertId": "1vzs264g1u90hp5", "jsonPayload": { "@type": "type.googleapis.com/google.cloud.loadbalancing.type.LoadBalancerLogEntry", "remoteIp": "198.51.100.1" }, "severity": "INFO", "timestamp": "2026-01-02T15:04:05.123456Z" }`,
		reads: "JSON as of Google Cloud, client in httpRequest.remoteIp", client: "198.51.100.1", time: "2026-01-02T15:04:05.123456Z", status: 302, method: "GET", path: "https://34.1.0.35/console/", agent: "Mozilla/5.0",
	}, {
		name: "Azure Application Gateway", line: `{"timeStamp":"2021-10-14T22:17:11+00:00","resourceId":"/SUBSCRIPTIONS/x","listenerName":"HTTP-Listener","operationName":"ApplicationGatewayAccess","category":"ApplicationGatewayAccessLog","properties":{"instanceId":"appgw_2","clientIP":"185.42.129.24","clientPort":45057,"httpMethod":"GET","originalRequestUriWithArgs":"\/","requestUri":"\/","requestQuery":"","userAgent":"Mozilla\/5.0","httpStatus":200,"httpVersion":"HTTP\/1.1","receivedBytes":184,"sentBytes":466,"timeTaken":0.034}}`,
		reads: "JSON as of Azure Application Gateway, client in properties.clientIP", client: "185.42.129.24", time: "2021-10-14T22:17:11Z", status: 200, method: "GET", path: `\/`, agent: `Mozilla\/5.0`,
	}, {
		name: "Azure Front Door", line: `{"time":"2026-01-02T15:04:05.0000000Z","category":"FrontDoorAccessLog","properties":{"httpMethod":"GET","requestUri":"https://www.example.com:443/","userAgent":"curl","clientIp":"2001:db8::7","socketIp":"2001:db8::8","httpStatusCode":"200"}}`,
		reads: "JSON as of Azure Front Door, client in properties.socketIp", client: "2001:db8::8", time: "2026-01-02T15:04:05Z", status: 200, method: "GET", path: "https://www.example.com:443/", agent: "curl",
	}, {
		name: "Cloudflare", line: `{"ClientIP":"192.0.2.1","ClientRequestHost":"www.example.com","ClientRequestMethod":"GET","ClientRequestURI":"/","ClientRequestUserAgent":"curl","EdgeResponseStatus":200,"EdgeStartTimestamp":1526810289280000000,"RayID":"41ddf1740f67442d"}`,
		reads: "JSON as of Cloudflare, client in ClientIP", client: "192.0.2.1", time: "2018-05-20T09:58:09.28Z", status: 200, method: "GET", path: "/", agent: "curl",
	}, {
		name: "Amazon API Gateway", line: `{ "requestId":"x","ip": "192.0.2.1", "caller":"-", "user":"-","requestTime":"09/Apr/2015:12:34:56 +0000", "httpMethod":"GET","resourcePath":"/pets", "status":"200","protocol":"HTTP/1.1", "responseLength":"10" }`,
		reads: "JSON, client in ip", client: "192.0.2.1", time: "2015-04-09T12:34:56Z", status: 200, method: "GET", path: "/pets",
	}, {
		name: "log/slog", line: `{"time":"2026-01-02T15:04:05.123456789+01:00","level":"INFO","msg":"request","remote_addr":"[2001:db8::7]:50001","method":"GET","path":"/a\"b","status":200}`,
		reads: "JSON, client in remote_addr", client: "2001:db8::7", time: "2026-01-02T14:04:05.123456789Z", status: 200, method: "GET", path: `/a\"b`,
	}, {
		name: "OpenTelemetry", line: `{"timestamp":"2026-01-02T15:04:05Z","client.address":"192.0.2.1","http.request.method":"GET","url.path":"/","http.response.status_code":404,"user_agent.original":"curl"}`,
		reads: "JSON as of OpenTelemetry, client in client.address", client: "192.0.2.1", time: "2026-01-02T15:04:05Z", status: 404, method: "GET", path: "/", agent: "curl",
	}, {
		name: "Elastic Common Schema", line: `{"@timestamp":"2026-01-02T15:04:05Z","client":{"ip":"192.0.2.1"},"source":{"ip":"192.0.2.2"},"http":{"request":{"method":"GET"},"response":{"status_code":200}},"url":{"path":"/"},"user":{"name":"frank"}}`,
		reads: "JSON as of Elastic Common Schema, client in client.ip", client: "192.0.2.1", time: "2026-01-02T15:04:05Z", status: 200, method: "GET", path: "/", user: "frank",
	}, {
		name: "milliseconds and no status", line: `{"ts":1767366245123,"remote_ip":"192.0.2.1","nested":[{"a":[]},{},-1.5e+3,true,false,null]}`,
		reads: "JSON, client in remote_ip", client: "192.0.2.1", time: "2026-01-02T15:04:05.123Z",
	},

	// AWS.
	{
		name: "ALB, HTTP", line: `http 2018-07-02T22:23:00.186641Z app/my-loadbalancer/50dc6c495c0c9188 192.168.131.39:2817 10.0.0.1:80 0.000 0.001 0.000 200 200 34 366 "GET http://www.example.com:80/ HTTP/1.1" "curl/7.46.0" - - arn:aws:elasticloadbalancing:us-east-2:123456789012:targetgroup/my-targets/73e2d6bc24d8a067 "Root=1-58337262-36d228ad5d99923122bbe354" "-" "-" 0 2018-07-02T22:22:48.364000Z "forward" "-" "-" "10.0.0.1:80" "200" "-" "-" TID_1234abcd5678ef90`,
		reads: "AWS ALB", client: "192.168.131.39", time: "2018-07-02T22:23:00.186641Z", status: 200, method: "GET", path: "http://www.example.com:80/", agent: "curl/7.46.0",
	}, {
		name: "ALB, IPv6 without brackets", line: `h2 2018-07-02T22:23:00.186641Z app/my-loadbalancer/50dc6c495c0c9188 2001:db8::1:2817 10.0.0.66:9000 0.000 0.002 0.000 403 - 5 257 "GET https://10.0.2.105:773/?q=\x22 HTTP/2.0" "a \x22 b" ECDHE-RSA-AES128-GCM-SHA256 TLSv1.2 arn:aws:elasticloadbalancing:us-east-2:123456789012:targetgroup/my-targets/73e2d6bc24d8a067 "Root=1-58337327-72bd00b0343d75b906739c42" "-" "-" 1 2018-07-02T22:22:48.364000Z "redirect" "https://example.com:80/" "-" 10.0.0.66:9000 200 "-" "-"`,
		reads: "AWS ALB", client: "2001:db8::1", time: "2018-07-02T22:23:00.186641Z", status: 403, method: "GET", path: `https://10.0.2.105:773/?q=\x22`, agent: `a \x22 b`, refused: true,
	}, {
		name: "ALB, malformed request", line: `http 2026-09-23T07:17:32.454551Z app/k8s-tileserver-617dd1df30/98e3a879de9d6b42 216.180.246.224:25824 - -1 -1 -1 400 - 0 272 "- http://k8s-tileserver-617dd1df30-606955064.us-east-1.elb.amazonaws.com:80- -" "-" - - - "-" "-" "-" - 2026-09-23T07:17:31.697000Z "-" "-" "-" "-" "-" "-" "-" TID_7d15a1935077a44b91952330c3dc3ed8 "-" "-" "-" 100.51.96.60 "-" "-"`,
		reads: "AWS ALB", client: "216.180.246.224", time: "2026-09-23T07:17:32.454551Z", status: 400, agent: "-",
	}, {
		name: "Classic", line: `2015-05-13T23:39:43.945958Z my-loadbalancer 192.168.131.39:2817 10.0.0.1:80 0.000073 0.001048 0.000057 200 200 0 29 "GET http://www.example.com:80/ HTTP/1.1" "curl/7.38.0" - -`,
		reads: "AWS Classic Load Balancer", client: "192.168.131.39", time: "2015-05-13T23:39:43.945958Z", status: 200, method: "GET", path: "http://www.example.com:80/", agent: "curl/7.38.0",
	}, {
		name: "Classic, TCP", line: `2015-05-13T23:39:43.945958Z my-loadbalancer 192.168.131.39:2817 10.0.0.1:80 0.001069 0.000028 0.000041 - - 82 305 "- - - " "-" - -`,
		reads: "AWS Classic Load Balancer", client: "192.168.131.39", time: "2015-05-13T23:39:43.945958Z", agent: "-", unanswered: true,
	}, {
		name: "NLB", line: `tls 2.0 2018-12-20T02:59:40 net/my-network-loadbalancer/c6e77e28c25b2234 g3d4b5e8bb8464cd 72.21.218.154:51341 172.100.100.185:443 5 2 98 246 - arn:aws:acm:us-east-2:671290407336:certificate/2a108f19-aded-46b0-8493-c63eb1ef4a99 - ECDHE-RSA-AES128-SHA tlsv12 - my-network-loadbalancer-c6e77e28c25b2234.elb.us-east-2.amazonaws.com - - - 2018-12-20T02:59:30`,
		reads: "AWS NLB", client: "72.21.218.154", time: "2018-12-20T02:59:40Z",
	}, {
		name: "NLB, IPv6 and ALPN", line: `tls 2.0 2020-04-01T08:51:42 net/my-network-loadbalancer/c6e77e28c25b2234 g3d4b5e8bb8464cd [2001:db8::7]:51341 172.100.100.185:443 5 2 98 246 - arn:aws:acm:us-east-2:671290407336:certificate/2a108f19-aded-46b0-8493-c63eb1ef4a99 - ECDHE-RSA-AES128-SHA tlsv12 - my-network-loadbalancer-c6e77e28c25b2234.elb.us-east-2.amazonaws.com h2 h2 "h2","http/1.1" 2020-04-01T08:51:20`,
		reads: "AWS NLB", client: "2001:db8::7", time: "2020-04-01T08:51:42Z",
	}, {
		name: "CloudFront", head: cloudFrontHead, line: "2019-12-04\t21:02:31\tLAX1\t392\t192.0.2.100\tGET\td111111abcdef8.cloudfront.net\t/index.html\t200\t-\tMozilla/5.0%20(Windows%20NT%2010.0)\t-\t-\tHit\tSOX4xwn4XV6Q4rgb7XiVGOHms_BGlTAC4KyHmureZmBNrjGdRLiNIQ==\td111111abcdef8.cloudfront.net\thttps\t23\t0.001\t-\tTLSv1.2\tECDHE-RSA-AES128-GCM-SHA256\tHit\tHTTP/2.0\t-\t-\t11040\t0.001\tHit\ttext/html\t78\t-\t-",
		reads: "CloudFront", client: "192.0.2.100", time: "2019-12-04T21:02:31Z", status: 200, method: "GET", path: "/index.html", agent: "Mozilla/5.0%20(Windows%20NT%2010.0)",
	}, {
		name: "CloudFront without a head", line: "2019-12-13\t22:36:27\tSEA19-C1\t900\t2001:db8::64\tGET\td111111abcdef8.cloudfront.net\t/favicon.ico\t502\thttp://www.example.com/\tMozilla/5.0\t-\t-\tError\t1pkpNfBQ39sYMnjjUQjmH2w1wdJnbHYTbag21o_3OfcQgPzdL2RSSQ==\twww.example.com\thttp\t675\t0.102\t-\t-\t-\tError\tHTTP/1.1\t-\t-\t25260\t0.102\tOriginDnsError\ttext/html\t507\t-\t-",
		reads: "CloudFront", client: "2001:db8::64", time: "2019-12-13T22:36:27Z", status: 502, method: "GET", path: "/favicon.ico", agent: "Mozilla/5.0",
	},

	// The rest.
	{
		name: "IIS", head: iisHead, line: `2026-01-02 15:04:05 10.0.0.4 GET /index.html a=b 443 CONTOSO\frank 203.0.113.7 Mozilla/5.0+(Windows+NT+10.0) https://www.example.com/ 200 0 0 46`,
		reads: w3cName, client: "203.0.113.7", time: "2026-01-02T15:04:05Z", status: 200, method: "GET", path: "/index.html", user: `CONTOSO\frank`, agent: "Mozilla/5.0+(Windows+NT+10.0)",
	}, {
		name: "IIS, IPv6", head: iisHead, line: `2026-01-02 15:04:05 fe80::1 GET / - 443 - 2001:db8::7 - - 401 2 5 0`,
		reads: w3cName, client: "2001:db8::7", time: "2026-01-02T15:04:05Z", status: 401, method: "GET", path: "/", refused: true,
	}, {
		name: "W3C without a status", head: "#Version: 1.0\n#Fields: time date cs-uri c-ip\n", line: `15:04:05 2026-01-02 /index.html 192.0.2.1`,
		reads: w3cName, client: "192.0.2.1", time: "2026-01-02T15:04:05Z", path: "/index.html",
	}, {
		name: "HAProxy, HTTP", line: `Feb  6 12:14:14 localhost haproxy[14389]: 10.0.1.2:33317 [06/Feb/2009:12:14:14.655] http-in static/srv1 10/0/30/69/109 200 2750 - - ---- 1/1/1/1/0 0/0 {1wt.eu} {} "GET /index.html HTTP/1.1"`,
		reads: "HAProxy, after syslog", client: "10.0.1.2", time: "2009-02-06T12:14:14.655Z", status: 200, method: "GET", path: "/index.html",
	}, {
		name: "HAProxy, a bad request", line: `Oct 15 15:19:06 localhost haproxy[18113]: 127.0.0.1:34549 [15/Oct/2003:15:19:06.103] px-http px-http/<NOSRV> -1/-1/-1/-1/+50001 408 +2750 - - cR-- 2/2/2/0/+2 0/0 "<BADREQ>"`,
		reads: "HAProxy, after syslog", client: "127.0.0.1", time: "2003-10-15T15:19:06.103Z", status: 408,
	}, {
		name: "HAProxy, IPv6 and TLS", line: `2001:db8::7:33317 [06/Feb/2009:12:14:14.655] http-in~ static/srv1 10/0/30/69/109 200 2750 - - ---- 1/1/1/1/0 0/0 {Mozilla/5.0 (X11; a)|b} "GET /a#22 HTTP/1.1" 0/0/0/0/0 example.com/TLSv1.3/TLS_AES_256_GCM_SHA384`,
		reads: "HAProxy", client: "2001:db8::7", time: "2009-02-06T12:14:14.655Z", status: 200, method: "GET", path: "/a#22",
	}, {
		name: "HAProxy, TCP", line: `<134>Feb  6 12:12:56 localhost haproxy[14387]: 10.0.1.2:33313 [06/Feb/2009:12:12:51.443] fnt bck/srv1 0/0/5007 212 -- 0/0/0/0/3 0/0`,
		reads: "HAProxy, after syslog", client: "10.0.1.2", time: "2009-02-06T12:12:51.443Z",
	}, {
		name: "Envoy", line: `[2016-04-15T20:17:00.310Z] "POST /api/v1/locations HTTP/2" 204 - 154 0 226 100 "10.0.35.28" "nsq2http" "cc21d9b0-cf5c-432b-8c7e-98aeb7988cd2" "locations" "tcp://10.0.2.1:80"`,
		reads: "Envoy", client: "10.0.35.28", time: "2016-04-15T20:17:00.31Z", status: 204, method: "POST", path: "/api/v1/locations", agent: "nsq2http",
	}, {
		name: "Envoy, two proxies", line: `[2016-04-15T20:17:00.310Z] "GET / HTTP/1.1" 403 RBAC 154 0 226 - "198.51.100.1, 2001:db8::7" "-" "cc21d9b0" "locations" "-"`,
		reads: "Envoy", client: "2001:db8::7", time: "2016-04-15T20:17:00.31Z", status: 403, method: "GET", path: "/", refused: true,
	}, {
		name: "Istio", line: `[2020-11-25T21:26:18.409Z] "GET /status/418 HTTP/1.1" 418 - via_upstream - "-" 0 135 3 1 "-" "curl/7.73.0-DEV" "84961386-6d84-929d-98bd-c5aee93b5c88" "httpbin:8000" "127.0.0.1:80" inbound|8000|| 127.0.0.1:41854 10.44.1.27:80 10.44.1.23:37652 outbound_.8000_._.httpbin.foo.svc.cluster.local default`,
		reads: "Envoy", client: "10.44.1.23", time: "2020-11-25T21:26:18.409Z", status: 418, method: "GET", path: "/status/418", agent: "curl/7.73.0-DEV",
	}, {
		name: "Istio, TCP", line: `[2023-04-10T11:13:05.880Z] "- - -" 0 - - - "-" 407 0 0 - "-" "-" "-" "-" "10.77.31.99:5001" PassthroughCluster 10.28.22.149:54082 10.77.31.99:5001 10.28.22.149:54078 - -`,
		reads: "Envoy", client: "10.28.22.149", time: "2023-04-10T11:13:05.88Z", unanswered: true,
	},

	// The guard's own log.
	{
		name: "guard, JSON", line: `{"time":"2026-01-02T15:04:05.123456789Z","level":"INFO","msg":"access decision","allowed":true,"reason":"address_listed","key":"spk_1","secret":"s1","client":"203.0.113.7","client_from":"header","entry":"203.0.113.0/24","organization":"acme","endpoint":"things.read","requirement":"required"}`,
		reads: "the guard's own log", client: "203.0.113.7", time: "2026-01-02T15:04:05.123456789Z", key: "spk_1", entry: "203.0.113.0/24", reason: "address_listed",
	}, {
		name: "guard, text", line: `time=2026-01-02T15:04:05.123+01:00 level=WARN msg="access decision" allowed=false reason=address_not_listed key=spk_1 client=2001:db8::7 client_from=peer organization="acme \"x\" y" endpoint=things.read`,
		reads: "the guard's own log", client: "2001:db8::7", time: "2026-01-02T14:04:05.123Z", key: "spk_1", reason: "address_not_listed", refused: true,
	}, {
		name: "guard, default handler", line: `2026/01/02 15:04:05 INFO access decision allowed=true reason=open_list key=spk_1 client=203.0.113.7 left_out=9`,
		reads: "the guard's own log", client: "203.0.113.7", time: "2026-01-02T15:04:05Z", key: "spk_1", reason: "open_list",
	},
}
