"""Does what the tests ask for on standard input, with requests."""
import json
import sys

import requests
from requests.auth import HTTPBasicAuth, HTTPDigestAuth


class Bearer(requests.auth.AuthBase):
    def __init__(self, user, secret):
        self.secret = secret

    def __call__(self, request):
        request.headers["Authorization"] = "Bearer " + self.secret
        return request


SCHEMES = {"Bearer": Bearer, "Basic": HTTPBasicAuth, "Digest": HTTPDigestAuth}


def do(job):
    replies = []
    with requests.Session() as session:
        session.trust_env = False
        session.auth = SCHEMES[job["scheme"]](job["user"], job["secret"])
        for call in job["calls"]:
            try:
                if not call["again"]:
                    request = session.prepare_request(requests.Request(call["method"], job["url"] + call["target"], data=call["body"] or None))
                r = session.send(request, timeout=60)
                replies.append({"status": r.status_code, "body": r.text})
            except Exception as e:
                replies.append({"error": repr(e)})
    return replies


json.dump([do(job) for job in json.load(sys.stdin)], sys.stdout)
