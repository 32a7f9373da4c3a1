// Does what the tests ask for on standard input, with a package of npm: the arguments are
// the directory that has node_modules, and the package.
import { readFileSync, writeSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const [, , modules, name] = process.argv;
const found = createRequire(join(modules, "package.json")).resolve(name);
const library = await import(pathToFileURL(found));

const openers = {
  "digest-fetch": (job) => {
    const client = new library.default(job.user, job.secret, { basic: job.scheme === "Basic" });
    return async (method, url, body) => {
      const response = await client.fetch(url, { method, body });
      return { status: response.status, body: await response.text() };
    };
  },
  urllib: (job) => {
    const client = new library.HttpClient();
    const both = job.user + ":" + job.secret;
    const how = {
      Bearer: { headers: { authorization: "Bearer " + job.secret } },
      Basic: { auth: both },
      Digest: { digestAuth: both },
    }[job.scheme];
    return async (method, url, body) => {
      const response = await client.request(url, { method, content: body, dataType: "text", timeout: 60000, ...structuredClone(how) });
      return { status: response.status, body: response.data };
    };
  },
};

const answers = [];
for (const job of JSON.parse(readFileSync(0))) {
  const send = openers[name](job);
  const replies = [];
  for (const call of job.calls) {
    try {
      replies.push(await send(call.method, job.url + call.target, call.body || undefined));
    } catch (e) {
      replies.push({ error: String(e) });
    }
  }
  answers.push(replies);
}
writeSync(1, JSON.stringify(answers));
process.exit(0); // whatever is still open
