// A resharding as text for people: how far it is, and what can be asked for next. Pure but for the terminal's colours.

import { bytesText } from '../kit/duration.ts'
import type { ReshardView } from '../system/index.ts'
import type { Terminal } from './terminal.ts'

type Current = NonNullable<ReshardView['current']>

const steps: Readonly<Record<string, string>> = {
  checking: 'looking for what is in the way',
  preparing: 'preparing the servers',
  copying: 'copying rows',
  'catching-up': 'applying the changes since',
  comparing: 'comparing row by row',
  holding: 'waiting for a moment without open transactions',
  switching: 'switching',
  reversible: 'moved; everything can still go back',
  cleaning: 'deleting what is left behind',
  cancelling: 'taking back what was made',
  'rolling-back': 'going back',
  done: 'done',
  cancelled: 'cancelled: nothing has moved',
  'rolled-back': 'rolled back: rows are where they were',
}

/** One line, while it goes on. */
export function reshardLine({ database, current }: ReshardView): string {
  if (current === null) return `${database}: never resharded`
  const { tables, changesApplied, trouble } = current
  const bytes = tables.reduce((sum, table) => sum + table.bytes, 0)
  const rows = tables.reduce((sum, table) => sum + Math.max(0, table.rows), 0)
  const moved = rows + bytes === 0 ? '' : `, ${countText(rows, bytes)}`
  const changes = changesApplied === 0 ? '' : `, ${changesApplied} changes`
  return `${database}: ${stepText(current)}${moved}${changes}${trouble === '' ? '' : `; ${trouble}`}`
}

/** `1>3` is a way; a shard alone is where what is left behind is deleted. */
function wayText(stream: string): string {
  const [from, into] = stream.split('>')
  return into === undefined ? `shard ${from}, deleted:` : `${from} to ${into}:`
}

function shortName(table: string): string {
  return table.replace(/^public\./, '')
}

/** Rows are counted when a table is whole. */
function countText(rows: number, bytes: number): string {
  const counted = rows < 0 ? [] : [`${rows} ${rows === 1 ? 'row' : 'rows'}`]
  return [...counted, ...(bytes === 0 ? [] : [bytesText(bytes)])].join(', ')
}

function stepText({ step }: Current): string {
  return steps[step] ?? step
}

const kinds = { missing: 'is missing', extra: 'is there only', different: 'is different' } as const
const differencesShown = 10

/** Nothing is switched while there are any. */
function differenceLines({ count, rows }: NonNullable<Current['differences']>): readonly string[] {
  const shown = rows.slice(0, differencesShown).map(({ stream, table, key, kind }) => {
    const [, into = ''] = stream.split('>')
    const values = key.map(value => value ?? 'NULL').join(', ')
    return `  ${wayText(stream)} ${shortName(table)} (${values}) ${kinds[kind]} on shard ${into}`
  })
  if (count > shown.length) shown.push(`  and ${count - shown.length} more`)
  return [
    ...shown,
    'next: `tenfold db reshard --recopy` copies these tables once more and compares again; `tenfold db reshard --cancel` takes all back',
  ]
}

export function reshardText(view: ReshardView, terminal: Pick<Terminal, 'paint'>): string {
  const { database, current } = view
  if (current === null) return `${database} was never resharded`
  const { moves, joining, pauseMs, trouble, wayBack, holds, state, begunAt } = current
  const lines = [
    `${database}: ${stepText(current)} (begun ${begunAt})`,
    ...joining.map(shard => `  shard ${shard} ${state === 'moving' ? 'joins' : 'has joined'}`),
    ...moves.map(
      ({ family, from, into, slots }) =>
        `  ${slots === null ? 'rows' : `${slots} slots`} of ${shortName(family)} from shard ${from} to ${into}`,
    ),
    ...current.tables.map(
      ({ stream, table, rows, bytes }) =>
        `  ${wayText(stream)} ${shortName(table)}: ${countText(rows, bytes)}`,
    ),
  ]
  if (pauseMs >= 0)
    lines.push(`  clients waited for ${pauseMs} ms${holds > 1 ? `, at the ${holds}. attempt` : ''}`)
  if (trouble !== '') lines.push(terminal.paint('red', `  ${trouble}`))
  if (current.differences !== null) lines.push(...differenceLines(current.differences))
  if (wayBack === 'open')
    lines.push('next: `tenfold db reshard --finish` (no way back then), or `tenfold db reshard --rollback`')
  else if (wayBack !== '')
    lines.push(`  there is no way back: ${wayBack}`, 'next: `tenfold db reshard --finish`')
  return lines.join('\n')
}
