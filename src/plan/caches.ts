// What caches answer: a hit ratio that the file gives, or one by Che's approximation from places and popularity; and the
// memory that wanted ratios need.

import { type Context, nameIn } from './context.ts'
import type { LoadTerms } from './load.ts'
import type { Road } from './roads.ts'
import type { Term } from './sheet.ts'

const che = 'Che, Tung & Wang (2002): LRU of independent requests; Fricker et al. (2012)'
/** What an entry of the edge takes beside its body: docs/decisions/0023-edge-store.md. */
const overheadBytes = 331
const wanted = [0.8, 0.9, 0.95] as const

/** Hit ratios of the edge's cache, by action. */
export function addEdgeCache(c: Context, roads: readonly Road[]): ReadonlyMap<string, Term> {
  const { sheet, system, workload } = c
  const settings = system.edge.cache
  const load = workload.caches.edge
  const kept = roads.filter(road => road.cached)
  const hits = new Map<string, Term>()
  if (settings === undefined || load === undefined || kept.length === 0) return hits
  const path = 'caches.edge'
  if (load.hitRatio !== null) {
    const given = c.told(`${path}.hitRatio`, load.hitRatio, 'share')
    for (const road of kept) hits.set(road.action.name, given)
    return hits
  }
  const entry = c.told(`${path}.entry`, load.entryBytes, 'bytes')
  const places = sheet.add({
    id: 'caches.edge.entries',
    section: 'caches',
    label: 'Things that the cache of the edge can hold',
    unit: 'count',
    formula:
      load.entriesMax === null
        ? 'min(entries_max, floor(memory / (entry + overhead)))'
        : 'min(entries_max, entries)',
    with: {
      entries_max: c.has('edge.cache.entries', settings.entriesMax, 'count'),
      ...(load.entriesMax === null
        ? {
            memory: c.has('edge.cache.memory', settings.memoryBytes, 'bytes'),
            entry,
            overhead: c.assume('bytes that an entry takes beside its body', overheadBytes, 'bytes'),
          }
        : { entries: c.told(`${path}.entries`, load.entriesMax, 'count') }),
    },
  })
  const sets: Record<string, Term> = {}
  for (const { action } of kept) {
    const name = nameIn(action.name)
    sets[`${name}_rate`] = action.mean
    sets[`${name}_objects`] = c.told(`${action.path}.objects`, action.load.objects?.count ?? 1, 'count')
    sets[`${name}_alpha`] = c.told(`${action.path}.popularity`, action.load.objects?.alpha ?? 0, 'times')
  }
  const listed = Object.keys(sets).join(', ')
  for (const [at, { action }] of kept.entries()) {
    const name = nameIn(action.name)
    const bySize = `cache_hits(entries, ${at}, ${listed})`
    hits.set(
      action.name,
      sheet.add({
        id: `caches.edge.${action.name}.hits`,
        section: 'caches',
        label: `${action.name} that the edge answers from its cache`,
        unit: 'share',
        formula:
          load.ttlMs === null
            ? bySize
            : `min(${bySize}, ttl_hits(${name}_rate, ttl, ${name}_objects, ${name}_alpha))`,
        with: {
          entries: places,
          ...sets,
          ...(load.ttlMs !== null && { ttl: c.told(`${path}.ttl`, load.ttlMs / 1000, 'seconds') }),
        },
        source: `${che}; with a time to live, the smaller of both ratios`,
      }),
    )
  }
  for (const ratio of wanted)
    sheet.add({
      id: `caches.edge.memoryFor${ratio * 100}`,
      section: 'caches',
      label: `Memory for ${ratio * 100} % hits at the edge`,
      unit: 'bytes',
      formula: `cache_entries(${ratio}, ${listed}) * (entry + overhead)`,
      with: {
        ...sets,
        entry,
        overhead: c.assume('bytes that an entry takes beside its body', overheadBytes, 'bytes'),
      },
      source: che,
    })
  return hits
}

/** Share of the cacheable requests that the edge answers, all together. */
export function addEdgeHits(
  c: Context,
  roads: readonly Road[],
  hits: ReadonlyMap<string, Term>,
  load: LoadTerms,
): void {
  const kept = roads.filter(road => hits.has(road.action.name))
  if (kept.length === 0) return
  const terms: Record<string, Term> = { peak: load.peak }
  const parts = kept.map(({ action }) => {
    const name = nameIn(action.name)
    terms[name] = action.peak
    terms[`${name}_hits`] = hits.get(action.name) as Term
    return `${name} * ${name}_hits`
  })
  c.sheet.add({
    id: 'caches.edge.hits',
    section: 'caches',
    label: 'All requests that the edge answers from its cache',
    unit: 'share',
    formula: `(${parts.join(' + ')}) / peak`,
    with: terms,
  })
}

/** Of a cache that services ask: things of all actions compete for it. */
export function addSharedCache(c: Context, cache: string, load: LoadTerms): Term {
  const { sheet, workload } = c
  const settings = workload.caches[cache]
  const path = `caches.${cache}`
  const id = `caches.${cache}.hits`
  if (settings?.hitRatio != null) return c.told(`${path}.hitRatio`, settings.hitRatio, 'share')
  const sets: Record<string, Term> = {}
  for (const action of load.actions.filter(one => one.load.kind === 'read')) {
    const name = nameIn(action.name)
    sets[`${name}_rate`] = action.mean
    sets[`${name}_objects`] = c.told(`${action.path}.objects`, action.load.objects?.count ?? 1, 'count')
    sets[`${name}_alpha`] = c.told(`${action.path}.popularity`, action.load.objects?.alpha ?? 0, 'times')
  }
  if (Object.keys(sets).length === 0) return c.assume(`workload.${path}.hitRatio`, 0, 'share')
  const entries = sheet.add({
    id: `caches.${cache}.entries`,
    section: 'caches',
    label: `Things that ${cache} can hold`,
    unit: 'count',
    formula: settings?.entriesMax == null ? 'floor(memory / entry)' : 'entries',
    with:
      settings?.entriesMax == null
        ? {
            memory: c.told('machine.memory', workload.machine.memoryBytes, 'bytes'),
            entry: c.told(`${path}.entry`, settings?.entryBytes ?? 10_240, 'bytes'),
          }
        : { entries: c.told(`${path}.entries`, settings.entriesMax, 'count') },
  })
  // All sets together: the mean over them of what each hits.
  const names = Object.keys(sets).filter(name => name.endsWith('_rate'))
  const listed = Object.keys(sets).join(', ')
  return sheet.add({
    id,
    section: 'caches',
    label: `Reads that ${cache} answers`,
    unit: 'share',
    formula: `(${names.map((name, at) => `${name} * cache_hits(entries, ${at}, ${listed})`).join(' + ')}) / (${names.join(' + ')})`,
    with: { entries, ...sets },
    source: che,
  })
}
