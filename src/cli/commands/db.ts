// `tenfold db ACTION`: what is done with databases: looking, moving the primary, repairing, backing up, psql. Each asks the
// control API and shows what it says; `reset` alone works on a system that is stopped.

import { Failure } from '../../kit/failure.ts'
import { resetDatabase } from '../../system/index.ts'
import { databaseAdviceText } from '../advice-text.ts'
import type { Action, CommandInput } from '../command.ts'
import { clientOf, showOperation } from '../connection.ts'
import { copiesText } from '../copies-text.ts'
import { backupsText, databasesText, settingsText, slowText } from '../database-text.ts'
import { cliFailures } from '../failures.ts'
import { adviceText, heatText } from '../heat-text.ts'
import { partitionsText } from '../partitions-text.ts'
import { shardsText } from '../shards-text.ts'
import { exportedOf, exportRows } from './db-export.ts'
import { directory } from './directory.ts'
import { psql } from './psql.ts'
import { reshard } from './reshard.ts'
import { splitColumns } from './split-columns.ts'

type Client = ReturnType<typeof clientOf>

export const db: Action = async input => {
  const action = input.args.action ?? 'status'
  const run = actions[action]
  if (run === undefined)
    throw new Failure(cliFailures.argumentMissing, `'tenfold db ${action}' does nothing.`)
  return run(input)
}

const actions: Readonly<Record<string, Action>> = {
  status,
  psql: input => psql(input, loginOf),
  switchover: operated((client, name, { options }, progress) =>
    client.databases.switchover(name, target(options), progress),
  ),
  failover: operated((client, name, { options }, progress) =>
    client.databases.failover(name, { ...target(options), lossy: options.lossy === true }, progress),
  ),
  rebuild,
  pause: operated((client, name, { options }) =>
    client.databases.pause(name, typeof options.reason === 'string' ? options.reason : undefined),
  ),
  resume: operated((client, name) => client.databases.resume(name)),
  reset,
  settings: async input => {
    const client = clientOf(input)
    const view = await client.databases.settings(await databaseOf(input, client))
    return show(input, view, () => settingsText(view, input.terminal))
  },
  slow: async input => {
    const client = clientOf(input)
    const view = await client.databases.slow(await databaseOf(input, client))
    return show(input, view, () => slowText(view))
  },
  shards: async input => {
    const client = clientOf(input)
    const name = await shardedOf(input, client)
    const view = await client.databases.shards(name)
    const { heat } = await client.databases.heat(name)
    const keys = input.options.keys === true
    const told = keys ? heat : withoutKeys(heat)
    return show(input, { ...view, heat: told }, () =>
      [shardsText(view, input.terminal), '', ...heatText(heat, keys)].join('\n'),
    )
  },
  partitions: async input => {
    const client = clientOf(input)
    const name = await partitionedOf(input, client)
    if (input.options.now === true) return operate(input, () => client.databases.rollPartitions(name))
    const view = await client.databases.partitions(name)
    return show(input, view, () => partitionsText(view, input.terminal))
  },
  advise: async input => {
    const client = clientOf(input)
    const { databases } = await client.status()
    const fronts = new Set(databases.flatMap(one => frontOf(one.name) ?? []))
    const said = input.args.name
    const sharded =
      said === undefined
        ? fronts.size > 0 && databases.every(one => frontOf(one.name) !== undefined)
        : fronts.has(said)
    const name = sharded ? await shardedOf(input, client) : await databaseOf(input, client)
    const verify = input.options.verify !== false
    if (!input.json && verify) input.terminal.live('trying indexes on copies of tables')
    const view = await client.databases.advise(name, { verify }).finally(() => input.terminal.live(null))
    const { advice } = sharded ? await client.databases.heat(name) : { advice: null }
    return show(input, { ...view, advice }, () =>
      [
        ...(advice === null ? [] : adviceText(name, advice, input.terminal)),
        ...databaseAdviceText(view, input.terminal),
      ].join('\n'),
    )
  },
  reshard: input => reshard(input, shardedOf),
  directory: input => directory(input, shardedOf),
  drift: async input => shardOperation(input, 'drift'),
  dangling: async input => shardOperation(input, 'dangling'),
  copies: async input => {
    const client = clientOf(input)
    const name = await shardedOf(input, client)
    const { rebuild } = input.options
    if (typeof rebuild === 'string')
      return operate(input, () => client.databases.copiesRebuild(name, rebuild))
    const view = await client.databases.copies(name)
    return show(input, view, () => copiesText(view, input.terminal))
  },
  unique: async input => {
    const client = clientOf(input)
    const name = await shardedOf(input, client)
    const verify = input.options.verify === true
    return operate(input, progress => client.databases.unique(name, verify, progress))
  },
  export: exportRows,
  'split-columns': input => splitColumns(input, exportedOf),
  verify: operated((client, name, _, progress) => client.databases.verify(name, progress)),
  backup: operated((client, name, _, progress) => client.databases.backup(name, progress)),
  backups: async input => {
    const client = clientOf(input)
    const view = await client.databases.backups(await databaseOf(input, client))
    return show(input, view, () => backupsText(view, input.terminal))
  },
  restore: operated((client, name, { options }, progress) => {
    const { to, into } = options
    if (typeof to !== 'string')
      throw new Failure(
        cliFailures.argumentMissing,
        '`tenfold db restore` needs a moment: --to 2026-03-04T05:06:07Z, or --to latest.',
      )
    return client.databases.restore(name, { to, ...(typeof into === 'string' ? { into } : {}) }, progress)
  }),
  drill: operated((client, name, _, progress) => client.databases.drill(name, progress)),
}

