"""Makes the calls that the tests ask for on standard input, with urllib of the standard library
and HTTP Digest, and prints the statuses of the answers."""
import json
import sys
import urllib.error
import urllib.request

job = json.load(sys.stdin)
passwords = urllib.request.HTTPPasswordMgrWithDefaultRealm()
passwords.add_password(None, job["url"], job["user"], job["secret"])
opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPDigestAuthHandler(passwords))
statuses = []
for call in job["calls"]:
    request = urllib.request.Request(
        job["url"] + call["target"], call["body"].encode() or None, {"Content-Type": "application/json"}, method=call["method"]
    )
    try:
        with opener.open(request, timeout=30) as response:
            statuses.append(response.status)
    except urllib.error.HTTPError as e:
        statuses.append(e.code)
json.dump(statuses, sys.stdout)
