// People who want to be there: a browser, an account, a household. They come when it suits them, read the page, wait in line,
// solve what they are asked to solve, and take a moment over the form.

import type { Client } from './client.ts'
import { buy, comeIn, type Life, solve } from './line.ts'

/** What became of somebody. */
export interface Fate {
  readonly seats: number
  /** From the first look at the line, or from the opening where that was later, to the form; null: never came so far. */
  readonly waitedMs: number | null
}

export interface Person {
  readonly client: Client
  readonly life: Life
  readonly name: string
  readonly wants: number
  /** Wall clock, milliseconds. */
  readonly opensAt: number
  /** A room stands before the form. */
  readonly lined: boolean
}

export async function signIn(client: Client, life: Life, name: string): Promise<boolean> {
  const form = { name, email: `${name}@people.example`, next: '/premiere' }
  const answer = await client.ask('/sign-in', { form })
  if (answer.status === 303) return true
  life.refused(answer)
  if (!life.solves || answer.head['tenfold-challenge'] === undefined) return false
  return (
    (await solve(client, life, '/sign-in', form)) && (await client.ask('/sign-in', { form })).status === 303
  )
}

const between = (life: Life, fromMs: number, toMs: number): number => fromMs + life.random() * (toMs - fromMs)

export async function live({ client, life, name, wants, opensAt, lined }: Person): Promise<Fate> {
  for (let attempt = 0; !(await signIn(client, life, name)); attempt++) {
    if (attempt === 5 || life.over()) return { seats: 0, waitedMs: null }
    await life.sleep(between(life, 1_000, 3_000))
  }
  await client.ask('/premiere')
  await life.sleep(between(life, 500, 2_000))
  const beganAt = Date.now()
  const way = await comeIn(client, life)
  if (way !== 'in') return { seats: 0, waitedMs: null }
  // Without a line the form is there before it may be sent: whoever is awake sends it when the time comes.
  if (!lined) await life.sleep(opensAt - Date.now() + between(life, 300, 2_000))
  const waitedMs = Math.max(0, Date.now() - Math.max(opensAt, beganAt))
  if (lined) await life.sleep(between(life, 1_500, 5_000))
  for (let attempt = 0, seats = wants; attempt < 3 && !life.over(); attempt++) {
    const got = await buy(client, life, seats)
    if (got > 0) return { seats: got, waitedMs }
    seats = 1
    await life.sleep(between(life, 500, 1_500))
  }
  return { seats: 0, waitedMs }
}
