// The part `identity` in one worker: the verifiers that the file names, kept over reloads that change nothing of them, and
// the step of each policy that requires somebody.

import type { CheckedGuardPolicy, CheckedIdentityWay } from '../../file/checked-guard.ts'
import { humanKey } from '../challenge/keys.ts'
import type { GuardPart, GuardSpec, GuardStep, GuardSurroundings } from '../part.ts'
import { certificateVerifier } from './certificates.ts'
import type { IdentityVerifier } from './contract.ts'
import { FailureCount } from './failure-count.ts'
import { credentialNames, instanceField, withoutCookies } from './instance-field.ts'
import { KeyVerifier } from './keys/verifier.ts'
import { PasswordVerifier } from './passwords/verifier.ts'
import { IdentityStep } from './step.ts'
import { TokenVerifier } from './tokens/verifier.ts'
import { verifiersOf } from './verifiers.ts'

interface Started extends IdentityVerifier {
  start(): Promise<void>
}

export class IdentityPart implements GuardPart {
  readonly name = 'identity'
  readonly #surroundings: GuardSurroundings
  readonly #failures: FailureCount
  #verifiers = new Map<string, { readonly made: string; readonly verifier: Started }>()

  constructor(surroundings: GuardSurroundings) {
    this.#surroundings = surroundings
    this.#failures = new FailureCount(surroundings.clock)
  }

  async prepare(spec: GuardSpec): Promise<void> {
    const before = this.#verifiers
    const now: typeof before = new Map()
    for (const [way, made, make] of this.#wanted(spec)) {
      const kept = before.get(way)
      if (kept?.made === made) now.set(way, kept)
      else {
        const verifier = make()
        await verifier.start()
        now.set(way, { made, verifier })
      }
    }
    this.#verifiers = now
    for (const [way, { verifier }] of before)
      if (now.get(way)?.verifier !== verifier) await verifier.close?.()
  }

  *#wanted({ identity }: GuardSpec): Generator<[way: string, made: string, make: () => Started]> {
    const { clock } = this.#surroundings
    const tell = (text: string): void => this.#surroundings.tell('guard', text)
    for (const [name, one] of Object.entries(identity.jwt ?? {})) {
      // As the system compiles it, the secret is a text.
      const secret = one.keys.kind === 'secret' ? String(one.keys.secret) : ''
      yield [`jwt:${name}`, JSON.stringify(one), () => new TokenVerifier(name, one, secret, clock)]
    }
    for (const [name, one] of Object.entries(identity.keys ?? {}))
      yield [`key:${name}`, JSON.stringify(one), () => new KeyVerifier(name, one, clock, tell)]
    for (const [name, one] of Object.entries(identity.basic ?? {}))
      yield [`basic:${name}`, JSON.stringify(one), () => new PasswordVerifier(name, one, clock, tell)]
  }

  step(policy: CheckedGuardPolicy, _route: unknown, spec: GuardSpec): GuardStep | null {
    const { require: requirement } = policy
    if (requirement === undefined) return null
    const { identity } = spec
    const key = Buffer.from(humanKey(spec.secretKey), 'base64url')
    const { fields, cookies } = credentialNames(identity, requirement)
    return new IdentityStep({
      policy,
      requirement,
      identity,
      verifiers: requirement.any.map(way => this.#verifierOf(way)),
      failures: this.#failures,
      told: (passage, somebody) => {
        const { drop, add } = withoutCookies(passage, cookies)
        const told = instanceField(key, this.#surroundings.clock, passage, somebody)
        return { drop: [...fields, ...drop], add: told + add }
      },
    })
  }

  #verifierOf({ method, name }: CheckedIdentityWay): IdentityVerifier {
    if (method === 'mtls') return certificateVerifier
    const found =
      method === 'oidc'
        ? verifiersOf(this.#surroundings).get(`oidc:${name}`)
        : this.#verifiers.get(`${method}:${name}`)?.verifier
    // A policy whose way is missing lets nobody pass.
    return found ?? missing(method, name)
  }

  async close(): Promise<void> {
    for (const { verifier } of this.#verifiers.values()) await verifier.close?.()
  }
}

const missing = (method: CheckedIdentityWay['method'], source: string): IdentityVerifier => ({
  method,
  source,
  verify: () => ({ reason: 'outage', text: `${method}:${source} is not there.`, outage: true }),
  challenge: () => null,
})
