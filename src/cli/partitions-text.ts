// Partitions as text for people. Pure but for the terminal's colours.

import { bytesText } from '../kit/duration.ts'
import type { PartitionsView } from '../system/index.ts'
import { type Column, type Terminal, tableLines } from './terminal.ts'

const columns: Column[] = [
  { title: 'PARTITION' },
  { title: 'BOUNDS' },
  { title: 'ROWS', align: 'right' },
  { title: 'SIZE', align: 'right' },
]

export function partitionsText(
  { database, groups }: PartitionsView,
  { paint }: Pick<Terminal, 'paint'>,
): string {
  if (groups.every(({ tables, trouble }) => tables.length === 0 && trouble === ''))
    return `${database}: the file has no \`partitions\``
  return groups
    .flatMap(({ name, trouble, tables }) => [
      ...(trouble === '' ? [] : [`${name}: ${paint('red', trouble)}`]),
      ...tables.flatMap(({ table, state, partitions, made, removed, troubles }) => {
        const next = [
          ...(made.length > 0 ? [`to be made: ${made.join(', ')}`] : []),
          ...(removed.length > 0 ? [`to be taken away: ${removed.join(', ')}`] : []),
        ]
        const waits = state === 'waits' ? ': the table is not there yet' : ''
        return [
          `${name}: ${table}${waits}${next.length > 0 ? `, ${next.join(', ')}` : ''}`,
          ...troubles.map(one => `  ${paint('yellow', one)}`),
          ...(partitions.length === 0
            ? []
            : tableLines(
                columns,
                partitions.map(one => [
                  one.name,
                  one.bounds.replace(/^FOR VALUES /, ''),
                  one.rows < 0 ? '?' : `~${one.rows}`,
                  bytesText(one.bytes),
                ]),
              ).map(line => `  ${line}`)),
        ]
      }),
    ])
    .join('\n')
}
