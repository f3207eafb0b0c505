// `tenfold cache [status|look]`: what the edge keeps, how often it serves from it, and why a page is or is not there; with
// --of the same of an application cache in Redis, and `get` and `purge`.

import { bytesText, durationText } from '../../kit/duration.ts'
import { Failure } from '../../kit/failure.ts'
import type { CacheLookView, CacheView } from '../../system/index.ts'
import type { Action } from '../command.ts'
import { clientOf } from '../connection.ts'
import { cliFailures } from '../failures.ts'
import { sharedCache } from '../redis-cache.ts'
import { percentText } from '../status-text.ts'
import { type Column, type Terminal, tableLines } from '../terminal.ts'

export const cache: Action = async input => {
  const { terminal, json, args, options } = input
  const { action = 'status' } = args
  if (options.of !== undefined || action === 'get' || action === 'purge') return sharedCache(input)
  const { caches } = clientOf(input)
  if (action === 'status') {
    const view = await caches.status()
    terminal.print(json ? JSON.stringify(view) : cacheText(view, terminal))
    return 0
  }
  const url = args.what
  if (url === undefined)
    throw new Failure(
      cliFailures.argumentMissing,
      "'tenfold cache look' needs a URL: https://shop.example/films.",
    )
  const view = await caches.look(url)
  terminal.print(json ? JSON.stringify(view) : lookText(view, terminal))
  return 0
}

type Paint = Pick<Terminal, 'paint'>

const columns: readonly Column[] = [
  { title: 'ROUTE' },
  ...['HIT RATIO', 'HITS', 'STALE', 'VALIDATED', 'JOINED', 'MISSES', 'PASSED BY', 'SERVED'].map(title => ({
    title,
    align: 'right' as const,
  })),
]

export function cacheText({ name, eviction, store, routes, peers }: CacheView, { paint }: Paint): string {
  const rows = routes.map(route => [
    route.id,
    route.hitRatio === null ? '-' : percentText(route.hitRatio),
    ...[route.hits, route.stale, route.revalidated, route.collapsed, route.misses, route.bypassed].map(
      String,
    ),
    bytesText(route.hitBytes),
  ])
  const disk =
    store.diskEntries + store.diskBytes + store.diskFailures === 0
      ? []
      : [
          `disk    ${store.diskEntries} answers, ${bytesText(store.diskBytes)}${store.diskFailures === 0 ? '' : paint('red', `, ${store.diskFailures} failures`)}`,
        ]
  return [
    `${paint('bold', name)}  ${eviction}`,
    `memory  ${store.entries} answers, ${bytesText(store.bytes)} of ${bytesText(store.bytesMax)}; ${store.evicted} evicted, ${store.refused} not taken, ${store.purges} purges`,
    ...disk,
    ...peers.map(({ url, waiting, why }) =>
      waiting === 0
        ? `peer    ${url}  ${paint('green', 'told')}`
        : `peer    ${url}  ${paint('red', `${waiting} purges wait`)}: ${why}`,
    ),
    '',
    ...tableLines(columns, rows),
  ].join('\n')
}

export function lookText({ url, route, key, why, entry }: CacheLookView, { paint }: Paint): string {
  const head = [
    `${paint('bold', url)}  ${route === null ? paint('yellow', 'no route') : `route ${route}`}`,
    ...(key === '' ? [] : [`key     ${key}`]),
    `stored  ${entry === null ? paint('yellow', `no: ${why}`) : why}`,
  ]
  if (entry === null) return head.join('\n')
  const left =
    entry.freshForMs >= 0
      ? `fresh for ${durationText(entry.freshForMs)} more`
      : `stale for ${durationText(-entry.freshForMs)}`
  return [
    ...head,
    `answer  ${entry.status}, ${paint(entry.state === 'fresh' ? 'green' : 'yellow', entry.state)}, ${durationText(entry.ageMs)} old, ${left}, ${entry.bodyBytes < 0 ? 'length unknown' : bytesText(entry.bodyBytes)}`,
    '',
    entry.fields.trimEnd(),
  ].join('\n')
}
