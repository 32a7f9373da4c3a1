"""Does what the tests ask for on standard input, with urllib of the standard library."""
import json
import sys
import urllib.error
import urllib.request


def opener(job):
    handlers = [urllib.request.ProxyHandler({})]
    passwords = urllib.request.HTTPPasswordMgrWithDefaultRealm()
    passwords.add_password(None, job["url"], job["user"], job["secret"])
    if job["scheme"] == "Basic":
        handlers.append(urllib.request.HTTPBasicAuthHandler(passwords))
    if job["scheme"] == "Digest":
        handlers.append(urllib.request.HTTPDigestAuthHandler(passwords))
    made = urllib.request.build_opener(*handlers)
    if job["scheme"] == "Bearer":
        made.addheaders.append(("Authorization", "Bearer " + job["secret"]))
    return made


def body_of(error):
    try:
        return error.read().decode()
    except Exception:  # the error that is raised after several tries has no body
        return ""


def send(made, request):
    try:
        with made.open(request, timeout=60) as response:
            return {"status": response.status, "body": response.read().decode()}
    except urllib.error.HTTPError as e:
        return {"status": e.code, "body": body_of(e)}
    except Exception as e:
        return {"error": repr(e)}


def do(job):
    made = opener(job)
    replies = []
    for call in job["calls"]:
        if not call["again"]:
            request = urllib.request.Request(job["url"] + call["target"], call["body"].encode() or None, method=call["method"])
        replies.append(send(made, request))
    return replies


json.dump([do(job) for job in json.load(sys.stdin)], sys.stdout)
