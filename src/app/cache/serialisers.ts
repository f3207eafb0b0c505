// How values become text or bytes for a shared tier or a journal. JSON by default: readable, and the same in every
// version. Others are a name and two functions: `serialiser('msgpack', pack, unpack)` with msgpackr's.

import { deserialize, serialize } from 'node:v8'
import type { Encoded, Serialiser } from './contract.ts'

/** What JSON can say: dates become texts, Map and Set become empty objects. */
export const jsonSerialiser: Serialiser = {
  name: 'json',
  encode: value => JSON.stringify(value),
  decode: encoded => JSON.parse(typeof encoded === 'string' ? encoded : new TextDecoder().decode(encoded)),
}

/** What `structuredClone` can copy: Map, Set, Date, BigInt, typed arrays. V8's own format: for Node only. */
export const structuredSerialiser: Serialiser = {
  name: 'v8',
  encode: value => serialize(value),
  decode: encoded => deserialize(bytesOf(encoded)),
}

/** @param name of the format and its version: values of other names are misses, so a change of format needs a new one */
export function serialiser(
  name: string,
  encode: (value: unknown) => Encoded,
  decode: (bytes: Uint8Array) => unknown,
): Serialiser {
  return { name, encode, decode: encoded => decode(bytesOf(encoded)) }
}

function bytesOf(encoded: Encoded): Uint8Array {
  return typeof encoded === 'string' ? new TextEncoder().encode(encoded) : encoded
}
