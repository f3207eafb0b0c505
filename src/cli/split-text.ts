// A split of a table by columns as text for people: how far it is, and what can be asked for next. Pure but for the terminal's
// colours.

import type { ColumnSplitView } from '../system/index.ts'
import type { Terminal } from './terminal.ts'

const steps: Readonly<Record<string, string>> = {
  preparing: 'making the cold table',
  copying: 'copying rows',
  comparing: 'comparing row by row',
  switching: 'waiting for a moment to put the view in place',
  validating: 'checking references between the halves',
  split: 'split; it can still go back at once',
  finishing: 'dropping the columns of the hot half',
  rewriting: 'writing the hot half anew; clients wait',
  'taking-back': 'going back',
  done: 'done',
  cancelled: 'cancelled: the table is as it was',
  undone: 'undone: the table is one again',
}

/** One line, while it goes on. */
export function splitLine({ database, current }: ColumnSplitView): string {
  if (current === null) return `${database}: no table was ever split`
  const { table, step, shards, trouble } = current
  const rows = shards.reduce((sum, one) => sum + one.rows, 0)
  const copied = rows === 0 ? '' : `, ${rows} rows`
  return `${database}, ${table}: ${steps[step] ?? step}${copied}${trouble === '' ? '' : `; ${trouble}`}`
}

export function splitText(view: ColumnSplitView, terminal: Pick<Terminal, 'paint'>): string {
  const { database, current } = view
  if (current === null) return `no table of ${database} was ever split`
  const { table, step, hot, cold, columns, shards, trouble, begunAt, state } = current
  const lines = [
    `${database}, ${table}: ${steps[step] ?? step} (begun ${begunAt})`,
    `  ${cold}: ${columns.join(', ')}; the rest in ${hot}`,
    ...shards.map(({ shard, rows, pauseMs }) => {
      const where = shard === '' ? '' : `shard ${shard}: `
      const waited = pauseMs < 0 ? '' : `; clients waited for ${pauseMs} ms at most`
      return `  ${where}${rows} rows copied${waited}`
    }),
  ]
  if (trouble !== '') lines.push(terminal.paint('red', `  ${trouble}`))
  if (state === 'split')
    lines.push(
      'next: `tenfold db split-columns --finish` (no way back then; --rewrite makes the hot half small at once, clients wait for that), or `tenfold db split-columns --undo`',
    )
  return lines.join('\n')
}
