// The moment in which rows change their shard for clients: routers hold, what is open ends, the last changes are applied, the
// next map is kept, routers go on. Given up at any point before the map is kept, and then all is as before.

import type { ShardMap } from '../../../policy/shard/contract.ts'
import type { Applier } from './applier.ts'
import type { MoveStream } from './contract.ts'
import type { ReshardPorts } from './ports.ts'
import { advanceSequences, fence, installHolds, positionOf, replicasReach } from './servers.ts'

/** For so long clients wait at most before it is tried again later. */
const drainMs = 900
const fenceMs = 300
const reachMs = 2_000
const replicasMs = 1_000
/** Before anybody is held. */
const nearMs = 60_000

const stillOpen = 'clients had transactions open'
const openMax = 3
const openMs = 2_000
/** Of clients, not our own. */
const openSql = `SELECT usename, state, round(extract(epoch FROM clock_timestamp() - xact_start)), pid FROM pg_stat_activity
  WHERE xact_start IS NOT NULL AND backend_type = 'client backend' AND datname = current_database() AND NOT (usename = current_user AND application_name ~ '^tenfold')
  ORDER BY xact_start LIMIT ${openMax}`

export interface TurnOptions {
  readonly ports: ReshardPorts
  readonly streams: readonly { readonly stream: MoveStream; readonly applier: Applier }[]
  readonly families: readonly string[]
  /** The map that holds, and the one that will. */
  readonly from: ShardMap
  readonly to: ShardMap
  /** Sets what routers are told of the hold. */
  readonly hold: (holding: boolean) => void
  /** All that was written is on the other side: said before the map is kept. */
  readonly whole: () => void
  /** Shards whose primary is another than when the streams began. */
  readonly replaced: () => readonly string[]
  readonly signal: AbortSignal
}

export type Turned =
  | { readonly kind: 'turned'; readonly pauseMs: number }
  /** `pauseMs`: clients waited for nothing. */
  | { readonly kind: 'given-up'; readonly why: string; readonly pauseMs: number }

export async function turn(options: TurnOptions): Promise<Turned> {
  const { ports, streams, hold, signal } = options
  await Promise.all(
    streams.map(async ({ stream, applier }) =>
      applier.until(await positionOf(ports.ask, stream.from.shard), nearMs),
    ),
  )
  signal.throwIfAborted()
  const begun = performance.now()
  hold(true)
  let kept = false
  try {
    const why = await held(options, () => {
      kept = true
    })
    hold(false)
    await ports.tell()
    const pauseMs = Math.round(performance.now() - begun)
    if (why === '') return { kind: 'turned', pauseMs }
    const whose = why === stillOpen ? await openNow(options) : ''
    return { kind: 'given-up', why: why + whose, pauseMs }
  } catch (error) {
    if (!kept) await release(options)
    throw error
  }
}

/** Those that have been open longest, in words: who has to end them is told whose they are. */
async function openNow({ ports, from }: TurnOptions): Promise<string> {
  const found = await Promise.all(
    from.shards.map(async shard => {
      const rows = await ports.ask(shard, openSql, openMs).catch(() => [])
      return rows.map(([user, state, seconds, pid]) => ({
        seconds: Number(seconds),
        text: `${user}, ${state}, for ${seconds} s on shard ${shard} (process ${pid})`,
      }))
    }),
  )
  const longest = found.flat().sort((one, other) => other.seconds - one.seconds)
  return longest.length === 0
    ? ''
    : `: ${longest
        .slice(0, openMax)
        .map(({ text }) => text)
        .join('; ')}`
}

/** Why it was given up; ''. */
async function held(options: TurnOptions, kept: () => void): Promise<string> {
  const { ports, streams, families, to, whole } = options
  const { ask } = ports
  await ports.tell()
  if (!(await ports.drained(drainMs))) return stillOpen
  const sources = [...new Set(streams.map(({ stream }) => stream.from.shard))]
  const fences = await Promise.all(
    sources.map(async shard => [shard, await fence(ask, shard, fenceMs)] as const),
  )
  const open = fences.map(([, one]) => one.open).filter(one => one !== '')
  if (open.length > 0) return open.join('; ')
  const positions = new Map(fences.map(([shard, { position }]) => [shard, position]))
  await Promise.all(
    streams.map(({ stream, applier }) => applier.until(positions.get(stream.from.shard) ?? 0, reachMs)),
  )
  for (const { stream } of streams) await advanceSequences(ask, stream.from.shard, stream.into.shard)
  whole()
  const shards = [...new Set([...options.from.shards, ...to.shards])]
  await Promise.all(shards.map(shard => installHolds(ask, shard, to, families)))
  const reached = await Promise.all(
    to.shards.map(shard => replicasReach(ask, shard, replicasMs, ports.delayed(shard))),
  )
  const late = to.shards.filter((_, at) => reached[at] === false)
  if (late.length > 0) {
    await Promise.all(shards.map(shard => installHolds(ask, shard, options.from, families)))
    return `replicas of shard ${late.join(', ')} are behind`
  }
  const replaced = options.replaced()
  if (replaced.length > 0) throw new Error(`the primary of shard ${replaced.join(', ')} was replaced`)
  ports.keepMap(to)
  kept()
  return ''
}

/** As before: servers first, then routers. */
export async function release({
  ports,
  families,
  from,
  to,
  hold,
}: Omit<TurnOptions, 'streams' | 'whole' | 'replaced' | 'signal'>): Promise<void> {
  const shards = [...new Set([...from.shards, ...to.shards])]
  await Promise.all(shards.map(shard => installHolds(ports.ask, shard, from, families)))
  hold(false)
  await ports.tell()
}
