// Makes the calls of own_client.mts, compiled beside this file, and prints what came of them.
import { readFileSync, writeSync } from "node:fs";
import { run } from "./own_client.mjs";

const job = JSON.parse(readFileSync(0));
writeSync(1, JSON.stringify(await run(job.url, job.secret, job.org)));
