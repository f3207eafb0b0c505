// `tenfold stop`: asks the running system to drain and end, and waits for it. Where a supervisor has died, ends what it
// left running.

import { setTimeout as pause } from 'node:timers/promises'
import { Failure } from '../../kit/failure.ts'
import { connectTo, stopLeftovers, supervisorOf } from '../../system/index.ts'
import type { Action } from '../command.ts'
import { cliFailures } from '../failures.ts'
import { wholeNumber } from '../numbers.ts'

export const stop: Action = async input => {
  const where = { file: input.file, stateDirectory: input.stateDirectory }
  const now = input.options.now === true
  const waitMs = wholeNumber(String(input.options.wait), '--wait') * 1_000
  const supervisor = supervisorOf(where)
  if (supervisor.state === 'dead') {
    const ended = await stopLeftovers(where, { now })
    return say(`ended what process ${supervisor.pid} had left running: ${ended.join(', ') || 'nothing'}`)
  }
  const answer = await connectTo(where).stop({ now })
  if (!input.json) input.terminal.live(answer.text)
  const deadlineMs = performance.now() + waitMs
  while (supervisorOf(where).state === 'alive') {
    if (performance.now() > deadlineMs)
      throw new Failure(cliFailures.stopTimedOut, `The system has not ended after ${waitMs / 1_000} s.`)
    await pause(50)
  }
  input.terminal.live(null)
  return say('stopped')

  function say(text: string): 0 {
    input.terminal.print(input.json ? JSON.stringify({ text }) : text)
    return 0
  }
}
