// The rows of docs/validation.md: what is simulated, and the value that is known, with its source.

import {
  type Answer,
  anySlow,
  cacheHitRatio,
  dm1,
  ekm1,
  erlangB,
  erlangC,
  hedged,
  mg1,
  mm1k,
  mm1SojournQuantile,
  mmc,
  retryAmplification,
  supermarket,
  zipf,
} from '../../src/plan/formulas/index.ts'
import type { Estimate } from '../../src/sim/core/index.ts'
import { all, play, queues } from '../../src/sim/testing/play.ts'
import { balanced, cacheHits, fanOut, queue, serviceUs } from './models.ts'

export interface Row {
  readonly group: string
  readonly model: string
  readonly exact: number
  readonly source: string
  /** Bounds on the difference that are no chance: a limit taken for a finite number, an approximation. Share of the value. */
  readonly allowed: number
  readonly run: string
  readonly seed: number
  readonly simulate: () => Estimate
}

function value<T>(answer: Answer<T>): T {
  if (!answer.ok) throw new Error(answer.why)
  return answer.value
}

const million = 1_000_000

function mm1Rows(): Row[] {
  const runs: [number, number][] = [
    [0.5, 1],
    [0.8, 2],
    [0.9, 4],
    [0.95, 4],
  ]
  return runs.flatMap(([load, millions]): Row[] => {
    let ran: ReturnType<typeof queue> | null = null
    const once = (): ReturnType<typeof queue> =>
      (ran ??= queue({ servers: 1, offered: load, customers: millions * million, seed: 1 }))
    const row = {
      group: 'M/M/1',
      run: `${millions} M customers`,
      seed: 1,
      source: 'Kleinrock 1975',
      allowed: 0,
    }
    return [
      { ...row, model: `load ${load}, mean time`, exact: 1 / (1 - load), simulate: () => once().mean },
      {
        ...row,
        model: `load ${load}, p99`,
        exact: value(mm1SojournQuantile(load, 1, 0.99)),
        simulate: () => once().quantile(0.99),
      },
    ]
  })
}

function mmcRows(): Row[] {
  const stations: [number, number][] = [
    [10, 8],
    [10, 9],
    [50, 45],
    [100, 90],
    [100, 95],
    [1000, 950],
  ]
  return stations.flatMap(([servers, offered]): Row[] => {
    let ran: ReturnType<typeof queue> | null = null
    const once = (): ReturnType<typeof queue> =>
      (ran ??= queue({ servers, offered, customers: million, seed: 2 }))
    const row = { group: 'M/M/c', run: '1 M customers', seed: 2, source: 'Erlang 1917', allowed: 0 }
    return [
      {
        ...row,
        model: `${servers} servers, ${offered} Erlangs, share that waits`,
        exact: value(erlangC(servers, offered)),
        simulate: () => once().waited,
      },
      {
        ...row,
        model: `${servers} servers, ${offered} Erlangs, mean time`,
        exact: value(mmc({ arrivalRate: offered, serviceMean: 1, servers })).sojournMean,
        simulate: () => once().mean,
      },
    ]
  })
}

function mg1Rows(): Row[] {
  return [0, 0.25, 1, 4, 16].map(variation => ({
    group: 'M/G/1',
    model: `load 0.8, Cs² ${variation} (${variation === 0 ? 'fixed' : variation === 1 ? 'exponential' : 'log-normal'}), mean time`,
    exact: value(mg1(0.8, 1, variation)).sojournMean,
    source: 'Pollaczek 1930, Khinchine 1932',
    allowed: variation > 4 ? 0.05 : 0,
    run: variation > 1 ? '4 M customers' : '2 M customers',
    seed: 3,
    simulate: () =>
      queue({
        servers: 1,
        offered: 0.8,
        customers: (variation > 1 ? 4 : 2) * million,
        seed: 3,
        service:
          variation === 0
            ? { kind: 'fixed', us: serviceUs }
            : variation === 1
              ? { kind: 'exponential', meanUs: serviceUs }
              : { kind: 'log-normal', meanUs: serviceUs, sigma: Math.sqrt(Math.log(1 + variation)) },
      }).mean,
  }))
}

