// What another system asks of Tiendo, in JavaScript: every call has a deadline, a list gives each service once, a watch goes on
// over restarts and gives each event once.
import { setTimeout as sleep } from "node:timers/promises";
import { credentials, loadPackageDefinition, Metadata, status } from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";

const DEADLINE_MS = 10_000;
const WATCH_MS = 600_000; // one connection of a watch lives so long, then the next goes on
const PASSING = [status.UNAVAILABLE, status.DEADLINE_EXCEEDED, status.CANCELLED, status.UNKNOWN];
// A try that is made again carries the same bytes, so the same request_id: a command has one effect.
const TRY_AGAIN = {
  methodConfig: [
    {
      name: [{}],
      retryPolicy: {
        maxAttempts: 5,
        initialBackoff: "0.2s",
        maxBackoff: "2s",
        backoffMultiplier: 2,
        retryableStatusCodes: ["UNAVAILABLE"],
      },
    },
  ],
};

/** Connects to the three services; `places` are `host:port`, `protos` the folder proto/ of Tiendo. */
export function tiendo(places, protos, actor) {
  const files = Object.keys(places).map((name) => `tiendo/${name}/v1/${name}_service.proto`);
  const options = { includeDirs: [protos], longs: String, enums: String, defaults: true };
  const { tiendo: packages } = loadPackageDefinition(loadSync(files, options));
  const metadata = new Metadata();
  metadata.set("tiendo-actor", encodeURIComponent(actor));
  const connect = ([name, place]) => {
    const Service = packages[name].v1[`${name[0].toUpperCase()}${name.slice(1)}Service`];
    const channel = { "grpc.service_config": JSON.stringify(TRY_AGAIN), "grpc.max_reconnect_backoff_ms": 1000 };
    return [name, new Service(place, credentials.createInsecure(), channel)];
  };
  return { ...Object.fromEntries(Object.entries(places).map(connect)), metadata };
}

/** Calls `method` of a service. Fails with an error whose `details` name the field and the fix. */
export function ask(client, service, method, request = {}) {
  return new Promise((resolve, reject) => {
    const answer = (error, reply) => (error ? reject(error) : resolve(reply));
    client[service][method](request, client.metadata, { deadline: Date.now() + DEADLINE_MS }, answer);
  });
}

/** Gives every service, each once, page by page. */
export async function* services(client, request = {}) {
  let pageToken = "";
  do {
    const page = await ask(client, "catalog", "listServices", { ...request, pageToken });
    yield* page.services;
    pageToken = page.nextPageToken;
  } while (pageToken);
}

/** Gives the messages that bring an event. Keep `token` of the last one, and give it as `after` to go on another day. */
export async function* watch(client, request = {}) {
  let after = request.after ?? "";
  for (;;) {
    const asked = after ? { ...request, after, start: undefined } : request;
    const stream = client.status.watchProgress(asked, client.metadata, { deadline: Date.now() + WATCH_MS });
    try {
      for await (const message of stream) {
        after = message.token || after;
        if (message.event) yield message;
      }
    } catch (error) {
      if (error.code === status.OUT_OF_RANGE) {
        throw new Error("that history is gone: ask getCompletion, then watch from its watchToken", { cause: error });
      }
      if (!PASSING.includes(error.code)) throw error;
    } finally {
      stream.cancel();
    }
    await sleep(100 + 400 * Math.random());
  }
}
