// How hot shards, slots and keys are, and what is advised, as text for people. Pure but for the terminal's colours.

import type { HeatView } from '../system/index.ts'
import { type Column, type Terminal, tableLines } from './terminal.ts'

type Heat = HeatView['heat']
type Advice = HeatView['advice'][number]

const slotsShown = 5

const shardColumns: Column[] = [
  { title: 'SHARD' },
  { title: 'READS/S', align: 'right' },
  { title: 'WRITES/S', align: 'right' },
  { title: 'OF ALL', align: 'right' },
]
const slotColumns: Column[] = [
  { title: 'FAMILY' },
  { title: 'SLOT', align: 'right' },
  { title: 'SHARD', align: 'right' },
  { title: 'READS/S', align: 'right' },
  { title: 'WRITES/S', align: 'right' },
  { title: 'OF ALL', align: 'right' },
]
const keyColumns: Column[] = [
  { title: 'FAMILY' },
  { title: 'KEY' },
  { title: 'SHARD', align: 'right' },
  { title: 'A SECOND', align: 'right' },
  { title: 'OF ALL', align: 'right' },
]

/** @param keys the hottest keys, too: they may be about people */
export function heatText(heat: Heat, keys: boolean): readonly string[] {
  const all = heat.shards.reduce((sum, one) => sum + one.reads + one.writes, 0)
  if (all === 0) return ['no statement has come lately: nothing is hot']
  const rate = (count: number): string => rateText((count / heat.overMs) * 1_000)
  const share = (count: number): string => `${Math.round((count / all) * 100)} %`
  const families = Object.entries(heat.families)
  const shards = heat.shards.map(({ shard, reads, writes }) => [
    shard,
    rate(reads),
    rate(writes),
    share(reads + writes),
  ])
  const slots = families
    .flatMap(([family, { slots }]) => (slots ?? []).map(one => ({ family, ...one })))
    .sort((one, other) => other.reads + other.writes - one.reads - one.writes)
  const lines = [
    'heat, as the router counted it lately:',
    ...tableLines(shardColumns, shards).map(line => `  ${line}`),
  ]
  if (slots.length > 0)
    lines.push(
      `the hottest of ${slots.length} slots with any:`,
      ...tableLines(
        slotColumns,
        slots
          .slice(0, slotsShown)
          .map(({ family, slot, shard, reads, writes }) => [
            plain(family),
            String(slot),
            shard,
            rate(reads),
            rate(writes),
            share(reads + writes),
          ]),
      ).map(line => `  ${line}`),
    )
  if (!keys) return lines
  const hot = families.flatMap(([family, { keys }]) => keys.map(one => ({ family, ...one })))
  if (hot.length === 0) return [...lines, 'no key stands out']
  return [
    ...lines,
    'the hottest keys:',
    ...tableLines(
      keyColumns,
      hot
        .sort((one, other) => other.count - one.count)
        .map(({ family, key, shard, count, error }) => [
          plain(family),
          key.join(', '),
          shard,
          `${error > 0 ? '<= ' : ''}${rate(count)}`,
          share(count - error),
        ]),
    ).map(line => `  ${line}`),
  ]
}

export function adviceText(
  database: string,
  advice: readonly Advice[],
  { paint }: Pick<Terminal, 'paint'>,
): readonly string[] {
  return advice.flatMap(one => {
    if (one.kind === 'enough') return [`nothing to do about hot spots: ${one.why}`]
    const effect =
      one.effect === null
        ? ''
        : `: the hottest shard would have ${percent(one.effect.would)} of the load instead of ${percent(one.effect.is)}`
    const how =
      one.command === null
        ? `in the file: ${one.file}`
        : `tenfold db ${one.command[0]} ${database} ${one.command.slice(1).map(quoted).join(' ')}`
    return [`${paint('bold', titles[one.kind])}: ${one.why}`, `  ${how}${effect}`]
  })
}

const titles = {
  split: 'split a shard',
  'move-slots': 'move slots',
  isolate: 'give a key a shard of its own',
  replicas: 'add a replica',
} as const

const percent = (share: number): string => `${Math.round(share * 100)} %`
const plain = (family: string): string => family.replace(/^public\./, '')

function rateText(perSecond: number): string {
  return perSecond >= 10 ? String(Math.round(perSecond)) : perSecond.toFixed(1)
}

/** For a shell. */
function quoted(word: string): string {
  return /^[\w.,=:@%+/-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`
}
