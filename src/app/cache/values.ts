// Values that many readers share: made unchangeable, or copied for each reader, and how large they are about.
// Never changes a value otherwise.

/**
 * - `frozen`: plain objects and arrays are frozen through and through when they are stored: who tries to change one gets a
 *   TypeError at that line, instead of changing what others read. Other objects (Map, Date, class instances with state
 *   of their own) can't be frozen and are shared as they are.
 * - `copy`: `structuredClone` for each reader.
 * - `shared`: as it is; nobody may change it.
 */
export type ValueMode = 'frozen' | 'copy' | 'shared'

/** Freezes plain objects and arrays; stops where something is frozen already, so it costs once. */
export function freezeDeep<T>(value: T): T {
  const waiting: unknown[] = [value]
  while (waiting.length > 0) {
    const next = waiting.pop()
    if (!isPlain(next) || Object.isFrozen(next)) continue
    for (const member of Object.values(Object.freeze(next))) {
      if (typeof member === 'object' && member !== null) waiting.push(member)
    }
  }
  return value
}

function isPlain(value: unknown): value is object {
  if (typeof value !== 'object' || value === null) return false
  if (Array.isArray(value)) return true
  const prototype: unknown = Object.getPrototypeOf(value)
  // Rows of database drivers have a class of their own, or none; what keeps state in slots has methods on its prototype.
  return prototype === null || prototype === Object.prototype || isBareClass(prototype as object)
}

function isBareClass(prototype: object): boolean {
  return (
    Object.getPrototypeOf(prototype) === Object.prototype &&
    Object.getOwnPropertyNames(prototype).every(name => name === 'constructor') &&
    Object.getOwnPropertySymbols(prototype).length === 0
  )
}

/** Objects looked into; the rest is estimated from these. */
const looksMax = 2_000
const objectBytes = 48
const memberBytes = 8

/** About so many bytes of memory; off by a factor of two at worst for plain data. Strings as UTF-16. */
export function estimatedBytes(value: unknown): number {
  const waiting: unknown[] = [value]
  let bytes = 0
  for (let looks = 0; waiting.length > 0; looks++) {
    if (looks === looksMax) return Math.round(bytes + (bytes / looksMax) * waiting.length)
    bytes += ownBytes(waiting.pop(), waiting)
  }
  return bytes
}

function ownBytes(value: unknown, waiting: unknown[]): number {
  if (typeof value === 'string') return 16 + 2 * value.length
  if (typeof value !== 'object' || value === null) return memberBytes
  if (ArrayBuffer.isView(value) || value instanceof ArrayBuffer) return objectBytes + value.byteLength
  const members =
    value instanceof Map
      ? [...value.keys(), ...value.values()]
      : value instanceof Set
        ? [...value]
        : Object.values(value)
  for (const member of members) waiting.push(member)
  return objectBytes + members.length * memberBytes
}

/** Bytes of what a serialiser gave. */
export function encodedBytes(encoded: string | Uint8Array): number {
  return typeof encoded === 'string' ? Buffer.byteLength(encoded) : encoded.byteLength
}
