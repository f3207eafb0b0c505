// What services import as `tenfold/guard`.

import { type HumanOptions, type HumanResult, Humans, type HumanWish } from './humans.ts'
import { Identities, type IdentityOptions, type IdentityResult, type IdentityWish } from './identity.ts'
import {
  type ExpressIdentity,
  expressIdentity,
  type FastifyIdentity,
  fastifyIdentity,
  type HonoIdentity,
  honoIdentity,
} from './identity-middleware.ts'
import {
  type ExpressHumans,
  expressHumans,
  type FastifyHumans,
  fastifyHumans,
  type HonoHumans,
  honoHumans,
} from './middleware.ts'
import type { HumanRequest } from './requests.ts'

export { humanFailures } from './failures.ts'
export type { HumanBy, HumanOptions, HumanResult, HumanWish } from './humans.ts'
export type { Identity, IdentityOptions, IdentityResult, IdentityWish } from './identity.ts'
export type { ExpressIdentity, FastifyIdentity, HonoIdentity } from './identity-middleware.ts'
export type { ExpressHumans, FastifyHumans, HonoHumans } from './middleware.ts'
export type { HumanRequest } from './requests.ts'

let fromEnvironment: Humans | null = null

/**
 * Is a person behind this request? With `TENFOLD_GUARD_KEY` and `TENFOLD_GUARD_URL`, which services of a system with a
 * guard get.
 *
 * @example
 * const { human, reason } = await verifyHuman(request, { action: 'checkout', once: true })
 * if (!human) return response.status(403).json({ reason })
 * @param request of node:http, Express, Fastify, Hono (its context) or the web platform.
 */
export async function verifyHuman(request: HumanRequest, wish: HumanWish = {}): Promise<HumanResult> {
  fromEnvironment ??= new Humans()
  return await fromEnvironment.verify(request, wish)
}

export interface HumanChecks {
  verify(request: HumanRequest, wish?: HumanWish): Promise<HumanResult>
  express(wish?: HumanWish): ExpressHumans
  fastify(wish?: HumanWish): FastifyHumans
  hono(wish?: HumanWish): HonoHumans
  close(): void
}

/** Checks of one system, and middleware made of them. @throws Failure for an option that is wrong or a missing key */
export function createHumanChecks(options: HumanOptions = {}): HumanChecks {
  const humans = new Humans(options)
  const check = (request: HumanRequest, wish: HumanWish = {}): Promise<HumanResult> =>
    humans.verify(request, wish)
  return {
    verify: check,
    express: (wish = {}) => expressHumans(check, wish),
    fastify: (wish = {}) => fastifyHumans(check, wish),
    hono: (wish = {}) => honoHumans(check, wish),
    close: () => humans.close(),
  }
}

let identitiesOfEnvironment: Identities | null = null

/**
 * Who is asking, as the edge has verified? With `TENFOLD_GUARD_KEY`, which services of a system with a guard get.
 *
 * @example
 * const result = verifyIdentity(request, { scopes: ['orders:write'] })
 * if (!result.known) return response.status(result.status).json({ reason: result.reason })
 */
export function verifyIdentity(request: HumanRequest, wish: IdentityWish = {}): IdentityResult {
  identitiesOfEnvironment ??= new Identities()
  return identitiesOfEnvironment.verify(request, wish)
}

export interface IdentityChecks {
  verify(request: HumanRequest, wish?: IdentityWish): IdentityResult
  express(wish?: IdentityWish): ExpressIdentity
  fastify(wish?: IdentityWish): FastifyIdentity
  hono(wish?: IdentityWish): HonoIdentity
}

/** Checks of one system, and middleware made of them. @throws Failure without a key */
export function createIdentityChecks(options: IdentityOptions = {}): IdentityChecks {
  const identities = new Identities(options)
  return {
    verify: (request, wish = {}) => identities.verify(request, wish),
    express: (wish = {}) => expressIdentity(identities, wish),
    fastify: (wish = {}) => fastifyIdentity(identities, wish),
    hono: (wish = {}) => honoIdentity(identities, wish),
  }
}

/** A wish for middleware: `identity.express(requireScope('orders:write'))`. */
export function requireScope(...scopes: readonly string[]): IdentityWish {
  return { scopes }
}
