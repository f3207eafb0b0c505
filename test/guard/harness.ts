// An edge with a guard, for tests: the real process and threads, a guard's part of the snapshot, and the means to ask and
// to look. As `startEdge`, with a default route under the policy `trial`.

import type { RouteSpec } from '../../src/edge/snapshot.ts'
import type { RequestRecord } from '../../src/guard/messages.ts'
import type { GuardSpec } from '../../src/guard/part.ts'
import { policyOf, specOf } from '../../src/guard/testing/spec.ts'
import {
  type EdgeSetup,
  type EdgeUnderTest,
  type Ending,
  proxyRoute,
  startEdge,
  until,
} from '../tools/edge-harness.ts'
import { answering, ok, type RawOrigin, type Script, startRawOrigin } from '../tools/raw-origin.ts'
import { RawPeer, type RawResponse } from '../tools/raw-peer.ts'

export { policyOf, specOf } from '../../src/guard/testing/spec.ts'

/** Of the control protocol. */
export interface GuardQuestion {
  readonly kind: string
  readonly [name: string]: unknown
}

export interface GuardedEdge {
  readonly edge: EdgeUnderTest
  /** What reaches the instance. */
  readonly origin: RawOrigin
  /** Another guard, or another setup, as the next snapshot. */
  reload(guard: GuardSpec, setup?: EdgeSetup): Promise<void>
  /** A question of the control protocol to the guard. */
  question<T>(question: GuardQuestion): Promise<T>
  /** Waits for the record of a refused (or detected) request. */
  explained(id: string): Promise<RequestRecord>
  ask(request?: AskedRequest): Promise<RawResponse>
}

export interface AskedRequest {
  readonly method?: string
  readonly path?: string
  /** Said by a trusted proxy (`trustedProxies` of the setup must hold 127.0.0.1). */
  readonly client?: string
  /** Ready field lines. */
  readonly fields?: string
  readonly body?: string
  /** Listener's port; the plain one when absent. */
  readonly port?: number
}

/** The route of tests: everything, under the policy `trial`. */
export const trialRoute: RouteSpec = proxyRoute('/*', { guard: 'trial' })

export async function startGuardedEdge(
  context: Ending & { after(end: () => Promise<void>): void },
  guard: GuardSpec = specOf([policyOf('trial')]),
  setup: EdgeSetup = {},
  script: Script = answering(() => ok('from the origin')),
): Promise<GuardedEdge> {
  const origin = await startRawOrigin(context, script)
  const base: EdgeSetup = { members: [origin.port], routes: [trialRoute], ...setup }
  const withGuard = (spec: GuardSpec, change: EdgeSetup = {}): EdgeSetup => ({
    ...base,
    ...change,
    more: { ...base.more, ...change.more, guard: spec as unknown as Record<string, unknown> },
  })
  const edge = await startEdge(context, withGuard(guard))
  const question = async <T>(asked: GuardQuestion): Promise<T> =>
    (await edge.call('guard', { question: asked })).answer as T
  return {
    edge,
    origin,
    question,
    reload: async (spec, change) => {
      await edge.apply(withGuard(spec, change))
    },
    explained: async id => {
      let found: RequestRecord | null = null
      await until(`a record of ${id}`, async () => {
        found = await question<RequestRecord | null>({ kind: 'explain', id })
        return found !== null
      })
      return found as unknown as RequestRecord
    },
    ask: request => ask(edge.port, request),
  }
}

/** On a connection of its own. */
export async function ask(port: number, request: AskedRequest = {}): Promise<RawResponse> {
  const { method = 'GET', path = '/', client, fields = '', body = '' } = request
  const peer = await RawPeer.connect(request.port ?? port)
  const from = client === undefined ? '' : `X-Forwarded-For: ${client}\r\n`
  const length = body === '' ? '' : `Content-Length: ${Buffer.byteLength(body)}\r\n`
  peer.write(`${method} ${path} HTTP/1.1\r\nHost: shop.example\r\n${from}${fields}${length}\r\n${body}`)
  const response = await peer.response(method)
  peer.destroy()
  return response
}

export function endAll(peers: readonly RawPeer[]): void {
  for (const peer of peers) peer.destroy()
}
