// The file of API keys: one JSON object a line, with the hash of a key and whose it is, never the key. Pure text in and
// out; whoever writes the file and whoever verifies by it share this.

import { hash, randomBytes, timingSafeEqual } from 'node:crypto'
import { keyPrefix } from '../credentials.ts'

export interface StoredKey {
  /** What the key itself begins with, behind `tfk_`. */
  readonly id: string
  /** SHA-256 of the whole key, base64url. Keys have 256 random bits: nothing slower is of use. */
  readonly hash: string
  readonly holder: string
  readonly scopes: readonly string[]
  /** Wall clock, milliseconds; absent: never. */
  readonly expires?: number
  readonly created: number
}

const keyForm = /^tfk_([0-9a-z]{12})_([\w-]{43})$/
const keysMax = 100_000

/** Throws with the number of a line that is none. */
export function parseKeys(text: string): ReadonlyMap<string, StoredKey> {
  const keys = new Map<string, StoredKey>()
  for (const [index, line] of text.split('\n').entries()) {
    if (line.trim() === '') continue
    const key = parseKey(line)
    if (key === null) throw new Error(`line ${index + 1} is no key`)
    if (keys.has(key.id)) throw new Error(`line ${index + 1} has the id of another line, ${key.id}`)
    if (keys.size >= keysMax) throw new Error(`there are more than ${keysMax} keys`)
    keys.set(key.id, key)
  }
  return keys
}

function parseKey(line: string): StoredKey | null {
  let one: Partial<StoredKey>
  try {
    one = JSON.parse(line) as Partial<StoredKey>
  } catch {
    return null
  }
  const { id, hash: mark, holder, scopes, expires, created } = one ?? {}
  if (typeof id !== 'string' || !/^[0-9a-z]{12}$/.test(id)) return null
  if (typeof mark !== 'string' || !/^[\w-]{43}$/.test(mark)) return null
  if (typeof holder !== 'string' || holder === '' || holder.length > 200) return null
  if (!Array.isArray(scopes) || !scopes.every(scope => typeof scope === 'string')) return null
  if (expires !== undefined && !Number.isFinite(expires)) return null
  if (typeof created !== 'number') return null
  return { id, hash: mark, holder, scopes, created, ...(expires === undefined ? {} : { expires }) }
}

export const keyLine = (key: StoredKey): string => `${JSON.stringify(key)}\n`

/** The key is shown once, and kept by its holder alone. */
export function newKey(
  of: Pick<StoredKey, 'holder' | 'scopes' | 'expires'>,
  nowMs: number,
): { readonly key: string; readonly stored: StoredKey } {
  const id = randomBytes(6).toString('hex')
  const key = `${keyPrefix}${id}_${randomBytes(32).toString('base64url')}`
  return { key, stored: { id, hash: hashOf(key), ...of, created: nowMs } }
}

/** Null: of no key that is there. The same work whether the id is known or not. */
export function findKey(keys: ReadonlyMap<string, StoredKey>, text: string): StoredKey | null {
  const id = keyForm.exec(text)?.[1]
  if (id === undefined) return null
  const found = keys.get(id)
  const right = Buffer.from(found?.hash ?? nobody)
  const given = Buffer.from(hashOf(text))
  return timingSafeEqual(right, given) && found !== undefined ? found : null
}

const nobody = 'A'.repeat(43)
const hashOf = (key: string): string => hash('sha256', key, 'base64url')
