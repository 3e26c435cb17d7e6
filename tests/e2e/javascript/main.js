// Prints what Tiendo knows, then what happens, a JSON object a line, until it is stopped.
import { connect } from "nats";
import { ask, services, tiendo, watch } from "./tiendo.js";

const { env } = process;
const say = (content) => console.log(JSON.stringify(content));
const places = {
  catalog: env.TIENDO_CATALOG_ADDRESS ?? "127.0.0.1:7101",
  integration: env.TIENDO_INTEGRATION_ADDRESS ?? "127.0.0.1:7102",
  status: env.TIENDO_STATUS_ADDRESS ?? "127.0.0.1:7103",
};
const client = tiendo(places, env.TIENDO_PROTOS ?? "../../../proto", "example");

for await (const service of services(client, { pageSize: 50 })) say({ service: service.name, name: service.displayName });
const answer = await ask(client, "status", "getCompletion");
const { planned, completed, notReported } = answer.total;
say({ planned, completed, notReported, factsThrough: answer.factsThrough });
await ask(client, "catalog", "getService", { name: "services/none" }).catch((error) => say({ refused: error.details }));

const nats = await connect({ servers: env.TIENDO_NATS_URL ?? "nats://127.0.0.1:7104" });
async function listen() {
  for await (const message of nats.subscribe("tiendo.progress.v1.>")) {
    const event = message.json();
    say({ subject: message.subject, type: event.type, sequence: event.data.sequence });
  }
}
async function follow() {
  for await (const { event, token } of watch(client, { after: answer.watchToken })) {
    say({ watched: event.kind, service: event.service, sequence: event.sequence, token });
  }
}
const following = Promise.all([listen(), follow()]);
await nats.flush();
say({ following: true });
await following;
