// `tenfold db split-columns`: begins to split a table into a hot and a cold half and shows how it goes; or looks, ends, goes
// back, finishes. The work is the supervisor's: it goes on when this command is ended.

import { setTimeout as sleep } from 'node:timers/promises'
import { Failure } from '../../kit/failure.ts'
import type { CommandInput } from '../command.ts'
import { clientOf, untilInterrupted } from '../connection.ts'
import { cliFailures } from '../failures.ts'
import { splitLine, splitText } from '../split-text.ts'

type Client = ReturnType<typeof clientOf>
type View = Awaited<ReturnType<Client['databases']['splitColumnsView']>>

const lookMs = 500
/** Commands that say one wish; `status` follows. */
const wishes = ['cancel', 'undo', 'finish'] as const

export async function splitColumns(
  input: CommandInput,
  databaseOf: (input: CommandInput, client: Client) => Promise<string>,
): Promise<0 | 1> {
  const client = clientOf(input)
  const { options, args } = input
  const table = args.name
  const named = typeof options.db === 'string' ? options.db : undefined
  // The name behind the action is the table's here.
  const about: CommandInput = { ...input, args: { ...args, name: named } }
  const name = await databaseOf(about, client)
  const asked = wishes.filter(one => options[one] === true)
  if (asked.length > 1) throw wrong(`--${asked.join(' and --')} can't be asked for together.`)
  const [wish] = asked
  const rewrite = options.rewrite === true
  if (rewrite && wish !== 'finish') throw wrong('--rewrite needs --finish.')
  if (wish !== undefined) {
    const done = await client.databases.splitColumnsWish(name, wish, rewrite)
    if (!input.json) input.terminal.print(done.text)
    return follow(input, client, name, true)
  }
  if (options.status === true) return follow(input, client, name, input.terminal.interactive && !input.json)
  if (table === undefined) throw wrong('Which table? `tenfold db split-columns films --cold plot,poster`')
  if (typeof options.cold !== 'string') throw wrong('Which columns are cold? --cold plot,poster')
  const dryRun = options.dryRun === true
  const cold = columnsOf(options.cold)
  const done = await client.databases.splitColumns(name, { table, cold, dryRun })
  if (!dryRun) {
    if (!input.json) input.terminal.print(done.text)
    return follow(input, client, name, true)
  }
  const findings = done.findings ?? []
  if (input.json) input.terminal.print(JSON.stringify(done))
  else for (const line of [done.text, ...findings]) input.terminal.print(line)
  return findings.length === 0 ? 0 : 1
}

/** Names with a comma or spaces at their ends are quoted. */
function columnsOf(text: string): string[] {
  const names: string[] = []
  const one = /\s*(?:"((?:[^"]|"")+)"|([^",]+?))\s*(,|$)/y
  for (let more = true; more; ) {
    const found = one.exec(text)
    if (found === null) throw wrong(`'${text}' are no columns: --cold plot,poster`)
    names.push(found[1]?.replaceAll('""', '"') ?? (found[2] as string))
    more = found[3] === ','
  }
  return names
}

/** Until there is nothing to wait for. 1 where it has ended otherwise than it was asked to. */
async function follow(input: CommandInput, client: Client, name: string, waits: boolean): Promise<0 | 1> {
  const { terminal, json } = input
  const interrupted = untilInterrupted()
  let view = await client.databases.splitColumnsView(name)
  let last = ''
  while (waits && goesOn(view) && !interrupted.aborted) {
    const line = splitLine(view)
    if (terminal.interactive && !json) terminal.live(line)
    else if (view.current !== null && `${view.current.step} ${view.current.trouble}` !== last) {
      last = `${view.current.step} ${view.current.trouble}`
      terminal.print(json ? JSON.stringify(view) : line)
    }
    await sleep(lookMs)
    view = await client.databases.splitColumnsView(name)
  }
  terminal.live(null)
  terminal.print(json ? JSON.stringify(view) : splitText(view, terminal))
  const { current } = view
  return current?.step === 'cancelled' && !current.wishes.includes('cancel') ? 1 : 0
}

function goesOn({ current }: View): boolean {
  if (current === null || current.state === 'over') return false
  return current.state === 'working' || current.wishes.some(wish => wish === 'finish' || wish === 'undo')
}

function wrong(sentence: string): Failure {
  return new Failure(cliFailures.argumentMissing, sentence)
}
