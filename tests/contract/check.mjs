// What the official AsyncAPI parser and a JSON Schema validator say of deploy/contract.
//
//   node check.mjs FOLDER      prints {"operations": N, "checked": N, "problems": [...]}
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import { Parser } from "@asyncapi/parser";
import { decode } from "@msgpack/msgpack";
import Ajv from "ajv/dist/2020.js";

const WARNING = 1; // of the parser's severities: error 0, warning 1, information 2, hint 3

const folder = process.argv[2];
const read = (...path) => readFileSync(join(folder, ...path));
const problems = [];

const { document, diagnostics } = await new Parser().parse(read("asyncapi.json").toString());
for (const { severity, code, message, path } of diagnostics) {
  if (severity <= WARNING) problems.push(`asyncapi ${code} at ${path.join("/")}: ${message}`);
}

const ajv = new Ajv({ strict: true, allowUnionTypes: true });
const same = (one, other) => isDeepStrictEqual(JSON.parse(JSON.stringify(one)), other);
let checked = 0;

function hold(what, validate, value) {
  checked += 1;
  if (!validate(value)) problems.push(`${what}: ${ajv.errorsText(validate.errors)}`);
}

const { captures } = JSON.parse(read("golden", "index.json"));
for (const { name, message, json, msgpack } of captures) {
  const id = JSON.parse(read("schemas", `${message}.json`));
  const validate = ajv.getSchema(id.$id) ?? ajv.compile(id);
  const value = JSON.parse(read("golden", json));
  hold(`golden ${name}`, validate, value);
  if (!same(decode(read("golden", msgpack)), value)) problems.push(`${name}: the formats differ`);
}

// The parser has put every reference in its place.
const schema = (part) => ajv.compile({ ...strip(part.json()), $id: undefined });
for (const message of document?.allMessages() ?? []) {
  for (const example of message.examples()) {
    hold(`example ${example.name()}`, schema(message.payload()), example.payload());
    hold(`headers of ${example.name()}`, schema(message.headers()), example.headers() ?? {});
  }
}

function strip(node) {
  if (Array.isArray(node)) return node.map(strip);
  if (node === null || typeof node !== "object") return node;
  const kept = Object.entries(node).filter(([key]) => !key.startsWith("x-parser"));
  return Object.fromEntries(kept.map(([key, value]) => [key, strip(value)]));
}

const operations = document?.operations().length ?? 0;
console.log(JSON.stringify({ operations, checked, problems }));
