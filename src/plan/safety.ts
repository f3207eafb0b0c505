// How much of the time the system serves, and how safe what it stores is. A part with spare instances is up when enough of
// them are; a database with a replica is down while it fails over. Failures of machines are independent, those of a zone shared.

import type { Context } from './context.ts'
import { nameIn } from './context.ts'
import type { DatabaseTerms } from './databases.ts'
import type { Term } from './sheet.ts'
import type { TierTerms } from './tiers.ts'

const section = 'availability'
const yearMs = 31_557_600_000

export function addAvailability(
  c: Context,
  used: ReadonlySet<string>,
  tiers: ReadonlyMap<string, TierTerms>,
  databases: readonly DatabaseTerms[],
): void {
  const { sheet, workload, system } = c
  const { machine } = workload
  const mtbf = c.told('machine.mtbf', machine.mtbfMs / 1000, 'seconds')
  const mttr = c.told('machine.mttr', machine.mttrMs / 1000, 'seconds')
  const one = sheet.add({
    id: 'availability.machine',
    section,
    label: 'One machine',
    unit: 'availability',
    formula: 'mtbf / (mtbf + mttr)',
    with: { mtbf, mttr },
    source: 'MTBF / (MTBF + MTTR)',
  })
  const parts: Record<string, Term> = { edge: one }
  for (const [name, tier] of tiers) {
    if (!used.has(name)) continue
    parts[`service_${nameIn(name)}`] = sheet.add({
      id: `availability.${name}`,
      section,
      label: `${name}: enough of ${tier.have.value} instances for the peak`,
      unit: 'availability',
      formula: '1 - k_of_n_down(max(1, ceil(cores / slots)), instances, machine)',
      with: { cores: tier.cores, slots: tier.slots, instances: tier.have, machine: one },
      source: 'k of n, each instance on a machine of its own: sum of C(n,i) a^i (1-a)^(n-i)',
    })
  }
  for (const d of databases) {
    const settings = system.databases[d.name]!
    const automatic = d.servers > 1 && settings.failover.automatic
    parts[`database_${nameIn(d.name)}`] = automatic
      ? sheet.add({
          id: `availability.${d.name}`,
          section,
          label: `${d.name}: a primary that is replaced when it fails`,
          unit: 'availability',
          formula: '(1 - leader_down(year / mtbf, detect + promote)) ^ shards',
          with: {
            year: c.assume('seconds of a year', yearMs / 1000, 'seconds'),
            mtbf,
            detect: c.has(
              `databases.${d.name}.failover.detect`,
              settings.failover.detectTimeoutMs / 1000,
              'seconds',
            ),
            promote: c.assume('seconds of a promotion', 2, 'seconds'),
            shards: d.shards,
          },
          source: '1 - failures a year (detection + promotion) / year',
        })
      : sheet.add({
          id: `availability.${d.name}`,
          section,
          label: `${d.name}: down while its primary is repaired`,
          unit: 'availability',
          formula: 'machine ^ shards',
          with: { machine: one, shards: d.shards },
          source: 'series: all shards must be up',
        })
  }
  const whole = sheet.add({
    id: 'availability.whole',
    section,
    label: 'The whole system',
    unit: 'availability',
    formula: Object.keys(parts).join(' * '),
    with: parts,
    source: 'series: the product over the parts that every request needs',
  })
  const wanted = workload.targets.availability
  if (wanted !== null)
    sheet.add({
      id: 'availability.allowedPerMonth',
      section,
      label: 'Down in a month of 30 days that the target allows',
      unit: 'seconds',
      formula: '(1 - wanted) * period',
      with: {
        wanted: c.told('targets.availability', wanted, 'availability'),
        period: c.assume('seconds of a month of 30 days', 2_592_000, 'seconds'),
      },
      source: 'the error budget: (1 - SLO) x window',
    })
  for (const [key, label, seconds] of [
    ['year', 'a year', 31_557_600],
    ['month', 'a month of 30 days', 2_592_000],
    ['week', 'a week', 604_800],
    ['day', 'a day', 86_400],
  ] as const)
    sheet.add({
      id: `availability.downPer${key[0]?.toUpperCase()}${key.slice(1)}`,
      section,
      label: `Down in ${label}`,
      unit: 'seconds',
      formula: '(1 - whole) * period',
      with: { whole, period: c.assume(`seconds of ${label}`, seconds, 'seconds') },
    })
}

export function addDurability(c: Context, databases: readonly DatabaseTerms[]): void {
  const { sheet, workload } = c
  for (const d of databases) {
    const rebuild = sheet.add({
      id: `durability.${d.name}.rebuild`,
      section: 'durability',
      label: `Until a lost copy of ${d.name} is there again`,
      unit: 'seconds',
      formula: 'mttr + bytes / shards * bits / network',
      with: {
        mttr: c.told('machine.mttr', workload.machine.mttrMs / 1000, 'seconds'),
        bytes: d.bytes,
        shards: d.shards,
        bits: c.assume('bits of a byte', 8, 'count'),
        network: c.told('machine.network', workload.machine.networkBitsPerSecond, 'bits/s'),
      },
    })
    sheet.add({
      id: `durability.${d.name}.years`,
      section: 'durability',
      label: `Years until all ${d.servers === 1 ? 'of the one copy' : `${d.servers} copies`} of a shard of ${d.name} are lost, without backups`,
      unit: 'years',
      formula: 'years_to_loss(copies, 1 / mtbf, 1 / rebuild) / year / shards',
      with: {
        copies: c.has(`databases.${d.name}.replicas + 1`, d.servers, 'count'),
        mtbf: c.told('machine.mtbf', workload.machine.mtbfMs / 1000, 'seconds'),
        rebuild,
        year: c.assume('seconds of a year', yearMs / 1000, 'seconds'),
        shards: d.shards,
      },
      source: 'mean time to data loss of a Markov chain; failures that are independent, and lose the disk',
    })
  }
}
