// The part of `tenfold cache` that is about application caches in Redis: status, one entry, what they forget.

import { bytesText, durationText } from '../kit/duration.ts'
import { Failure } from '../kit/failure.ts'
import type { SharedCacheView, SharedEntryView } from '../system/index.ts'
import type { CommandInput } from './command.ts'
import { clientOf } from './connection.ts'
import { cliFailures } from './failures.ts'
import { type Column, type Terminal, tableLines } from './terminal.ts'

export async function sharedCache(input: CommandInput): Promise<0> {
  const { terminal, json, args, options, lists } = input
  const { action = 'status', what: key } = args
  const { of } = options
  const redis = String(options.redis)
  if (typeof of !== 'string')
    throw missing(`'tenfold cache ${action}' needs --of: the name that the service gives its cache.`)
  const { caches } = clientOf(input)
  const show = (view: object, text: string): void => terminal.print(json ? JSON.stringify(view) : text)
  if (action === 'status') {
    const view = await caches.sharedStatus(redis, of)
    show(view, sharedText(view, terminal))
  } else if (action === 'get') {
    if (key === undefined) throw missing("'tenfold cache get' needs a key.")
    const view = await caches.sharedEntry(redis, of, key)
    show(view, entryText(view, terminal))
  } else if (action === 'purge') {
    const tags = lists.tag ?? []
    const all = options.all === true
    if (key === undefined && tags.length === 0 && !all)
      throw missing("'tenfold cache purge' needs a key, --tag or --all: nothing was purged.")
    const keys = key === undefined ? [] : [key]
    const view = await caches.sharedPurge(redis, { of, keys, tags, all, soft: options.soft === true })
    show(view, view.text)
  } else
    throw new Failure(
      cliFailures.optionInvalid,
      `'tenfold cache ${action}' is about the edge: leave out --of.`,
    )
  return 0
}

type Paint = Pick<Terminal, 'paint'>

const columns: readonly Column[] = [
  { title: 'SERVER' },
  { title: 'STATE' },
  ...['ENTRIES', 'MEMORY', 'OF', 'EVICTED'].map(title => ({ title, align: 'right' as const })),
  { title: 'POLICY' },
]

export function sharedText({ cache, of, servers, warnings }: SharedCacheView, { paint }: Paint): string {
  const rows = servers.map(one => [
    one.server,
    one.ready ? paint('green', 'ready') : paint('red', `away: ${one.cause ?? ''}`),
    one.ready ? `${one.counted ? '' : '~'}${one.entries}` : '-',
    one.ready ? bytesText(one.memoryBytes) : '-',
    one.memoryBytesMax === 0 ? '-' : bytesText(one.memoryBytesMax),
    String(one.evicted),
    one.policy,
  ])
  return [
    `${paint('bold', of)}  in ${cache}`,
    ...tableLines(columns, rows),
    ...warnings.map(warning => `${paint('yellow', 'warning')}  ${warning}`),
  ].join('\n')
}

export function entryText({ key, state, entry }: SharedEntryView, { paint }: Paint): string {
  const head = `${paint('bold', key)}  ${paint(state === 'hit' ? 'green' : 'yellow', state)}`
  if (entry === null) return head
  const { tags, version, freshMs, graceMs, bytes, format, value } = entry
  const fresh = freshMs > 0 ? `fresh for ${durationText(freshMs)}` : 'not fresh'
  return [
    `${head}  ${fresh}, then ${durationText(graceMs)} of grace; ${bytesText(bytes)} of ${format}${version < 0 ? '' : `, version ${version}`}`,
    ...(tags.length === 0 ? [] : [`tags  ${tags.join(', ')}`]),
    value ?? paint('dim', bytes === 0 ? 'known not to exist' : 'bytes that are no text'),
  ].join('\n')
}

const missing = (sentence: string): Failure => new Failure(cliFailures.argumentMissing, sentence)
