// Web Bot Auth: is a request signed by a crawler whose keys are believed? HTTP message signatures (RFC 9421) with the tag
// `web-bot-auth`, Ed25519 alone. A signature must cover the authority (it is of no use at another site) and the agent that
// it names, and is good for a while that the crawler says, at most a day; one with a nonce counts once. Anything that is
// not understood is no signature.

import { type KeyObject, verify } from 'node:crypto'
import { fieldId } from '../../wire/fields.ts'
import type { RequestHead } from '../../wire/head.ts'
import type { Passage } from '../passage.ts'
import { quotedText, type SignatureInput, signatureBytes, signatureInput } from './signature-fields.ts'

export const signatureTag = 'web-bot-auth'
const lifeSecondsMax = 86_400
const skewSeconds = 60
const signatureLength = 64

/** Believed keys: whose key has this thumbprint. */
export interface KeyBook {
  find(keyId: string): { readonly agent: string; readonly key: KeyObject } | null
}

/** Remembers nonces until they are worth nothing any more; false: it was there before, or there is no room. */
export interface NonceBook {
  add(keyId: string, nonce: string, untilSeconds: number, nowSeconds: number): boolean
}

/** Ed25519 takes some 100 us: no flood of signatures may take a whole core. */
export interface Budget {
  take(): boolean
}

/** The agent that has signed; null: nobody that is known. */
export function signedAgent(
  passage: Passage,
  nowSeconds: number,
  keys: KeyBook,
  nonces: NonceBook,
  budget: Budget,
): string | null {
  const { head } = passage
  const field = head.value(fieldId['signature-input'])
  const signature = head.find('signature')
  if (field === undefined || signature === undefined) return null
  const input = signatureInput(head.find('signature-input') ?? field, signatureTag)
  if (input === null || !isTimely(input, nowSeconds) || !coversEnough(input, head)) return null
  const known = keys.find(input.keyId)
  const bytes = signatureBytes(signature, input.label)
  if (known === null || bytes === null || bytes.length !== signatureLength) return null
  if (!isAgentOf(head, known.agent)) return null
  const base = signatureBase(passage, input)
  if (base === null || !budget.take() || !verify(null, base, known.key, bytes)) return null
  if (input.nonce !== '' && !nonces.add(input.keyId, input.nonce, input.expires, nowSeconds)) return null
  return known.agent
}

function isTimely({ created, expires }: SignatureInput, now: number): boolean {
  if (created < 0 || expires < 0) return false
  return created <= now + skewSeconds && expires > now && expires - created <= lifeSecondsMax
}

/** Draft web-bot-auth-architecture 4.2: the authority always, `Signature-Agent` where it is sent. */
function coversEnough({ components, algorithm }: SignatureInput, head: RequestHead): boolean {
  const authority = components.includes('@authority') || components.includes('@target-uri')
  const agent = head.find('signature-agent') === undefined || components.includes('signature-agent')
  return authority && agent && (algorithm === '' || algorithm === 'ed25519')
}

/** Who names an agent must be it. */
function isAgentOf(head: RequestHead, agent: string): boolean {
  const field = head.find('signature-agent')
  if (field === undefined) return true
  const named = quotedText(field)
  return named !== null && withoutSlash(named) === withoutSlash(agent)
}

function withoutSlash(url: string): string {
  return url.endsWith('/') ? url.slice(0, -1) : url
}

/** What is signed (RFC 9421 2.5). Null: a component is not there, or is not understood. */
export function signatureBase(passage: Passage, { components, text }: SignatureInput): Buffer | null {
  const lines: string[] = []
  for (const name of components) {
    const value = componentValue(passage, name)
    if (value === null) return null
    lines.push(`"${name}": ${value}`)
  }
  lines.push(`"@signature-params": ${text}`)
  return Buffer.from(lines.join('\n'), 'latin1')
}

function componentValue(passage: Passage, name: string): string | null {
  const { head } = passage
  const secure = passage.client !== null && passage.client.tls !== null
  const scheme = secure ? 'https' : 'http'
  const authority = head.authority.toLowerCase().replace(secure ? /:443$/ : /:80$/, '')
  const query = head.target.indexOf('?')
  switch (name) {
    case '@authority':
      return authority
    case '@method':
      return head.method
    case '@scheme':
      return scheme
    case '@target-uri':
      return `${scheme}://${authority}${head.target}`
    case '@request-target':
      return head.target
    case '@path':
      return query < 0 ? head.target : head.target.slice(0, query)
    case '@query':
      return query < 0 ? '?' : head.target.slice(query)
  }
  // Derived components of other kinds; names of fields are in lower case.
  if (name.startsWith('@') || name !== name.toLowerCase()) return null
  return head.find(name) ?? null
}
