// A council's client in JavaScript:
// npm install @nats-io/transport-node @nats-io/jetstream @msgpack/msgpack
//
//   node client.mjs ask '{"task_description": "How do we retry payments?", "role": "DEV"}'
//   node client.mjs call deliberation.list '{"limit": 5}'      any request; --msgpack before it
//   node client.mjs watch 'deliberation.>'                     events, until Ctrl-C
//   node client.mjs outcomes READER COUNT                      what completed since READER last read
//   node client.mjs decode FILE...                             stored messages, as JSON
//
// Every line it prints is a subject and a message. Exit codes: 1 refused, 2 nobody answered.
import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { jetstream, jetstreamManager } from "@nats-io/jetstream"; // only for `outcomes`
import { connect, headers } from "@nats-io/transport-node";
import { decode, encode } from "@msgpack/msgpack"; // only for --msgpack

const OUTCOMES = ["completed", "failed", "timeout", "cancelled"].map((s) => `deliberation.${s}`);
const MSGPACK = "application/msgpack";

const print = (subject, message) => console.log(subject, JSON.stringify(message));

/** Send a request; return its reply. A refusal is thrown as an Error with code and path. */
async function call(nc, subject, message, { msgpack = false } = {}) {
  const options = { timeout: subject.endsWith(".wait") ? 310_000 : 10_000 };
  if (msgpack) {
    options.headers = headers();
    options.headers.set("Content-Type", MSGPACK);
  }
  const body = msgpack ? encode(message) : JSON.stringify(message);
  const reply = await nc.request(subject, body, options);
  const packed = reply.headers?.get("Content-Type") === MSGPACK;
  const answer = packed ? decode(reply.data) : reply.json();
  const number = reply.headers?.get("Nats-Service-Error-Code");
  if (number) {
    print(subject, answer);
    throw Object.assign(new Error(answer.error.message), { ...answer.error, number });
  }
  return answer;
}

/** The outcome when it is there, also while the system behind NATS is coming back. */
async function waitFor(nc, task_id) {
  for (;;) {
    try {
      return await call(nc, "deliberation.wait", { task_id });
    } catch (error) {
      if (error.code) throw error; // refused; anything else passes
      await sleep(200);
    }
  }
}

/** Print the acknowledgement, all progress and the outcome of one deliberation. */
async function ask(nc, request) {
  const task_id = (request.task_id ??= randomUUID()); // one's own id: known before anything happens
  const over = new Promise((resolve) => {
    const listen = (subject, take) =>
      nc.subscribe(subject, { callback: (_, message) => take(message) });
    listen(`deliberation.progress.${task_id}`, (event) => print(event.subject, event.json()));
    for (const subject of OUTCOMES)
      listen(subject, (event) => {
        const outcome = event.json();
        if (outcome.task_id === task_id) resolve([event.subject, outcome]);
      });
    (async () => {
      // Events pass by once: what was missed while the connection was away is asked for.
      for await (const { type } of nc.status())
        if (type === "reconnect") resolve(["deliberation.wait", await waitFor(nc, task_id)]);
    })();
  });
  print("deliberation.request", await call(nc, "deliberation.request", request));
  print(...(await over));
}

/** Print what passes by on these subjects, for ever. */
async function watch(nc, subjects) {
  for (const subject of subjects)
    nc.subscribe(subject, { callback: (_, event) => print(event.subject, event.json()) });
  await nc.flush();
  console.error("watching");
  await nc.closed();
}

/** Print the next `count` outcomes from the stream; each is read once, however often this runs. */
async function outcomes(nc, reader, count) {
  const manager = await jetstreamManager(nc);
  await manager.consumers.add("DELIBERATIONS", {
    durable_name: reader,
    filter_subject: "deliberation.outcome.completed.*",
    ack_policy: "explicit",
  });
  const consumer = await jetstream(nc).consumers.get("DELIBERATIONS", reader);
  for await (const message of await consumer.fetch({ max_messages: count, expires: 1_000 })) {
    print(message.subject, message.json());
    message.ack();
  }
}

async function main([command, ...words]) {
  if (command === "decode") {
    for (const file of words) {
      const bytes = readFileSync(file);
      print(file, file.endsWith(".msgpack") ? decode(bytes) : JSON.parse(bytes));
    }
    return;
  }
  const servers = process.env.NATS_URL ?? "nats://127.0.0.1:4222";
  const nc = await connect({ servers, maxReconnectAttempts: -1, reconnectTimeWait: 200 });
  try {
    const msgpack = words[0] === "--msgpack" && Boolean(words.shift());
    if (command === "ask") await ask(nc, JSON.parse(words[0]));
    else if (command === "watch") await watch(nc, words);
    else if (command === "outcomes") await outcomes(nc, words[0], Number(words[1]));
    else print(words[0], await call(nc, words[0], JSON.parse(words[1] ?? "{}"), { msgpack }));
  } catch (error) {
    console.error(error.code ? `refused: ${error.number} ${error.code}: ${error.message}` : `${error}`);
    process.exitCode = error.code ? 1 : 2;
  } finally {
    await nc.drain();
  }
}

await main(process.argv.slice(2));
