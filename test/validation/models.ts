// Small models of textbooks, made of the simulator's own engine and stations and of production's policies: what the page
// docs/validation.md holds against closed forms.

import type { CheckedTime } from '../../src/file/checked-workload.ts'
import { createBalancer } from '../../src/policy/balance.ts'
import { evictionFactory } from '../../src/policy/evict/index.ts'
import type { EvictionKind } from '../../src/policy/index.ts'
import type { BalanceKind } from '../../src/policy/settings.ts'
import { PlainGroup } from '../../src/policy/testing/plain-group.ts'
import { BatchedValues, Engine, type Estimate, Law, Zipf } from '../../src/sim/core/index.ts'
import { Station } from '../../src/sim/models/station.ts'

/** Service times have this mean: fine enough that whole microseconds change nothing. */
export const serviceUs = 100_000
const batches = 30

export interface QueueRun {
  readonly sojourn: BatchedValues
  /** Share of arrivals that found all servers busy; share that was turned away. */
  readonly waited: Estimate
  readonly lost: Estimate
  /** In units of the mean service time. */
  readonly mean: Estimate
  readonly quantile: (q: number) => Estimate
}

export interface QueueGiven {
  readonly servers: number
  /** Erlangs: arrivals in one mean service time. */
  readonly offered: number
  readonly customers: number
  readonly seed: number
  /** Mean `serviceUs`. Default exponential. */
  readonly service?: CheckedTime
  readonly queueMax?: number | null
  /** Equal gaps instead of Poisson. */
  readonly even?: boolean
}

/** One station: GI/G/c/K. A twentieth of the customers warms it up. */
export function queue(given: QueueGiven): QueueRun {
  const { servers, offered, customers, seed, queueMax = null, even = false } = given
  const engine = new Engine({ seed })
  const gaps = engine.stream('arrivals')
  const works = engine.stream('services')
  const law = new Law(given.service ?? { kind: 'exponential', meanUs: serviceUs })
  const gapUs = serviceUs / offered
  const until = Math.round(customers * gapUs)
  const window = { fromUs: Math.round(until / 20), toUs: until, batches }
  const sojourn = new BatchedValues(window.fromUs, window.toUs, batches)
  const size = 1 << 20
  const came = new Float64Array(size)
  let number = 0
  const waited = new BatchedValues(window.fromUs, window.toUs, batches)
  const lost = new BatchedValues(window.fromUs, window.toUs, batches)
  const station = new Station(engine, 'station', { servers, discipline: 'fifo', queueMax }, window, job => {
    const at = came[job] as number
    sojourn.add(at, engine.now - at)
  })
  let exact = 0
  const arrive = engine.on('arrive', () => {
    const job = number++ & (size - 1)
    came[job] = engine.now
    waited.add(engine.now, station.inside >= servers ? 1 : 0)
    lost.add(engine.now, station.submit(job, law.draw(works)) < 0 ? 1 : 0)
    exact += (even ? 1 : gaps.exponential()) * gapUs
    engine.at(Math.round(exact), arrive)
  })
  engine.at(0, arrive)
  engine.run(until)
  return {
    sojourn,
    waited: waited.mean(),
    lost: lost.mean(),
    mean: unit(sojourn.mean()),
    quantile: q => unit(sojourn.quantile(q)),
  }
}

function unit({ value, halfWidth }: Estimate): Estimate {
  return { value: value / serviceUs, halfWidth: halfWidth === null ? null : halfWidth / serviceUs }
}

export interface BalancedGiven {
  readonly servers: number
  /** Of one server. */
  readonly load: number
  readonly customers: number
  readonly seed: number
  readonly kind: BalanceKind | 'shortest of three'
  /** Figures of load are so old, in mean service times; 0: of now. */
  readonly staleness?: number
}

