// How much lies and how much flows: storage a day, a year and as long as it is kept, with indexes, bloat and copies; and
// the bits a second at the edge, behind it and between databases.

import { type Context, nameIn } from './context.ts'
import type { LoadTerms } from './load.ts'
import { type Road, servicesReached } from './roads.ts'
import type { Term } from './sheet.ts'

/** Where nothing says how long things are kept. */
const yearsUnsaid = 5
const dayMs = 86_400_000

export interface StorageTerms {
  readonly mediaKept: Term
  /** Of one copy, by database. */
  readonly databases: ReadonlyMap<string, Term>
  readonly copies: ReadonlyMap<string, Term>
}

interface Product {
  readonly formula: string
  readonly terms: Readonly<Record<string, Term>>
}

/** Σ of products of terms, over actions. */
function sumOver(parts: readonly (readonly [string, Readonly<Record<string, Term>>])[]): Product {
  return {
    formula: parts.map(([formula]) => formula).join(' + ') || '0',
    terms: Object.assign({}, ...parts.map(([, terms]) => terms)) as Record<string, Term>,
  }
}

export function addStorage(c: Context, load: LoadTerms, roads: readonly Road[]): StorageTerms {
  const { sheet, workload } = c
  const writes = load.actions.filter(one => one.load.kind === 'write')
  const kept = keptDays(c)
  const media = sumOver(
    writes.flatMap(({ name, load: one, path, perDay }) => {
      if (one.media === null) return []
      const n = nameIn(name)
      const { share, bytes } = one.media
      return [
        [
          `${n} * ${n}_share * ${n}_bytes`,
          {
            [n]: perDay,
            [`${n}_share`]: c.told(`${path}.media.share`, share, 'share'),
            [`${n}_bytes`]: c.told(`${path}.media.bytes`, bytes, 'bytes'),
          },
        ],
      ] as const
    }),
  )
  const mediaDay = sheet.add({
    id: 'storage.mediaPerDay',
    section: 'storage',
    label: 'Media a day',
    unit: 'bytes/day',
    formula: media.formula,
    with: media.terms,
  })
  const mediaKept = sheet.add({
    id: 'storage.mediaKept',
    section: 'storage',
    label: 'Media, all that is kept',
    unit: 'bytes',
    formula: 'per_day * days',
    with: { per_day: mediaDay, days: kept },
  })
  const names = Object.keys(workload.databases)
  const rowDays = new Map(names.map(name => [name, [] as Term[]]))
  const unplaced: Term[] = []
  for (const action of writes) {
    if (action.load.storedBytes === 0) continue
    const term = sheet.add({
      id: `storage.${action.name}.perDay`,
      section: 'storage',
      label: `Rows of ${action.name} a day`,
      unit: 'bytes/day',
      formula: 'per_day * stored',
      with: {
        per_day: action.perDay,
        stored: c.told(`${action.path}.stored`, action.load.storedBytes, 'bytes'),
      },
    })
    const home = homeOf(c, action.name, roads, names)
    if (home === null) unplaced.push(term)
    else rowDays.get(home)?.push(term)
  }
  if (unplaced.length > 0)
    sheet.sum(
      {
        id: 'storage.elsewherePerDay',
        section: 'storage',
        label: 'Stored a day, in no database of the file',
        unit: 'bytes/day',
      },
      unplaced,
    )
  const databases = new Map<string, Term>()
  const copies = new Map<string, Term>()
  const perDay: Term[] = [mediaDay, ...unplaced]
  for (const name of names) {
    const settings = workload.databases[name]!
    const rows = sheet.sum(
      {
        id: `storage.${name}.rowsPerDay`,
        section: 'storage',
        label: `Rows of ${name} a day`,
        unit: 'bytes/day',
      },
      rowDays.get(name) ?? [],
    )
    perDay.push(rows)
    const one = sheet.add({
      id: `storage.${name}.kept`,
      section: 'storage',
      label: `${name}, one copy of all that is kept`,
      unit: 'bytes',
      formula: 'rows * (1 + indexes + bloat) * days',
      with: {
        rows,
        indexes: c.told(`databases.${name}.indexes`, settings.indexShare, 'share'),
        bloat: c.told(`databases.${name}.bloat`, settings.bloatShare, 'share'),
        days: kept,
      },
    })
    databases.set(name, one)
    copies.set(
      name,
      sheet.add({
        id: `storage.${name}.copies`,
        section: 'storage',
        label: `${name}, with its replicas`,
        unit: 'bytes',
        formula: 'one_copy * servers',
        with: {
          one_copy: one,
          servers: c.has(`databases.${name}.replicas + 1`, serversOf(c, name), 'count'),
        },
      }),
    )
  }
  const day = sheet.sum(
    {
      id: 'storage.perDay',
      section: 'storage',
      label: 'Stored a day, before indexes and copies',
      unit: 'bytes/day',
    },
    perDay,
  )
  sheet.add({
    id: 'storage.perYear',
    section: 'storage',
    label: 'Stored a year, before indexes and copies',
    unit: 'bytes',
    formula: 'per_day * days_of_year',
    with: { per_day: day, days_of_year: c.assume('days of a year', 365, 'count') },
  })
  return { mediaKept, databases, copies }
}

