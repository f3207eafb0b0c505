// `tenfold check`: loads and checks the file, starts nothing.

import { loadSystem } from '../../system/index.ts'
import type { Action } from '../command.ts'
import { guardLines } from '../guard-summary.ts'
import { workloadLines } from '../workload-summary.ts'

export const check: Action = async ({ terminal, file, environment, json }) => {
  const loaded = await loadSystem(file, { environment: environment ?? null })
  const { system, warnings } = loaded
  if (json) {
    terminal.print(JSON.stringify({ ok: true, file: loaded.file, name: system.name, warnings }))
    return 0
  }
  for (const warning of warnings) {
    terminal.print(`${terminal.paint('yellow', 'warning:')} ${warning.path} ${warning.message}`)
    if (warning.remedy !== undefined) terminal.print(`  ${warning.remedy}`)
  }
  const services = Object.keys(system.services)
  const counted = (count: number, what: string): string => `${count} ${what}${count === 1 ? '' : 's'}`
  terminal.print(
    `${terminal.paint('green', 'ok')}  ${system.name}: ${counted(services.length, 'service')} (${services.join(', ')}), ${counted(system.edge.routes.length, 'route')}, ${counted(system.edge.listeners.length, 'listener')}`,
  )
  for (const line of [...guardLines(system), ...workloadLines(system)]) terminal.print(`    ${line}`)
  return 0
}
