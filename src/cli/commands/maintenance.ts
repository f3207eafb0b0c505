// `tenfold maintenance on|off`: what clients are told while the operators work, and who is let through meanwhile.

import { readFileSync } from 'node:fs'
import { extname } from 'node:path'
import { parseDurationMs } from '../../file/values.ts'
import { Failure } from '../../kit/failure.ts'
import { isBlock, maintenancePageMax } from '../../system/control/contract.ts'
import type { Action, CommandInput } from '../command.ts'
import { clientOf } from '../connection.ts'
import { cliFailures } from '../failures.ts'

const pageTypes: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.htm': 'text/html; charset=utf-8',
  '.txt': 'text/plain; charset=utf-8',
  '.json': 'application/json',
}

export const maintenance: Action = async input => {
  const client = clientOf(input)
  const view =
    input.args.action === 'on' ? await client.maintenanceOn(wishOf(input)) : await client.maintenanceOff()
  input.terminal.print(input.json ? JSON.stringify(view) : view.text)
  return 0
}

function wishOf({ options }: CommandInput): Parameters<ReturnType<typeof clientOf>['maintenanceOn']>[0] {
  const { page, retryAfter, allow } = options
  return {
    ...(typeof page === 'string' ? { page: pageOf(page) } : {}),
    ...(typeof retryAfter === 'string' ? { retryAfterSeconds: secondsOf(retryAfter) } : {}),
    ...(typeof allow === 'string' ? { allow: blocksOf(allow) } : {}),
  }
}

function blocksOf(text: string): string[] {
  const blocks = text.split(',').map(block => block.trim())
  const wrong = blocks.find(block => !isBlock(block))
  if (wrong !== undefined)
    throw invalid(`--allow: '${wrong}' is no address such as '192.0.2.7', nor a block such as '10.0.0.0/8'.`)
  return blocks
}

function pageOf(path: string): { contentType: string; body: string } {
  const contentType = pageTypes[extname(path).toLowerCase()]
  if (contentType === undefined)
    throw invalid(`--page: '${path}' ends in none of ${Object.keys(pageTypes).join(', ')}.`)
  let body: string
  try {
    body = readFileSync(path, 'utf8')
  } catch (cause) {
    throw invalid(`--page: '${path}' cannot be read (${(cause as NodeJS.ErrnoException).code}).`)
  }
  if (body === '' || body.length > maintenancePageMax)
    throw invalid(`--page: '${path}' has ${body.length} characters; 1 to ${maintenancePageMax} are possible.`)
  return { contentType, body }
}

function secondsOf(text: string): number {
  const ms = parseDurationMs(text)
  if (ms === undefined || ms < 1_000)
    throw invalid(`--retry-after: '${text}' is no duration of a second or more, such as '10m'.`)
  return Math.ceil(ms / 1_000)
}

function invalid(sentence: string): Failure {
  return new Failure(cliFailures.optionInvalid, sentence)
}
