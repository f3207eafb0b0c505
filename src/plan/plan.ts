// The estimate as a whole: every section in its order, once with the values of the file, and again with each uncertain
// input moved up and down, which gives the ranges and what a figure depends on most.

import type { CheckedSystem, CheckedWorkload } from '../file/index.ts'
import { addEdgeCache, addEdgeHits, addSharedCache } from './caches.ts'
import { createContext, type PlanOptions } from './context.ts'
import { addCost } from './cost.ts'
import { addDatabase, addStatementTimes } from './databases.ts'
import type { Functions } from './expression.ts'
import { createFunctions } from './functions.ts'
import { addGrowth, addLimits, type Break, type Step } from './limits.ts'
import { addLoad } from './load.ts'
import type { Prices } from './prices.ts'
import type { Quantity } from './quantity.ts'
import { type Influence, influencesOf, type Run, rangesOf } from './ranges.ts'
import { addFlows, roadsOf, servicesReached } from './roads.ts'
import { addAvailability, addDurability } from './safety.ts'
import type { Term } from './sheet.ts'
import { addEdge, addLatency, addService } from './tiers.ts'
import { addBandwidth, addStorage } from './volume.ts'

/** Something that the file has, beside what the peak asks for. */
export interface Have {
  readonly what: string
  readonly has: number
  /** Null: no number is enough. */
  readonly needs: number | null
  readonly key: string
}

/** A part that can't do its work: it is said, and nothing is given as a mean. */
export interface Unstable {
  readonly path: string
  readonly message: string
}

export interface Plan {
  readonly name: string
  readonly times: number
  readonly growthYears: number
  /** The file's, a year. */
  readonly growthPerYear: number
  readonly prices: Pick<Prices, 'date' | 'currency'>
  readonly quantities: readonly Quantity[]
  readonly has: readonly Have[]
  readonly unstable: readonly Unstable[]
  readonly breaks: readonly Break[]
  readonly growth: readonly Step[]
  /** What the cost of a month depends on, the most first. */
  readonly influences: readonly Influence[]
}

export interface PlanProblem {
  readonly path: string
  readonly message: string
  readonly remedy: string
}

const timesMax = 1e6
const yearsMax = 50

/** @returns the plan, or what is wrong, by key */
export function planOf(
  system: CheckedSystem,
  prices: Prices,
  options: PlanOptions = {},
):
  | { readonly ok: true; readonly plan: Plan }
  | { readonly ok: false; readonly problems: readonly PlanProblem[] } {
  const { workload } = system
  const problems: PlanProblem[] = []
  const { times = 1, growthYears = 0 } = options
  if (!(times > 0 && times <= timesMax))
    problems.push({
      path: '--times',
      message: `is ${times}`,
      remedy: `Write a number above 0, up to ${timesMax}.`,
    })
  if (!(growthYears >= 0 && growthYears <= yearsMax))
    problems.push({
      path: '--growth-years',
      message: `is ${growthYears}`,
      remedy: `Write a number from 0 to ${yearsMax}.`,
    })
  if (workload === undefined)
    problems.push({
      path: 'workload',
      message: 'is not there: what people do is not known',
      remedy: "Add for example workload: { dailyUsers: 10_000, reads: { perUser: 20, path: '/' } }.",
    })
  if (workload === undefined || problems.length > 0) return { ok: false, problems }
  const functions = createFunctions()
  const run = (factors: ReadonlyMap<string, number>): Computed =>
    compute(system, workload, prices, options, functions, factors)
  const base = run(new Map())
  if (base.lost.length > 0)
    return {
      ok: false,
      problems: base.lost.map(path => ({
        path: `workload.${path}.path`,
        message: 'leads nowhere: no route takes it',
        remedy: 'Ask for what a route takes, or add a route.',
      })),
    }
  const varied = rangesOf(base.run, factors => run(factors).run, workload.calibrated !== null)
  return {
    ok: true,
    plan: {
      name: system.name,
      times,
      growthYears,
      growthPerYear: workload.growthPerYear,
      prices: { date: prices.date, currency: prices.currency },
      quantities: varied.quantities,
      has: base.has,
      unstable: base.unstable,
      breaks: base.breaks,
      growth: base.growth,
      influences: influencesOf(varied, 'cost.month'),
    },
  }
}

interface Computed {
  readonly run: Run
  readonly has: readonly Have[]
  readonly unstable: readonly Unstable[]
  readonly breaks: readonly Break[]
  readonly growth: readonly Step[]
  /** Paths of actions that no route takes. */
  readonly lost: readonly string[]
}

function compute(
  system: CheckedSystem,
  workload: CheckedWorkload,
  prices: Prices,
  options: PlanOptions,
  functions: Functions,
  factors: ReadonlyMap<string, number>,
): Computed {
  const c = createContext(system, workload, prices, options, functions, factors)
  const { sheet } = c
  const load = addLoad(c)
  const { roads, lost } = roadsOf(c, load.actions)
  const edgeHits = addEdgeCache(c, roads)
  addEdgeHits(c, roads, edgeHits, load)
  const shared = new Map<string, Term>()
  const cacheHits = (cache: string): Term => {
    const term = shared.get(cache) ?? addSharedCache(c, cache, load)
    shared.set(cache, term)
    return term
  }
  const flows = addFlows(c, roads, edgeHits, cacheHits)
  const storage = addStorage(c, load, roads)
  const bandwidth = addBandwidth(c, load, flows)
  const edge = addEdge(c, load, bandwidth)
  const tiers = new Map(Object.keys(workload.services).map(name => [name, addService(c, name, flows)]))
  const databases = Object.keys(workload.databases).map(name => addDatabase(c, name, flows, storage))
  addLatency(
    c,
    load,
    tiers,
    databases.flatMap(one => addStatementTimes(c, one)),
  )
  const used = new Set(roads.flatMap(road => [...servicesReached(c, road)]))
  addAvailability(c, used, tiers, databases)
  addDurability(c, databases)
  addCost(c, { load, edge, tiers, databases, storage, bandwidth })
  const parts = { edge, tiers, databases, bandwidth }
  const breaks = addLimits(c, parts)
  const growth = addGrowth(c, parts)
  const value = (id: string): number | null => sheet.value(id)
  const has: Have[] = [
    ...[...tiers].map(([name, tier]) => ({
      what: `instances of ${name}`,
      has: tier.have.value as number,
      needs: tier.withSpare.value,
      key: tier.have.from.path,
    })),
    ...databases.flatMap(d => [
      {
        what: `replicas of ${d.name}`,
        has: d.servers - 1,
        needs: value(`databases.${d.name}.replicasNeeded`),
        key: `databases.${d.name}.replicas`,
      },
      {
        what: `shards of ${d.name}`,
        has: d.shards.value as number,
        needs: d.shardsNeeded.value,
        key: `databases.${d.name}.shards`,
      },
      {
        what: `connections to ${d.name}`,
        has: d.poolSize.value as number,
        needs: d.connections.value,
        key: `databases.${d.name}.pool.size`,
      },
    ]),
  ]
  return {
    run: { figures: sheet.figures, inputs: sheet.inputs },
    has,
    unstable: breaks
      .filter(one => one.at <= 1 && !/\.(?:disk|pool|p99)$/.test(one.id))
      .map(one => ({
        path: one.key,
        message: `unstable: at ${Number(one.at.toPrecision(3))} x this peak ${one.what}; beyond, what waits grows without end, so there is no mean`,
      })),
    breaks,
    growth,
    lost: lost.map(one => one.path),
  }
}
