// `tenfold db reshard`: begins to move rows between shards and shows how it goes; or looks, ends, goes back. The work is the
// supervisor's: it goes on when this command is ended.

import { setTimeout as sleep } from 'node:timers/promises'
import { Failure } from '../../kit/failure.ts'
import type { CommandInput } from '../command.ts'
import { clientOf, untilInterrupted } from '../connection.ts'
import { cliFailures } from '../failures.ts'
import { reshardLine, reshardText } from '../reshard-text.ts'

type Client = ReturnType<typeof clientOf>
type View = Awaited<ReturnType<Client['databases']['reshardView']>>

const lookMs = 500
/** Commands that say one wish; `status` follows. */
const wishes = { cancel: 'cancel', finish: 'finish', rollback: 'rollBack', recopy: 'recopy' } as const

export async function reshard(
  input: CommandInput,
  databaseOf: (input: CommandInput, client: Client) => Promise<string>,
): Promise<0 | 1> {
  const client = clientOf(input)
  const name = await databaseOf(input, client)
  const { options } = input
  const asked = (Object.keys(wishes) as (keyof typeof wishes)[]).filter(one => options[one] === true)
  if (asked.length > 1) throw wrong(`--${asked.join(' and --')} can't be asked for together.`)
  const [wish] = asked
  if (wish !== undefined) {
    const done = await client.databases.reshardWish(name, wishes[wish])
    if (!input.json) input.terminal.print(done.text)
    return follow(input, client, name, true)
  }
  if (options.status === true) return follow(input, client, name, input.terminal.interactive && !input.json)
  const dryRun = options.dryRun === true
  const finish = options.finishAtOnce === true
  const done = await client.databases.reshard(name, { intent: intentOf(input), dryRun, finish })
  if (!dryRun && !input.json) input.terminal.print(done.text)
  if (!dryRun) return follow(input, client, name, true)
  const findings = done.findings ?? []
  if (input.json) input.terminal.print(JSON.stringify(done))
  else for (const line of [done.text, ...findings]) input.terminal.print(line)
  return findings.length === 0 ? 0 : 1
}

/** Until there is nothing to wait for. 1 where it has ended otherwise than it was asked to. */
async function follow(input: CommandInput, client: Client, name: string, waits: boolean): Promise<0 | 1> {
  const { terminal, json } = input
  const interrupted = untilInterrupted()
  let view = await client.databases.reshardView(name)
  let last = ''
  while (waits && goesOn(view) && !interrupted.aborted) {
    const line = reshardLine(view)
    if (terminal.interactive && !json) terminal.live(line)
    else if (view.current !== null && `${view.current.step} ${view.current.trouble}` !== last) {
      last = `${view.current.step} ${view.current.trouble}`
      terminal.print(json ? JSON.stringify(view) : line)
    }
    await sleep(lookMs)
    view = await client.databases.reshardView(name)
  }
  terminal.live(null)
  terminal.print(json ? JSON.stringify(view) : reshardText(view, terminal))
  const { current } = view
  if (current === null) return 0
  if (waitsForWord(current)) return 1
  return current.step === 'cancelled' && !current.wishes.includes('cancel') ? 1 : 0
}

/** Rows differ, and nobody has said what is to be done about it. */
function waitsForWord({ differences, wishes: wished }: NonNullable<View['current']>): boolean {
  return differences !== null && !wished.includes('recopy') && !wished.includes('cancel')
}

function goesOn({ current }: View): boolean {
  if (current === null || current.state === 'over' || waitsForWord(current)) return false
  return current.state === 'moving' || current.wishes.some(wish => wish === 'finish' || wish === 'rollBack')
}

function intentOf({ options }: CommandInput): object {
  const { split, merge, slots, family, isolate, rule, into } = options
  const kinds = [split, merge, slots, isolate, rule].filter(one => typeof one === 'string')
  if (kinds.length > 1)
    throw wrong('Only one of --split, --merge, --slots, --isolate and --rule can be asked for.')
  if (kinds.length === 0) {
    if (into !== undefined || family !== undefined)
      throw wrong('--into and --family need --split, --merge, --slots or --isolate.')
    return { kind: 'even' }
  }
  if (typeof rule === 'string') {
    if (into !== undefined || family !== undefined)
      throw wrong('--rule goes to what the file says: without --into and --family.')
    return { kind: 'rule', family: qualified(rule) }
  }
  if (typeof into !== 'string') throw wrong('Where to? --into 3')
  if (typeof split === 'string') return { kind: 'split', from: split, into }
  if (typeof merge === 'string') return { kind: 'merge', from: merge, into }
  if (typeof isolate === 'string') {
    const [, table = '', key = ''] = /^([^=]+)=(.+)$/.exec(isolate) ?? []
    if (table === '') throw wrong(`'${isolate}' is no key: --isolate orders=42`)
    return { kind: 'isolate', family: qualified(table), key: key.split(','), into }
  }
  const [, first, last] = /^(\d+)(?:-(\d+))?$/.exec(String(slots)) ?? []
  if (first === undefined) throw wrong(`'${slots}' are no slots: --slots 0-99`)
  if (typeof family !== 'string') throw wrong('Slots of which family? --family orders')
  return { kind: 'slots', family: qualified(family), first: Number(first), last: Number(last ?? first), into }
}

/** Families are named by their first table, with its schema. */
function qualified(table: string): string {
  return table.includes('.') ? table : `public.${table}`
}

function wrong(sentence: string): Failure {
  return new Failure(cliFailures.argumentMissing, sentence)
}
