// The way to a seat as a browser goes it: a page, perhaps a sum to solve, perhaps a line to wait in, then a form. People and
// those bots that imitate them go it alike; what differs is how long they think, and what they want.

import type { Challenge, Solution } from 'altcha-lib'
import { type Answer, type Client, ordersPath } from './client.ts'

export type Way = 'in' | 'sold-out' | 'refused' | 'over'

/** What a visitor of the crowd has besides a client. */
export interface Life {
  /** Is it all over? Then nobody tries anything any more. */
  readonly over: () => boolean
  /** Milliseconds; ends early when it is all over. */
  readonly sleep: (ms: number) => Promise<void>
  /** Each answer that refuses something. */
  readonly refused: (answer: Answer) => void
  /** From 0 to 1. */
  readonly random: () => number
  readonly solves: boolean
  /** Null: nobody solves any more. */
  readonly solve: (challenge: Challenge) => Promise<Solution | null>
}

interface Room {
  readonly state: string
  readonly retryAfterMs: number
}
interface Told {
  readonly error?: { readonly code: string }
  readonly room?: Room
  readonly challenge?: { readonly url: string; readonly answer: { readonly fields: { readonly s: string } } }
}

export const seatsPath = '/premiere/seats'
const statusPath = '/.tenfold/guard/room/premiere/status'
const passPath = '/.tenfold/guard/challenge/pass'
const attemptsMax = 400

export const toldBy = ({ text }: Answer): Told => {
  try {
    return JSON.parse(text) as Told
  } catch {
    return {}
  }
}

/** What a refusal says about when to come again, in milliseconds. */
export function laterMs({ head }: Answer): number {
  const seconds = Number(head['retry-after'] ?? 2)
  return Math.min(60, Number.isFinite(seconds) ? seconds : 2) * 1_000
}

/** By whatever the page asks for. `in`: it shows the form. */
export async function comeIn(client: Client, life: Life): Promise<Way> {
  for (let attempt = 0; attempt < attemptsMax && !life.over(); attempt++) {
    const answer = await client.ask(seatsPath)
    const room = answer.head['tenfold-room']
    if (answer.status === 200 && room === undefined) return 'in'
    if (room === 'sold-out' || room === 'closed') return 'sold-out'
    if (answer.status === 303) return 'refused'
    if (answer.status >= 400 || answer.status === 0) life.refused(answer)
    if (answer.status === 403 && answer.head['tenfold-challenge'] !== undefined) {
      if (!life.solves || !(await solve(client, life, seatsPath))) return 'refused'
    } else if (answer.status === 401 || answer.status === 403) return 'refused'
    else if (room !== undefined && answer.status === 200) {
      const way = await wait(client, life)
      if (way !== 'in') return way
      await life.sleep(100 * life.random())
    } else await life.sleep(laterMs(answer) + life.random() * 500)
  }
  return life.over() ? 'over' : 'refused'
}

/** As the waiting page's script does: asks when it is told to, until it is let in. */
async function wait(client: Client, life: Life): Promise<Way> {
  while (!life.over()) {
    const answer = await client.ask(statusPath, { script: true })
    const { room } = toldBy(answer)
    if (room?.state === 'granted' || room?.state === 'in') return 'in'
    if (room?.state === 'sold-out' || room?.state === 'closed') return 'sold-out'
    // Whoever has no place there loads the page again, which gives one.
    if (room?.state === 'gone' || room?.state === 'used' || room?.state === 'moved') return 'in'
    if (answer.status >= 400 || answer.status === 0) life.refused(answer)
    await life.sleep(room?.retryAfterMs ?? laterMs(answer))
  }
  return 'over'
}

/** The proof of work that a page asks for. */
export async function solve(
  client: Client,
  life: Life,
  path: string,
  form?: Readonly<Record<string, string>>,
): Promise<boolean> {
  const wish = form === undefined ? { script: true } : { script: true, form }
  const asked = toldBy(await client.ask(path, wish)).challenge
  if (asked === undefined) return true
  const given = await client.ask(asked.url, { script: true })
  if (given.status !== 200) return false
  const challenge = JSON.parse(given.text) as Challenge
  const solution = await life.solve(challenge)
  if (solution === null) return false
  const altcha = Buffer.from(JSON.stringify({ challenge, solution })).toString('base64')
  const fields = { s: asked.answer.fields.s, altcha }
  const passed = await client.ask(passPath, { method: 'POST', json: fields, script: true })
  return passed.status === 200
}

/** Seats that were got: 0 when they were refused. */
export async function buy(client: Client, life: Life, seats: number): Promise<number> {
  const key = crypto.randomUUID()
  const answer = await client.ask(ordersPath, { form: { seats: String(seats), key } })
  if (answer.status === 303) return seats
  if (answer.status >= 400 || answer.status === 0) life.refused(answer)
  return 0
}