/** They may be about people: who wants them says so. */
function withoutKeys<T extends { readonly families: Readonly<Record<string, object>> }>(heat: T): T {
  const families = Object.entries(heat.families).map(([name, one]) => [name, { ...one, keys: [] }])
  return { ...heat, families: Object.fromEntries(families) }
}

async function status(input: CommandInput): Promise<0> {
  const { databases, router } = await clientOf(input).status()
  const { name } = input.args
  const shown = name === undefined ? databases : databases.filter(one => one.name === name)
  if (name !== undefined && shown.length === 0) throw unknown(name, databases)
  return show(input, { router, databases: shown }, () => databasesText(router, shown, input.terminal))
}

/** The sharded database that is meant: the one that is named, or the only one, of which the groups `main-s1` are. */
async function shardedOf(input: CommandInput, client: Client): Promise<string> {
  const { name } = input.args
  if (name !== undefined) return name
  const { databases } = await client.status()
  const fronts = new Set(databases.flatMap(one => frontOf(one.name) ?? []))
  const [only = 'main'] = fronts
  if (fronts.size < 2) return only
  const there = [...fronts].map(one => `'${one}'`).join(', ')
  throw new Failure(cliFailures.databaseUnnamed, `Which database? There are ${there}.`)
}

function frontOf(group: string): string | undefined {
  return /^(.+)-s\d+$/.exec(group)?.[1]
}

/** Any shard stands for the whole: the router leads to all of them. */
async function loginOf(input: CommandInput, client: Client): Promise<string> {
  const { name } = input.args
  const { primary, server } = input.options
  if (primary === true || server !== undefined) return databaseOf(input, client)
  const { databases } = await client.status()
  const groups = databases.filter(one => frontOf(one.name) === (name ?? frontOf(databases[0]?.name ?? '')))
  const [first] = groups
  const all = name !== undefined || groups.length === databases.length
  const plain = databases.some(one => one.name === name)
  return first !== undefined && all && !plain ? first.name : databaseOf(input, client)
}

/** Shards are looked at together. */
async function partitionedOf(input: CommandInput, client: Client): Promise<string> {
  if (input.args.name !== undefined) return input.args.name
  const { databases } = await client.status()
  return databases.some(one => frontOf(one.name) !== undefined)
    ? shardedOf(input, client)
    : databaseOf(input, client)
}

