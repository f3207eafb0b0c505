// The functions that formulas of the estimator may name, over the formulas beside. A refusal becomes the sentence that the
// figure shows instead of a value. Dear ones are kept by their arguments: a plan is computed again for each input that varies.

import type { Functions, Outcome } from './expression.ts'
import {
  type Answer,
  blockingServers,
  type Choice,
  cacheEntriesFor,
  cacheHitRatio,
  erlangB,
  kOfN,
  leaderWithFailover,
  meanTimeToDataLoss,
  mmc,
  mmcSojournQuantile,
  type Popularity,
  perNodeServers,
  pooledServers,
  sojournByChoice,
  sojournQuantileByChoice,
  ttlCache,
  utilisationFor,
  zipf,
} from './formulas/index.ts'

const outcome = (answer: Answer<number>): Outcome => (answer.ok ? answer.value : { why: answer.why })

/** Each probe of a search takes a step for each server. */
const instancesSought = 10_000

const choiceOf: readonly Choice[] = ['pooled', 'random', 'round-robin', 'two-choices', 'shortest']
/** As a number, for formulas. */
export const choiceNumber = (choice: Choice): number => choiceOf.indexOf(choice)

export function createFunctions(): Functions {
  const kept = new Map<string, Outcome>()
  const keep =
    (name: string, compute: (...values: readonly number[]) => Outcome) =>
    (...values: readonly number[]): Outcome => {
      const key = `${name}:${values.join(',')}`
      const known = kept.get(key)
      if (known !== undefined) return known
      const made = compute(...values)
      if (kept.size < 20_000) kept.set(key, made)
      return made
    }
  const hits = keep('hits', (entries = 0, which = 0, ...sets) => hitsOf(entries, which, sets))
  const entriesFor = keep('entries', (ratio = 0, ...sets) => {
    const all = mixed(setsOf(sets))
    return 'why' in all ? all : outcome(cacheEntriesFor(all, 'lru', ratio))
  })
  return {
    ceil: (x = 0) => wholeAbove(x),
    floor: (x = 0) => Math.floor(x + x * 1e-12),
    min: (...values) => Math.min(...values),
    max: (...values) => Math.max(...values),
    ln: (x = 0) => Math.log(x),
    power_of_two: (x = 1) => 2 ** wholeAbove(Math.log2(Math.max(1, x))),
    pooled_mean: (rate = 0, time = 0, servers = 1) => {
      const made = mmc({ arrivalRate: rate, serviceMean: time, servers })
      return made.ok ? made.value.sojournMean : { why: made.why }
    },
    pooled_p99: (rate = 0, time = 0, servers = 1) =>
      outcome(mmcSojournQuantile({ arrivalRate: rate, serviceMean: time, servers }, 0.99)),
    mean_by_choice: (choice = 0, servers = 1, rho = 0) => {
      if (rho === 0) return 1
      const made = sojournByChoice(choiceOf[choice] as Choice, servers, rho)
      return made.ok ? made.value.sojournMean : { why: made.why }
    },
    p99_by_choice: (choice = 0, servers = 1, rho = 0) =>
      rho === 0
        ? -Math.log(0.01)
        : outcome(sojournQuantileByChoice(choiceOf[choice] as Choice, servers, rho, 0.99)),
    // 0 while the primary bears all reads and writes by itself.
    replicas_for: (reads = 0, writes = 0, replays = 0, capacity = 1) => {
      if (reads + writes <= capacity) return 0
      const left = capacity - replays
      return left > 0
        ? wholeAbove(reads / left)
        : { why: 'replaying the writes alone fills a replica to the target: more replicas do not help' }
    },
    p99_utilisation: keep('p99_utilisation', (choice = 0, servers = 1, most = 0, time = 0) =>
      outcome(utilisationFor(choiceOf[choice] as Choice, servers, 0.99, most, time)),
    ),
    pooled_for_p99: keep('pooled_for_p99', (rate = 0, time = 0, most = 0) =>
      rate * time > instancesSought
        ? { why: `more than ${instancesSought} instances are not sought` }
        : outcome(pooledServers(rate, time, { kind: 'sojourn-quantile', quantile: 0.99, most })),
    ),
    own_queues_for_p99: keep('own_queues_for_p99', (choice = 0, rate = 0, time = 0, most = 0) =>
      rate * time > instancesSought
        ? { why: `more than ${instancesSought} instances are not sought` }
        : outcome(perNodeServers(choiceOf[choice] as Choice, rate, time, 0.99, most)),
    ),
    blocked: (servers = 1, offered = 0) => outcome(erlangB(servers, offered)),
    connections_for: (offered = 0, loss = 0) => outcome(blockingServers(offered, loss)),
    k_of_n_down: (k = 1, n = 1, up = 1) => {
      if (k > n) return { why: `the peak needs ${k}, and there ${n === 1 ? 'is' : 'are'} ${n}` }
      const made = kOfN(k, n, up)
      return made.ok ? made.value.down : { why: made.why }
    },
    leader_down: (failuresPerYear = 0, outage = 0) => {
      const made = leaderWithFailover(failuresPerYear, outage)
      return made.ok ? made.value.down : { why: made.why }
    },
    years_to_loss: (copies = 1, failures = 0, repairs = 0) =>
      outcome(meanTimeToDataLoss(copies, failures, repairs)),
    cache_hits: (entries = 0, which = 0, ...sets) => hits(entries, which, ...sharesIn(sets)),
    cache_entries: (ratio = 0, ...sets) => entriesFor(ratio, ...sharesIn(sets)),
    ttl_hits: keep('ttl_hits', (rate = 0, ttl = 0, objects = 1, alpha = 0) => {
      const law = zipf(alpha, Math.max(1, Math.round(objects)))
      if (!law.ok) return { why: law.why }
      const made = ttlCache(law.value, rate, ttl, 'fixed')
      return made.ok ? made.value.hitRatio : { why: made.why }
    }),
  }
}

