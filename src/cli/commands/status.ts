// `tenfold status`: the running system at a glance, once or each second.

import { setTimeout as pause } from 'node:timers/promises'
import type { Action, CommandInput } from '../command.ts'
import { clientOf, untilInterrupted } from '../connection.ts'
import { failureText } from '../failure-text.ts'
import { statusText } from '../status-text.ts'

const redrawMs = 1_000

export const status: Action = async input => {
  if (input.options.watch === true) return watch(input)
  const { terminal, json } = input
  const view = await clientOf(input).status()
  terminal.print(json ? JSON.stringify(view, null, 2) : statusText(view, terminal))
  return 0
}

async function watch(input: CommandInput): Promise<0> {
  const stop = untilInterrupted()
  while (!stop.aborted) {
    const text = await drawn(input)
    if (input.json || !input.terminal.interactive) input.terminal.print(text)
    else input.terminal.redraw(text)
    await pause(redrawMs, undefined, { signal: stop }).catch(() => {})
  }
  return 0
}

/** A system that is not there right now (it may be starting again) is shown as such; the watch goes on. */
async function drawn(input: CommandInput): Promise<string> {
  const { terminal, json } = input
  try {
    const view = await clientOf(input).status()
    return json ? JSON.stringify(view) : statusText(view, terminal)
  } catch (failure) {
    return json
      ? JSON.stringify({ error: String(failure) })
      : failureText(failure, (style, text) => terminal.paint(style, text))
  }
}
