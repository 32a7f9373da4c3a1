// A client of our own API, typed by openapi.json alone. The compiler must accept it, and refuse
// what is marked.
import createClient from "openapi-fetch";
import type { paths } from "./own.js";

export async function run(url: string, secret: string, org: string) {
  const api = createClient<paths>({ baseUrl: url + "/api/sallyport/v1", headers: { Authorization: "Bearer " + secret } });
  const path = { org };

  const keys = await api.GET("/organizations/{org}/keys", { params: { path, query: { limit: 10 } } });
  const first: string | undefined = keys.data?.keys[0]?.id;

  const body = { id: "typed", description: "typed", grants: [{ role: "ORG_MEMBER" }], entries: [{ address: "203.0.113.7", comment: "office" }] };
  const made = await api.POST("/organizations/{org}/keys", { params: { path }, body });
  const shown: string | undefined = made.data?.secrets[0]?.secret;
  const again = await api.POST("/organizations/{org}/keys", { params: { path }, body });

  const preview = await api.PUT("/organizations/{org}/requirement", {
    params: { path, query: { preview: true } },
    body: { requirement: "required" },
  });
  const token = preview.data?.preview.token ?? "";
  const done = await api.PUT("/organizations/{org}/requirement", {
    params: { path, header: { "Sallyport-Token": token } },
    body: { requirement: "required" },
  });

  const named = await api.PATCH("/organizations/{org}", { params: { path }, body: { name: "Typed Ltd" } });
  const calls = [{ key: "typed", address: "203.0.113.7" }, { key: "typed", address: "192.0.2.1" }];
  const judged = await api.POST("/organizations/{org}/decisions/batch", { params: { path }, body: { calls } });
  const review = await api.GET("/organizations/{org}/keys/{key}/list/findings", {
    params: { path: { org, key: "typed" }, query: { windowSeconds: 3600, internet: true } },
  });

  // @ts-expect-error there is no such state
  void (() => api.PUT("/organizations/{org}/requirement", { params: { path }, body: { requirement: "sometimes" } }));
  // @ts-expect-error there is no such path
  void (() => api.GET("/organisations/{org}/keys", { params: { path } }));
  // @ts-expect-error the path has a parameter
  void (() => api.GET("/organizations/{org}/keys", {}));
  // @ts-expect-error a key has no such field
  void keys.data?.keys[0]?.secret;

  return {
    first,
    shown,
    conflict: again.error?.code,
    status: again.response.status,
    requirement: done.data?.organizations[0]?.requirement,
    made: preview.data?.made,
    name: named.data?.organizations[0]?.name,
    reasons: judged.data?.decisions.map((d) => d.reason),
    findings: review.data?.findings.length,
  };
}
