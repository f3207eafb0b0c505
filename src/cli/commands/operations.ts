// Commands that change a running system: scale, restart, drain, undrain, reload, rollback, renew, ... Each asks the control API and
// shows what it says.

import type { ChangeView } from '../../system/index.ts'
import type { Action, CommandInput } from '../command.ts'
import { clientOf, showOperation } from '../connection.ts'
import { wholeNumber } from '../numbers.ts'
import { tableLines } from '../terminal.ts'

export const scale: Action = async input => {
  const count = wholeNumber(input.args.count as string, 'count')
  const client = clientOf(input)
  const done = await showOperation(input, progress =>
    client.scale(input.args.service as string, count, progress),
  )
  return say(input, done.text)
}

export const restart: Action = async input => {
  const client = clientOf(input)
  const done = await showOperation(input, progress => client.restart(input.args.service as string, progress))
  return say(input, done.text)
}

export const drain: Action = async input =>
  answer(input, await clientOf(input).drain(input.args.member as string))

export const undrain: Action = async input =>
  answer(input, await clientOf(input).undrain(input.args.member as string))

export const reload: Action = async input => {
  const client = clientOf(input)
  const dryRun = input.options.dryRun === true
  const done = await showOperation(input, progress => client.reload({ dryRun }, progress))
  if (!input.json && done.changes !== undefined) showChanges(input, done.changes)
  say(input, dryRun ? `${done.text} (nothing was applied)` : done.text)
  return done.changes?.some(change => change.effect === 'refused') ? 1 : 0
}

export const rollback: Action = async input => {
  const { number } = input.args
  const wanted = number === undefined ? undefined : wholeNumber(number, 'number')
  const client = clientOf(input)
  const done = await showOperation(input, progress => client.rollback(wanted, progress))
  if (!input.json && done.changes !== undefined) showChanges(input, done.changes)
  return say(input, done.text)
}

export const renew: Action = async input => {
  const client = clientOf(input)
  const done = await showOperation(input, progress => client.renew(input.args.host, progress))
  return say(input, done.text)
}

export const standDown: Action = async input => {
  const { reason } = input.options
  return answer(input, await clientOf(input).standDown(typeof reason === 'string' ? reason : undefined))
}

export const standUp: Action = async input => answer(input, await clientOf(input).standUp())

function say(input: CommandInput, text: string): 0 {
  if (!input.json) input.terminal.print(text)
  return 0
}

function answer(input: CommandInput, view: { text: string }): 0 {
  input.terminal.print(input.json ? JSON.stringify(view) : view.text)
  return 0
}

function showChanges({ terminal }: CommandInput, changes: readonly ChangeView[]): void {
  if (changes.length === 0) return
  const rows = changes.map(({ path, from, to, effect, note }) => [
    from === null ? terminal.paint('green', '+') : to === null ? terminal.paint('red', '-') : '~',
    path,
    from === null ? (to ?? '') : to === null ? from : `${from} -> ${to}`,
    effect === 'live' ? (note === '' ? 'live' : `live: ${note}`) : `${effect} ${note}`,
  ])
  const lines = tableLines([{ title: '' }, { title: 'KEY' }, { title: 'VALUE' }, { title: 'EFFECT' }], rows)
  terminal.print(lines.join('\n'))
}
