// What services import as `tenfold/guard`.

import { type HumanOptions, type HumanResult, Humans, type HumanWish } from './humans.ts'
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
