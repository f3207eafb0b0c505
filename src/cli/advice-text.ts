// Advice on indexes and partitions as text for people. Pure but for the terminal's colours.

import { bytesText } from '../kit/duration.ts'
import type { AdviceView } from '../system/index.ts'
import type { Terminal } from './terminal.ts'

const textShown = 160

export function databaseAdviceText(view: AdviceView, { paint }: Pick<Terminal, 'paint'>): readonly string[] {
  const { indexes, drops, partitions, statements, useless } = view
  const lines: string[] = []
  for (const { table, columns, sql, statements: served, trial, verdict, untried, bytes, writes } of indexes) {
    const gain =
      verdict === null
        ? `not tried: ${untried}`
        : `its statements would take about ${percent(verdict.left)} of their time, as their plans' costs say (${secondsText(verdict.savedMs)} less since they are counted)`
    lines.push(`${paint('bold', 'make an index')}: ${table} (${columns.join(', ')}): ${gain}`, `  ${sql};`)
    for (const { text, calls, totalMs } of served.slice(0, 3)) {
      const seen = trial?.statements.find(one => one.text === text)
      const costs =
        seen === undefined
          ? ''
          : `, cost ${costText(seen.before)} -> ${costText(seen.after)}${seen.used ? '' : ' without it'}`
      lines.push(`  ${calls} x, ${secondsText(totalMs)}${costs}: ${shortened(text)}`)
    }
    if (trial !== null && bytes !== null)
      lines.push(
        `  it would have about ${bytesText(bytes)}; a row inserted ${trial.insertUs.before.toFixed(1)} -> ${trial.insertUs.after.toFixed(1)} us, ${writes} were written so far (tried on a copy of ${trial.rows} rows)`,
      )
  }
  for (const drop of drops) {
    const why =
      drop.kind === 'duplicate'
        ? `'${drop.like}' does the same`
        : drop.kind === 'unused'
          ? 'no server has used it for a week or longer'
          : 'it was never finished'
    lines.push(
      `${paint('bold', 'drop an index')}: ${drop.index} of ${drop.table} (${bytesText(drop.bytes)}): ${why}`,
      `  ${drop.sql};`,
    )
  }
  for (const { table, column, every, bytes, reads, deletes } of partitions) {
    const why = [
      ...(deletes > 0 ? [`${deletes} DELETEs go by ${column}`] : []),
      ...(reads > 0 ? [`${reads} statements read a span of it`] : []),
    ].join(', ')
    const [schema, name] = table.split('.')
    const key = schema === 'public' ? name : `'${table}'`
    lines.push(
      `${paint('bold', 'cut into partitions')}: ${table} (${bytesText(bytes)}): ${why}`,
      `  in the file: partitions: { ${key}: { by: '${column}', every: '${every}' } }; the table has to be made anew (docs/operate/partitions.md)`,
    )
  }
  if (lines.length === 0) lines.push('nothing to do about indexes and partitions')
  const unread = statements.unread > 0 ? `, ${statements.unread} of them could not be understood` : ''
  const tried = useless > 0 ? `; ${useless} indexes were tried and would not help` : ''
  lines.push(`looked at the ${statements.seen} statements that took most time${unread}${tried}`)
  return lines
}

const percent = (share: number): string => `${Math.max(1, Math.round(share * 100))} %`
const costText = (cost: number): string => (cost >= 100 ? String(Math.round(cost)) : cost.toFixed(1))
const secondsText = (ms: number): string =>
  ms >= 1_000 ? `${(ms / 1_000).toFixed(1)} s` : `${ms.toFixed(1)} ms`

function shortened(text: string): string {
  const line = text.replaceAll(/\s+/g, ' ')
  return line.length > textShown ? `${line.slice(0, textShown)}...` : line
}
