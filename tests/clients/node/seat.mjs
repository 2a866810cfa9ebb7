// A seat in a council, held by a JavaScript program:
//   npm install @nats-io/transport-node @nats-io/jetstream
//
//   node seat.mjs DEV node-guest
//
// It prints what it was told on joining, then each request that it answers. SIGTERM or Ctrl-C: it
// finishes what it has in hand and gives the seat up.
import { setTimeout as sleep } from "node:timers/promises";
import { jetstream } from "@nats-io/jetstream";
import { connect } from "@nats-io/transport-node";

/** Send a request; return its reply. A refusal is thrown as an Error with its code. */
async function call(nc, subject, message) {
  const reply = await nc.request(subject, JSON.stringify(message), { timeout: 5_000 });
  const answer = reply.json();
  if (reply.headers?.get("Nats-Service-Error-Code"))
    throw Object.assign(new Error(answer.error.message), answer.error);
  return answer;
}

/** What this seat has to say: put your own agent here. */
async function answer(request, tell) {
  if (request.response_schema) return JSON.stringify(anyBallot(request.response_schema));
  const words = `As ${request.seat} I would write the test first, then the code.`.split(" ");
  for (const word of words) {
    tell(`${word} `);
    await sleep(5);
  }
  return words.join(" ");
}

/** The first ranking that a ballot's JSON Schema allows. */
function anyBallot({ properties: { ranking } }) {
  return { ranking: ranking.enum?.[0] ?? ranking.items.enum, approve: [] };
}

/** Answer one request: tell that it is in work, what is being written, and store the answer. */
async function take(nc, js, joined, delivery) {
  const request = delivery.json();
  const { task_id, round, seat, token } = request;
  const about = { task_id, round, seat };
  const inWork = setInterval(() => delivery.working(), (joined.ack_wait_seconds * 1000) / 3);
  const progress = joined.progress_subject.replace("{task_id}", task_id);
  const live = (event) => nc.publish(progress, JSON.stringify({ ...about, ...event }));
  try {
    delivery.working();
    live({ event: "seat_started", stage: request.stage, engine: "node", at_ms: Date.now() });
    let offset = 0;
    const content = await answer(request, (text) => {
      live({ event: "delta", text, offset });
      offset += [...text].length;
    });
    const response = { ...about, token, content, engine: "node", created_at_ms: Date.now() };
    const subject = joined.response_subject.replace("{task_id}", task_id);
    // A second delivery stores the same answer under the same id, which is dropped.
    const msgID = `response.${task_id}.${round}.${seat}.${token}`;
    await js.publish(subject, JSON.stringify(response), { msgID });
    live({ event: "seat_answered" });
    delivery.ack();
    console.log(JSON.stringify({ answered: request.stage, task_id, round }));
  } finally {
    clearInterval(inWork);
  }
}

const [role, seat] = process.argv.slice(2);
const nc = await connect({ servers: process.env.NATS_URL ?? "127.0.0.1:4222", name: seat });
const js = jetstream(nc);
const wanted = { role, seat, capabilities: ["javascript"], max_concurrency: 4 };
let joined = await call(nc, "deliberation.council.join", wanted);
const { lease } = joined;
console.log(JSON.stringify(joined));

const heartbeat = setInterval(async () => {
  try {
    await call(nc, joined.heartbeat_subject, { role, seat, lease });
  } catch (error) {
    // The heartbeats did not get through, and the seat was taken away: take it again.
    if (error.code === "unknown_seat")
      joined = await call(nc, "deliberation.council.join", { ...wanted, lease });
  }
}, joined.heartbeat_seconds * 1000);

const consumer = await js.consumers.get(joined.stream, joined.consumer);
const requests = await consumer.consume({ max_messages: joined.max_concurrency });
const inHand = new Set();
for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => requests.stop());

for await (const delivery of requests) {
  const work = take(nc, js, joined, delivery).catch((error) => {
    console.error(error.message); // not acknowledged: it is delivered again
  });
  inHand.add(work);
  work.finally(() => inHand.delete(work));
}
await Promise.all(inHand);
clearInterval(heartbeat);
await call(nc, "deliberation.council.leave", { role, seat, lease });
await nc.drain();
