// What a month costs: machines as the target asks for them, disks, objects, traffic. By a price file that says its day.

import { type Context, nameIn } from './context.ts'
import type { DatabaseTerms } from './databases.ts'
import type { LoadTerms } from './load.ts'
import type { Term } from './sheet.ts'
import type { EdgeTerms, TierTerms } from './tiers.ts'
import type { BandwidthTerms, StorageTerms } from './volume.ts'

const section = 'cost'
const unit = 'money'
const source = 'the price file'

export interface CostParts {
  readonly load: LoadTerms
  readonly edge: EdgeTerms
  readonly tiers: ReadonlyMap<string, TierTerms>
  readonly databases: readonly DatabaseTerms[]
  readonly storage: StorageTerms
  readonly bandwidth: BandwidthTerms
}

export function addCost(c: Context, { load, edge, tiers, databases, storage, bandwidth }: CostParts): void {
  const { sheet, workload, system } = c
  const hours = c.assume('hours of a month', 730, 'count')
  const gigabyte = c.assume('bytes of a gigabyte', 1e9, 'bytes')
  const cpu = c.price('vcpuHour')
  const ram = c.price('memoryGbHour')
  const machineMemory = c.told('machine.memory', workload.machine.memoryBytes, 'bytes')
  const all: Term[] = []
  all.push(
    sheet.add({
      id: 'cost.edge',
      section,
      label: 'Machines of the edge',
      unit,
      formula: 'machines * (cores * cpu + memory / gigabyte * ram) * hours',
      with: {
        machines: edge.machines,
        cores: edge.haveCores,
        cpu,
        memory: machineMemory,
        gigabyte,
        ram,
        hours,
      },
      source,
    }),
  )
  for (const [name, tier] of tiers)
    all.push(
      sheet.add({
        id: `cost.${name}`,
        section,
        label: `Instances of ${name}`,
        unit,
        formula: 'instances * (slots * cpu + memory / gigabyte * ram) * hours',
        with: {
          instances: tier.withSpare,
          slots: tier.slots,
          cpu,
          memory: c.told(`services.${name}.memory`, workload.services[name]!.memoryBytes, 'bytes'),
          gigabyte,
          ram,
          hours,
        },
        source,
      }),
    )
  for (const d of databases) {
    const shards = d.shardsNeeded
    const servers = c.has(`databases.${d.name}.replicas + 1`, d.servers, 'count')
    all.push(
      sheet.add({
        id: `cost.${d.name}`,
        section,
        label: `Servers of ${d.name}`,
        unit,
        formula: 'max(shards, shards_now) * servers * (cores * cpu + memory / gigabyte * ram) * hours',
        with: {
          shards,
          shards_now: d.shards,
          servers,
          cores: d.cores,
          cpu,
          memory: machineMemory,
          gigabyte,
          ram,
          hours,
        },
        source,
      }),
      sheet.add({
        id: `cost.${d.name}Disks`,
        section,
        label: `Disks of ${d.name}`,
        unit,
        formula: 'copies / gigabyte * disk',
        with: { copies: storage.copies.get(d.name)!, gigabyte, disk: c.price('diskGbMonth') },
        source,
      }),
    )
    const backup = system.databases[d.name]?.backup
    if (backup)
      all.push(
        sheet.add({
          id: `cost.${d.name}Backups`,
          section,
          label: `Backups of ${d.name}`,
          unit,
          formula: 'bytes * keep / gigabyte * object',
          with: {
            bytes: d.bytes,
            keep: c.has(`databases.${d.name}.backup.keep`, backup.keep, 'count'),
            gigabyte,
            object: c.price('objectGbMonth'),
          },
          source,
        }),
      )
  }
  addMedia(c, load, storage, gigabyte, all)
  all.push(
    sheet.add({
      id: 'cost.traffic',
      section,
      label: 'Traffic to clients',
      unit,
      formula: 'out / gigabyte * egress',
      with: { out: bandwidth.outPerMonth, gigabyte, egress: c.price('egressGb') },
      source,
    }),
  )
  const total = sheet.sum({ id: 'cost.month', section, label: 'A month, all together', unit }, all)
  sheet.add({
    id: 'cost.perMillion',
    section,
    label: 'For a million requests',
    unit,
    formula: 'month / (per_day * days_of_month) * 1e6',
    with: {
      month: total,
      per_day: load.perDay,
      days_of_month: c.assume('days of a month', 730 / 24, 'count'),
    },
  })
}

function addMedia(c: Context, load: LoadTerms, storage: StorageTerms, gigabyte: Term, all: Term[]): void {
  const media = load.actions.filter(one => one.load.media !== null)
  if (media.length === 0) return
  const { sheet } = c
  all.push(
    sheet.add({
      id: 'cost.media',
      section,
      label: 'Media, as objects',
      unit,
      formula: 'kept / gigabyte * object',
      with: { kept: storage.mediaKept, gigabyte, object: c.price('objectGbMonth') },
      source,
    }),
  )
  const terms: Record<string, Term> = { days: c.assume('days of a month', 730 / 24, 'count') }
  const parts = media.map(({ name, load: one, path, perDay }) => {
    const n = nameIn(name)
    const price = one.kind === 'write' ? 'objectMillionWrites' : 'objectMillionReads'
    terms[n] = perDay
    terms[`${n}_share`] = c.told(`${path}.media.share`, one.media?.share ?? 0, 'share')
    terms[price] = c.price(price)
    return `${n} * ${n}_share * ${price}`
  })
  all.push(
    sheet.add({
      id: 'cost.mediaRequests',
      section,
      label: 'Requests for media',
      unit,
      formula: `(${parts.join(' + ')}) * days / 1e6`,
      with: terms,
      source,
    }),
  )
}
