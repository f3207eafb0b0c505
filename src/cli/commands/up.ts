// `tenfold up`: the supervisor in the foreground. Shows the start, then the system, then decisions as they happen; turns
// signals into draining and, the second time, into an end at once.

import { type RunningSystem, type StatusView, type SystemEvent, start } from '../../system/index.ts'
import type { Action, CommandInput } from '../command.ts'
import { becomeChildOfInit } from '../first-process.ts'
import { eventText, statusText } from '../status-text.ts'

export const up: Action = async input => {
  becomeChildOfInit()
  const show = viewOf(input)
  const system = await start({
    file: input.file,
    environment: input.environment,
    stateDirectory: input.stateDirectory,
    watch: input.options.watch !== false,
    user: typeof input.options.user === 'string' ? input.options.user : undefined,
    onEvent: show.event,
  })
  const signals = stopOnSignals(system, input)
  try {
    await system.ready
  } catch (failure) {
    await system.ended
    if (signals.asked === 0) throw failure
    show.ended()
    return signals.asked > 1 ? 130 : 1
  }
  show.ready(await system.status())
  await system.ended
  show.ended()
  return signals.asked > 1 ? 130 : 0
}

function stopOnSignals(system: RunningSystem, { terminal }: CommandInput): { readonly asked: number } {
  const state = { asked: 0 as number }
  const again = terminal.interactive ? '; Ctrl-C again ends everything at once' : ''
  const stop = (signal: NodeJS.Signals): void => {
    state.asked += 1
    const now = state.asked > 1
    const name = signal === 'SIGINT' ? 'Ctrl-C' : signal
    void system.stop({
      now,
      why: now ? `${name} again: ending everything at once` : `${name}: draining${again}`,
    })
  }
  // A terminal that closes (HUP) means the same as Ctrl-C.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, stop)
  return state
}

interface UpView {
  event(event: SystemEvent): void
  ready(status: StatusView): void
  ended(): void
}

function viewOf(input: CommandInput): UpView {
  return input.json ? jsonView(input) : textView(input)
}

function jsonView({ terminal }: CommandInput): UpView {
  const line = (value: object): void => terminal.print(JSON.stringify(value))
  return {
    event: event => line({ type: 'event', ...event }),
    ready: status => line({ type: 'ready', status }),
    ended: () => line({ type: 'ended', at: new Date().toISOString() }),
  }
}

function textView({ terminal }: CommandInput): UpView {
  let lastProgress = ''
  return {
    event: event => {
      if (event.kind === 'ready') return
      if (event.kind !== 'progress') return terminal.print(eventText(event, terminal))
      const text = `${event.subject}: ${event.text}`
      if (terminal.interactive) terminal.live(text)
      else if (text !== lastProgress) terminal.print(text)
      lastProgress = text
    },
    ready: status => {
      terminal.live(null)
      terminal.print(`\n${statusText({ ...status, decisions: [] }, terminal)}\n`)
      terminal.print(terminal.paint('dim', 'Ctrl-C drains and stops. `tenfold status` shows this again.'))
    },
    ended: () => {
      terminal.live(null)
      terminal.print('stopped')
    },
  }
}
