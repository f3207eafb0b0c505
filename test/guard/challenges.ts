// Means of tests that answer challenges as programs do: by what the 403 says.

import assert from 'node:assert/strict'
import { type Challenge, solveChallenge } from 'altcha-lib'
import { deriveKey } from 'altcha-lib/algorithms/pbkdf2'
import type { RouteSpec } from '../../src/edge/snapshot.ts'
import { proxyRoute } from '../tools/edge-harness.ts'
import { type AskedRequest, type GuardedEdge, trialRoute } from './harness.ts'

export const page = 'Accept: text/html,application/xhtml+xml\r\nSec-Fetch-Dest: document\r\n'
export const json = 'Accept: application/json\r\n'
export const base = '/.tenfold/guard/challenge/'
/** As the system puts it at the head of the table. */
export const guardRoute: RouteSpec = proxyRoute('/.tenfold/guard/*', {
  id: '(guard)',
  action: { kind: 'guard' },
})
export const routes: readonly RouteSpec[] = [guardRoute, trialRoute]

export interface Told<T> {
  readonly status: number
  readonly value: T
  readonly cookie: string
}
export interface Refused {
  readonly error: { readonly code: string; readonly reason?: string }
}
interface Way extends Refused {
  readonly challenge: { readonly url: string; readonly answer: { readonly fields: { readonly s: string } } }
}

export async function told<T>(edge: GuardedEdge, request: AskedRequest): Promise<Told<T>> {
  const { status, body, fields } = await edge.ask(request)
  const cookie = (fields.get('set-cookie') ?? '').split(';', 1)[0] as string
  return { status, value: JSON.parse(body.toString() || 'null') as T, cookie }
}

export function payloadOf(challenge: Challenge, solution: unknown): string {
  return Buffer.from(JSON.stringify({ challenge, solution })).toString('base64')
}

export async function solved(challenge: Challenge): Promise<string> {
  return payloadOf(challenge, await solveChallenge({ challenge, deriveKey }))
}

export interface Asked {
  readonly s: string
  readonly challenge: Challenge
}

/** Asks for what is challenged, and for a challenge as the refusal says. */
export async function challenged(edge: GuardedEdge, from: AskedRequest = {}): Promise<Asked> {
  const fields = json + (from.fields ?? '')
  const refused = await told<Way>(edge, { ...from, fields })
  assert.deepEqual([refused.status, refused.value.error.code], [403, 'CHALLENGE_REQUIRED'])
  const asked = { ...from, fields, method: 'GET', body: '', path: refused.value.challenge.url }
  const { value } = await told<Challenge>(edge, asked)
  return { s: refused.value.challenge.answer.fields.s, challenge: value }
}

export function answer(s: string, altcha: string, from: AskedRequest = {}): AskedRequest {
  return answerWith({ s, altcha }, from)
}

export function answerWith(form: Readonly<Record<string, string>>, from: AskedRequest = {}): AskedRequest {
  const fields = `${json}Content-Type: application/json\r\n${from.fields ?? ''}`
  return { ...from, method: 'POST', path: `${base}pass`, fields, body: JSON.stringify(form) }
}

/** The cookie of a clearance: `name=value`. */
export async function cleared(edge: GuardedEdge, from: AskedRequest = {}): Promise<string> {
  const { s, challenge } = await challenged(edge, from)
  const passed = await told<{ passed: boolean }>(edge, answer(s, await solved(challenge), from))
  assert.deepEqual([passed.status, passed.value.passed], [200, true])
  return passed.cookie
}
