// Shards as text for people: what lies on each of them. Pure but for the terminal's colours.

import { bytesText } from '../kit/duration.ts'
import type { ShardsView, ShardView } from '../system/index.ts'
import { type Column, type Terminal, tableLines } from './terminal.ts'

const columns: Column[] = [
  { title: 'TABLE' },
  { title: 'PLACED' },
  { title: 'ROWS', align: 'right' },
  { title: 'SIZE', align: 'right' },
  { title: 'ROWS READ', align: 'right' },
  { title: 'WRITTEN', align: 'right' },
]

export function shardsText(
  { database, mapVersion, shards }: ShardsView,
  terminal: Pick<Terminal, 'paint'>,
): string {
  const all = shards.reduce((sum, shard) => sum + bytesOf(shard), 0)
  return [
    `${database}: ${shards.length} shards, map version ${mapVersion}, ${bytesText(all)}`,
    ...shards.flatMap(shard => ['', ...shardLines(shard, all, terminal)]),
  ].join('\n')
}

function bytesOf({ tables }: ShardView): number {
  return tables.reduce((sum, table) => sum + table.bytes, 0)
}

function shardLines(shard: ShardView, all: number, terminal: Pick<Terminal, 'paint'>): string[] {
  const { id, group, primary, slots, trouble, tables } = shard
  const held = slots.all === 0 ? '' : `, ${slots.held} of ${slots.all} slots`
  if (trouble !== '') return [`shard ${id} (${group})${held}: ${terminal.paint('red', trouble)}`]
  const bytes = bytesOf(shard)
  const share = all === 0 ? '' : ` (${Math.round((bytes / all) * 100)} %)`
  const rows = tables.map(table => [
    table.table.replace(/^public\./, ''),
    table.place,
    `${table.exact ? '' : '~'}${table.rows}`,
    bytesText(table.bytes),
    String(table.reads),
    String(table.writes),
  ])
  return [
    `shard ${id} (${group}, primary ${primary})${held}, ${bytesText(bytes)}${share}`,
    ...(rows.length === 0
      ? ['  no table of the map is there yet']
      : tableLines(columns, rows).map(line => `  ${line}`)),
  ]
}
