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

/** Objects looked into at most. */
const looksMax = 2_000
/** Of a longer list so many members stand for the others. */
const membersMax = 64
const objectBytes = 48
const memberBytes = 8

/** About so many bytes of memory, for plain data whose lists hold like things. Strings as UTF-16. */
export function estimatedBytes(value: unknown): number {
  const waiting: unknown[] = [value]
  const weights: number[] = [1]
  let bytes = 0
  for (let looks = 0; waiting.length > 0 && looks < looksMax; looks++) {
    const weight = weights.pop()!
    const one = waiting.pop()
    const members = membersOf(one)
    bytes += weight * (ownBytes(one) + members.length * memberBytes)
    const step = Math.max(1, members.length / membersMax)
    for (let at = 0; at < members.length; at += step) {
      waiting.push(members[Math.floor(at)])
      weights.push(weight * step)
    }
  }
  return Math.round(bytes)
}

/** Without its members. */
function ownBytes(value: unknown): number {
  if (typeof value === 'string') return 16 + 2 * value.length
  if (typeof value !== 'object' || value === null) return memberBytes
  return objectBytes + (ArrayBuffer.isView(value) || value instanceof ArrayBuffer ? value.byteLength : 0)
}

function membersOf(value: unknown): readonly unknown[] {
  if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value)) return []
  if (Array.isArray(value)) return value
  if (value instanceof Map) return [...value.keys(), ...value.values()]
  return value instanceof Set ? [...value] : Object.values(value)
}

/** Bytes of what a serialiser gave. */
export function encodedBytes(encoded: string | Uint8Array): number {
  return typeof encoded === 'string' ? Buffer.byteLength(encoded) : encoded.byteLength
}
