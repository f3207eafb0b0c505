// `tenfold doctor`: one line a check, with a remedy where it is not fine.

import { examine, type Finding } from '../../system/index.ts'
import type { Action } from '../command.ts'
import type { Style } from '../terminal.ts'

const styles: Record<Finding['level'], Style> = { ok: 'green', warn: 'yellow', fail: 'red' }

export const doctor: Action = async ({ terminal, file, stateDirectory, environment, json }) => {
  const findings = await examine({ file, stateDirectory, environment })
  const failed = findings.some(finding => finding.level === 'fail')
  if (json) terminal.print(JSON.stringify({ ok: !failed, findings }, null, 2))
  else {
    const width = Math.max(...findings.map(finding => finding.check.length))
    for (const { check, level, text, remedy } of findings) {
      const advice = remedy === '' ? '' : `\n${' '.repeat(width + 8)}${remedy}`
      terminal.print(
        `${terminal.paint(styles[level], level.padEnd(4))}  ${check.padEnd(width)}  ${text}${advice}`,
      )
    }
  }
  return failed ? 1 : 0
}
