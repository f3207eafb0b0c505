// Ed25519 keys of crawlers, by their thumbprint (RFC 7638, 8037): what a signature's `keyid` names. From a JSON Web Key Set.

import { createPublicKey, hash, type KeyObject } from 'node:crypto'

const keysMax = 64

/** Null: it is no key set, or none of its keys is an Ed25519 key. Other kinds of keys are left out. */
export function readKeySet(text: string): ReadonlyMap<string, KeyObject> | null {
  let parsed: unknown
  try {
    parsed = JSON.parse(text)
  } catch {
    return null
  }
  const keys = (parsed as { keys?: unknown } | null)?.keys
  if (!Array.isArray(keys)) return null
  const found = new Map<string, KeyObject>()
  for (const key of keys.slice(0, keysMax)) {
    const one = ed25519Key(key)
    if (one !== null) found.set(one.id, one.key)
  }
  return found.size > 0 ? found : null
}

interface WebKey {
  readonly kty?: unknown
  readonly crv?: unknown
  readonly x?: unknown
}

function ed25519Key(given: unknown): { id: string; key: KeyObject } | null {
  const { kty, crv, x } = (given ?? {}) as WebKey
  if (kty !== 'OKP' || crv !== 'Ed25519' || typeof x !== 'string' || !/^[\w-]{43}$/.test(x)) return null
  try {
    const key = createPublicKey({ key: { kty, crv, x }, format: 'jwk' })
    return { id: hash('sha256', `{"crv":"Ed25519","kty":"OKP","x":"${x}"}`, 'base64url'), key }
  } catch {
    return null
  }
}
