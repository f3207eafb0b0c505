// `tenfold history`: the systems that a rollback can bring back.

import type { Action } from '../command.ts'
import { clientOf } from '../connection.ts'
import { tableLines } from '../terminal.ts'

export const history: Action = async input => {
  const { terminal, json } = input
  const view = await clientOf(input).history()
  if (json) {
    terminal.print(JSON.stringify(view))
    return 0
  }
  const rows = view.entries.map(entry => [
    String(entry.number),
    entry.at.replace('T', ' ').replace(/\.\d+Z$/, ' UTC'),
    entry.current ? terminal.paint('green', 'current') : '',
    entry.services.join(', '),
    entry.text,
  ])
  const columns = [
    { title: 'NUMBER', align: 'right' as const },
    { title: 'APPLIED' },
    { title: '' },
    { title: 'SERVICES' },
    { title: 'HOW' },
  ]
  terminal.print(tableLines(columns, rows).join('\n'))
  return 0
}