function lossRows(): Row[] {
  const blocking: [number, number][] = [
    [5, 3],
    [10, 8],
    [10, 10],
    [20, 12],
    [100, 90],
    [100, 100],
  ]
  const bounded: [number, number][] = [
    [0.8, 5],
    [0.9, 10],
    [1, 10],
    [1.2, 10],
    [1.2, 50],
  ]
  return [
    ...blocking.map(([servers, offered]) => ({
      group: 'Erlang B',
      model: `${servers} servers, ${offered} Erlangs, share turned away`,
      exact: value(erlangB(servers, offered)),
      source: 'Erlang 1917',
      allowed: 0,
      run: '1 M customers',
      seed: 4,
      simulate: () => queue({ servers, offered, customers: million, seed: 4, queueMax: 0 }).lost,
    })),
    ...bounded.map(([load, places]) => ({
      group: 'M/M/1/K',
      model: `load ${load}, ${places} places, share turned away`,
      exact: value(mm1k(load, 1, places)).lossProbability,
      source: 'Kleinrock 1975',
      allowed: 0,
      run: '1 M customers',
      seed: 5,
      simulate: () =>
        queue({ servers: 1, offered: load, customers: million, seed: 5, queueMax: places - 1 }).lost,
    })),
  ]
}

function choiceRows(): Row[] {
  const deterministic: Row[] = [0.5, 0.8, 0.9].map(load => ({
    group: 'D/M/1',
    model: `load ${load}, mean time`,
    exact: value(dm1(load)),
    source: 'Kleinrock 1975',
    allowed: 0,
    run: '1 M customers',
    seed: 6,
    simulate: () => queue({ servers: 1, offered: load, customers: million, seed: 6, even: true }).mean,
  }))
  const roundRobin: Row[] = [0.5, 0.9].map(load => ({
    group: 'Balancing, 100 servers',
    model: `round robin of production, load ${load}, mean time (E100/M/1)`,
    exact: value(ekm1(load, 100)),
    source: 'Kleinrock 1975',
    allowed: 0,
    run: '3 M customers',
    seed: 7,
    simulate: () =>
      balanced({ servers: 100, load, customers: 3 * million, seed: 7, kind: 'round-robin' }).mean,
  }))
  const two: Row[] = [0.5, 0.7, 0.8, 0.9, 0.95].map(load => ({
    group: 'Balancing, 500 servers',
    model: `two choices of production, load ${load}, mean time`,
    exact: value(supermarket(load, 2)),
    source: 'Mitzenmacher 2001, limit of very many',
    allowed: load > 0.9 ? 0.02 : 0.01,
    run: '3 M customers',
    seed: 8,
    simulate: () =>
      balanced({ servers: 500, load, customers: 3 * million, seed: 8, kind: 'two-choices' }).mean,
  }))
  const three: Row[] = [0.5, 0.7, 0.8, 0.9, 0.95].map(load => ({
    group: 'Balancing, 500 servers',
    model: `shortest of three, load ${load}, mean time`,
    exact: value(supermarket(load, 3)),
    source: 'Mitzenmacher 2001, limit of very many',
    allowed: load > 0.9 ? 0.03 : 0.015,
    run: '2 M customers',
    seed: 9,
    simulate: () =>
      balanced({ servers: 500, load, customers: 2 * million, seed: 9, kind: 'shortest of three' }).mean,
  }))
  const published: Row[] = [
    ['random', 10.07],
    ['two-choices', 2.658],
    ['least-connections', 1.065],
  ].map(([kind, mean]) => ({
    group: 'Balancing, 100 servers',
    model: `${kind} of production, load 0.9, mean time`,
    exact: mean as number,
    source: 'simulated by others, 20 M jobs',
    allowed: 0.01,
    run: '3 M customers',
    seed: 10,
    simulate: () =>
      balanced({ servers: 100, load: 0.9, customers: 3 * million, seed: 10, kind: kind as 'random' }).mean,
  }))
  return [...deterministic, ...roundRobin, ...two, ...three, ...published]
}

