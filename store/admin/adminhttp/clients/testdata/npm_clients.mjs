// Makes the calls that the tests ask for on standard input, with the clients of npm, and
// prints their results. The argument is the directory that has node_modules.
import { readFileSync, writeSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const find = createRequire(join(process.argv[2], "package.json"));
const load = (name) => import(pathToFileURL(find.resolve(name)));
const job = JSON.parse(readFileSync(0));

const { default: legacy } = await load("mongodb-atlas-api-client");
const { ApiClient } = await load("@mongodb-js/mcp-atlas-api-client");
const clients = {
  // With HTTP Digest, by urllib.
  legacy: legacy({ publicKey: job.user, privateKey: job.secret, baseUrl: job.url + "/api/atlas/v1.0", projectId: job.project }),
  // With a Bearer token: its own kind of sign-in wants https.
  mcp: new ApiClient({
    options: { baseUrl: job.url, userAgent: "tests", httpClient: { fetch, Request } },
    authProvider: {
      validate: async () => true,
      getAuthHeaders: async () => ({ Authorization: "Bearer " + job.secret }),
      revoke: async () => {},
    },
  }),
};

const results = [];
for (const { call, args } of job.calls) {
  const names = call.split(".");
  const method = names.pop();
  const object = names.reduce((o, name) => o[name], clients);
  try {
    const value = await object[method](...args);
    if (value?.response instanceof Response) { // of a path that the client has no method for
      const { response, data, error } = value;
      results.push({ value: data, error, status: response.status, type: response.headers.get("content-type") ?? "" });
    } else {
      results.push({ value });
    }
  } catch (e) {
    results.push({ error: e.apiError ?? String(e), status: e.response?.status, message: e.message });
  }
}
writeSync(1, JSON.stringify(results));
process.exit(0); // whatever is still open
