// Systems of tests: checked from what a user would write, and played to their end.

import type { CheckedSystem } from '../../file/checked.ts'
import { checkSystem } from '../../file/index.ts'
import type { SimulationResult, TrafficResult } from '../result.ts'
import { defaultRehearsal } from '../system/default-rehearsal.ts'
import { Simulation, type SimulationOptions } from '../system/simulation.ts'

/** Throws with every problem of the file. */
export function checked(file: object): CheckedSystem {
  const result = checkSystem(file, { path: 'tenfold.config.ts' } as never)
  if (!('system' in result)) throw new Error(JSON.stringify(result.problems, null, 1))
  return result.system
}

/** The first rehearsal of the file. @param step events at once */
export function play(file: object, options: SimulationOptions & { step?: number } = {}): SimulationResult {
  const system = checked(file)
  const rehearsal = Object.values(system.rehearsals)[0] ?? defaultRehearsal
  const { workload } = system
  if (workload === undefined) throw new Error('no workload')
  const simulation = new Simulation(system, workload, rehearsal, options)
  while (!simulation.step(options.step ?? 1_000_000));
  return simulation.result()
}

export function all(result: SimulationResult): TrafficResult {
  return result.traffic[0] as TrafficResult
}

/** Queues and nothing else: no network, no processor of the edge, no probes. Service time 10 ms, exponential. */
export function queues(given: {
  servers: number
  load: number
  balance?: object | string
  seconds?: number
  service?: object
  rehearsal?: object
  upstream?: object
  edge?: object
}): object {
  const {
    servers,
    load,
    balance = 'random',
    seconds = 1_000,
    service = {},
    rehearsal = {},
    upstream = {},
    edge = {},
  } = given
  return {
    name: 'queues',
    edge: { listen: { http: 8080 }, workers: 1, routes: [{ path: '/*', to: 's', ...edge }] },
    services: {
      s: {
        addresses: Array.from(
          { length: servers },
          (_, at) => `10.0.${Math.floor(at / 200)}.${(at % 200) + 1}:80`,
        ),
        health: false,
        balance,
        retry: { attempts: 0 },
        ...upstream,
      },
    },
    workload: {
      actions: { ask: { rate: `${load * servers * 100}/s`, path: '/', kind: 'read' } },
      services: { s: { time: '10ms', ...service } },
      network: { client: '0ms', inside: '0ms' },
      machine: { edge: '0us' },
    },
    rehearsals: {
      test: { duration: `${seconds}s`, warmup: `${seconds / 20}s`, arrivals: 'mean', ...rehearsal },
    },
  }
}
