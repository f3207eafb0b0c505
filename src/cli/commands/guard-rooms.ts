// `tenfold guard rooms [NAME open|paused|closed|sold-out]` and `tenfold guard lottery FILE`: waiting rooms of the running
// system, quotas beside them, and whether a lottery kept its promise.

import { readFileSync } from 'node:fs'
import { Failure } from '../../kit/failure.ts'
import { checkLottery, type QuotaStatus, type RoomStatus } from '../../system/index.ts'
import type { CommandInput } from '../command.ts'
import { clientOf } from '../connection.ts'
import type { ExitCode } from '../failure-text.ts'
import { cliFailures } from '../failures.ts'
import { type Column, tableLines } from '../terminal.ts'

const modes: readonly string[] = ['open', 'paused', 'closed', 'sold-out']
const right = (title: string): Column => ({ title, align: 'right' })
const roomColumns: readonly Column[] = [
  { title: 'ROOM' },
  { title: 'IS' },
  right('WAITING'),
  right('GRANTED'),
  right('INSIDE'),
  right('OF'),
  right('A MINUTE'),
  right('LET IN'),
  right('SUSPECTS'),
  right('WAIT OF ONE MORE'),
]
const quotaColumns: readonly Column[] = [
  { title: 'QUOTA' },
  right('TAKEN'),
  right('RESERVED'),
  right('STOCK'),
  right('BUYERS'),
]

export async function rooms(input: CommandInput): Promise<ExitCode> {
  const { args, terminal, json } = input
  if (args.what !== undefined) {
    const mode = args.mode ?? ''
    if (!modes.includes(mode))
      throw new Failure(
        cliFailures.argumentMissing,
        `'tenfold guard rooms ${args.what}' needs one of ${modes.join(', ')}${mode === '' ? '' : `, not '${mode}'`}.`,
      )
    const said = (await clientOf(input).guard.ask({ kind: 'room-mode', room: args.what, mode })) as RoomStatus
    terminal.print(json ? JSON.stringify(said) : `the waiting room ${said.name} is ${said.mode}`)
    return 0
  }
  const { guard } = clientOf(input)
  const view = {
    rooms: ((await guard.ask({ kind: 'rooms' })) ?? []) as readonly RoomStatus[],
    quotas: ((await guard.ask({ kind: 'quotas' })) ?? []) as readonly QuotaStatus[],
  }
  terminal.print(json ? JSON.stringify(view) : roomsText(view.rooms, view.quotas))
  return 0
}

export function roomsText(all: readonly RoomStatus[], quotas: readonly QuotaStatus[]): string {
  const rows = all.map(one => [
    one.name,
    stateOf(one),
    ...[
      one.waiting,
      one.granted,
      one.active,
      one.activeMax,
      one.perMinute,
      one.admittedTotal,
      one.suspects,
    ].map(String),
    one.estimateMs < 0 ? '-' : `${Math.ceil(one.estimateMs / 1_000)} s`,
  ])
  return [
    ...(rows.length === 0 ? ['no waiting room is in use'] : tableLines(roomColumns, rows)),
    ...(quotas.length === 0
      ? []
      : [
          '',
          ...tableLines(
            quotaColumns,
            quotas.map(({ name, taken, held, stock, keys }) => [
              name,
              ...[taken, held].map(String),
              stock === 0 ? '-' : String(stock),
              String(keys),
            ]),
          ),
        ]),
  ].join('\n')
}

function stateOf({ mode, opensAtMs, drawn }: RoomStatus): string {
  if (mode !== 'open' || opensAtMs === 0 || drawn) return mode
  return `opens ${new Date(opensAtMs).toISOString()}`
}

export function lottery({ args, options, terminal, json }: CommandInput): ExitCode {
  const { commitment, seed, code } = options
  if (args.what === undefined || typeof commitment !== 'string' || typeof seed !== 'string')
    throw new Failure(
      cliFailures.argumentMissing,
      "'tenfold guard lottery' needs a file of places, --commitment and --seed, as the room publishes them.",
    )
  const asked = typeof code === 'string' ? code : undefined
  const check = checkLottery(readFileSync(args.what, 'utf8'), commitment, seed, asked)
  const { verdict, drawn, place } = check
  const own =
    asked === undefined ? '' : place === 0 ? `; ${asked} was not drawn` : `; ${asked} has place ${place}`
  const text = verdict.fair
    ? `${drawn} were drawn as was promised${own}`
    : `not as was promised: ${verdict.why}`
  terminal.print(json ? JSON.stringify(check) : text)
  return verdict.fair ? 0 : 1
}