function cacheRows(): Row[] {
  const things = 100_000
  const cases = [0.6, 0.8, 0.9, 1, 1.2].flatMap(alpha => [0.01, 0.1].map(share => [alpha, share] as const))
  return (['lru', 'fifo'] as const).flatMap(kind =>
    cases.map(([alpha, share]): Row => {
      const requests = share === 0.1 ? 1_200_000 : 600_000
      return {
        group: `Cache, ${kind.toUpperCase()} of production`,
        model: `100,000 things, Zipf ${alpha}, room for ${share * 100} %, hit ratio`,
        exact: value(cacheHitRatio(value(zipf(alpha, things)), kind, things * share)).hitRatio,
        source: 'Che 2002, Fricker 2012',
        allowed: 0.01,
        run: `${requests / million} M requests after ${requests / 2 / million} M`,
        seed: 11,
        simulate: () => cacheHits({ kind, things, alpha, entries: things * share, requests, seed: 11 }),
      }
    }),
  )
}

function tailRows(): Row[] {
  return [
    ...[10, 100].map(leaves => ({
      group: 'Fan-out',
      model: `${leaves} leaves, each 1 % slow, share that meets a slow one`,
      exact: value(anySlow(0.01, leaves)),
      source: 'Dean and Barroso 2013',
      allowed: 0,
      run: '300,000 requests',
      seed: 12,
      simulate: () => fanOut(leaves, 0.01, false, 300_000, 12),
    })),
    {
      group: 'Fan-out',
      model: '100 leaves, each hedged',
      exact: value(hedged(0.01, 100, 0.95)).anySlow,
      source: 'Dean and Barroso 2013',
      allowed: 0.02,
      run: '300,000 requests',
      seed: 13,
      simulate: () => fanOut(100, 0.01, true, 300_000, 13),
    },
    ...[0.5, 0.9].map(failures => ({
      group: 'Retries (a system of a file)',
      model: `three tries, ${failures * 100} % fail: load`,
      exact: value(retryAmplification(failures, 3)),
      source: 'geometric series',
      allowed: 0.01,
      run: '1,000 s at 80/s',
      seed: 1,
      simulate: () => {
        const upstream = { retry: { attempts: 2, onStatus: [500], share: 1, budgetMin: 1_000 } }
        const service = { failures: `${failures * 100}%` }
        const one = all(play(queues({ servers: 8, load: 0.1, seconds: 1_000, upstream, service })))
        return { value: (one.arrived + one.edgeRetries) / one.arrived, halfWidth: null }
      },
    })),
    {
      group: 'Coordinated omission (a system of a file)',
      model: '100 s at 1 us, then 99.9 s of standstill, 100/s: mean of who wanted to come, ms',
      // 9,990 of 20,000 wait for half of 99.9 s.
      exact: (9_990 / 20_000) * 49_950,
      source: 'Tene 2013',
      allowed: 0.001,
      run: '200 s',
      seed: 1,
      simulate: () => {
        const file = queues({
          servers: 1,
          load: 1,
          seconds: 100_200,
          service: { time: { fixed: '1us' } },
          rehearsal: {
            duration: '200s',
            warmup: '0s',
            arrivals: { level: 'mean', shape: 'even' },
            faults: [{ at: '100s', for: '99900ms', hang: 's' }],
          },
          upstream: { timeouts: { response: '1h' } },
        })
        const mean = all(play(file)).latency?.mean ?? { value: 0, halfWidth: null }
        return { value: mean.value / 1_000, halfWidth: null }
      },
    },
  ]
}

export function rows(): Row[] {
  return [
    ...mm1Rows(),
    ...mmcRows(),
    ...mg1Rows(),
    ...lossRows(),
    ...choiceRows(),
    ...cacheRows(),
    ...tailRows(),
  ]
}
