// One model for a number of customers, as a process of its own: node program.ts MODEL CUSTOMERS [PENDING]. Prints one line of
// JSON. The clock stands outside of what is measured: start-up and compiling are in it only as far as they go on.

import { checkSystem } from '../../src/file/index.ts'
import { createBalancer } from '../../src/policy/balance.ts'
import { PlainGroup } from '../../src/policy/testing/plain-group.ts'
import { Engine, Sketch } from '../../src/sim/core/index.ts'
import { Simulation } from '../../src/sim/index.ts'

export interface Measured {
  readonly customers: number
  readonly events: number
  readonly cpuSeconds: number
  readonly rssMegabytes: number
  readonly mean: number
}

interface Ran {
  readonly customers: number
  readonly events: number
  readonly mean: number
}

const serviceUs = 1_000_000
const load = 0.9

/** One server, one line. */
function mm1(customers: number): Ran {
  const engine = new Engine({ seed: 1 })
  const arrivals = engine.stream('arrivals')
  const services = engine.stream('services')
  const times = new Sketch()
  const ring = new Float64Array(1 << 20)
  let head = 0
  let tail = 0
  let came = 0
  const end = engine.on('end', () => {
    times.add(engine.now - (ring[head++ & (ring.length - 1)] as number))
    if (head < tail) engine.after(Math.round(services.exponential() * serviceUs), end)
  })
  const arrive = engine.on('arrive', () => {
    ring[tail++ & (ring.length - 1)] = engine.now
    if (tail - head === 1) engine.after(Math.round(services.exponential() * serviceUs), end)
    if (++came < customers) engine.after(Math.round((arrivals.exponential() * serviceUs) / load), arrive)
  })
  engine.at(0, arrive)
  engine.run(Number.MAX_SAFE_INTEGER - 1)
  return { customers, events: engine.events, mean: times.mean / serviceUs }
}

/** A hundred servers with a line each, chosen by the balancer of production. */
function twoChoices(customers: number): Ran {
  const count = 100
  const engine = new Engine({ seed: 1 })
  const arrivals = engine.stream('arrivals')
  const services = engine.stream('services')
  const choices = engine.stream('choices')
  const times = new Sketch()
  const group = new PlainGroup(Array.from({ length: count }, () => ({})))
  const balancer = createBalancer({ kind: 'two-choices' })
  balancer.rebuild(group)
  const size = 4_096
  const rings = Array.from({ length: count }, () => new Float64Array(size))
  const heads = new Int32Array(count)
  let came = 0
  const end = engine.on('end', server => {
    const member = group.members[server] as { inFlight: number }
    times.add(engine.now - (rings[server]?.[(heads[server] as number) & (size - 1)] as number))
    heads[server]!++
    if (--member.inFlight > 0) engine.after(Math.round(services.exponential() * serviceUs), end, server)
  })
  const arrive = engine.on('arrive', () => {
    const server = balancer.pick(group, engine.now, 0, choices)
    const member = group.members[server] as { inFlight: number }
    const ring = rings[server] as Float64Array
    ring[((heads[server] as number) + member.inFlight) & (size - 1)] = engine.now
    if (++member.inFlight === 1) engine.after(Math.round(services.exponential() * serviceUs), end, server)
    if (++came < customers)
      engine.after(Math.round((arrivals.exponential() * serviceUs) / load / count), arrive)
  })
  engine.at(0, arrive)
  engine.run(Number.MAX_SAFE_INTEGER - 1)
  return { customers, events: engine.events, mean: times.mean / serviceUs }
}

/** One server as `tenfold simulate` builds it from a file: client, edge, member, instance, and all that is counted. */
function system(customers: number): Ran {
  const perSecond = 90
  const result = checkSystem({
    name: 'queue',
    edge: { listen: { http: 8080 }, workers: 1, routes: [{ path: '/*', to: 's' }] },
    services: { s: { addresses: ['10.0.0.1:80'], health: false, retry: { attempts: 0 } } },
    workload: {
      actions: { ask: { rate: `${perSecond}/s`, path: '/' } },
      services: { s: { time: '10ms' } },
      network: { client: '0ms', inside: '0ms' },
      machine: { edge: '0us' },
    },
    rehearsals: {
      one: { duration: `${Math.round(customers / perSecond)}s`, warmup: '0s', arrivals: 'mean' },
    },
  })
  if (!result.ok || result.system.workload === undefined) throw new Error(JSON.stringify(result))
  const { workload, rehearsals } = result.system
  const simulation = new Simulation(result.system, workload, rehearsals.one as never)
  while (!simulation.step(1_000_000));
  const { traffic, events } = simulation.result()
  return {
    customers: traffic[0]?.arrived ?? 0,
    events,
    mean: (traffic[0]?.latency?.mean.value ?? 0) / 10_000,
  }
}

/** Each event that is handled plans the next one: as many pending as there were. */
function hold(events: number, pending: number): Ran {
  const engine = new Engine({ seed: 1 })
  const stream = engine.stream('holds')
  const next = engine.on('next', () => void engine.after(Math.round(stream.exponential() * serviceUs), next))
  for (let at = 0; at < pending; at++) engine.after(Math.round(stream.exponential() * serviceUs), next)
  engine.run(Number.MAX_SAFE_INTEGER - 1, events)
  return { customers: 0, events, mean: 0 }
}

const [model = 'mm1', count = '1000000', pending = '1000'] = process.argv.slice(2)
const models: Readonly<Record<string, (count: number) => Ran>> = {
  mm1,
  system,
  'two-choices': twoChoices,
  hold: events => hold(events, Number(pending)),
}
if (import.meta.main) {
  const before = process.cpuUsage()
  const ran = (models[model] ?? mm1)(Number(count))
  const { user, system: kernel } = process.cpuUsage(before)
  const measured: Measured = {
    ...ran,
    cpuSeconds: (user + kernel) / 1e6,
    rssMegabytes: Math.round(process.memoryUsage().rss / 1e6),
  }
  console.log(JSON.stringify(measured))
}