/** The database that is meant: the one that is named, or the only one. */
async function databaseOf(input: CommandInput, client: Client): Promise<string> {
  const { name } = input.args
  const { databases } = await client.status()
  if (name !== undefined) {
    if (databases.some(one => one.name === name)) return name
    throw unknown(name, databases)
  }
  const [only, ...others] = databases
  if (only !== undefined && others.length === 0) return only.name
  if (only === undefined)
    throw new Failure(cliFailures.databaseUnnamed, 'The running system has no database.')
  throw new Failure(
    cliFailures.databaseUnnamed,
    `Which database? There are ${databases.map(one => `'${one.name}'`).join(', ')}.`,
  )
}

type Named = Pick<Awaited<ReturnType<Client['status']>>['databases'][number], 'name' | 'servers'>

function unknown(name: string, databases: readonly Named[]): Failure {
  const owner = databases.find(one => one.servers.some(server => server.id === name))
  if (owner !== undefined)
    return new Failure(
      cliFailures.databaseUnnamed,
      `'${name}' is a server of '${owner.name}', and here a database is named. The server of a switchover or failover is told with --to ${name}, that of psql with --server ${name}.`,
    )
  const there = databases.map(one => `'${one.name}'`).join(', ')
  return new Failure(
    cliFailures.databaseUnnamed,
    `There is no database '${name}'; ${there === '' ? 'the running system has none' : `there is ${there}`}.`,
  )
}

/** A server is one database's: naming it is enough. */
async function rebuild(input: CommandInput): Promise<0 | 1> {
  const client = clientOf(input)
  const server = input.args.name
  if (server === undefined)
    throw new Failure(
      cliFailures.argumentMissing,
      '`tenfold db rebuild` needs a server: `tenfold db status` lists them.',
    )
  const { databases } = await client.status()
  const found = databases.find(one => one.servers.some(entry => entry.id === server))
  if (found === undefined) {
    const there = databases.flatMap(one => one.servers.map(entry => entry.id)).join(', ')
    throw new Failure(
      cliFailures.databaseUnnamed,
      `There is no server '${server}'; there are ${there || 'none'}.`,
    )
  }
  return operate(input, progress => client.databases.rebuild(found.name, server, progress))
}

async function reset(input: CommandInput): Promise<0> {
  const { name } = input.args
  if (name === undefined)
    throw new Failure(cliFailures.argumentMissing, '`tenfold db reset` needs the name of a database.')
  if (input.options.yes !== true) {
    const answer = await input.terminal.ask(
      `All data of '${name}' is deleted for good, backups excepted. Type its name to go on: `,
    )
    if (answer !== name)
      throw new Failure(
        cliFailures.notConfirmed,
        answer === null
          ? `Nobody is there to confirm that all data of '${name}' is deleted.`
          : `Nothing was deleted: '${answer}' is not '${name}'.`,
      )
  }
  const text = await resetDatabase({ file: input.file, stateDirectory: input.stateDirectory }, name)
  return show(input, { text }, () => text)
}

type Operate = (
  client: Client,
  name: string,
  input: CommandInput,
  progress: Parameters<Parameters<typeof showOperation>[1]>[0],
) => ReturnType<Parameters<typeof showOperation>[1]>

function operated(run: Operate): Action {
  return async input => {
    const client = clientOf(input)
    const name = await databaseOf(input, client)
    return operate(input, progress => run(client, name, input, progress))
  }
}

async function shardOperation(input: CommandInput, ask: 'drift' | 'dangling'): Promise<0 | 1> {
  const client = clientOf(input)
  const name = await shardedOf(input, client)
  return operate(input, progress => client.databases[ask](name, progress))
}

/** 1 where something was found that should not be. */
async function operate(input: CommandInput, run: Parameters<typeof showOperation>[1]): Promise<0 | 1> {
  const done = await showOperation(input, run)
  const findings = done.findings ?? []
  if (!input.json) for (const line of [...findings, done.text]) input.terminal.print(line)
  return findings.length === 0 ? 0 : 1
}

function target({ to }: CommandInput['options']): { to?: string } {
  return typeof to === 'string' ? { to } : {}
}

function show(input: CommandInput, view: object, text: () => string): 0 {
  input.terminal.print(input.json ? JSON.stringify(view) : text())
  return 0
}