export function keptDays(c: Context): Term {
  const { retentionMs } = c.workload
  return retentionMs === null
    ? c.assume('days kept, where no retention is said', yearsUnsaid * 365, 'count')
    : c.told('retention', retentionMs / dayMs, 'count')
}

/** Servers of one group: of a shard, where there are shards. */
export function serversOf({ system }: Context, database: string): number {
  const servers = system.databases[database]?.servers
  if (servers === undefined) return 1
  return servers.kind === 'embedded' ? servers.members.length : servers.urls.length
}

/** The database that an action's rows go to: the first that a service on its way writes to, else the first that one calls. */
function homeOf(c: Context, action: string, roads: readonly Road[], names: readonly string[]): string | null {
  const road = roads.find(one => one.action.name === action)
  const reached = road === undefined ? new Set<string>() : servicesReached(c, road)
  const calls = [...reached].flatMap(name => c.workload.services[name]?.calls ?? [])
  const called = calls.filter(call => call.kind === 'database')
  const found = called.find(call => call.writes > 0) ?? called[0]
  return found?.database ?? (names.length === 1 && reached.size > 0 ? (names[0] as string) : null)
}

export interface BandwidthTerms {
  readonly out: Term
  readonly in: Term
  readonly outPerMonth: Term
}

export function addBandwidth(
  c: Context,
  load: LoadTerms,
  flows: { readonly passed: ReadonlyMap<string, Term> },
): BandwidthTerms {
  const { sheet } = c
  const bits = c.assume('bits of a byte', 8, 'count')
  const flow = (direction: 'request' | 'response', rate: 'peak' | 'mean' | 'passed'): Product =>
    sumOver(
      load.actions.flatMap(action => {
        const term = rate === 'passed' ? flows.passed.get(action.name) : action[rate]
        if (term === undefined) return []
        const n = nameIn(action.name)
        const { media, kind } = action.load
        const carries = media !== null && (direction === 'request') === (kind === 'write')
        const bytes = direction === 'request' ? action.load.requestBytes : action.load.responseBytes
        return [
          [
            carries ? `${n} * (${n}_bytes + ${n}_share * ${n}_media)` : `${n} * ${n}_bytes`,
            {
              [n]: term,
              [`${n}_bytes`]: c.told(`${action.path}.${direction}`, bytes, 'bytes'),
              ...(carries && {
                [`${n}_share`]: c.told(`${action.path}.media.share`, media.share, 'share'),
                [`${n}_media`]: c.told(`${action.path}.media.bytes`, media.bytes, 'bytes'),
              }),
            },
          ],
        ] as const
      }),
    )
  const add = (id: string, label: string, made: Product): Term =>
    sheet.add({
      id,
      section: 'bandwidth',
      label,
      unit: 'bits/s',
      formula: `(${made.formula}) * bits`,
      with: { ...made.terms, bits },
    })
  const out = add('bandwidth.out', 'From the edge to clients, at the peak', flow('response', 'peak'))
  const into = add('bandwidth.in', 'From clients to the edge, at the peak', flow('request', 'peak'))
  add('bandwidth.origin', 'From services to the edge, at the peak', flow('response', 'passed'))
  const month = flow('response', 'mean')
  const outPerMonth = sheet.add({
    id: 'bandwidth.outPerMonth',
    section: 'bandwidth',
    label: 'To clients in a month',
    unit: 'bytes',
    formula: `(${month.formula}) * day * days_of_month`,
    with: { ...month.terms, day: load.day, days_of_month: c.assume('days of a month', 730 / 24, 'count') },
  })
  return { out, in: into, outPerMonth }
}
