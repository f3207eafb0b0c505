// Machines and instances at the peak: the edge and each service, by work (cores), by the target of utilisation, with one to
// spare and with a zone lost; and how long requests stay there, by the way that production balances.

import type { CheckedService } from '../file/checked.ts'
import { lawMeanUs } from '../file/load-values.ts'
import { type Context, nameIn } from './context.ts'
import type { Choice } from './formulas/index.ts'
import { choiceNumber } from './functions.ts'
import type { LoadTerms } from './load.ts'
import type { Flows } from './roads.ts'
import type { Term } from './sheet.ts'

export interface TierTerms {
  readonly rate: Term
  readonly cores: Term
  /** At the target of utilisation. */
  readonly needed: Term
  readonly withSpare: Term
  readonly have: Term
  readonly slots: Term
  readonly time: Term
  /** How one of several queues is chosen; null: instances that work on several at once. */
  readonly choice: Choice | null
}

const kinds: Readonly<Record<string, Choice>> = {
  'round-robin': 'round-robin',
  'weighted-round-robin': 'round-robin',
  'two-choices': 'two-choices',
  'least-connections': 'shortest',
  'least-response-time': 'shortest',
  'least-bandwidth': 'shortest',
  resource: 'two-choices',
}

export function addService(c: Context, name: string, flows: Flows): TierTerms {
  const { sheet, workload, system } = c
  const load = workload.services[name]!
  const service = system.services[name] as CheckedService
  const id = `services.${name}`
  const section = 'tiers'
  const rate = flows.services.get(name)!
  const time = c.told(`${id}.time`, lawMeanUs(load.time) / 1e6, 'seconds')
  const slots = c.told(`${id}.concurrency`, load.concurrency, 'count')
  const target = c.told('targets.utilisation', workload.targets.utilisationMax, 'share')
  const cores = sheet.add({
    id: `${id}.cores`,
    section,
    label: `Work for ${name}`,
    unit: 'cores',
    formula: 'rate * time',
    with: { rate, time },
    source: 'Little (1961): the mean number at work',
  })
  sheet.add({
    id: `${id}.least`,
    section,
    label: `Least instances of ${name}, without any idle time`,
    unit: 'count',
    formula: 'max(1, ceil(cores / slots))',
    with: { cores, slots },
  })
  const needed = sheet.add({
    id: `${id}.needed`,
    section,
    label: `Instances of ${name} at the wanted utilisation`,
    unit: 'count',
    formula: 'max(1, ceil(cores / (slots * utilisation)))',
    with: { cores, slots, utilisation: target },
  })
  const { zones } = workload.machine
  const withSpare = sheet.add({
    id: `${id}.withSpare`,
    section,
    label: zones > 1 ? `... with one zone of ${zones} lost` : '... with one to spare',
    unit: 'count',
    formula: zones > 1 ? 'max(needed + 1, ceil(needed * zones / (zones - 1)))' : 'needed + 1',
    with: { needed, ...(zones > 1 && { zones: c.told('machine.zones', zones, 'count') }) },
    source: 'N+1; zones: c z / (z - 1)',
  })
  const most = service.kind === 'command' ? service.instances.max : service.addresses.length
  const have = c.has(
    service.kind === 'command' ? `services.${name}.instances.max` : `services.${name}.addresses`,
    most,
    'count',
  )
  const utilisation = sheet.add({
    id: `${id}.utilisation`,
    section,
    label: `Utilisation of the ${most === 1 ? 'one instance' : `${most} instances`} of ${name} at the peak`,
    unit: 'share',
    formula: 'cores / (slots * instances)',
    with: { cores, slots, instances: have },
  })
  const choice = kinds[service.upstream.balance.kind] ?? 'random'
  if (load.discipline === 'shared')
    sheet.add({
      id: `${id}.meanTime`,
      section: 'latency',
      label: `Mean time in ${name}, cores shared`,
      unit: 'seconds',
      formula: 'pooled_mean(rate / instances, time, slots)',
      with: { rate, instances: have, time, slots },
      source:
        'processor sharing on all cores of an instance: the mean of M/M/c; on one core S / (1 - u), whatever the law',
    })
  else if (load.concurrency === 1)
    for (const [key, label, call] of [
      ['meanTime', 'Mean time', 'mean_by_choice'],
      ['p99', '99 of 100 done within, in', 'p99_by_choice'],
    ] as const)
      sheet.add({
        id: `${id}.${key}`,
        section: 'latency',
        label: `${label}${key === 'p99' ? '' : ' in'} ${name}, balanced by ${service.upstream.balance.kind}`,
        unit: 'seconds',
        formula: `time * ${call}(${choiceNumber(choice)}, instances, utilisation)`,
        with: { time, instances: have, utilisation },
        source: `a queue for each instance, ${choice}, exponential service: Pollaczek-Khinchine; Mitzenmacher (2001)`,
      })
  else
    for (const [key, label, call] of [
      ['meanTime', 'Mean time', 'pooled_mean'],
      ['p99', '99 of 100 done within, in', 'pooled_p99'],
    ] as const)
      sheet.add({
        id: `${id}.${key}`,
        section: 'latency',
        label: `${label}${key === 'p99' ? '' : ' in'} ${name}, each instance with its queue`,
        unit: 'seconds',
        formula: `${call}(rate / instances, time, slots)`,
        with: { rate, instances: have, time, slots },
        source: 'Erlang (1917): M/M/c in each instance, requests spread at random',
      })
  const { p99Ms } = workload.targets
  if (p99Ms !== null)
    sheet.add({
      id: `${id}.queueBound`,
      section,
      label: `Requests that may wait in an instance of ${name} and still meet p99`,
      unit: 'count',
      formula: 'max(0, floor((deadline - time) * slots / time))',
      with: { deadline: c.told('targets.p99', p99Ms / 1000, 'seconds'), time, slots },
      source: 'K = mu (deadline - S)',
    })
  if (p99Ms !== null && load.concurrency === 1 && load.discipline !== 'shared') {
    const most = c.told('targets.p99', p99Ms / 1000, 'seconds')
    sheet.add({
      id: `${id}.pooledForP99`,
      section,
      label: `Instances of ${name} that meet p99 from one common queue`,
      unit: 'count',
      formula: 'pooled_for_p99(rate, time, most)',
      with: { rate, time, most },
      source: 'Erlang (1917): the least c of M/M/c',
    })
    sheet.add({
      id: `${id}.ownQueuesForP99`,
      section,
      label: `... with a queue each, balanced by ${service.upstream.balance.kind}`,
      unit: 'count',
      formula: `own_queues_for_p99(${choiceNumber(choice)}, rate, time, most)`,
      with: { rate, time, most },
      source: `${choice}: Pollaczek-Khinchine; Mitzenmacher (2001)`,
    })
  }
  const queues = load.concurrency === 1 && load.discipline !== 'shared'
  return { rate, cores, needed, withSpare, have, slots, time, choice: queues ? choice : null }
}

