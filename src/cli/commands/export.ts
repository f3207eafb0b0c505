// `tenfold export systemd`: the unit on standard output.

import { systemdUnitOf } from '../../system/index.ts'
import type { Action } from '../command.ts'

export const exportUnit: Action = async ({ terminal, file, stateDirectory, environment, options, json }) => {
  const user = typeof options.user === 'string' ? options.user : null
  const unit = await systemdUnitOf({ file, stateDirectory, environment, user })
  terminal.print(json ? JSON.stringify({ unit }) : unit.trimEnd())
  return 0
}
