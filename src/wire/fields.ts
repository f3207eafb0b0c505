// Field (header) names that the edge itself reads, interned: a small integer each, found while a head is scanned, so
// that looking one up costs an array access. Every other name is id 0 and is compared as text when somebody asks.

const names = [
  '',
  'host',
  'connection',
  'content-length',
  'transfer-encoding',
  'te',
  'trailer',
  'upgrade',
  'expect',
  'keep-alive',
  'proxy-connection',
  'proxy-authorization',
  'proxy-authenticate',
  'proxy',
  'http2-settings',
  'forwarded',
  'x-forwarded-for',
  'x-forwarded-proto',
  'x-forwarded-host',
  'x-forwarded-port',
  'x-real-ip',
  'x-request-id',
  'traceparent',
  'tracestate',
  'via',
  'max-forwards',
  'cookie',
  'accept',
  'user-agent',
  'content-type',
  'location',
  'set-cookie',
  'retry-after',
  'date',
  'server',
  'authorization',
  'sec-websocket-key',
  'sec-websocket-version',
  'referer',
  'accept-encoding',
  'content-encoding',
  'cache-control',
  'vary',
  'etag',
  'last-modified',
  'range',
  'if-range',
  'if-match',
  'if-none-match',
  'if-modified-since',
  'if-unmodified-since',
  'strict-transport-security',
  'client-cert',
  'client-cert-chain',
  'x-client-identity',
  'tenfold-identity',
  'tenfold-human',
  'tenfold-nonce',
  'accept-language',
  'origin',
  'sec-fetch-site',
  'sec-fetch-mode',
  'sec-fetch-dest',
  'sec-fetch-user',
  'sec-ch-ua',
  'signature-input',
] as const

export type FieldName = Exclude<(typeof names)[number], ''>
type Ids = { readonly [N in FieldName]: number }

/** `fieldId['content-length']`: 1 to `fieldIdCount - 1`. */
export const fieldId: Ids = Object.fromEntries(names.map((name, id) => [name, id]).slice(1)) as Ids
export const fieldIdCount: number = names.length
export const fieldNameOf = (id: number): string => names[id] ?? ''

// Hash of a name: over its lower-cased characters, built up while the name is scanned.
const slots = 512
const idBySlot = new Uint8Array(slots)

export const fieldHashStart = 5381
/** One step of the name hash; `c` is a character of the name. `| 0x20` folds case (and keeps `-` and digits apart). */
export function fieldHashStep(hash: number, c: number): number {
  return (Math.imul(hash, 33) + (c | 0x20)) | 0
}

function slotOf(hash: number): number {
  return (hash ^ (hash >>> 9)) & (slots - 1)
}

for (let id = 1; id < names.length; id++) {
  let hash = fieldHashStart
  for (const character of names[id] as string) hash = fieldHashStep(hash, character.charCodeAt(0))
  let slot = slotOf(hash)
  while (idBySlot[slot] !== 0) slot = (slot + 1) & (slots - 1)
  idBySlot[slot] = id
}

const nameBytes = names.map(name => Uint8Array.from(name, character => character.charCodeAt(0)))

/** The id of the name at `bytes[from..to)` whose hash is `hash`; 0 when it is not interned. Case does not matter. */
export function fieldIdAt(bytes: Uint8Array, from: number, to: number, hash: number): number {
  let slot = slotOf(hash)
  for (;;) {
    const id = idBySlot[slot] as number
    if (id === 0) return 0
    if (sameBytes(nameBytes[id] as Uint8Array, bytes, from, to)) return id
    slot = (slot + 1) & (slots - 1)
  }
}

function sameBytes(name: Uint8Array, bytes: Uint8Array, from: number, to: number): boolean {
  if (name.length !== to - from) return false
  for (let i = 0; i < name.length; i++) {
    let c = bytes[from + i] as number
    if (c >= 65 && c <= 90) c |= 0x20
    if (c !== name[i]) return false
  }
  return true
}

/** Is `text[from..to)` the lower-case `name`, whatever its case? */
export function sameName(name: string, text: string, from: number, to: number): boolean {
  if (name.length !== to - from) return false
  for (let i = 0; i < name.length; i++) {
    let c = text.charCodeAt(from + i)
    if (c >= 65 && c <= 90) c |= 0x20
    if (c !== name.charCodeAt(i)) return false
  }
  return true
}

/** As `sameName`, and `_` is `-`: the two become one CGI variable. */
export function sameFoldedName(name: string, text: string, from: number, to: number): boolean {
  if (name.length !== to - from) return false
  for (let i = 0; i < name.length; i++)
    if (folded(text.charCodeAt(from + i)) !== folded(name.charCodeAt(i))) return false
  return true
}

function folded(c: number): number {
  if (c >= 65 && c <= 90) return c | 0x20
  return c === 95 ? 45 : c
}

const idByName: ReadonlyMap<string, number> = new Map(names.map((name, id) => [name, id]))

/** The id of a whole name in any case; 0 when it is not interned. */
export function fieldIdOf(name: string): number {
  return idByName.get(name) ?? idByName.get(name.toLowerCase()) ?? 0
}

/** The ids of those names that are interned. */
export function knownIds(names: readonly string[]): number[] {
  return names.map(fieldIdOf).filter(id => id !== 0)
}