/** Servers with a queue each, chosen by a balancer of production; exponential service. */
export function balanced({
  servers,
  load,
  customers,
  seed,
  kind,
  staleness = 0,
}: BalancedGiven): Omit<QueueRun, 'waited' | 'lost'> {
  const engine = new Engine({ seed })
  const gaps = engine.stream('arrivals')
  const works = engine.stream('services')
  const choices = engine.stream('choices')
  const gapUs = serviceUs / load / servers
  const until = Math.round(customers * gapUs)
  const fromUs = Math.round(until / 20)
  const sojourn = new BatchedValues(fromUs, until, batches)
  const group = new PlainGroup(Array.from({ length: servers }, () => ({})))
  const threeOf = kind === 'shortest of three'
  const balancer = createBalancer({ kind: threeOf ? 'random' : kind } as never)
  balancer.rebuild(group)
  const size = 1 << 14
  const rings = Array.from({ length: servers }, () => new Float64Array(size))
  const heads = new Int32Array(servers)
  const lengths = new Int32Array(servers)
  const shown = (server: number): void => {
    if (staleness === 0) (group.members[server] as { inFlight: number }).inFlight = lengths[server] as number
  }
  const work = (): number => Math.round(works.exponential() * serviceUs)
  const end = engine.on('end', server => {
    const at = (rings[server] as Float64Array)[(heads[server] as number) & (size - 1)] as number
    sojourn.add(at, engine.now - at)
    heads[server]!++
    if (--lengths[server]! > 0) engine.after(work(), end, server)
    shown(server)
  })
  const pick = (): number => {
    if (!threeOf) return balancer.pick(group, engine.now, 0, choices)
    let best = choices.below(servers)
    for (let draw = 0; draw < 2; draw++) {
      const other = choices.below(servers)
      if ((lengths[other] as number) < (lengths[best] as number)) best = other
    }
    return best
  }
  let exact = 0
  const arrive = engine.on('arrive', () => {
    const server = pick()
    const ring = rings[server] as Float64Array
    ring[((heads[server] as number) + (lengths[server] as number)) & (size - 1)] = engine.now
    if (++lengths[server]! === 1) engine.after(work(), end, server)
    shown(server)
    exact += gaps.exponential() * gapUs
    engine.at(Math.round(exact), arrive)
  })
  if (staleness > 0) {
    const report = engine.on('report', () => {
      for (let server = 0; server < servers; server++)
        (group.members[server] as { inFlight: number }).inFlight = lengths[server] as number
      engine.after(Math.round(staleness * serviceUs), report)
    })
    engine.at(0, report)
  }
  engine.at(0, arrive)
  engine.run(until)
  return { sojourn, mean: unit(sojourn.mean()), quantile: q => unit(sojourn.quantile(q)) }
}

export interface CacheGiven {
  readonly kind: EvictionKind
  readonly things: number
  readonly alpha: number
  readonly entries: number
  readonly requests: number
  readonly seed: number
}

/** Hit ratio of an eviction policy of production under independent requests by Zipf's law, with its interval. */
export function cacheHits({ kind, things, alpha, entries, requests, seed }: CacheGiven): Estimate {
  const engine = new Engine({ seed })
  const stream = engine.stream('things')
  const zipf = new Zipf(things, alpha)
  const policy = evictionFactory(kind).create({ slots: entries, capacity: entries, seed })
  const slotOf = new Int32Array(things + 1).fill(-1)
  const thingOf = new Int32Array(entries)
  let used = 0
  const ask = (): boolean => {
    const thing = zipf.draw(stream)
    const slot = slotOf[thing] as number
    if (slot >= 0) {
      policy.hit(slot)
      return true
    }
    policy.miss(thing)
    const into = used < entries ? used++ : policy.evict()
    if (used === entries) slotOf[thingOf[into] as number] = -1
    thingOf[into] = thing
    slotOf[thing] = into
    policy.insert(into, thing, 1)
    return false
  }
  for (let warm = 0; warm < requests / 2; warm++) ask()
  const shares = Array.from({ length: batches }, () => {
    let hits = 0
    for (let at = 0; at < requests / batches; at++) if (ask()) hits++
    return hits / Math.floor(requests / batches)
  })
  const mean = shares.reduce((a, b) => a + b, 0) / batches
  const variance = shares.reduce((sum, share) => sum + (share - mean) ** 2, 0) / (batches - 1)
  return { value: mean, halfWidth: 2.045 * Math.sqrt(variance / batches) }
}

/** Share of requests over `leaves` of which at least one is slow; `hedge`: each slow one is asked a second time elsewhere. */
export function fanOut(
  leaves: number,
  slow: number,
  hedge: boolean,
  requests: number,
  seed: number,
): Estimate {
  const stream = new Engine({ seed }).stream('leaves')
  const shares = Array.from({ length: batches }, () => {
    let bad = 0
    const count = Math.floor(requests / batches)
    for (let at = 0; at < count; at++) {
      let any = false
      for (let leaf = 0; leaf < leaves; leaf++) {
        const isSlow = stream.float() < slow && (!hedge || stream.float() < slow)
        any ||= isSlow
      }
      if (any) bad++
    }
    return bad / count
  })
  const mean = shares.reduce((a, b) => a + b, 0) / batches
  const variance = shares.reduce((sum, share) => sum + (share - mean) ** 2, 0) / (batches - 1)
  return { value: mean, halfWidth: 2.045 * Math.sqrt(variance / batches) }
}