export interface EdgeTerms {
  readonly cores: Term
  readonly haveCores: Term
  readonly machines: Term
}

export function addEdge(
  c: Context,
  load: LoadTerms,
  bandwidth: { readonly out: Term; readonly in: Term },
): EdgeTerms {
  const { sheet, workload, system } = c
  const section = 'tiers'
  const cores = sheet.add({
    id: 'edge.cores',
    section,
    label: 'Work for the edge',
    unit: 'cores',
    formula: 'rate * time',
    with: { rate: load.peak, time: c.told('machine.edge', workload.machine.edgeUs / 1e6, 'seconds') },
    source: 'Little (1961): the mean number at work',
  })
  const { workers } = system.edge
  const machineCores = c.told('machine.cores', workload.machine.cores, 'cores')
  const haveCores =
    workers === 'cores'
      ? machineCores
      : c.has('edge.workers', Math.min(workers, workload.machine.cores), 'cores')
  const machines = sheet.add({
    id: 'edge.machines',
    section,
    label: 'Machines for the edge, by work and by network',
    unit: 'count',
    formula:
      'max(1, ceil(cores / (machine_cores * utilisation)), ceil(max(out, in) / (network * utilisation)))',
    with: {
      cores,
      machine_cores: haveCores,
      out: bandwidth.out,
      in: bandwidth.in,
      network: c.told('machine.network', workload.machine.networkBitsPerSecond, 'bits/s'),
      utilisation: c.told('targets.utilisation', workload.targets.utilisationMax, 'share'),
    },
  })
  return { cores, haveCores, machines }
}

/** Mean time of an answer, and how many are under way; where a tier is unstable there is none. */
export function addLatency(
  c: Context,
  load: LoadTerms,
  tiers: ReadonlyMap<string, TierTerms>,
  databaseTimes: readonly (readonly [Term, Term])[],
): void {
  const { sheet, workload } = c
  const terms: Record<string, Term> = {
    peak: load.peak,
    client: c.told('network.client', lawMeanUs(workload.network.client) / 1e6, 'seconds'),
    inside: c.told('network.inside', lawMeanUs(workload.network.inside) / 1e6, 'seconds'),
    edge: c.told('machine.edge', workload.machine.edgeUs / 1e6, 'seconds'),
  }
  const parts: string[] = []
  for (const [name, tier] of tiers) {
    const n = nameIn(name)
    const stay = sheet.term(`services.${name}.meanTime`)
    if (stay === null || tier.rate.value === 0) continue
    terms[n] = tier.rate
    terms[`${n}_time`] = stay
    parts.push(`${n} * (${n}_time + 2 * inside)`)
  }
  for (const [at, [rate, time]] of databaseTimes.entries()) {
    terms[`statements${at}`] = rate
    terms[`statement_time${at}`] = time
    parts.push(`statements${at} * (statement_time${at} + 2 * inside)`)
  }
  const mean = sheet.add({
    id: 'latency.mean',
    section: 'latency',
    label: 'Mean time of an answer at the peak, for who waits',
    unit: 'seconds',
    formula: `2 * client + edge${parts.length > 0 ? ` + (${parts.join(' + ')}) / peak` : ''}`,
    with: terms,
    source:
      'the mean work of a request in each tier, with its waiting; percentiles of the whole: tenfold simulate',
  })
  sheet.add({
    id: 'load.concurrency',
    section: 'load',
    label: 'Requests under way at the peak',
    unit: 'count',
    formula: 'peak * mean_time',
    with: { peak: load.peak, mean_time: mean },
    source: 'Little (1961): L = lambda W',
  })
}
