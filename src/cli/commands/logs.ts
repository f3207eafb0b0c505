// `tenfold logs`: what instances print, with the instance's name before each line.

import type { Action } from '../command.ts'
import { clientOf, untilInterrupted } from '../connection.ts'
import { wholeNumber } from '../numbers.ts'
import type { Style, Terminal } from '../terminal.ts'

const instanceStyles: readonly Style[] = ['cyan', 'green', 'yellow', 'bold']

export const logs: Action = async input => {
  const { terminal, args, options, json } = input
  const lines = wholeNumber(String(options.lines), '--lines')
  const paint = instancePainter(terminal)
  await clientOf(input).logs(
    {
      ...(args.service === undefined ? {} : { service: args.service }),
      lines,
      follow: options.follow === true,
      signal: untilInterrupted(),
    },
    line => terminal.print(json ? JSON.stringify(line) : `${paint(line.instance)} ${line.text}`),
  )
  return 0
}

/** The same colour for the same instance, as long as the command runs; names padded to the longest so far. */
function instancePainter(terminal: Terminal): (instance: string) => string {
  const known = new Map<string, Style>()
  let width = 0
  return instance => {
    let style = known.get(instance)
    if (style === undefined) {
      style = instanceStyles[known.size % instanceStyles.length] as Style
      known.set(instance, style)
      width = Math.max(width, instance.length)
    }
    return terminal.paint(style, `${instance.padEnd(width)} |`)
  }
}