/** A hair above a whole number is that number: 0.3 * 10 is 3.0000000000000004. */
function wholeAbove(x: number): number {
  const up = Math.ceil(x - Math.abs(x) * 1e-12)
  return up === 0 ? 0 : up
}

/** Rates as shares, to 12 digits: twice the load is the same question. */
function sharesIn(flat: readonly number[]): number[] {
  const total = flat.reduce((sum, value, at) => (at % 3 === 0 ? sum + value : sum), 0)
  return flat.map((value, at) =>
    at % 3 === 0 && total > 0 ? Number((value / total).toPrecision(12)) : value,
  )
}

interface ObjectSet {
  /** Of the requests to the cache. */
  readonly share: number
  readonly law: Popularity
}

/** @param flat three numbers each: requests, objects, alpha */
function setsOf(flat: readonly number[]): ObjectSet[] | { readonly why: string } {
  const sets: { requests: number; law: Popularity }[] = []
  for (let at = 0; at + 2 < flat.length; at += 3) {
    const [requests = 0, objects = 1, alpha = 0] = flat.slice(at, at + 3)
    const law = zipf(alpha, Math.max(1, Math.round(objects)))
    if (!law.ok) return { why: law.why }
    sets.push({ requests, law: law.value })
  }
  const total = sets.reduce((sum, set) => sum + set.requests, 0)
  if (total === 0) return { why: 'nobody asks it' }
  return sets.map(({ requests, law }) => ({ share: requests / total, law }))
}

/** All sets as one: what shares a cache competes for its places. */
function mixed(sets: ReturnType<typeof setsOf>): Popularity | { readonly why: string } {
  if ('why' in sets) return sets
  const groups = sets.flatMap(({ share, law }) =>
    Array.from(law.probability, (probability, at) => ({
      probability: probability * share,
      count: law.count[at] as number,
    })),
  )
  groups.sort((a, b) => b.probability - a.probability)
  return {
    objects: sets.reduce((sum, { law }) => sum + law.objects, 0),
    probability: Float64Array.from(groups, group => group.probability),
    count: Float64Array.from(groups, group => group.count),
  }
}

/** Hit ratio of one set among those that share an LRU cache, by Che's characteristic time of all. */
function hitsOf(entries: number, which: number, flat: readonly number[]): Outcome {
  const sets = setsOf(flat)
  const all = mixed(sets)
  if ('why' in all || 'why' in sets) return 'why' in all ? all : (sets as { why: string })
  const made = cacheHitRatio(all, 'lru', entries)
  if (!made.ok) return { why: made.why }
  const { characteristicTime: time, hitRatio } = made.value
  if (time === null) return hitRatio
  const { share, law } = sets[which] as ObjectSet
  let hits = 0
  for (let at = 0; at < law.probability.length; at++) {
    const probability = law.probability[at] as number
    hits -= (law.count[at] as number) * probability * Math.expm1(-probability * share * time)
  }
  return Math.min(1, hits)
}
