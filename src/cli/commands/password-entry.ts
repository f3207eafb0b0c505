// A password from a person, twice and unseen, or the first line of what is piped in. Never shows or keeps it.

import { createInterface } from 'node:readline'
import { Writable } from 'node:stream'
import { Failure } from '../../kit/failure.ts'
import { cliFailures } from '../failures.ts'

/** NIST SP 800-63B 5.1.1.2. */
const charsMin = 8
const charsMax = 1_024

export async function readPassword(
  input: NodeJS.ReadStream = process.stdin,
  prompts: NodeJS.WritableStream = process.stderr,
): Promise<string> {
  const first = input.isTTY ? await unseen('Password: ', input, prompts) : await firstLine(input)
  const chars = [...first].length
  if (chars < charsMin || chars > charsMax)
    throw new Failure(
      cliFailures.optionInvalid,
      `The password has ${chars} characters; ${charsMin} to ${charsMax} are allowed.`,
    )
  if (input.isTTY && (await unseen('Once more: ', input, prompts)) !== first)
    throw new Failure(cliFailures.optionInvalid, 'The two passwords differ.')
  return first
}

async function firstLine(input: NodeJS.ReadStream): Promise<string> {
  let text = ''
  for await (const piece of input.setEncoding('utf8')) {
    text += piece as string
    if (text.includes('\n') || text.length > 4 * charsMax) break
  }
  return (text.split('\n', 1)[0] as string).replace(/\r$/, '')
}

/** What is typed goes nowhere. */
function unseen(question: string, input: NodeJS.ReadStream, prompts: NodeJS.WritableStream): Promise<string> {
  prompts.write(question)
  const nowhere = new Writable({ write: (_piece, _encoding, done) => done() })
  const lines = createInterface({ input, output: nowhere, terminal: true, historySize: 0 })
  return new Promise(resolve => {
    let typed = ''
    lines.once('line', line => {
      typed = line
      lines.close()
    })
    lines.once('close', () => {
      prompts.write('\n')
      resolve(typed)
    })
  })
}
