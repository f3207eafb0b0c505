// Answers to an authority that asks whether a name is ours (ACME HTTP-01, RFC 8555 8.3): a door before redirects,
// maintenance and routes. The supervisor says which tokens there are; a token that is not among them is somebody else's
// and goes on to the routes, so an instance may have an ACME client of its own. Never asks an authority anything.

import type { Exchange } from './exchange.ts'
import { type Gate, gateAnswer } from './gate.ts'
import type { EdgeSnapshot } from './snapshot.ts'

export const challengePrefix = '/.well-known/acme-challenge/'

/** Key authorizations by token. */
export type Challenges = ReadonlyMap<string, string>

/** More than any order of ours has open; each is two short texts. */
const tokensMax = 1_000
const textLengthMax = 1_024
/** RFC 8555 8.1: base64url; the key authorization has the account key's thumbprint after a dot. */
const tokenText = /^[\w-]+$/
const authorizationText = /^[\w.-]+$/

/** Null: what the supervisor sent does not fit. */
export function readChallenges(tokens: unknown): Challenges | null {
  if (typeof tokens !== 'object' || tokens === null) return null
  const entries = Object.entries(tokens)
  const fits = entries.every(
    ([token, answer]) =>
      tokenText.test(token) &&
      token.length <= textLengthMax &&
      typeof answer === 'string' &&
      answer.length <= textLengthMax &&
      authorizationText.test(answer),
  )
  return fits && entries.length <= tokensMax ? new Map(entries) : null
}

export class ChallengeDoor implements Gate {
  readonly name = 'acme challenge'
  readonly #holder: { readonly challenges: Challenges }

  constructor(holder: { readonly challenges: Challenges }) {
    this.#holder = holder
  }

  enter(exchange: Exchange): number {
    const { challenges } = this.#holder
    if (challenges.size === 0 || !exchange.path.startsWith(challengePrefix)) return gateAnswer.pass
    const answer = challenges.get(exchange.path.slice(challengePrefix.length))
    if (answer === undefined) return gateAnswer.pass
    const fields = `Content-Type: application/octet-stream\r\nContent-Length: ${answer.length}\r\nCache-Control: no-store\r\n`
    exchange.respond(200, fields, answer)
    return gateAnswer.taken
  }
}

/** None where nothing speaks TLS: there no certificate is asked for. */
export function challengeDoors(holder: { readonly challenges: Challenges }, snapshot: EdgeSnapshot): Gate[] {
  return snapshot.listeners.some(listener => 'tls' in listener && listener.tls)
    ? [new ChallengeDoor(holder)]
    : []
}
