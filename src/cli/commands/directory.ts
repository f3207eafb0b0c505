// `tenfold db directory TABLE`: which keys of a directory have which shard; gives a key its place (`--set`). Keys move by
// resharding: `--move` is `tenfold db reshard --isolate`.

import { Failure } from '../../kit/failure.ts'
import type { CommandInput } from '../command.ts'
import { clientOf } from '../connection.ts'
import { cliFailures } from '../failures.ts'
import { reshard } from './reshard.ts'

type Client = ReturnType<typeof clientOf>
type DatabaseOf = (input: CommandInput, client: Client) => Promise<string>
type View = Awaited<ReturnType<Client['databases']['directory']>>

export async function directory(input: CommandInput, databaseOf: DatabaseOf): Promise<0 | 1> {
  const { options, args } = input
  const table = args.name
  if (table === undefined) throw wrong('Which table? `tenfold db directory tenants`')
  const { set, move, into, key, after } = options
  const named = typeof options.db === 'string' ? options.db : undefined
  // The name behind the action is the table's here.
  const about: CommandInput = { ...input, args: { ...args, name: named } }
  if (typeof set === 'string' && typeof move === 'string')
    throw wrong("--set and --move can't be asked for together.")
  if ((typeof set === 'string' || typeof move === 'string') && typeof into !== 'string')
    throw wrong('Where to? --into 3')
  if (typeof move === 'string') {
    const { move: _, ...rest } = options
    return reshard({ ...about, options: { ...rest, isolate: `${table}=${move}` } }, databaseOf)
  }
  const client = clientOf(input)
  const name = await databaseOf(about, client)
  const family = table.includes('.') ? table : `public.${table}`
  if (typeof set === 'string') {
    const done = await client.databases.directorySet(name, { family, key: set, shard: into as string })
    input.terminal.print(input.json ? JSON.stringify(done) : done.text)
    return 0
  }
  const view = await client.databases.directory(name, {
    family,
    ...(typeof key === 'string' ? { key } : {}),
    ...(typeof after === 'string' ? { after } : {}),
  })
  input.terminal.print(input.json ? JSON.stringify(view) : directoryText(view, typeof key === 'string'))
  return 0
}

export function directoryText({ family, keys, counts, otherwise, more }: View, one: boolean): string {
  const rest = otherwise === null ? '' : `; keys without a row are on shard ${otherwise}`
  const each = Object.entries(counts).map(([shard, count]) => `${count} on shard ${shard}`)
  const head = `${family}: ${each.length === 0 ? 'no key has a row' : `keys: ${each.join(', ')}`}${rest}`
  if (one && keys.length === 0) return `${head}\nthe key has no place`
  const width = Math.max(...keys.map(({ key }) => key.length), 0)
  const lines = keys.map(({ key, shard }) => `  ${key.padEnd(width)}  ${shard}`)
  const next = more ? [`more: --after ${JSON.stringify(keys.at(-1)?.key)}`] : []
  return [head, ...lines, ...next].join('\n')
}

function wrong(sentence: string): Failure {
  return new Failure(cliFailures.argumentMissing, sentence)
}
