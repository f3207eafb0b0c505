// Does a replica stream from the server that it was pointed to, or have the two diverged? What PostgreSQL itself never
// gives up asking is decided here: by the timeline that it receives, or by the lines that say it can't. Time alone proves
// nothing: who is only slow has not diverged, and its data may be needed.

import { setTimeout as sleep } from 'node:timers/promises'
import { LogFollower, logBytes } from '../../io/log-file.ts'
import { type Clock, SECOND } from '../../kit/clock.ts'
import { type Look, lookOf, lookSql } from './look.ts'
import type { Member } from './member.ts'

/** After it takes connections; most streams begin within 100 ms. */
const streamTimeoutUs = 8 * SECOND
const lookTimeoutMs = 2_000

/** Each means that the log of the two has no common continuation, or that the other has it no more. */
const divergedLines = [
  /new timeline \d+ forked off current database system timeline \d+ before current recovery point/,
  /new timeline \d+ is not a child of database system timeline/,
  /is not in this server's history/,
  /requested timeline \d+ is not a child of this server's history/,
  /requested starting point .* is ahead of the WAL flush position of this server/,
  /highest timeline \d+ of the primary is behind recovery timeline/,
  /requested WAL segment \S+ has already been removed/,
  /can no longer access replication slot|slot .* has been invalidated/,
  /database system identifier differs between the primary and standby/,
]

export function saysDiverged(line: string): boolean {
  return divergedLines.some(pattern => pattern.test(line))
}

/** Reads what the server writes from now on. */
export class DivergenceWatch {
  readonly #follower: LogFollower
  diverged = false

  constructor(output: string) {
    this.#follower = new LogFollower(
      output,
      line => {
        this.diverged ||= saysDiverged(line)
      },
      logBytes(output),
    )
  }

  look(): boolean {
    this.#follower.poll()
    return this.diverged
  }
}

export async function untilFollows(
  replica: Member,
  from: Member,
  watch: DivergenceWatch,
  clock: Clock,
): Promise<'streams' | 'diverged'> {
  const deadline = clock.monotonic() + streamTimeoutUs
  for (let waitMs = 2; clock.monotonic() < deadline; waitMs = Math.min(50, waitMs * 1.5)) {
    if (watch.look()) return 'diverged'
    if (await follows(replica, from)) return 'streams'
    if (!replica.process.alive) throw replica.process.failure(`ended when it was to follow ${from.id}`)
    await sleep(waitMs)
  }
  if (watch.look()) return 'diverged'
  throw replica.process.failure(
    `does not stream from ${from.id} after ${streamTimeoutUs / SECOND} s, and does not say why`,
  )
}

/**
 * Streaming alone is not enough: of an older timeline a server sends what it has up to the fork, also to a replica that
 * went on beyond it.
 */
async function follows(replica: Member, from: Member): Promise<boolean> {
  try {
    const [mine, theirs] = await Promise.all([look(replica), look(from)])
    const address = `${from.address.host}:${from.address.port}`
    return mine.streamsFrom === address && mine.receives === theirs.position.timeline
  } catch {
    return false
  }
}

async function look(member: Member): Promise<Look> {
  const rows = await member.ask(lookSql, lookTimeoutMs)
  return lookOf(rows[0] as never)
}
