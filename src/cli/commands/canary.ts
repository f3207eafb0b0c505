// `tenfold canary [list|resume|stop] [ROUTE]`: what the canaries of the routes show, and the operator's word on them.

import { durationText } from '../../kit/duration.ts'
import { Failure } from '../../kit/failure.ts'
import type { CanaryView } from '../../system/index.ts'
import type { Action, CommandInput } from '../command.ts'
import { clientOf } from '../connection.ts'
import { cliFailures } from '../failures.ts'
import { type Column, tableLines } from '../terminal.ts'

export const canary: Action = async input => {
  const client = clientOf(input)
  const { action = 'list', route } = input.args
  if (action === 'list') return list(input, (await client.canaries()).canaries)
  if (route === undefined)
    throw new Failure(
      cliFailures.argumentMissing,
      `'tenfold canary ${action}' needs a route: \`tenfold canary\` lists them.`,
    )
  const view = action === 'resume' ? await client.canaryResume(route) : await client.canaryStop(route)
  const share = `${Math.round(view.share * 1000) / 10} %`
  const text =
    view.state === 'running'
      ? `the canary ${view.upstream} of ${route} gets ${share} of the clients again`
      : `the canary ${view.upstream} of ${route} gets nothing: ${view.reason}`
  input.terminal.print(input.json ? JSON.stringify(view) : text)
  return 0
}

const columns: readonly Column[] = [
  { title: 'ROUTE' },
  { title: 'CANARY' },
  { title: 'SHARE', align: 'right' },
  { title: 'STATE' },
  { title: 'REQUESTS', align: 'right' },
  { title: 'ERRORS', align: 'right' },
  { title: 'P95', align: 'right' },
  { title: 'OTHERS', align: 'right' },
  { title: 'ERRORS', align: 'right' },
  { title: 'P95', align: 'right' },
  { title: 'WHY' },
]

function list({ terminal, json }: CommandInput, canaries: readonly CanaryView[]): 0 {
  if (json) terminal.print(JSON.stringify({ canaries }))
  else if (canaries.length === 0) terminal.print('no route has a canary')
  else {
    const rows = canaries.map(view => [
      view.route,
      view.upstream,
      `${Math.round(view.share * 1000) / 10} %`,
      terminal.paint(view.state === 'running' ? 'green' : 'red', view.state),
      ...sideCells(view.canary),
      ...sideCells(view.others),
      view.reason,
    ])
    terminal.print(tableLines(columns, rows).join('\n'))
  }
  return 0
}

function sideCells({ requests, errors, p95Ms }: CanaryView['canary']): string[] {
  return [String(requests), String(errors), p95Ms === 0 ? '-' : durationText(p95Ms)]
}
